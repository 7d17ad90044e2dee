//! What the server knows about a table or a query: its columns, types, key and enums.

use crate::connection::from_postgres;
use crate::made_of::made_of;
use crate::relation::{self, RelationKind};
use crate::resolve::Resolver;
use crate::same;
use crate::schema::{Column, TableDescription};
use crate::sql::identifier;
use postgres::types::{Kind, Type};
use postgres::{GenericClient, Row};
use std::collections::BTreeMap;
use vb_core::{Error, Result};

/// A relation that can be exported.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its columns, key and enums.
    pub description: TableDescription,
    /// Its oid.
    pub oid: u32,
    /// What it is.
    pub kind: RelationKind,
    /// Whether `COPY name TO` gives every row: a plain table without children, or without their rows.
    pub is_plain: bool,
    /// Whether rows of tables that inherit from it are left out.
    pub only: bool,
    /// Whether policies hide rows from us.
    pub has_row_security: bool,
    /// Whether a trigger may change a row that is updated.
    pub has_update_trigger: bool,
    /// Whether rows come from another server, by a logical subscription to it, to a part or to what it is part of.
    pub is_subscribed: bool,
    /// See [`crate::same::loose_key`].
    pub loose_key: Option<String>,
}

/// Which server this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Such as `15.18`.
    pub version: String,
    /// The cluster's identity, or none where we may not ask for it.
    pub system_identifier: Option<String>,
    /// The database's name.
    pub database: String,
}

/// Asks which server this is.
///
/// # Errors
/// If the server does not answer.
pub fn server(client: &mut impl GenericClient) -> Result<Server> {
    let step = "asking the server for its version";
    let query = "SELECT split_part(current_setting('server_version'), ' ', 1), current_database()::text, \
                 has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')";
    let row = client.query_one(query, &[]).map_err(|cause| from_postgres(step, cause))?;
    let system_identifier = if row.get(2) {
        let query = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
        Some(client.query_one(query, &[]).map_err(|cause| from_postgres(step, cause))?.get(0))
    } else {
        None
    };
    Ok(Server { version: row.get(0), database: row.get(1), system_identifier })
}

