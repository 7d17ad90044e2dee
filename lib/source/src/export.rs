//! Reads what was planned: one snapshot, one COPY or several side by side, one stream.

use crate::patience::Patience;
use crate::pg_dump::Run;
use crate::plan::{self, Plan};
use crate::request::{Format, Request, Selection, TablePart};
use crate::rows::{self, Reading};
use crate::schema_dump::{self, Pending};
use crate::text_rows;
use postgres::Client;
use std::io::Write;
use std::thread::JoinHandle;
use vb_core::{Error, Result};
use vb_postgres::catalog::{self, Table};
use vb_postgres::connection::{Parameters, connect_narrowed, from_postgres};
use vb_postgres::extent::{self, Extent};
use vb_postgres::measure;
use vb_postgres::relation;
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::snapshot::{self, Snapshot};
use vb_postgres::stored_schema::Name;

/// An export that is planned, its snapshot held.
pub struct Export {
    /// What will be read.
    pub plan: Plan,
    parameters: Parameters,
    format: Format,
    jobs: usize,
    row_hash: bool,
    row_security: bool,
    snapshot: Snapshot,
    schema: Option<Pending>,
    client: Client,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub records: u64,
    /// The server's hash of them, if it was asked for.
    pub row_hash: Option<RowHash>,
    /// How the schema travels: `dump` or `description`; none where it does not.
    pub schema: Option<&'static str>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Values that the types of their columns cannot hold, and the footer does.
    pub kept_aside: u64,
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
        let (mut plan, schema) = match &request.selection {
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
                let extents = extents(&mut client, request, part, &table)?;
                let mut plan = plan::of_table(request, part, &table, &extents, &server, &snapshot)?;
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
        if let Format::Parquet(_) = request.format {
            // A query is not run twice: it may take long, and give other rows the second time.
            if let Selection::Table(_) = &request.selection {
                measure::measure(&mut client, &mut plan.description, &plan.select)?;
            }
            plan = plan.printed();
        }
        let Request { format, jobs, row_hash, row_security, .. } = *request;
        Ok(Self { plan, parameters, format, jobs, row_hash, row_security, snapshot, schema, client })
    }

    /// Reads everything into `output`.
    ///
    /// # Errors
    /// A value that cannot be stored exactly, a server that goes away, an output that takes no more.
    pub fn run(self, output: impl Write + Send) -> Result<Exported> {
        let reading = Reading {
            parameters: &self.parameters,
            token: &self.snapshot.token,
            pieces: &self.plan.pieces,
            description: &self.plan.description,
            name: &self.plan.label.source.name,
            jobs: self.jobs,
            row_security: self.row_security,
        };
        let holder = Holder::start(self.client, self.row_hash.then(|| self.plan.select.clone()))?;
        let mut exported = Exported::default();
        match self.format {
            Format::Parquet(compression) => {
                let schema = self.schema.map(Pending::begun).transpose()?;
                let footer = || exported.footer(schema, holder);
                let read = rows::to_parquet(&reading, compression, output, footer)?;
                exported.kept_aside = read.asides.count();
                exported.counted(read.rows)
            }
            format => {
                let records = to_text(&reading, &self.plan.select, format, output)?;
                exported.row_hash = holder.finish()?;
                exported.counted(records)
            }
        }
    }
}

impl Exported {
    /// What the footer says at the end: the schema, and the hash of the rows.
    fn footer(&mut self, schema: Option<Pending>, holder: Holder) -> Result<Vec<(String, String)>> {
        let mut footer = Vec::new();
        if let Some(finished) = schema.map(Pending::finish).transpose()? {
            (self.schema, self.warnings) = (Some(finished.kind), finished.warnings);
            footer = finished.metadata;
        }
        self.row_hash = holder.finish()?;
        if let Some(hash) = &self.row_hash {
            footer.push((row_hash::METADATA_KEY.to_owned(), to_json(hash)?));
        }
        Ok(footer)
    }

    /// Two counts of the same rows must agree.
    fn counted(mut self, records: u64) -> Result<Self> {
        self.records = records;
        match &self.row_hash {
            Some(hash) if hash.records != records => Err(Error::integrity(format!(
                "reading rows: {records} were read, but the server hashed {}",
                hash.records
            ))),
            _ => Ok(self),
        }
    }
}

fn to_text(reading: &Reading<'_>, select: &str, format: Format, mut output: impl Write) -> Result<u64> {
    let stream = rows::join_snapshot(reading)?.copy_out(&text_rows::copy_statement(select, format));
    let stream = stream.map_err(|error| error.during(format!("exporting {}", reading.name)))?;
    text_rows::write(stream, format, &mut output)
}

/// Where the rows lie, if that matters.
fn extents(client: &mut Client, request: &Request, part: &TablePart, table: &Table) -> Result<Vec<Extent>> {
    if request.jobs < 2 && part.shard.is_none() {
        return Ok(Vec::new());
    }
    let extents = extent::of(client, table.oid, part.only)?;
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

/// A snapshot, and a lock on the table that was there before anything in it changed; the table's oid. Where another session
/// holds the table, it lets go, pauses, and tries again with a new snapshot.
fn locked_snapshot(client: &mut Client, request: &Request, warn: &mut dyn FnMut(&str)) -> Result<(Snapshot, u32)> {
    let mut patience = Patience::new(request.lock_wait);
    loop {
        let snapshot = match &request.snapshot {
            Some(token) => snapshot::adopt(client, token)?,
            None => snapshot::begin(client)?,
        };
        if request.row_security {
            client
                .batch_execute(snapshot::ROW_SECURITY)
                .map_err(|cause| from_postgres("allowing row-level security", cause))?;
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
