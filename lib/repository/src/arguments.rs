//! The option that names the store, the same in every command.

use std::sync::Arc;
use vb_core::Result;
use vb_core::environment::Environment;
use vb_core::location::Location;
use vb_pipe::Session;
use vb_store::Store;

/// Flattened into the arguments of every command that touches a store.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StoreArguments {
    /// Where the backups are: file:///folder, gs://bucket/prefix or s3://bucket/prefix
    ///
    /// Without it VB_STORE, else CLOUD_PROVIDER and its variables, else file://./backups.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
}

impl StoreArguments {
    /// The store's URL: from the option, else from the environment.
    ///
    /// # Errors
    /// A usage error if it is no store's.
    pub fn location(&self, environment: &Environment) -> Result<Location> {
        match &self.store {
            Some(url) => Location::parse(url),
            None => Location::from_environment(environment),
        }
    }

    /// Opens the store; whatever it tries again is a warning of this run.
    ///
    /// # Errors
    /// If the URL is no store's, or the store's configuration is incomplete.
    pub fn open(&self, session: &Session) -> Result<Arc<dyn Store>> {
        let location = self.location(session.environment())?;
        let warn = {
            let session = session.clone();
            Arc::new(move |words: &str| session.warn(words))
        };
        vb_stores::open(&location, session.environment(), warn)
    }
}