/// Finds a table by the name that the user gave: as SQL reads it, or else letter by letter. With `only`, rows of tables that
/// inherit from it are not meant.
///
/// # Errors
/// Not found.
pub fn table(client: &mut impl GenericClient, name: &str, only: bool) -> Result<Table> {
    let oid = find(client, name)?;
    let query = "SELECT n.nspname::text, c.relname::text, c.relkind::text, pg_catalog.row_security_active(c.oid), \
                 EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid), \
                 EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 19 = 19 AND t.tgenabled <> 'D'), \
                 EXISTS (SELECT FROM pg_catalog.pg_subscription_rel s WHERE s.srrelid = c.oid \
                   OR s.srrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)) \
                   OR s.srrelid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(c.oid))) \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    let row = ask_one(client, query, oid)?;
    let (schema, table, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let kind = RelationKind::of(&kind, &format!("{schema}.{table}"))?;
    let columns = columns(client, oid)?;
    let no_columns = columns.is_empty();
    let mut names: Vec<String> = columns.iter().map(|column| identifier(&column.name)).collect();
    if no_columns {
        names.push(NO_COLUMNS.to_owned());
    }
    let select = format!("SELECT {} FROM {}.{}", names.join(", "), identifier(&schema), identifier(&table));
    let described = query_columns(client, &select, &format!("{schema}.{table}"))?;
    let stored = |(column, described): (Column, Column)| match described.column_type {
        Some(column_type) => column.stored_as(column_type),
        None => column,
    };
    let columns =
        if no_columns { described.columns } else { columns.into_iter().zip(described.columns).map(stored).collect() };
    let primary_key = primary_key(client, oid)?;
    Ok(Table {
        description: TableDescription { schema, table, columns, primary_key, enums: described.enums, no_columns },
        oid,
        kind,
        is_plain: kind == RelationKind::Table && (only || !row.get::<_, bool>(4)),
        only,
        has_row_security: row.get(3),
        has_update_trigger: row.get(5),
        is_subscribed: row.get(6),
        loose_key: same::loose_key(client, oid)?,
    })
}

/// What is selected from a table that has no columns: a file must have one.
pub const NO_COLUMNS: &str = "true AS vb_no_columns";

/// The oid of a table by the name that the user gave.
///
/// # Errors
/// Not found, with the names that are there.
pub fn find(client: &mut impl GenericClient, name: &str) -> Result<u32> {
    relation::find(client, name)?.ok_or_else(|| {
        Error::not_found(format!("no table {name:?} in this database")).with_hint(
            "Check the name and the schema (schema.table), the database (PGDATABASE, DATABASE_URL), and that the role may use the schema.",
        )
    })
}

/// The columns as the catalog has them, without how their values are read.
///
/// # Errors
/// If the server refuses.
pub fn columns(client: &mut impl GenericClient, oid: u32) -> Result<Vec<Column>> {
    let query = "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                 NULLIF(a.attidentity::text, ''), \
                 CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, a.atttypid, a.atttypmod \
                 FROM pg_catalog.pg_attribute a \
                 LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
                 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let rows = client.query(query, &[&oid]).map_err(|cause| from_postgres("reading the columns", cause))?;
    let column = |row: &Row| -> Result<Column> {
        Ok(Column {
            name: row.get(0),
            type_name: row.get(1),
            made_of: made_of(client, row.get(5), row.get(6))?,
            not_null: row.get(2),
            identity: row.get(3),
            generated: row.get(4),
            ..Column::default()
        })
    };
    rows.iter().map(column).collect()
}

fn primary_key(client: &mut impl GenericClient, oid: u32) -> Result<Vec<String>> {
    let query = "SELECT a.attname::text FROM pg_catalog.pg_constraint c \
                 CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k(attnum, place) \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum \
                 WHERE c.conrelid = $1 AND c.contype = 'p' ORDER BY k.place";
    let rows = client.query(query, &[&oid]).map_err(|cause| from_postgres("reading the primary key", cause))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What a query gives. `name` names it in errors.
///
/// # Errors
/// If the query is refused.
pub fn query_columns(client: &mut impl GenericClient, query: &str, name: &str) -> Result<TableDescription> {
    let statement = client.prepare(query).map_err(|cause| from_postgres(format!("preparing {name}"), cause))?;
    let mut description = TableDescription::default();
    for column in statement.columns() {
        let type_name = type_name(client, column.type_(), column.type_modifier())?;
        note_enum(client, column.type_(), &mut description.enums)?;
        let column_type = Resolver::new(client).column_type(column.type_().oid(), column.type_modifier())?;
        let made_of = made_of(client, column.type_().oid(), column.type_modifier())?;
        let plain = Column { name: column.name().to_owned(), type_name, made_of, ..Column::default() };
        let plain = plain.stored_as(column_type);
        description.columns.push(plain);
    }
    Ok(description)
}

fn type_name(client: &mut impl GenericClient, postgres: &Type, modifier: i32) -> Result<String> {
    let row = client.query_one("SELECT pg_catalog.format_type($1, $2)", &[&postgres.oid(), &modifier]);
    Ok(row.map_err(|cause| from_postgres("reading the types", cause))?.get(0))
}

/// Notes the labels of an enum, also of one that the type is made of.
fn note_enum(
    client: &mut impl GenericClient,
    postgres: &Type,
    enums: &mut BTreeMap<String, Vec<String>>,
) -> Result<()> {
    match postgres.kind() {
        Kind::Enum(labels) => {
            enums.insert(type_name(client, postgres, -1)?, labels.clone());
            Ok(())
        }
        Kind::Array(of) | Kind::Domain(of) | Kind::Range(of) | Kind::Multirange(of) => note_enum(client, of, enums),
        Kind::Composite(fields) => fields.iter().try_for_each(|field| note_enum(client, field.type_(), enums)),
        _ => Ok(()),
    }
}

fn ask_one(client: &mut impl GenericClient, query: &str, oid: u32) -> Result<Row> {
    client.query_one(query, &[&oid]).map_err(|cause| from_postgres("reading the catalog", cause))
}
