//! An sshd for the whole test binary, and a folder of its own for each test. The folder lies on this machine, so that what is in it
//! is seen without any client.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use super::Variables;
use super::held::{Held, Shared, shared};

/// A running server.
#[derive(Debug)]
pub struct SftpServer {
    held: Held,
}

impl SftpServer {
    /// The one that all tests of this binary share.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: Shared<SftpServer> = Shared::new();
        shared(&SHARED, || Held::start("sshd").map(|held| Self { held }))
    }

    /// A folder that nobody else uses and that does not exist yet: the first backup makes it.
    ///
    /// # Errors
    /// When the script does not say where.
    pub fn folder(&self, label: &str) -> Result<SftpFolder> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{label}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(self.held.variable("VB_TEST_SFTP_DIR")?).join(&name);
        let mut variables = self.held.variables().clone();
        variables.insert("VB_STORE".into(), format!("sftp://{}/~/{name}", self.held.variable("VB_TEST_SFTP")?));
        Ok(SftpFolder { path, variables })
    }
}

/// A folder that one test has to itself. It goes with its server.
#[derive(Debug)]
pub struct SftpFolder {
    path: PathBuf,
    variables: Variables,
}

impl SftpFolder {
    /// The folder as this machine sees it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The variables that lead a command here: `VB_STORE`, `VB_SSH_KEY`, `VB_SSH_KNOWN_HOSTS`.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }
}
