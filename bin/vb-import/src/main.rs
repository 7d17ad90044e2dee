#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod input;

use arguments::Arguments;
use input::Whole;
use serde_json::{Value, json};
use std::process::ExitCode;
use vb_core::label::{Kind, Label};
use vb_core::{Error, ErrorKind, time};
use vb_pipe::{Command, CommonArguments, Done, Session, cleanup};
use vb_postgres::connection::Parameters;
use vb_target::{Identity, LeftOut, Plan, Request, Restore};

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
        let Whole { file, label, size_bytes } = input::read(session, self.input.as_deref())?;
        let records_read = file.rows();
        let restore = Restore::open(&request, file, &parameters)?;
        let plan = restore.plan.clone();
        tell(session, &plan, label.as_deref());
        let mut fields = fields(&request, &plan, label.as_deref(), size_bytes);
        fields["records_read"] = records_read.into();
        if self.common.dry_run {
            fields["dry_run"] = true.into();
            fields["statements"] = plan.statements().into();
            return Ok(
                session.done(&fields, format!("would restore up to {records_read} records into {}", plan.table))?
            );
        }
        let progress = session.progress("sent");
        let loaded = restore.run(&|bytes| progress.add(bytes))?;
        drop(progress);
        let left_out = loaded.left_out.clone();
        for warning in &loaded.warnings {
            session.warn(warning);
        }
        let records = loaded.records_restored;
        let identity = loaded.identity.clone();
        {
            let _commit = cleanup::uninterrupted();
            loaded.commit()?;
        }
        fields["records_restored"] = records.into();
        match &identity {
            Identity::Identical => fields["identical"] = true.into(),
            Identity::NotCompared(reason) => fields["not_compared"] = (*reason).into(),
        }
        judge(session, &plan, &mut fields, &left_out)?;
        let identical = if identity == Identity::Identical { "; identical" } else { "" };
        Ok(session.done(&fields, format!("{}{identical}", sentence(&plan, records)))?)
    }
}

fn tell(session: &Session, plan: &Plan, label: Option<&Label>) {
    for warning in &plan.warnings {
        session.warn(warning);
    }
    if plan.starts_from_nothing && label.is_some_and(|label| label.kind == Kind::Incremental) {
        let table = &plan.table;
        session.warn(&format!("this backup is incremental and {table} was empty: it now holds only what changed; restore the full backup first"));
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

fn sentence(plan: &Plan, records: u64) -> String {
    let table = &plan.table;
    match (plan.created, plan.mode) {
        (true, _) => format!("restored {records} records into {table}, which was made"),
        (false, vb_target::Mode::Replace) => format!("replaced what was in {table} by {records} records"),
        (false, mode) => format!("restored {records} records into {table} ({})", mode.name()),
    }
}
