//! Reads what was planned: one snapshot, one COPY or several side by side, one stream.

use crate::holding::{Hashed, Holder, locked_snapshot};
use crate::key_pass::{self, KeyPass, Moment};
use crate::pg_dump::Run;
use crate::plan::{self, Ground, Plan};
use crate::request::{Format, Request, Selection, TablePart};
use crate::rows::{self, Reading};
use crate::schema_dump::{self, Pending};
use crate::text_rows;
use crate::tombstones::{self, Making, Remembered, Tombstones};
use postgres::Client;
use std::io::Write;
use vb_core::label::{LABEL_KEY, Label};
use vb_core::{Error, Result};
use vb_postgres::catalog::{self, Table};
use vb_postgres::connection::{Parameters, connect_narrowed};
use vb_postgres::database::shape;
use vb_postgres::extent::{self, Extent};
use vb_postgres::measure;
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::snapshot::Snapshot;

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
    tombstones: Option<Tombstones>,
    client: Client,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub records: u64,
    /// The server's hash of them, if it was asked for.
    pub row_hash: Option<RowHash>,
    /// That of all rows of the table, where only the new ones were read and a restore can know which of the others are gone.
    pub state_hash: Option<RowHash>,
    /// How the schema travels: `dump` or `description`; none where it does not.
    pub schema: Option<&'static str>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Values that the types of their columns cannot hold, and the footer does.
    pub kept_aside: u64,
    /// What the next export needs to tell which rows are gone, if that was asked for.
    pub keys: Option<Remembered>,
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
        let (mut plan, schema, tombstones) = match &request.selection {
            Selection::Table(part) => {
                let table = catalog::table(&mut client, &part.name, part.only)?;
                if table.oid != locked {
                    return Err(Error::unavailable(format!("exporting {}: it was made anew just now", part.name)));
                }
                let (plan, tombstones) =
                    planned(&mut client, request, part, &Ground::of(&table, &server, &snapshot), &parameters)?;
                let run = Run {
                    parameters: parameters.clone(),
                    snapshot: snapshot.token.clone(),
                    row_security: request.row_security,
                };
                let (plan, schema) = with_schema(&mut client, request, plan, &table, run, &server.version)?;
                (plan, schema, tombstones)
            }
            Selection::Query(query) => {
                let description = catalog::query_columns(&mut client, query, "the query")?;
                (plan::of_query(request, query, description, &server), None, None)
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
        Ok(Self { plan, parameters, format, jobs, row_hash, row_security, snapshot, schema, tombstones, client })
    }

    /// Reads everything into `output`. `complete` makes the label what it is in the end, once all is read; where the format has a place
    /// for it, it goes along in the footer, for whoever comes upon the stream without its seal.
    ///
    /// # Errors
    /// A value that cannot be stored exactly, a server that goes away, an output that takes no more; what `complete` says.
    pub fn run(
        self,
        output: impl Write + Send,
        complete: impl FnOnce(&Exported, Label) -> Result<Label>,
    ) -> Result<(Exported, Label)> {
        let reading = Reading {
            parameters: &self.parameters,
            token: &self.snapshot.token,
            pieces: &self.plan.pieces,
            description: &self.plan.description,
            name: &self.plan.label.source.name,
            jobs: self.jobs,
            row_security: self.row_security,
        };
        let queries = Hashed { rows: Some(self.plan.select.clone()), state: self.plan.state.clone() };
        let holder = Holder::start(self.client, if self.row_hash { queries } else { Hashed::default() })?;
        let making = self.tombstones.map(Tombstones::begin).transpose()?;
        let mut exported = Exported::default();
        let label = self.plan.label.clone();
        let labelled = |exported: &Exported| complete(exported, Label { records: Some(exported.records), ..label });
        let label = match self.format {
            Format::Parquet(compression) => {
                let schema = self.schema.map(Pending::begun).transpose()?;
                let mut label = None;
                let footer = |records| {
                    let mut footer = exported.footer(schema, making, holder)?;
                    exported.counted(records)?;
                    // The last of all, so that it is found in a footer too long to be held.
                    footer.push((LABEL_KEY.to_owned(), to_json(label.insert(labelled(&exported)?), "the stream")?));
                    Ok(footer)
                };
                let read = rows::to_parquet(&reading, compression, output, footer)?;
                exported.kept_aside = read.asides.count();
                label.ok_or_else(|| Error::failure("writing the footer: there was none"))?
            }
            format => {
                let records = to_text(&reading, &self.plan.select, format, output)?;
                exported.row_hash = holder.finish()?.rows;
                exported.counted(records)?;
                labelled(&exported)?
            }
        };
        Ok((exported, label))
    }
}

