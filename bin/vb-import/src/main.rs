#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod database;
mod input;

use arguments::Arguments;
use input::{Came, Whole};
use serde_json::{Value, json};
use std::process::ExitCode;
use vb_core::label::{Kind, Label};
use vb_core::{Error, ErrorKind, time};
use vb_pipe::cleanup::{self, Undo};
use vb_pipe::{Command, CommonArguments, Done, Session};
use vb_postgres::connection::Parameters;
use vb_target::{Backup, Identity, LeftOut, Mode, Plan, Request, Restore, Restored, apart};

fn main() -> ExitCode {
    vb_pipe::main::<Arguments>()
}

impl Command for Arguments {
    const NAME: &'static str = "vb-import";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        false
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        let request = self.request()?;
        let parameters = Parameters::resolve(session.environment(), Self::NAME)?;
        for warning in parameters.warnings() {
            session.warn(warning);
        }
        // Nothing touches the database before the input has come to a proven end.
        let Whole { backups, label, size_bytes } = match input::read(session, self.input.as_deref())? {
            Came::Rows(whole) => whole,
            Came::Database(source) => {
                return Ok(self.whole_database(session.environment())?.run(session, source, &parameters)?);
            }
        };
        self.refuse_database_options()?;
        let names: Vec<Named> = backups.iter().map(Named::of).collect();
        let records_read: u64 = names.iter().map(|backup| backup.rows).sum();
        let restore = Restore::open(&request, backups, &parameters)?;
        let plan = restore.plan.clone();
        refuse_fragment(&plan, &names, self.chooses_mode())?;
        tell(session, &plan);
        let mut fields = fields(&request, &plan, label.as_deref(), size_bytes);
        fields["records_read"] = records_read.into();
        if self.common.dry_run {
            fields["dry_run"] = true.into();
            fields["statements"] = plan.statements().into();
            fields["backups"] = names.iter().filter_map(|backup| Some(json!({ "id": backup.id.as_ref()? }))).collect();
            return Ok(
                session.done(&fields, format!("would restore up to {records_read} records into {}", plan.table))?
            );
        }
        sweep(session, &parameters);
        let undo = restore.apart().map(|apart| {
            let session = session.clone();
            cleanup::on_failure(move || {
                if let Err(error) = apart.remove() {
                    session.warn(&format!("{error}; the next restore tries again"));
                }
            })
        });
        let progress = session.progress("sent");
        let loaded = restore.run(&|bytes| progress.add(bytes))?;
        drop(progress);
        let left_out = loaded.left_out.clone();
        for warning in &loaded.warnings {
            session.warn(warning);
        }
        let (records, deleted) = (loaded.records_restored(), loaded.records_deleted);
        fields["records_unchanged"] = loaded.records_unchanged.into();
        let identity = loaded.identity.clone();
        fields["backups"] = names.iter().zip(&loaded.backups).filter_map(|(name, came)| name.restored(came)).collect();
        {
            let _commit = cleanup::uninterrupted();
            loaded.commit()?;
            undo.into_iter().for_each(Undo::disarm);
        }
        fields["records_restored"] = records.into();
        fields["records_deleted"] = deleted.into();
        match &identity {
            Identity::Identical => fields["identical"] = true.into(),
            Identity::NotCompared(reason) => fields["not_compared"] = (*reason).into(),
        }
        judge(session, &plan, &mut fields, &left_out)?;
        let identical = if identity == Identity::Identical { "; identical" } else { "" };
        Ok(session.done(&fields, format!("{}{identical}", sentence(&plan, records, deleted, names.len())))?)
    }
}

/// What a killed run with several connections has left is in nobody's way, so that it may stay for a better day.
fn sweep(session: &Session, parameters: &Parameters) {
    match apart::sweep(parameters) {
        Ok(schemas) => schemas.iter().for_each(|schema| {
            session.warn(&format!("dropped the schema {schema}, which a killed restore had left"));
        }),
        Err(error) => session.warn(&error.to_string()),
    }
}

