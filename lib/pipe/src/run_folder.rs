//! The private folder in which the two ends of a pipe leave each other records.

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use vb_core::environment::{self as variables, Environment};
use vb_core::{Error, Result};

/// `$VB_RUN_DIR`, else `$XDG_RUNTIME_DIR/vb`, else `/tmp/vb-<uid>`; made when missing.
///
/// # Errors
/// If it cannot be made, or belongs to or is open to someone else: whoever can write there could seal a broken backup.
pub fn open(environment: &Environment) -> Result<PathBuf> {
    if let Some(folder) = environment.get(variables::VB_RUN_DIR) {
        return private(PathBuf::from(folder));
    }
    // A session without a login (cron, a container) may name a folder that does not exist.
    let runtime = environment.get(variables::XDG_RUNTIME_DIR).map(Path::new).filter(|folder| folder.is_dir());
    if let Some(Ok(folder)) = runtime.map(|folder| private(folder.join("vb"))) {
        return Ok(folder);
    }
    private(PathBuf::from(format!("/tmp/vb-{}", geteuid().as_raw())))
}

fn private(folder: PathBuf) -> Result<PathBuf> {
    let step = || format!("opening the run folder {}", folder.display());
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(cause) => {
            return Err(Error::io(step(), cause).with_hint("Set VB_RUN_DIR to a folder that only you can write."));
        }
    }
    // Without following a link: a link in /tmp may point anywhere.
    let opened = rustix::fs::open(&folder, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let opened = opened.map_err(|cause| Error::io(step(), cause.into()))?;
    let metadata = std::fs::File::from(opened).metadata().map_err(|cause| Error::io(step(), cause))?;
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(Error::denied(format!("{}: it is not private to this user", step()))
            .with_hint("Set VB_RUN_DIR to a folder that only you can write (chmod 700)."));
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("run");
        let environment = Environment::new([("VB_RUN_DIR".to_owned(), folder.display().to_string())]);
        assert_eq!(open(&environment).unwrap(), folder);
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(open(&environment).unwrap_err().kind(), vb_core::ErrorKind::Denied);
    }

    #[test]
    fn a_link_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let link = parent.path().join("run");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        let environment = Environment::new([("VB_RUN_DIR".to_owned(), link.display().to_string())]);
        assert!(open(&environment).is_err());
    }
}
