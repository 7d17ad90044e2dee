//! What the target's server knows about the table that rows go into: whether it is there, and all that decides the restore.

use crate::definition::full_name;
use crate::presence::{self, Present};
use crate::surroundings::{self, Surroundings};
use postgres::types::ToSql;
use postgres::{Client, Row};
use std::collections::BTreeMap;
use vb_core::{Error, ErrorKind, Result};
use vb_postgres::catalog;
use vb_postgres::connection::from_postgres;
use vb_postgres::made_of::made_of;
use vb_postgres::relation;
use vb_postgres::resolve::Resolver;
use vb_postgres::schema::TableDescription;
use vb_postgres::stored_schema::StoredSchema;
use vb_postgres::types::ColumnType;

const STEP: &str = "reading the target's catalog";

/// The target as it is before the restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its schema's name.
    pub(crate) schema: String,
    /// Its name.
    pub(crate) table: String,
    /// What is there, or none.
    pub(crate) existing: Option<Existing>,
    /// The labels of the enums that the file uses, by printed name; none for a type that is missing, empty for one that
    /// is no enum.
    pub(crate) enums: BTreeMap<String, Option<Vec<String>>>,
    /// What the types of the file's columns are made of here, by printed name; those that are missing are not among them.
    pub(crate) made_of: BTreeMap<String, Option<String>>,
    /// The schemas that the restore needs and that are not there.
    pub(crate) missing_schemas: Vec<String>,
    /// Which of the stored objects, and which of the stored ancestors, are there.
    pub(crate) present: Present,
}

/// A table that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Existing {
    pub(crate) columns: Vec<TargetColumn>,
    pub(crate) primary_key: Vec<String>,
    /// Those of the key's columns of which two values may be equal and not the same.
    pub(crate) inexact_key: Vec<String>,
    pub(crate) has_rows: bool,
    /// Tables that inherit from it, whose rows show among its own.
    pub(crate) children: Vec<String>,
    /// Foreign keys of other tables that point at it.
    pub(crate) referenced_by: Vec<String>,
    /// Whether one of them, or one of its own, does something at once to the rows that point at a deleted one, or refuses at once.
    pub(crate) is_referenced_actively: bool,
    /// Whether rows of different primary keys may still be in each other's way.
    pub(crate) has_other_unique: bool,
    /// What acts on its own when rows come or go.
    pub(crate) around: Surroundings,
}

impl Existing {
    /// What keeps a statement from rows of tables that inherit from it, which are not its own.
    pub(crate) fn only(&self) -> &'static str {
        if self.children.is_empty() { "" } else { "ONLY " }
    }
}

/// A column of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TargetColumn {
    pub(crate) name: String,
    pub(crate) type_name: String,
    /// What the type is made of, where its name does not say it.
    pub(crate) made_of: Option<String>,
    pub(crate) not_null: bool,
    pub(crate) identity: Option<String>,
    pub(crate) generated: bool,
    pub(crate) has_default: bool,
    /// Its type without a precision or length, where only the server can read its values, from their text.
    pub(crate) parsed_as: Option<String>,
}

/// Finds the target by the name that the user gave, else by the one that the file bears.
///
/// # Errors
/// Not found, where the file does not say how to make it; a usage error where nothing names it.
pub(crate) fn locate(
    client: &mut Client,
    name: Option<&str>,
    description: Option<&TableDescription>,
) -> Result<(Target, Option<u32>)> {
    let named = description.filter(|description| !description.table.is_empty());
    let (wanted, exact) = match (name, named) {
        (Some(name), _) => (name.to_owned(), None),
        (None, Some(table)) => {
            (full_name(&table.schema, &table.table), Some((table.schema.clone(), table.table.clone())))
        }
        (None, None) => {
            return Err(
                Error::usage("the file does not say which table it is from").with_hint("Name the table with --table.")
            );
        }
    };
    match catalog::find(client, &wanted) {
        Ok(oid) => {
            let query = "SELECT n.nspname::text, c.relname::text, c.relkind::text FROM pg_catalog.pg_class c \
                         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
            let row = ask(client, query, &[&oid])?
                .pop()
                .ok_or_else(|| Error::failure(format!("{STEP}: the table has gone")))?;
            let target = Target { schema: row.get(0), table: row.get(1), ..Target::default() };
            match row.get::<_, String>(2).as_str() {
                "r" | "p" => Ok((target, Some(oid))),
                _ => Err(Error::usage(format!("{}.{} is no table", target.schema, target.table))),
            }
        }
        Err(error) if error.kind() != ErrorKind::NotFound || description.is_none() => Err(match error.kind() {
            ErrorKind::NotFound => {
                Error::not_found(format!("no table {wanted}, and the file does not say how to make it"))
                    .with_hint("Create the table first: only a file that vb-export table made describes its table.")
            }
            _ => error,
        }),
        Err(_) => {
            let (schema, table) = exact.map_or_else(|| parse_name(client, &wanted), Ok)?;
            Ok((Target { schema, table, ..Target::default() }, None))
        }
    }
}

