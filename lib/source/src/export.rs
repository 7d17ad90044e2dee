//! Reads what was planned: one snapshot, one COPY, one stream.

use crate::patience::Patience;
use crate::pg_dump::Run;
use crate::plan::{self, Plan};
use crate::request::{Format, Request, Selection};
use crate::schema_dump::{self, Pending};
use crate::{rows, text_rows};
use postgres::Client;
use std::io::Write;
use vb_core::{Error, Result};
use vb_postgres::catalog;
use vb_postgres::connection::{Parameters, RawConnection, connect_narrowed, from_postgres};
use vb_postgres::relation;
use vb_postgres::snapshot::{self, Snapshot};
use vb_postgres::stored_schema::Name;

/// An export that is planned, its snapshot held.
pub struct Export {
    /// What will be read.
    pub plan: Plan,
    parameters: Parameters,
    format: Format,
    row_security: bool,
    snapshot: Snapshot,
    schema: Option<Pending>,
    client: Client,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub records: u64,
    /// How the schema travels: `dump` or `description`; none where it does not.
    pub schema: Option<&'static str>,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Export {
    /// Connects, takes the snapshot and plans. Nothing is read yet. `warn` hears of every attempt to get a lock that failed.
    ///
    /// # Errors
    /// If the server cannot be reached, the table is not there or stays locked, or it cannot be exported without loss.
    pub fn open(request: &Request, parameters: &Parameters, warn: &mut dyn FnMut(&str)) -> Result<Self> {
        // The snapshot exists on the one server that answered, whatever other hosts the parameters name.
        let (mut client, parameters) = connect_narrowed(parameters)?;
        let (snapshot, locked) = locked_snapshot(&mut client, request, warn)?;
        let server = catalog::server(&mut client)?;
        let (plan, schema) = match &request.selection {
            Selection::Table(part) => {
                let table = catalog::table(&mut client, &part.name, part.only)?;
                if table.oid != locked {
                    return Err(Error::unavailable(format!("exporting {}: it was made anew just now", part.name)));
                }
                let run = Run {
                    parameters: parameters.clone(),
                    snapshot: snapshot.token.clone(),
                    row_security: request.row_security,
                };
                let mut plan = plan::of_table(request, part, &table, &server, &snapshot)?;
                let travels = table.kind.is_table() && matches!(request.format, Format::Parquet(_));
                let schema = travels
                    .then(|| schema_dump::prepare(&mut client, &table, run, request.pg_dump.clone(), &server.version))
                    .transpose()?;
                let schema = schema.map(|mut schema| {
                    plan.warnings.append(&mut schema.take_warnings());
                    schema
                });
                (plan, schema)
            }
            Selection::Query(query) => {
                let description = catalog::query_columns(&mut client, query, "the query")?;
                (plan::of_query(request, query, description, &server), None)
            }
        };
        let (format, row_security) = (request.format, request.row_security);
        Ok(Self { plan, parameters, format, row_security, snapshot, schema, client })
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
        let mut schema = self.schema.take();
        if let Some(schema) = &mut schema {
            schema.begin()?;
        }
        let mut connection = RawConnection::open(&self.parameters)?;
        connection.execute(&snapshot::join(&self.snapshot.token))?;
        if self.row_security {
            connection.execute(ROW_SECURITY)?;
        }
        let stream = connection
            .copy_out(&statement)
            .map_err(|error| error.during(format!("exporting {}", self.plan.label.source.name)))?;
        let mut finished = None;
        let footer = || {
            finished = schema.take().map(Pending::finish).transpose()?;
            Ok(finished.as_mut().map(|finished| std::mem::take(&mut finished.metadata)).unwrap_or_default())
        };
        let records = match self.format {
            Format::Parquet(compression) => {
                rows::to_parquet(stream, &self.plan.description, compression, output, footer)?
            }
            format => text_rows::write(stream, format, &mut output)?,
        };
        // The snapshot was held until here: had it gone, so would have the rows' common moment.
        self.client.batch_execute("COMMIT").map_err(|cause| from_postgres("ending the export", cause))?;
        self.check_snapshot()?;
        let (schema, warnings) =
            finished.map_or((None, Vec::new()), |finished| (Some(finished.kind), finished.warnings));
        Ok(Exported { records, schema, warnings })
    }

    fn check_snapshot(&self) -> Result<()> {
        if self.client.is_closed() {
            return Err(Error::unavailable("ending the export: the connection that held the snapshot was closed"));
        }
        Ok(())
    }
}

const ROW_SECURITY: &str = "SET row_security = on";

/// A snapshot, and a lock on the table that was there before anything in it changed; the table's oid. Where another session
/// holds the table, it lets go, pauses, and tries again with a new snapshot.
fn locked_snapshot(client: &mut Client, request: &Request, warn: &mut dyn FnMut(&str)) -> Result<(Snapshot, u32)> {
    let mut patience = Patience::new(request.lock_wait);
    loop {
        let snapshot = snapshot::begin(client)?;
        if request.row_security {
            client.batch_execute(ROW_SECURITY).map_err(|cause| from_postgres("allowing row-level security", cause))?;
        }
        let Selection::Table(part) = &request.selection else { return Ok((snapshot, 0)) };
        let oid = catalog::find(client, &part.name)?;
        let name = readable(client, oid, request.row_security, warn)?;
        let is_locked = relation::lock(client, &name, part.only)?;
        if is_locked && !relation::was_rewritten(client, oid)? {
            return Ok((snapshot, oid));
        }
        client.batch_execute("ROLLBACK").map_err(|cause| from_postgres("letting go of the snapshot", cause))?;
        let name = format!("{}.{}", name.schema, name.name);
        let why = if is_locked { "was rewritten just now" } else { "is locked by another session" };
        let pause = patience.pause().ok_or_else(|| {
            Error::unavailable(format!("exporting {name}: it {why}"))
                .with_hint("Run it again when that session has ended, or wait longer with --lock-wait.")
        })?;
        warn(&format!("{name} {why}; trying again in {:.1} s", pause.as_secs_f64()));
        std::thread::sleep(pause);
    }
}

/// The table's name, if no policy hides rows from us, or only such as may be hidden.
fn readable(client: &mut Client, oid: u32, row_security: bool, warn: &mut dyn FnMut(&str)) -> Result<Name> {
    let (name, hidden) = relation::name(client, oid)?;
    let table = format!("{}.{}", name.schema, name.name);
    if hidden && !row_security {
        return Err(Error::denied(format!("exporting {table}: row-level security hides rows from this role")).with_hint(
            "Export it as its owner or as a role with BYPASSRLS, or take only what this role may see with --enable-row-security.",
        ));
    }
    if hidden {
        warn(&format!("row-level security is on for {table}: only rows that this role may see are exported"));
    }
    Ok(name)
}
