//! The statements of a stored schema in the order of a restore: what the table needs, itself, and what follows its rows. Pure.
//!
//! A table that shall bear another name, or that several connections fill, is first made in a scratch schema, where nothing can be in
//! its way, and under its own name, so that its statements mean what they meant; when it is whole, the server renames and moves it.

use crate::apart::SCHEMAS;
use crate::catalog::Target;
use crate::definition::full_name;
use crate::optional::Optional;
use vb_postgres::relocate::relocate;
use vb_postgres::schema::TableDescription;
use vb_postgres::sql::{identifier, literal};
use vb_postgres::stored_schema::{Name, Object, ObjectKind, StoredSchema};

/// Names then mean the same whatever the session is set to; this is how the statements were written.
const NO_PATH: &str =
    "SET LOCAL search_path = ''; SET LOCAL check_function_bodies = off; SET LOCAL standard_conforming_strings = on";
/// The rows come as any session would write them: functions of constraints may look for tables without naming their schema.
const OWN_PATH: &str = "SET LOCAL search_path TO DEFAULT; SET LOCAL check_function_bodies TO DEFAULT; SET LOCAL standard_conforming_strings TO DEFAULT";

/// Where a table is made that is moved to its place in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    /// The name that it had.
    pub(crate) from: Name,
    /// The name that it shall have.
    pub(crate) to: Name,
    /// Scratch schemas, one for each schema of the stored relations.
    pub(crate) scratch: Vec<(String, String)>,
    /// Relations in them that go again.
    pub(crate) dropped: Vec<String>,
}

/// What a stored schema adds to a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) before: Vec<String>,
    /// Where the rows go, in SQL.
    pub(crate) destination: String,
    pub(crate) after: Vec<String>,
    pub(crate) optional: Vec<Optional>,
    pub(crate) moved: Option<Move>,
    pub(crate) warnings: Vec<String>,
}

/// The objects that are missing.
pub(crate) fn missing_objects(stored: &StoredSchema, target: &Target) -> Vec<String> {
    let missing = missing(stored, target)
        .filter(|object| object.kind != ObjectKind::Schema || !target.missing_schemas.contains(&object.name));
    let statements: Vec<String> = missing.flat_map(|object| object.statements.iter().cloned()).collect();
    if statements.is_empty() {
        return statements;
    }
    std::iter::once(NO_PATH.to_owned()).chain(statements).chain(std::iter::once(OWN_PATH.to_owned())).collect()
}

fn missing<'stored>(stored: &'stored StoredSchema, target: &Target) -> impl Iterator<Item = &'stored Object> {
    stored.objects.iter().zip(target.present.objects.clone()).filter(|(_, present)| !present).map(|(object, _)| object)
}

