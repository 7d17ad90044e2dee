//! Reads what was planned: one snapshot, one COPY, one stream.

use crate::plan::{self, Plan};
use crate::request::{Format, Request, Selection};
use crate::{rows, text_rows};
use postgres::Client;
use std::io::Write;
use vb_core::{Error, Result};
use vb_postgres::catalog;
use vb_postgres::connection::{Parameters, RawConnection, connect_narrowed, from_postgres};
use vb_postgres::measure;
use vb_postgres::snapshot::{self, Snapshot};

/// An export that is planned, its snapshot held.
pub struct Export {
    /// What will be read.
    pub plan: Plan,
    parameters: Parameters,
    format: Format,
    snapshot: Snapshot,
    client: Client,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub records: u64,
    /// Values that the types of their columns cannot hold, and the footer does.
    pub kept_aside: u64,
}

impl Export {
    /// Connects, takes the snapshot and plans. Nothing is read yet.
    ///
    /// # Errors
    /// If the server cannot be reached, the table is not there, or it cannot be exported without loss.
    pub fn open(request: &Request, parameters: &Parameters) -> Result<Self> {
        // The snapshot exists on the one server that answered, whatever other hosts the parameters name.
        let (mut client, parameters) = connect_narrowed(parameters)?;
        let snapshot = snapshot::begin(&mut client)?;
        let server = catalog::server(&mut client)?;
        let mut plan = match &request.selection {
            Selection::Table(part) => {
                let table = catalog::table(&mut client, &part.name)?;
                plan::of_table(request, part, &table, &server, &snapshot)?
            }
            Selection::Query(query) => {
                let description = catalog::query_columns(&mut client, query, "the query")?;
                plan::of_query(request, query, description, &server)
            }
        };
        if let Format::Parquet(_) = request.format {
            // A query is not run twice: it may take long, and give other rows the second time.
            if let Selection::Table(_) = &request.selection {
                measure::measure(&mut client, &mut plan.description, &plan.select)?;
            }
            plan = plan.printed();
        }
        Ok(Self { plan, parameters, format: request.format, snapshot, client })
    }

    /// Reads everything into `output`.
    ///
    /// # Errors
    /// A value that cannot be stored exactly, a server that goes away, an output that takes no more.
    pub fn run(mut self, mut output: impl Write + Send) -> Result<Exported> {
        let statement = match self.format {
            Format::Parquet(_) => format!("COPY {} TO STDOUT (FORMAT binary)", self.plan.copy),
            other => text_rows::copy_statement(&self.plan.select, other),
        };
        let mut connection = RawConnection::open(&self.parameters)?;
        connection.execute(&snapshot::join(&self.snapshot.token))?;
        let stream = connection
            .copy_out(&statement)
            .map_err(|error| error.during(format!("exporting {}", self.plan.label.source.name)))?;
        let exported = match self.format {
            Format::Parquet(compression) => rows::to_parquet(stream, &self.plan.description, compression, output)?,
            format => Exported { records: text_rows::write(stream, format, &mut output)?, kept_aside: 0 },
        };
        // The snapshot was held until here: had it gone, so would have the rows' common moment.
        self.client.batch_execute("COMMIT").map_err(|cause| from_postgres("ending the export", cause))?;
        self.check_snapshot()?;
        Ok(exported)
    }

    fn check_snapshot(&self) -> Result<()> {
        if self.client.is_closed() {
            return Err(Error::unavailable("ending the export: the connection that held the snapshot was closed"));
        }
        Ok(())
    }
}
