//! What comes before the rows and what follows them, by `pg_dump` in the same snapshot: with owners, privileges, comments,
//! publications, and the refreshing of materialised views.

use super::{DumpRequest, major};
use crate::pg_dump::PgDump;
use vb_core::{Error, Result};
use vb_postgres::catalog::Server;
use vb_postgres::connection::Parameters;

/// A `pg_dump` of the schema.
#[derive(Clone)]
pub(super) struct SchemaDump {
    program: PgDump,
    parameters: Parameters,
    snapshot: String,
}

impl SchemaDump {
    pub(super) fn find(
        request: &DumpRequest,
        server: &Server,
        parameters: &Parameters,
        snapshot: &str,
    ) -> Result<Self> {
        let program = PgDump::find(request.pg_dump.as_deref(), major(server)).map_err(Error::not_found)?;
        Ok(Self { program, parameters: parameters.clone(), snapshot: snapshot.to_owned() })
    }

    pub(super) fn version(&self) -> &str {
        self.program.version()
    }

    /// One section, `pre-data` or `post-data`, and its warnings. Large objects are left out: up to version 16 `pg_dump` counts them
    /// among what comes before the rows, later ones among the rows.
    ///
    /// # Errors
    /// What `pg_dump` said.
    pub(super) fn section(&self, section: &str) -> Result<(String, Vec<String>)> {
        let mut command = self.program.command(&self.parameters);
        command.args(["-B", "--lock-wait-timeout=60000"]);
        command.arg(format!("--section={section}")).arg(format!("--snapshot={}", self.snapshot));
        self.program.text(&mut command).map_err(|why| Error::failure(format!("reading the schema: {why}")))
    }
}
