//! `vb-export dump`: a whole database, as `pg_dump` writes it or as one tar of Parquet files.

use crate::sidecar::Sidecar;
use serde_json::{Value, json};
use std::path::Path;
use vb_core::label::{Kind, Label};
use vb_core::{Result, time};
use vb_pipe::{Counted, Done, Output, Session};
use vb_postgres::connection::Parameters;
use vb_postgres::database::{Carried, Member};
use vb_postgres::keys::name_of;
use vb_source::dump::{Archive, Database, DumpRequest, Dumped};
use vb_source::plan::since_words;

/// What is to be dumped, and whereto.
pub(crate) struct Dump<'run> {
    pub(crate) request: DumpRequest,
    pub(crate) as_parquet: bool,
    /// Where a dump of a chain leaves what the next one needs.
    pub(crate) sidecar: Option<Sidecar>,
    pub(crate) output: Option<&'run Path>,
    pub(crate) dry_run: bool,
}

impl Dump<'_> {
    /// Dumps it.
    ///
    /// # Errors
    /// Whatever keeps the dump from being whole; then nothing seals it.
    pub(crate) fn run(&self, session: &Session, parameters: &Parameters) -> Result<Done> {
        // First of all the announcement: whoever reads us learns why we failed, and not only that nothing came.
        let output = if self.dry_run { None } else { Some(Output::open(session, self.output)?) };
        match (self.as_parquet, output) {
            (false, None) => {
                let archive = Archive::open(&self.request, parameters)?;
                let fields = json!({ "dry_run": true, "source": "database", "database": archive.label.source.name });
                session.done(&fields, format!("would run {} --format=custom", archive.made_by))
            }
            (true, None) => {
                let database = Database::open(&self.request, parameters, &mut |words| session.warn(words))?;
                let table = |(name, members)| json!({ "table": name, "members": members });
                let tables: Vec<Value> = database.tables().into_iter().map(table).collect();
                let (kind, name) = (database.label.kind, &database.head.database);
                tell(session, database.reason.as_deref());
                let verb = if kind == Kind::Full { "dump" } else { "look at" };
                let sentence = format!("would {verb} {} tables of {name}", tables.len());
                let mut fields = json!({ "dry_run": true, "source": "database", "database": name, "kind": kind });
                fields["reason"] = database.reason.clone().into();
                fields["tables"] = tables.into();
                session.done(&fields, sentence)
            }
            (false, Some(output)) => self.archive(session, parameters, output),
            (true, Some(output)) => self.parquet(session, parameters, output),
        }
    }

    fn archive(&self, session: &Session, parameters: &Parameters, mut output: Output) -> Result<Done> {
        let archive = Archive::open(&self.request, parameters)?;
        let (label, made_by) = (archive.label.clone(), archive.made_by.clone());
        output.promise(&label)?;
        let progress = session.progress("dumped");
        let warnings = archive.run(Counted::new(&mut output, &progress))?;
        drop(progress);
        warnings.iter().for_each(|warning| session.warn(warning));
        let fields = fields(&label, &made_by, &output);
        let done = session.done(&fields, format!("dumped the database {}", label.source.name))?;
        output.seal(label, &done)?;
        Ok(done)
    }

    fn parquet(&self, session: &Session, parameters: &Parameters, mut output: Output) -> Result<Done> {
        let database = Database::open(&self.request, parameters, &mut |words| session.warn(words))?;
        let (head, reason) = (database.head.clone(), database.reason.clone());
        tell(session, reason.as_deref());
        output.promise(&database.label)?;
        let progress = session.progress("dumped");
        let mut told = |member: &Member| session.explain(&words(member));
        // What the next dump needs is kept before the stream says so.
        let complete = |dumped: &Dumped, mut label: Label| {
            if let (Some(state), Some(sidecar), Some(position)) = (&dumped.state, &self.sidecar, &mut label.position) {
                let bytes = state.to_bytes()?;
                let sha256 = name_of(&bytes);
                sidecar.keep(&sha256, &bytes)?;
                position.keys_sha256 = Some(sha256);
            }
            Ok(label)
        };
        let (dumped, label) = database.run(Counted::new(&mut output, &progress), &mut told, complete)?;
        drop(progress);
        dumped.warnings.iter().for_each(|warning| session.warn(warning));
        let mut fields = fields(&label, &head.made_by, &output);
        fields["tables"] = head.tables.into();
        fields["sequences"] = head.sequences.into();
        fields["large_objects"] = head.large_objects.into();
        fields["row_hash"] = self.request.row_hash.into();
        fields["records_exported"] = dumped.manifest.records.into();
        if self.sidecar.is_some() {
            fields["reason"] = reason.into();
            fields["base"] = label.base.clone().into();
            fields["since"] = label.since.map(time::exact).into();
            fields["until"] = label.until.map(time::exact).into();
        }
        if label.kind == Kind::Incremental {
            increment(session, &dumped, &mut fields);
        }
        let sentence = format!(
            "dumped {} records of {} tables of the database {} since {}",
            dumped.manifest.records,
            head.tables,
            head.database,
            since_words(label.since)
        );
        let done = session.done(&fields, sentence)?;
        output.seal(label, &done)?;
        Ok(done)
    }
}

/// Why a dump that was asked to be incremental is full.
fn tell(session: &Session, reason: Option<&str>) {
    if let Some(reason) = reason {
        session.tell(format_args!("a full dump: {reason}"));
    }
}

/// What an increment has of how many tables.
fn increment(session: &Session, dumped: &Dumped, fields: &mut Value) {
    let count = |carried| dumped.manifest.tables.iter().filter(|table| table.carried == carried).count();
    fields["tables_whole"] = count(Carried::Whole).into();
    fields["tables_changed"] = count(Carried::Changes).into();
    fields["changes"] = dumped.changes.into();
    for table in &dumped.manifest.tables {
        if let Some(reason) = &table.reason {
            session.explain(&format!("{}.{} is carried whole: {reason}", table.name.schema, table.name.name));
        }
    }
}

fn fields(label: &Label, made_by: &str, output: &Output) -> Value {
    json!({
        "source": label.source.source_type,
        "database": label.source.name,
        "kind": label.kind,
        "format": label.extension,
        "made_by": made_by,
        "size_bytes": output.digest().bytes(),
        "sha256": output.digest().sha256(),
    })
}

fn words(member: &Member) -> String {
    format!("{}: {} rows", member.name, member.rows.unwrap_or_default())
}