impl Exported {
    /// What the footer says at the end: the schema, which rows are gone, and the hashes of the rows.
    fn footer(
        &mut self,
        schema: Option<Pending>,
        making: Option<Making>,
        holder: Holder,
    ) -> Result<Vec<(String, String)>> {
        let mut footer = Vec::new();
        if let Some(finished) = schema.map(Pending::finish).transpose()? {
            (self.schema, self.warnings) = (Some(finished.kind), finished.warnings);
            footer = finished.metadata;
        }
        if let Some((deletes, remembered)) = making.map(Making::finish).transpose()? {
            footer.extend(deletes);
            self.keys = Some(remembered);
        }
        let Hashed { rows, state } = holder.finish()?;
        for (key, hash) in [(row_hash::METADATA_KEY, &rows), (row_hash::STATE_KEY, &state)] {
            if let Some(hash) = hash {
                footer.push((key.to_owned(), to_json(hash, "the rows")?));
            }
        }
        (self.row_hash, self.state_hash) = (rows, state);
        Ok(footer)
    }

    /// Two counts of the same rows must agree.
    fn counted(&mut self, records: u64) -> Result<()> {
        self.records = records;
        match &self.row_hash {
            Some(hash) if hash.records != records => Err(Error::integrity(format!(
                "reading rows: {records} were read, but the server hashed {}",
                hash.records
            ))),
            _ => Ok(()),
        }
    }
}

fn to_text(reading: &Reading<'_>, select: &str, format: Format, mut output: impl Write) -> Result<u64> {
    let stream = rows::join_snapshot(reading)?.copy_out(&text_rows::copy_statement(select, format));
    let stream = stream.map_err(|error| error.during(format!("exporting {}", reading.name)))?;
    text_rows::write(stream, format, &mut output)
}

/// What will be read, after a look at where the rows lie, and at the keys if rows that are gone are to be told.
fn planned(
    client: &mut Client,
    request: &Request,
    part: &TablePart,
    ground: &Ground<'_>,
    parameters: &Parameters,
) -> Result<(Plan, Option<Tombstones>)> {
    let table = ground.table;
    let extents = extent::of(client, table.oid, part.only)?;
    if part.shard.is_some() {
        can_be_shared_out(client, request, part, table, &extents)?;
    }
    let shape = shape::of_table(client, table.oid)?;
    let mut ground = Ground { extents: &extents, shape, ..ground.clone() };
    if part.deletes.is_none() {
        return Ok((plan::of_table(request, part, &ground)?, None));
    }
    let moment = Moment { parameters, token: &ground.snapshot.token, row_security: request.row_security };
    let pass = KeyPass::new(client, part, table, &moment)?;
    let warning = key_pass::about_chains(&pass.columns, table);
    let (mut plan, tombstones) = tombstones::plan(request, part, &mut ground, pass)?;
    plan.warnings.extend(warning);
    Ok((plan, tombstones))
}

/// The schema that travels with the rows, where it does.
fn with_schema(
    client: &mut Client,
    request: &Request,
    mut plan: Plan,
    table: &Table,
    run: Run,
    server_version: &str,
) -> Result<(Plan, Option<Pending>)> {
    if !table.kind.is_table() || !matches!(request.format, Format::Parquet(_)) {
        return Ok((plan, None));
    }
    let mut schema = schema_dump::prepare(client, table, run, request.pg_dump.clone(), server_version)?;
    plan.warnings.append(&mut schema.take_warnings());
    Ok((plan, Some(schema)))
}

/// Whether shards of this table are one moment of it.
fn can_be_shared_out(
    client: &mut Client,
    request: &Request,
    part: &TablePart,
    table: &Table,
    extents: &[Extent],
) -> Result<()> {
    let shown = table.description.full_name();
    if extents.is_empty() {
        return Err(Error::usage(format!("{shown} has no pages to share out")).with_hint("Export it without --shard."));
    }
    let held = match &request.snapshot {
        Some(token) => extent::is_held(client, table.oid, &token.name)?,
        None => part.shard.is_some_and(|shard| shard.of == 1),
    };
    if held {
        return Ok(());
    }
    Err(Error::usage(format!("nothing keeps {shown} as it is until all shards are read")).with_hint(format!(
        "Hold the snapshot with the table's name, vb-export snapshot {shown}, and give its line as --snapshot or VB_SNAPSHOT."
    )))
}

fn to_json(value: &impl serde::Serialize, what: &str) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::failure(format!("describing {what}: {cause}")))
}
