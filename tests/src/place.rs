//! A place of its own for each test: working folder, home and record folder, all temporary, and nothing of the outside environment.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::command::Command;

/// Where one test runs its commands. The folders go when this is dropped.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    binaries: PathBuf,
}

impl Place {
    /// Makes the folders.
    ///
    /// # Errors
    /// When they cannot be made, or the folder of the binaries cannot be told from this test's own path.
    pub fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("vb-place.").context("making a folder for the test")?;
        for name in ["home", "run", "tmp", "work"] {
            fs::create_dir(folder.path().join(name))
                .with_context(|| format!("making the folder {name} for the test"))?;
        }
        // the records of running pipes are refused in a folder that is open to others
        fs::set_permissions(folder.path().join("run"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .context("closing the folder run to others")?;
        Ok(Self { folder, binaries: binaries()? })
    }

    /// The working folder of the commands.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A path in the working folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.work().join(name)
    }

    /// `$VB_RUN_DIR` of the commands, where they keep the records of running pipes.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// A command of this workspace, such as `vb-export`.
    ///
    /// # Errors
    /// When it is not built.
    pub fn command(&self, binary: &str) -> Result<Command> {
        let path = self.binaries.join(binary);
        ensure!(
            path.is_file(),
            "{binary} is not in {}\nhint: Run cargo build --release --workspace before the tests.",
            self.binaries.display()
        );
        Ok(self.clean(Command::new(path)))
    }

    /// A line for `sh`, with this workspace's commands first on `PATH`.
    #[must_use]
    pub fn shell(&self, line: &str) -> Command {
        self.shell_of("sh", line)
    }

    /// The same for another shell: `bash`, `dash`, `fish`, `mksh`, `zsh`.
    #[must_use]
    pub fn shell_of(&self, shell: &str, line: &str) -> Command {
        self.clean(Command::new(shell)).arg("-c").arg(line)
    }

    /// Nothing that could reach a real bucket or database is left; what a command needs is given by name.
    fn clean(&self, command: Command) -> Command {
        let mut path = self.binaries.clone().into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").as_deref().unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin")));
        command
            .folder(self.work())
            .env("PATH", path)
            .env("HOME", self.folder.path().join("home"))
            .env("TMPDIR", self.folder.path().join("tmp"))
            .env("VB_CACHE_DIR", self.folder.path().join("cache"))
            .env("VB_RUN_DIR", self.run_dir())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
    }
}

/// Cargo puts a test's executable in `deps` below the folder of the binaries.
fn binaries() -> Result<PathBuf> {
    let test = env::current_exe().context("finding this test's own path")?;
    let folder = test.parent().and_then(Path::parent).context("this test lies in no target folder")?;
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_outside_is_left() {
        let run = Place::new().unwrap().shell("env | cut -d = -f 1 | sort").run().unwrap();
        let mut names: Vec<&str> =
            run.stdout_text().lines().filter(|name| !["_", "PWD", "SHLVL"].contains(name)).collect();
        names.dedup();
        let expected =
            ["AWS_EC2_METADATA_DISABLED", "HOME", "LC_ALL", "PATH", "TMPDIR", "TZ", "VB_CACHE_DIR", "VB_RUN_DIR"];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_folders_go_with_the_place() {
        let place = Place::new().unwrap();
        let file = place.path("file");
        place.shell("echo content > file").run().unwrap().succeeded().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "content\n");
        drop(place);
        assert!(!file.exists());
    }

    #[test]
    fn a_binary_that_is_not_built_is_an_error_with_a_hint() {
        let message = Place::new().unwrap().command("vb-no-such-command").unwrap_err().to_string();
        assert!(message.starts_with("vb-no-such-command is not in ") && message.contains("cargo build"), "{message}");
    }
}
