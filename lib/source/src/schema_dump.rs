//! The schema that travels with a table: what the catalog says at once, and `pg_dump`'s statements while the rows are read.

use crate::pg_dump::{PgDump, Run};
use postgres::Client;
use std::path::PathBuf;
use std::thread::JoinHandle;
use vb_core::{Error, Result};
use vb_postgres::catalog::Table;
use vb_postgres::connection::from_postgres;
use vb_postgres::relation::RelationKind;
use vb_postgres::relocate::attached;
use vb_postgres::script::statements;
use vb_postgres::stored_schema::{Ancestor, FORMAT, Name, SCHEMA_KEY, StoredSchema};
use vb_postgres::{dependencies, relation};

/// A schema whose statements are still to come.
pub(crate) struct Pending {
    schema: StoredSchema,
    table: Name,
    warnings: Vec<String>,
    job: Option<Job>,
    dump: Option<JoinHandle<std::result::Result<Dump, String>>>,
}

/// A schema that goes into the footer.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// Key and value for the footer.
    pub(crate) metadata: Vec<(String, String)>,
    /// `dump` or `description`.
    pub(crate) kind: &'static str,
    /// What people should know.
    pub(crate) warnings: Vec<String>,
}

/// Statements of one group of tables: before the rows, and after them.
type Sections = (Vec<String>, Vec<String>);

struct Dump {
    made_by: String,
    table: Sections,
    ancestors: Vec<Sections>,
}

/// What is to be dumped.
#[derive(Clone)]
struct Job {
    run: Run,
    program: Option<PathBuf>,
    server_major: u32,
    tables: Vec<Name>,
    ancestors: Vec<Name>,
}

/// Asks the catalog what the table needs. What `pg_dump` cannot do afterwards is a warning, because the table can be made from its
/// description all the same.
///
/// # Errors
/// If the server does not answer.
pub(crate) fn prepare(
    client: &mut Client,
    table: &Table,
    run: Run,
    program: Option<PathBuf>,
    server_version: &str,
) -> Result<Pending> {
    let step = "reading the schema";
    let refused = |cause| from_postgres(step, cause);
    // Names come with their schemas only where no search path would find them without.
    client.batch_execute("SAVEPOINT vb_schema; SET LOCAL search_path = ''").map_err(refused)?;
    let tree = relation::tree(client, table.oid)?;
    let ancestors = relation::ancestors(client, table.oid)?;
    let oids: Vec<u32> = tree.iter().map(|(oid, ..)| *oid).collect();
    let with_ancestors: Vec<u32> = oids.iter().chain(ancestors.iter().map(|(oid, ..)| oid)).copied().collect();
    let needs = dependencies::of(client, &with_ancestors)?;
    let (sequences, hidden) = relation::sequences(client, &oids)?;
    let schema = StoredSchema {
        format: FORMAT,
        objects: needs.objects,
        relations: relation::own_names(client, &oids)?,
        sequences,
        after: relation::statistics(client, &oids)?,
        partitioned: table.kind == RelationKind::Partitioned,
        children: if table.only { Vec::new() } else { relation::children(client, table.oid)? },
        ancestors: ancestors
            .into_iter()
            .map(|(_, name, direct)| Ancestor { name, direct, before: vec![], after: vec![] })
            .collect(),
        ..StoredSchema::default()
    };
    client.batch_execute("ROLLBACK TO SAVEPOINT vb_schema; RELEASE SAVEPOINT vb_schema").map_err(refused)?;
    let mut warnings: Vec<String> = needs
        .not_carried
        .iter()
        .map(|what| {
            format!("the schema of {} needs {what}, which does not travel with it", table.description.full_name())
        })
        .collect();
    warnings.extend(hidden.iter().map(|sequence| {
        format!(
            "the sequence {}.{} may not be read, so where it stands does not travel with the table: grant SELECT on it",
            sequence.schema, sequence.name
        )
    }));
    warnings.extend(about_children(table, &schema));
    let name = Name { schema: table.description.schema.clone(), name: table.description.table.clone() };
    if let Some((_, part, _)) = tree.iter().find(|(.., is_foreign)| *is_foreign) {
        warnings.push(format!(
            "the part {}.{} lies on another server, so the schema is a description only",
            part.schema, part.name
        ));
        return Ok(Pending { schema, table: name, warnings, job: None, dump: None });
    }
    let job = Job {
        run,
        program,
        server_major: server_version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default(),
        tables: tree.into_iter().map(|(_, name, _)| name).collect(),
        ancestors: schema.ancestors.iter().map(|ancestor| ancestor.name.clone()).collect(),
    };
    Ok(Pending { schema, table: name, warnings, job: Some(job), dump: None })
}