/// A name as SQL reads it; without a schema the first one of the search path.
fn parse_name(client: &mut Client, name: &str) -> Result<(String, String)> {
    let query = "SELECT parse_ident($1), current_schema()::text";
    let row = client.query_one(query, &[&name]).map_err(|cause| {
        let error = from_postgres("reading the name of the table", cause);
        if error.kind() == ErrorKind::Failure { Error::usage(error.to_string()) } else { error }
    })?;
    let mut parts: Vec<String> = row.get(0);
    let no_schema = || Error::usage(format!("no schema for the table {name}")).with_hint("Name it as schema.table.");
    match (parts.pop(), parts.pop()) {
        (Some(table), Some(schema)) if parts.is_empty() => Ok((schema, table)),
        (Some(table), None) => Ok((row.get::<_, Option<String>>(1).ok_or_else(no_schema)?, table)),
        _ => Err(Error::usage(format!("{name} is no table of this database"))),
    }
}

/// Completes the target within the transaction of the restore. The first query keeps others from changing the table.
pub(crate) fn inspect(
    client: &mut Client,
    target: &mut Target,
    oid: Option<u32>,
    description: Option<&TableDescription>,
    stored: Option<&StoredSchema>,
) -> Result<()> {
    if let Some(oid) = oid {
        target.existing = Some(existing(client, &full_name(&target.schema, &target.table), oid)?);
    }
    let mut schemas = vec![target.schema.clone()];
    if let Some(stored) = stored.filter(|_| oid.is_none()) {
        target.present = presence::of(client, stored, &target.schema)?;
        let own = description.is_some_and(|table| table.schema == target.schema && table.table == target.table);
        let ancestors = stored.ancestors.iter().map(|ancestor| &ancestor.name);
        schemas.extend(stored.relations.iter().chain(ancestors).filter(|_| own).map(|name| name.schema.clone()));
    }
    let own = description.into_iter().flat_map(|description| &description.columns);
    for column in own.filter(|column| column.made_of.is_some()) {
        let found = ask(client, "SELECT to_regtype($1)::oid", &[&column.type_name])?;
        if let Some(oid) = found.first().and_then(|row| row.get(0)) {
            target.made_of.insert(column.type_name.clone(), made_of(client, oid, -1)?);
        }
    }
    for name in description.into_iter().flat_map(|description| description.enums.keys()) {
        let labels = enum_labels(client, name)?;
        if labels.is_none() && stored.is_none() {
            let row =
                client.query_one("SELECT parse_ident($1)", &[name]).map_err(|cause| from_postgres(STEP, cause))?;
            let mut parts: Vec<String> = row.get(0);
            parts.pop();
            schemas.append(&mut parts);
        }
        target.enums.insert(name.clone(), labels);
    }
    schemas.sort();
    schemas.dedup();
    let query = "SELECT name FROM unnest($1::text[]) AS wanted (name) \
                 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = wanted.name)";
    target.missing_schemas = ask(client, query, &[&schemas])?.iter().map(|row| row.get(0)).collect();
    Ok(())
}

