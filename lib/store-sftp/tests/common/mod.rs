//! What the tests of this crate share: a server of their own, stores on it, and the processes behind it.
#![allow(dead_code)] // each test file takes what it needs

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use vb_core::environment::Environment;
use vb_core::key::Key;
use vb_core::location::Location;
use vb_core::parts::MEBIBYTE;
use vb_core::{Error, ErrorKind};
use vb_store::Store;
use vb_store_sftp::{SftpConfig, SftpStore};
use vb_tests::servers::Held;

/// An sshd that runs until it is dropped or this process ends.
pub(crate) struct Server(Held);

impl Server {
    /// Starts `tests/servers/sshd` and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self(Held::start("sshd").unwrap())
    }

    /// The same with a file system of 2 MiB at this folder, which nobody else sees.
    pub(crate) fn start_with_small_disk(folder: &Path) -> Self {
        let line = r#"mount -t tmpfs -o size=2m,mode=0777 none "$1" && exec "$2" --hold"#;
        let mut unshare = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--map-current-user", "--keep-caps"]);
        }
        unshare.args(["--mount", "sh", "-c", line, "sh"]).args([folder, &Held::script("sshd")]);
        Self(Held::start_by("sshd", &mut unshare).unwrap())
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        self.0.variable(name).unwrap()
    }

    /// A folder of the server as this machine sees it.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        Path::new(self.variable("VB_TEST_SFTP_DIR")).join(name)
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.variable("VB_TEST_SFTP").rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// A store in a folder of this server; small parts, and nothing of the user's own configuration.
    pub(crate) fn config(&self, folder: &str) -> SftpConfig {
        let url = format!("sftp://{}{}", self.variable("VB_TEST_SFTP"), self.folder(folder).display());
        self.config_of(&url, &[])
    }

    /// The store of a URL, with some variables changed; an empty one is unset.
    pub(crate) fn config_of(&self, url: &str, changes: &[(&str, &str)]) -> SftpConfig {
        let variables = self.0.variables_with(changes);
        let mut config = SftpConfig::new(&Location::parse(url).unwrap(), &Environment::new(variables)).unwrap();
        config.limits.part_bytes = MEBIBYTE;
        config.ssh_options = ["-F", "/dev/null"].map(str::to_owned).to_vec();
        config
    }

    pub(crate) fn store(&self, folder: &str) -> SftpStore {
        SftpStore::open(self.config(folder)).unwrap()
    }

    /// The store with other variables.
    pub(crate) fn store_with(&self, folder: &str, changes: &[(&str, &str)]) -> SftpStore {
        let url = format!("sftp://{}{}", self.variable("VB_TEST_SFTP"), self.folder(folder).display());
        SftpStore::open(self.config_of(&url, changes)).unwrap()
    }

    /// The listener's process.
    pub(crate) fn pid(&self) -> u32 {
        std::fs::read_to_string(self.variable("VB_TEST_SFTP_PID")).unwrap().trim().parse().unwrap()
    }

    /// The processes that serve the sessions.
    pub(crate) fn sessions(&self) -> Vec<u32> {
        descendants(self.pid())
    }
}

/// All that a process started, and that these started.
pub(crate) fn descendants(of: u32) -> Vec<u32> {
    let parent = |number: u32| -> Option<u32> {
        let line = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        // The name in parentheses may hold blanks.
        line.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let all: Vec<u32> = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let mut found = vec![of];
    let mut next = 0;
    while let Some(above) = found.get(next).copied() {
        found.extend(all.iter().filter(|number| parent(**number) == Some(above)));
        next += 1;
    }
    found.split_off(1)
}

pub(crate) fn signal(number: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(number).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Looks until it is so, at most for half a minute.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

/// The names in a folder, sorted; none if there is no such folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An error in one line that says this, and no secret.
pub(crate) fn must_be(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words) && !error.to_string().contains('\n'), "{error}");
}

/// The first error that this store gives.
pub(crate) fn refusal(store: &SftpStore) -> Error {
    store.list("", &mut |_| Ok(())).unwrap_err()
}
