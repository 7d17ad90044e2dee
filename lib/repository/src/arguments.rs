//! The options that name stores, the same in every command.

use crate::writing::WritingArguments;
use std::sync::Arc;
use vb_core::environment::Environment;
use vb_core::location::Location;
use vb_core::{Error, Result};
use vb_pipe::Session;
use vb_store::Store;

/// Flattened into the arguments of every command that touches a store.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StoreArguments {
    /// Where the backups are: file:///folder, s3://bucket/prefix, az://container/prefix, gs://bucket/prefix or sftp://host/folder
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
        open(session, &self.location(session.environment())?, session.environment())
    }
}

/// Flattened into the arguments of the command that writes to several stores at once.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StoresArguments {
    /// Where the backup goes: file:///folder or s3://bucket/prefix; several times for several stores at once
    ///
    /// Without it VB_STORE (several URLs with blanks between them), else CLOUD_PROVIDER and its variables, else
    /// file://./backups.
    #[arg(long = "store", value_name = "URL")]
    pub stores: Vec<String>,

    /// What the stores do with what is stored.
    #[command(flatten)]
    pub writing: WritingArguments,
}

/// A store that is written to, and what opens it again in another process.
#[derive(Clone)]
pub struct OpenStore {
    /// Its URL.
    pub location: Location,
    /// The environment with what the flags say.
    pub environment: Environment,
    /// The store.
    pub store: Arc<dyn Store>,
}

impl StoresArguments {
    /// Opens the stores, in the order in which they were named.
    ///
    /// # Errors
    /// A usage error if a URL is no store's or is named twice, or a store cannot do what the flags want of it.
    pub fn open(&self, session: &Session) -> Result<Vec<OpenStore>> {
        let locations = match self.stores.as_slice() {
            [] => Location::all_from_environment(session.environment())?,
            urls => urls.iter().map(|url| Location::parse(url)).collect::<Result<_>>()?,
        };
        if let Some(twice) = locations.iter().enumerate().find(|(at, one)| locations[..*at].contains(one)) {
            return Err(Error::usage(format!("the store {} is named twice", twice.1)));
        }
        locations
            .into_iter()
            .map(|location| open_to_write(session, location, session.environment(), &self.writing))
            .collect()
    }
}

/// Opens a store for new backups.
///
/// # Errors
/// A usage error if it cannot do what the flags or the environment want of it.
pub fn open_to_write(
    session: &Session,
    location: Location,
    environment: &Environment,
    writing: &WritingArguments,
) -> Result<OpenStore> {
    let environment = writing.environment(environment);
    crate::writing::refuse_unsupported(&location, &environment)?;
    let store = open(session, &location, &environment)?;
    Ok(OpenStore { location, environment, store })
}

/// Opens a store with an environment of its own.
///
/// # Errors
/// If the store's configuration is incomplete.
pub fn open(session: &Session, location: &Location, environment: &Environment) -> Result<Arc<dyn Store>> {
    let session = session.clone();
    vb_stores::open(location, environment, Arc::new(move |words: &str| session.warn(words)))
}
