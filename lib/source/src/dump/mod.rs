//! A whole database as one stream: the archive of `pg_dump` as it is ([`Archive`]), or every table as Parquet in one tar
//! ([`Database`]), all of it from one snapshot.

mod assembly;
mod custom;
mod database;
mod ground;
mod look;
mod member;
mod reader;
mod schema;
mod snapshot;
mod table;
mod tar;

pub use assembly::Dumped;
pub use custom::Archive;
pub use database::Database;

use std::path::PathBuf;
use std::time::Duration;
use vb_core::label::{DATABASE, Label, Proof};
use vb_core::mark::Mark;
use vb_core::naming;
use vb_format::Compression;
use vb_postgres::catalog::Server;
use vb_postgres::database::State;

/// What a dump may stand on.
#[derive(Debug, Clone)]
pub struct Base {
    /// Where the last one left off.
    pub mark: Mark,
    /// What it has remembered of the database, or why that is of no use.
    pub state: std::result::Result<State, String>,
}

/// A dump in a chain: others may stand on it.
#[derive(Debug, Clone, Default)]
pub struct Since {
    /// The last one, if there was one.
    pub base: Option<Base>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct DumpRequest {
    /// Where the dump is one of a chain.
    pub since: Option<Since>,
    /// The name of the set, where the user chose one.
    pub set: Option<String>,
    /// How many connections may read tables at the same time.
    pub jobs: usize,
    /// Whether the server hashes the rows, so that a restore can be compared.
    pub row_hash: bool,
    /// How long to try again while another session has locked a table.
    pub lock_wait: Duration,
    /// Inside Parquet.
    pub compression: Compression,
    /// The `pg_dump`, where the user chose one.
    pub pg_dump: Option<PathBuf>,
}

impl DumpRequest {
    fn label(&self, server: &Server, extension: &str) -> Label {
        let set = self.set.clone().unwrap_or_else(|| naming::set_from(&server.database));
        let mut label = Label::of_stream(DATABASE, &server.database, &set, extension);
        label.source.server_version = Some(server.version.clone());
        label.source.system_identifier.clone_from(&server.system_identifier);
        label.source.database = Some(server.database.clone());
        label.proof = Proof::Sealed;
        label
    }
}

/// The major version of a server that says `15.18`.
fn major(server: &Server) -> u32 {
    server
        .version
        .split(|letter: char| !letter.is_ascii_digit())
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or_default()
}