/// All steps that make the table as it was; `apart`, in a scratch schema even if it keeps its name.
pub(crate) fn steps(stored: &StoredSchema, description: &TableDescription, target: &Target, apart: bool) -> Steps {
    let own = Name { schema: description.schema.clone(), name: description.table.clone() };
    let to = Name { schema: target.schema.clone(), name: target.table.clone() };
    let moved = (apart || own != to).then(|| Move::new(stored, own.clone(), to, target.present.backend));
    let place = |schema: &str, name: &str| moved.as_ref().and_then(|moved| moved.place(stored, schema, name));
    let here = |statement: &String| relocate(statement, &place);
    let located =
        |name: &Name| full_name(place(&name.schema, &name.name).as_deref().unwrap_or(&name.schema), &name.name);
    let mut steps = Steps { destination: located(&own), ..Steps::default() };
    steps.before.push(NO_PATH.to_owned());
    steps.before.extend(
        moved.iter().flat_map(|moved| &moved.scratch).map(|(_, name)| format!("CREATE SCHEMA {}", identifier(name))),
    );
    for (ancestor, present) in stored.ancestors.iter().zip(&target.present.ancestors) {
        if moved.is_some() || !present {
            steps.before.extend(ancestor.before.iter().map(here));
        }
        if moved.is_none() && !present {
            steps.optional.extend(
                ancestor.after.iter().map(|statement| Optional { statement: statement.clone(), dispensable: false }),
            );
            steps.warnings.push(format!(
                "{}.{} was not there, so it is made too, without rows",
                ancestor.name.schema, ancestor.name.name
            ));
        }
    }
    steps.before.extend(stored.before.iter().map(here));
    if moved.is_some() {
        // A copy under another name must not show its rows in the table that the first one inherits from.
        let direct = stored.ancestors.iter().filter(|ancestor| ancestor.direct);
        steps.before.extend(
            direct.map(|ancestor| format!("ALTER TABLE {} NO INHERIT {}", steps.destination, located(&ancestor.name))),
        );
    }
    steps.before.push(OWN_PATH.to_owned());
    let made = |name: &Name| {
        stored.relations.contains(name)
            || missing(stored, target).any(|object| {
                object.kind == ObjectKind::Sequence && (&object.schema, &object.name) == (&name.schema, &name.name)
            })
    };
    let sequences = stored.sequences.iter().filter(|sequence| made(&sequence.name));
    steps.after.extend(
        sequences
            .map(|sequence| set_sequence(&literal(&located(&sequence.name)), sequence.last_value, sequence.is_called)),
    );
    steps.after.push(NO_PATH.to_owned());
    steps
        .optional
        .extend(stored.after.iter().map(|statement| Optional { statement: here(statement), dispensable: false }));
    if moved.is_none() {
        steps
            .optional
            .extend(stored.attach.iter().map(|statement| Optional { statement: statement.clone(), dispensable: true }));
    }
    steps.moved = moved;
    steps
}

/// The sequences of a table that was made from its description: those of identity columns.
pub(crate) fn set_sequences(stored: &StoredSchema, target: &str) -> Vec<String> {
    let of_column =
        |column: &String| format!("pg_catalog.pg_get_serial_sequence({}, {})", literal(target), literal(column));
    let owned = stored.sequences.iter().filter_map(|sequence| Some((of_column(sequence.column.as_ref()?), sequence)));
    owned.map(|(name, sequence)| set_sequence(&name, sequence.last_value, sequence.is_called)).collect()
}

/// `setval` of a name that is NULL does nothing.
fn set_sequence(name: &str, value: i64, is_called: bool) -> String {
    format!("SELECT pg_catalog.setval({name}, {value}, {is_called})")
}

impl Move {
    fn new(stored: &StoredSchema, from: Name, to: Name, backend: i32) -> Self {
        let ancestors = stored.ancestors.iter().map(|ancestor| &ancestor.name);
        let mut schemas: Vec<&String> =
            stored.relations.iter().chain(ancestors.clone()).map(|name| &name.schema).collect();
        schemas.push(&from.schema);
        schemas.sort();
        schemas.dedup();
        let scratch: Vec<(String, String)> = schemas
            .into_iter()
            .enumerate()
            .map(|(number, schema)| (schema.clone(), format!("{SCHEMAS}{backend}_{number}")))
            .collect();
        let mut moved = Self { from, to, scratch, dropped: Vec::new() };
        let places = ancestors
            .rev()
            .filter_map(|name| Some(full_name(&moved.place(stored, &name.schema, &name.name)?, &name.name)));
        moved.dropped = places.collect();
        moved
    }

    /// The scratch schema of a relation that the statements make.
    fn place(&self, stored: &StoredSchema, schema: &str, name: &str) -> Option<String> {
        let is = |own: &Name| own.schema == schema && own.name == name;
        let is_made = is(&self.from)
            || stored.relations.iter().any(is)
            || stored.ancestors.iter().any(|ancestor| is(&ancestor.name));
        let scratch = self.scratch.iter().find(|(was, _)| is_made && was == schema);
        scratch.map(|(_, name)| name.clone())
    }
}