fn existing(client: &mut Client, name: &str, oid: u32) -> Result<Existing> {
    let children = relation::children(client, oid)?;
    let only = if children.is_empty() { "" } else { "ONLY " };
    let has_rows =
        ask(client, &format!("SELECT EXISTS (SELECT FROM {only}{name})"), &[])?.first().is_some_and(|row| row.get(0));
    let rows = ask(client, COLUMNS, &[&oid])?;
    let column = |row: &Row| -> Result<TargetColumn> {
        let column_type = Resolver::new(client).column_type(row.get(6), row.get(7))?;
        Ok(TargetColumn {
            name: row.get(0),
            type_name: row.get(1),
            made_of: made_of(client, row.get(6), row.get(7))?,
            not_null: row.get(2),
            identity: row.get(3),
            generated: row.get(4),
            has_default: row.get(5),
            parsed_as: matches!(column_type, ColumnType::Printed(_)).then(|| row.get(8)),
        })
    };
    let columns = rows.iter().map(column).collect::<Result<_>>()?;
    let key = ask(client, PRIMARY_KEY, &[&oid])?;
    Ok(Existing {
        columns,
        primary_key: key.iter().map(|row| row.get(0)).collect(),
        inexact_key: key.iter().filter(|row| !row.get::<_, bool>(1)).map(|row| row.get(0)).collect(),
        has_rows,
        children,
        referenced_by: ask(client, REFERENCED_BY, &[&oid])?.iter().map(|row| row.get(0)).collect(),
        is_referenced_actively: is_there(client, REFERENCED_ACTIVELY, oid)?,
        has_other_unique: is_there(client, OTHER_UNIQUE, oid)?,
        around: surroundings::of(client, oid)?,
    })
}

const COLUMNS: &str = "SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod), attnotnull, \
     NULLIF(attidentity::text, ''), attgenerated <> '', atthasdef, \
     atttypid, atttypmod, pg_catalog.format_type(atttypid, -1) \
     FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// With whether equal values of the column are always the same: of these types they are, unless a collation says otherwise.
const PRIMARY_KEY: &str = "SELECT a.attname::text, ( \
       WITH RECURSIVE base (oid) AS (SELECT a.atttypid UNION \
         SELECT t.typbasetype FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE t.typtype = 'd') \
       SELECT bool_or(t.typtype = 'e' OR t.oid = ANY ('{bool,int2,int4,int8,oid,\"char\",name,text,varchar,bytea,uuid,date,time,timestamp,\
         timestamptz,macaddr,pg_lsn}'::pg_catalog.regtype[]::oid[])) FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid) \
       AND COALESCE((SELECT l.collisdeterministic FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation), true) \
     FROM pg_catalog.pg_constraint c \
     CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k (attnum, place) \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum \
     WHERE c.conrelid = $1 AND c.contype = 'p' ORDER BY k.place";

/// Those on its parts too, and on what it is a part of itself.
const REFERENCED_BY: &str = "SELECT DISTINCT format('%s of %s', conname, conrelid::regclass) FROM pg_catalog.pg_constraint \
     WHERE confrelid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1)) \
     AND conrelid NOT IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1)) AND contype = 'f' ORDER BY 1";

/// `NO ACTION` is checked at the end of a statement; all others act or refuse at once.
const REFERENCED_ACTIVELY: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint \
     WHERE confrelid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1)) \
     AND contype = 'f' AND confdeltype <> 'a')";

const OTHER_UNIQUE: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_index \
     WHERE indrelid = $1 AND (indisunique OR indisexclusion) AND NOT indisprimary AND indimmediate)";

/// The labels of an enum in order; none if there is no such type, empty if it is none.
fn enum_labels(client: &mut Client, printed_name: &str) -> Result<Option<Vec<String>>> {
    let query = "SELECT t.oid IS NOT NULL, ARRAY(SELECT enumlabel::text FROM pg_catalog.pg_enum \
                 WHERE enumtypid = t.oid ORDER BY enumsortorder) FROM (SELECT to_regtype($1)::oid) AS t (oid)";
    let rows = ask(client, query, &[&printed_name])?;
    Ok(rows.first().filter(|row| row.get(0)).map(|row| row.get(1)))
}

fn is_there(client: &mut Client, query: &str, oid: u32) -> Result<bool> {
    Ok(ask(client, query, &[&oid])?.first().is_some_and(|row| row.get(0)))
}

pub(crate) fn ask(client: &mut Client, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
    client.query(query, parameters).map_err(|cause| from_postgres(STEP, cause))
}
