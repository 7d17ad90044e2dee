//! Reads what was planned: one snapshot, one COPY or several side by side, one stream.

use crate::plan::{self, Plan};
use crate::request::{Format, Request, Selection, TablePart};
use crate::rows::{self, Reading};
use crate::text_rows;
use postgres::Client;
use std::io::Write;
use std::thread::JoinHandle;
use vb_core::{Error, Result};
use vb_postgres::catalog::{self, Table};
use vb_postgres::connection::{Parameters, RawConnection, connect_narrowed, from_postgres};
use vb_postgres::extent::{self, Extent};
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::snapshot::{self, Snapshot};

/// An export that is planned, its snapshot held.
pub struct Export {
    /// What will be read.
    pub plan: Plan,
    parameters: Parameters,
    format: Format,
    jobs: usize,
    row_hash: bool,
    snapshot: Snapshot,
    client: Client,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub records: u64,
    /// The server's hash of them, if it was asked for.
    pub row_hash: Option<RowHash>,
}

impl Export {
    /// Connects, takes the snapshot and plans. Nothing is read yet.
    ///
    /// # Errors
    /// If the server cannot be reached, the table is not there, or it cannot be exported without loss.
    pub fn open(request: &Request, parameters: &Parameters) -> Result<Self> {
        // The snapshot exists on the one server that answered, whatever other hosts the parameters name.
        let (mut client, parameters) = connect_narrowed(parameters)?;
        let snapshot = match &request.snapshot {
            Some(token) => snapshot::adopt(&mut client, token)?,
            None => snapshot::begin(&mut client)?,
        };
        let server = catalog::server(&mut client)?;
        let plan = match &request.selection {
            Selection::Table(part) => {
                let table = catalog::table(&mut client, &part.name)?;
                let extents = extents(&mut client, request, part, &table)?;
                plan::of_table(request, part, &table, &extents, &server, &snapshot)?
            }
            Selection::Query(query) => {
                let description = catalog::query_columns(&mut client, query, "the query")?;
                plan::of_query(request, query, description, &server)
            }
        };
        let Request { format, jobs, row_hash, .. } = *request;
        Ok(Self { plan, parameters, format, jobs, row_hash, snapshot, client })
    }

    /// Reads everything into `output`.
    ///
    /// # Errors
    /// A value that cannot be stored exactly, a server that goes away, an output that takes no more.
    pub fn run(self, output: impl Write + Send) -> Result<Exported> {
        let Self { plan, parameters, format, jobs, row_hash, snapshot, client } = self;
        let reading = |compression| Reading {
            parameters: &parameters,
            token: &snapshot.token,
            pieces: &plan.pieces,
            description: &plan.description,
            name: &plan.label.source.name,
            compression,
            jobs,
        };
        let holder = Holder::start(client, row_hash.then(|| plan.select.clone()))?;
        match format {
            Format::Parquet(compression) => {
                let mut hashed = None;
                let records = rows::to_parquet(&reading(compression), output, || {
                    let hash = hashed.insert(holder.finish()?);
                    hash.iter().map(|hash| Ok((row_hash::METADATA_KEY.to_owned(), to_json(hash)?))).collect()
                })?;
                Ok(Exported { records, row_hash: compare(records, hashed.flatten())? })
            }
            format => {
                let records = to_text(&parameters, &snapshot, &plan, format, output)?;
                Ok(Exported { records, row_hash: compare(records, holder.finish()?)? })
            }
        }
    }
}

fn to_text(
    parameters: &Parameters,
    snapshot: &Snapshot,
    plan: &Plan,
    format: Format,
    mut output: impl Write,
) -> Result<u64> {
    let mut connection = RawConnection::open(parameters)?;
    connection.execute(&snapshot::join(&snapshot.token))?;
    let stream = connection.copy_out(&text_rows::copy_statement(&plan.select, format));
    let stream = stream.map_err(|error| error.during(format!("exporting {}", plan.label.source.name)))?;
    text_rows::write(stream, format, &mut output)
}

/// Where the rows lie, if that matters.
fn extents(client: &mut Client, request: &Request, part: &TablePart, table: &Table) -> Result<Vec<Extent>> {
    if request.jobs < 2 && part.shard.is_none() {
        return Ok(Vec::new());
    }
    let name = table.description.quoted_name();
    let extents = extent::of(client, table.oid, &name)?;
    let Some(shard) = part.shard else { return Ok(extents) };
    let shown = table.description.full_name();
    if extents.is_empty() {
        return Err(Error::usage(format!("{shown} has no pages to share out")).with_hint("Export it without --shard."));
    }
    let held = match &request.snapshot {
        Some(token) => extent::is_held(client, table.oid, &token.name)?,
        None => shard.of == 1,
    };
    if held {
        return Ok(extents);
    }
    Err(Error::usage(format!("nothing keeps {shown} as it is until all shards are read")).with_hint(format!(
        "Hold the snapshot with the table's name, vb-export snapshot {shown}, and give its line as --snapshot or VB_SNAPSHOT."
    )))
}

/// The transaction that holds the snapshot, on a thread of its own: where it is asked to, it hashes the rows meanwhile.
struct Holder(JoinHandle<Result<(Client, Option<RowHash>)>>);

impl Holder {
    /// Hashes the rows of this query, if there is one.
    fn start(mut client: Client, select: Option<String>) -> Result<Self> {
        let run = move || {
            let hash = select.map(|select| row_hash::of_query(&mut client, &select)).transpose()?;
            Ok((client, hash))
        };
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(run);
        thread.map(Self).map_err(|cause| Error::io("starting the thread that holds the snapshot", cause))
    }

    /// Ends the transaction. Had it ended before, so would have the rows' common moment.
    fn finish(self) -> Result<Option<RowHash>> {
        let ended =
            self.0.join().unwrap_or_else(|_| Err(Error::failure("hashing the rows: the thread ended unexpectedly")));
        let (mut client, hash) = ended?;
        client.batch_execute("COMMIT").map_err(|cause| from_postgres("ending the export", cause))?;
        if client.is_closed() {
            return Err(Error::unavailable("ending the export: the connection that held the snapshot was closed"));
        }
        Ok(hash)
    }
}

fn to_json(hash: &RowHash) -> Result<String> {
    serde_json::to_string(hash).map_err(|cause| Error::failure(format!("describing the rows: {cause}")))
}

/// Two counts of the same rows.
fn compare(records: u64, hash: Option<RowHash>) -> Result<Option<RowHash>> {
    match hash {
        Some(hash) if hash.records != records => {
            Err(Error::integrity(format!("reading rows: {records} were read, but the server hashed {}", hash.records)))
        }
        hash => Ok(hash),
    }
}
