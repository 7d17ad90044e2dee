#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod dump;
mod shard;
mod sidecar;
mod snapshot;

use arguments::Arguments;
use serde_json::json;
use std::process::ExitCode;
use vb_core::label::Label;
use vb_core::time;
use vb_pipe::{Command, CommonArguments, Done, Output, Session};
use vb_postgres::connection::Parameters;
use vb_postgres::schema::Column;
use vb_source::plan::{Plan, since_words};
use vb_source::{Export, Exported, Format, Request};

fn main() -> ExitCode {
    vb_pipe::main::<Arguments>()
}

impl Command for Arguments {
    const NAME: &'static str = "vb-export";
    const WRITES_DATA: bool = true;

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        self.writes_to_stdout()
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        if let Some(holding) = self.holding() {
            return Ok(holding.hold(session, &parameters(session)?, self.overlap(session.now())?)?);
        }
        if let Some((request, as_parquet, sidecar)) = self.dump(session.environment(), session.now())? {
            let (output, dry_run) = (self.output.as_deref(), self.common.dry_run);
            let dump = dump::Dump { request, as_parquet, sidecar, output, dry_run };
            return Ok(dump.run(session, &parameters(session)?)?);
        }
        let mut sidecar = self.sidecar();
        let request = self.request(session.environment(), session.now(), sidecar.as_mut())?;
        let parameters = parameters(session)?;
        if self.common.dry_run {
            return dry_run(session, &request, &parameters);
        }
        // First of all the announcement: whoever reads us learns why we failed, and not only that nothing came.
        let mut output = Output::open(session, self.output.as_deref())?;
        let export = Export::open(&request, &parameters, &mut |words| session.warn(words))?;
        tell(session, &export.plan);
        output.promise(&export.plan.label)?;
        let plan = export.plan.clone();
        let progress = session.progress("exported");
        // What the next export needs is kept before the stream says so.
        let complete = |exported: &Exported, mut label: Label| {
            if let (Some(remembered), Some(sidecar), Some(position)) = (&exported.keys, &sidecar, &mut label.position) {
                sidecar.keep(&remembered.sha256, &remembered.bytes)?;
                position.keys_sha256 = Some(remembered.sha256.clone());
            }
            Ok(label)
        };
        let (exported, label) = export.run(vb_pipe::Counted::new(&mut output, &progress), complete)?;
        drop(progress);
        for warning in &exported.warnings {
            session.warn(warning);
        }
        let mut fields = done_fields(&plan, &label, &output);
        if let Some(hash) = &exported.row_hash {
            fields["row_hash"] = hash.sum.clone().into();
        }
        if let Some(hash) = &exported.state_hash {
            fields["state_hash"] = hash.sum.clone().into();
        }
        fields["schema"] = exported.schema.into();
        if let Some(remembered) = &exported.keys {
            fields["deletes"] = json!({ "dirty": remembered.dirty, "keys": remembered.keys });
        }
        if let Format::Parquet(_) = request.format {
            fields["fidelity"] = fidelity(&plan, exported.kept_aside);
        }
        let done = session.done(&fields, sentence(&label))?;
        output.seal(label, &done)?;
        Ok(done)
    }
}

fn parameters(session: &Session) -> vb_core::Result<Parameters> {
    let parameters = Parameters::resolve(session.environment(), Arguments::NAME)?;
    for warning in parameters.warnings() {
        session.warn(warning);
    }
    Ok(parameters)
}

fn tell(session: &Session, plan: &Plan) {
    for warning in &plan.warnings {
        session.warn(warning);
    }
    if let Some(reason) = &plan.reason {
        session.tell(format_args!("a full export: {reason}"));
    }
    for piece in &plan.pieces {
        session.explain(&format!("COPY {}", piece.copy));
    }
}

fn dry_run(session: &Session, request: &Request, parameters: &Parameters) -> anyhow::Result<Done> {
    let export = Export::open(request, parameters, &mut |words| session.warn(words))?;
    let plan = &export.plan;
    tell(session, plan);
    let fields = json!({
        "dry_run": true,
        "server": parameters.describe(),
        "source": plan.label.source.source_type,
        "table": plan.label.source.name,
        "kind": plan.label.kind,
        "reason": plan.reason,
        "since": plan.label.since.map(time::exact),
        "by": plan.by,
        "copy": plan.pieces.iter().map(|piece| &piece.copy).collect::<Vec<_>>(),
    });
    let first = plan.pieces.first().map_or("", |piece| &piece.copy);
    let more = if plan.pieces.len() > 1 { format!(", and {} more", plan.pieces.len() - 1) } else { String::new() };
    Ok(session.done(&fields, format!("would run COPY {first} TO STDOUT{more}"))?)
}

fn done_fields(plan: &Plan, label: &Label, output: &Output) -> serde_json::Value {
    json!({
        "source": label.source.source_type,
        "table": label.source.name,
        "kind": label.kind,
        "reason": plan.reason,
        "base": label.base,
        "since": label.since.map(time::exact),
        "until": label.until.map(time::exact),
        "by": plan.by,
        "records_exported": label.records,
        "size_bytes": output.digest().bytes(),
        "sha256": output.digest().sha256(),
    })
}

/// How many columns are stored exactly, and what is said of the others.
fn fidelity(plan: &Plan, kept_aside: u64) -> serde_json::Value {
    let columns = &plan.description.columns;
    let inexact = plan.description.inexact();
    let exact = columns.len() - inexact.clone().count();
    let of_column = |column: &Column| json!({ "column": column.name, "as": column.fidelity, "why": column.why });
    json!({ "exact_columns": exact, "others": inexact.map(of_column).collect::<Vec<_>>(), "values_aside": kept_aside })
}

fn sentence(label: &Label) -> String {
    let records = label.records.unwrap_or_default();
    let since = since_words(label.since);
    format!("exported {records} records of {} since {since}", label.source.name)
}