fn about_children(table: &Table, schema: &StoredSchema) -> Option<String> {
    (!schema.children.is_empty()).then(|| {
        format!(
            "rows of {} belong to {} and are exported with it, without columns of their own; --only leaves them out",
            schema.children.join(", "),
            table.description.full_name()
        )
    })
}

impl Job {
    fn dump(self) -> std::result::Result<Dump, String> {
        let program = PgDump::find(self.program.as_deref(), self.server_major)?;
        let sections = |tables: &[Name]| -> std::result::Result<Sections, String> {
            // Side by side: an increment of a few rows waits for nothing else.
            std::thread::scope(|scope| {
                let before = scope.spawn(|| program.section(&self.run, "pre-data", tables));
                let after = statements(&program.section(&self.run, "post-data", tables)?);
                let before = before.join().unwrap_or_else(|_| Err("its thread ended unexpectedly".to_owned()))?;
                Ok((statements(&before), after))
            })
        };
        let table = sections(&self.tables)?;
        let ancestors = self
            .ancestors
            .iter()
            .map(|name| sections(std::slice::from_ref(name)))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Dump { made_by: program.version().to_owned(), table, ancestors })
    }
}

impl Pending {
    /// What people should know before the rows are read.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Starts `pg_dump`. The run's snapshot must be held until [`Pending::finish`].
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn begun(mut self) -> Result<Self> {
        let Some(job) = self.job.take() else { return Ok(self) };
        let thread = std::thread::Builder::new().name("pg_dump".to_owned()).spawn(move || job.dump());
        self.dump = Some(thread.map_err(|cause| Error::io("starting pg_dump", cause))?);
        Ok(self)
    }

    /// Waits for `pg_dump`.
    ///
    /// # Errors
    /// If the schema cannot be written down.
    pub(crate) fn finish(mut self) -> Result<Finished> {
        let table = self.table.clone();
        let dumped = self
            .dump
            .take()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("its thread ended unexpectedly".to_owned())));
        match dumped {
            Some(Ok(dump)) => self.take(dump, &table),
            Some(Err(why)) => self
                .warnings
                .push(format!("the schema of {}.{} is a description only: {why}", table.schema, table.name)),
            None => {}
        }
        let kind = if self.schema.has_dump() { "dump" } else { "description" };
        let value = serde_json::to_string(&self.schema)
            .map_err(|cause| Error::failure(format!("describing the schema: {cause}")))?;
        Ok(Finished { metadata: vec![(SCHEMA_KEY.to_owned(), value)], kind, warnings: self.warnings })
    }

    fn take(&mut self, dump: Dump, table: &Name) {
        let schema = &mut self.schema;
        schema.made_by = Some(dump.made_by);
        // A part that was exported alone is attached to its parent at the end, if that is there; its indexes likewise.
        let is_own_attachment = |statement: &String| {
            attached(statement).is_some_and(|(schema, name)| (&schema, &name) == (&table.schema, &table.name))
        };
        let (attach, before): (Vec<_>, Vec<_>) = dump.table.0.into_iter().partition(is_own_attachment);
        schema.before = before;
        let alone = !attach.is_empty();
        let (indexes, after): (Vec<_>, Vec<_>) =
            dump.table.1.into_iter().partition(|statement| alone && attached(statement).is_some());
        let statistics = std::mem::replace(&mut schema.after, after);
        let left_out = statistics.into_iter().filter(|statement| !schema.after.contains(statement)).collect::<Vec<_>>();
        schema.after.extend(left_out);
        schema.attach = attach.into_iter().chain(indexes).collect();
        for (ancestor, (before, after)) in schema.ancestors.iter_mut().zip(dump.ancestors) {
            (ancestor.before, ancestor.after) = (before, after);
        }
    }
}