/// What is told of a backup of a chain.
struct Named {
    id: Option<String>,
    kind: Option<Kind>,
    rows: u64,
}

impl Named {
    fn of(backup: &Backup) -> Self {
        Self { id: backup.id.clone(), kind: backup.kind, rows: backup.file.rows() }
    }

    /// None for a file that is no backup of a chain.
    fn restored(&self, came: &Restored) -> Option<Value> {
        Some(json!({
            "id": self.id.as_ref()?,
            "kind": self.kind,
            "records_read": came.read,
            "records_restored": came.restored,
            "superseded": came.superseded,
            "gone": came.gone,
        }))
    }
}

/// An increment alone is no table.
fn refuse_fragment(plan: &Plan, backups: &[Named], is_chosen: bool) -> anyhow::Result<()> {
    let is_increment = backups.first().is_some_and(|first| first.kind == Some(Kind::Incremental));
    let replaces = plan.mode == Mode::Replace;
    if !is_increment || !replaces && (is_chosen || !plan.starts_from_nothing) {
        return Ok(());
    }
    let table = &plan.table;
    let hint = match replaces {
        true => "Fetch it with all that it stands on: vb-get --chain. Nothing was changed.",
        false => {
            "Fetch it with all that it stands on: vb-get --chain; --mode insert restores it alone. Nothing was changed."
        }
    };
    Err(Error::conflict(format!(
        "restoring {table}: this backup is incremental, and {table} would hold only what changed"
    ))
    .with_hint(hint)
    .into())
}

fn tell(session: &Session, plan: &Plan) {
    for warning in &plan.warnings {
        session.warn(warning);
    }
    for statement in plan.statements() {
        session.explain(statement);
    }
}

/// What of the schema is missing although all rows are there: named, and a failure of its own kind.
fn judge(session: &Session, plan: &Plan, fields: &mut Value, left_out: &[LeftOut]) -> anyhow::Result<()> {
    for left in left_out {
        session.warn(&format!("left out: {}: {}", left.statement, left.reason));
    }
    let missing: Vec<&LeftOut> = left_out.iter().filter(|left| !left.dispensable).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let words = |left: &&LeftOut| json!({ "statement": left.statement, "reason": left.reason });
    fields["left_out"] = missing.iter().map(words).collect();
    session.event("restored", fields)?;
    let message = format!(
        "restoring {}: every row is there, but {} statements of its schema failed; the first: {}: {}",
        plan.table,
        missing.len(),
        first.statement,
        first.reason
    );
    Err(Error::new(ErrorKind::Partial, message)
        .with_hint("The rows are committed. Make what is missing by hand when it can be made, such as after the tables that it points at are restored.")
        .into())
}

fn fields(request: &Request, plan: &Plan, label: Option<&Label>, size_bytes: u64) -> Value {
    let mut fields = json!({
        "table": plan.table,
        "mode": plan.mode.name(),
        "created": plan.created,
        "schema": plan.schema,
        "connections": plan.connections,
        "kind": label.map(|label| label.kind),
        "records_restored": null,
        "records_read": null,
        "size_bytes": size_bytes,
    });
    if let Some(range) = &request.range {
        fields["by"] = json!(plan.by);
        fields["since"] = time::exact(range.start).into();
        fields["until"] = time::exact(range.end).into();
    }
    fields
}

fn sentence(plan: &Plan, records: u64, deleted: u64, backups: usize) -> String {
    let table = &plan.table;
    let deleted = if deleted > 0 { format!(", deleted {deleted}") } else { String::new() };
    let chain = if backups > 1 { format!(" from {backups} backups") } else { String::new() };
    let sentence = match (plan.created, plan.mode) {
        (true, _) => format!("restored {records} records into {table}, which was made"),
        (false, vb_target::Mode::Replace) => format!("replaced what was in {table} by {records} records"),
        (false, mode) => format!("restored {records} records into {table} ({})", mode.name()),
    };
    format!("{sentence}{chain}{deleted}")
}
