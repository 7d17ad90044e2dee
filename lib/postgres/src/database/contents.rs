//! What a database holds, asked of its catalog: the tables that have rows of their own, sequences, and what is valid.
//!
//! The rules of what belongs to the user and what to an extension are those of `pg_dump` (`selectDumpableNamespace`,
//! `processExtensionTables` in pg_dump.c).

use super::format::{SequenceState, Validity};
use crate::catalog;
use crate::connection::from_postgres;
use crate::extent::Extent;
use crate::sql::identifier;
use crate::stored_schema::Name;
use postgres::error::SqlState;
use postgres::{GenericClient, Row};
use vb_core::{Error, Result};

const STEP: &str = "reading the database's catalog";
/// Names in one statement: many, and still no statement that a server would find too long.
const BATCH: usize = 200;

/// A table that has rows of its own: no parent of partitions, no foreign table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpTable {
    /// Its oid.
    pub oid: u32,
    /// Its name.
    pub name: Name,
    /// Where its rows lie.
    pub extent: Extent,
    /// Whether policies hide rows of it from this session.
    pub has_row_security: bool,
    /// Which of its rows are the user's, from `WHERE` on, where it is an extension's.
    pub condition: Option<String>,
}

/// The tables whose rows a dump holds, by name; how large they are is asked by [`measure`], when they are locked. Unlogged ones are among them, but not on a standby, which has not got their rows.
///
/// # Errors
/// If the server does not answer.
pub fn tables(client: &mut impl GenericClient) -> Result<Vec<DumpTable>> {
    let query = format!(
        "SELECT c.oid, n.nspname::text, c.relname::text, pg_catalog.row_security_active(c.oid), \
           COALESCE(a.amname = 'heap', false) AND current_setting('server_version_num')::int >= 140000, \
           NULLIF(e.extcondition[array_position(e.extconfig, c.oid)], ''), \
           COALESCE(pg_catalog.pg_relation_filenode(c.oid), 0), COALESCE(a.amname = 'heap', false) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam {EXTENSION} \
         WHERE c.relkind = 'r' AND {OF_THE_USER} AND (c.relpersistence = 'p' OR NOT pg_catalog.pg_is_in_recovery()) ORDER BY 2, 3"
    );
    let rows = client.query(&query, &[]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().map(table).collect())
}

/// Of a relation `c` in a schema `n`: which extension it belongs to.
const EXTENSION: &str = "LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 \
       AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e' \
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid";

/// Not the server's, and an extension's only where that says that its rows are its user's.
const OF_THE_USER: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't' \
     AND (e.oid IS NULL OR COALESCE(c.oid = ANY (e.extconfig), false))";

fn table(row: &Row) -> DumpTable {
    let name = Name { schema: row.get(1), name: row.get(2) };
    let condition: Option<String> = row.get(5);
    let extent = Extent {
        oid: row.get(0),
        filenode: row.get(6),
        name: quoted(&name),
        pages: 0,
        by_page: row.get::<_, bool>(4) && condition.is_none(),
        has_xmin: row.get(7),
    };
    DumpTable { oid: extent.oid, name, extent, has_row_security: row.get(3), condition }
}

/// Asks how many pages each of them has. To be asked when the locks are held: the question waits for whoever holds a table.
///
/// # Errors
/// If the server does not answer.
pub fn measure(client: &mut impl GenericClient, tables: &mut [DumpTable]) -> Result<()> {
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let query = "SELECT (COALESCE(pg_catalog.pg_relation_size(oid), 0) / current_setting('block_size')::int)::int8 \
                 FROM unnest($1::oid[]) WITH ORDINALITY AS asked (oid, place) ORDER BY place";
    let rows = client.query(query, &[&oids]).map_err(|cause| from_postgres(STEP, cause))?;
    for (table, row) in tables.iter_mut().zip(&rows) {
        let pages = u32::try_from(row.get::<_, i64>(0));
        table.extent.pages = pages.map_err(|_| Error::failure("a table has too many pages"))?;
    }
    Ok(())
}

/// `"schema"."table"`.
#[must_use]
pub fn quoted(name: &Name) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

/// All rows of a table of its own that are the user's, as a query. A table without columns gives one, since a file must have one.
///
/// # Errors
/// If the server does not answer.
pub fn select_all(client: &mut impl GenericClient, oid: u32, name: &str, condition: Option<&str>) -> Result<String> {
    let columns = if catalog::columns(client, oid)?.is_empty() { catalog::NO_COLUMNS } else { "*" };
    let condition = condition.map(|condition| format!(" {condition}")).unwrap_or_default();
    Ok(format!("SELECT {columns} FROM ONLY {name}{condition}"))
}

/// Takes the lock that every reader takes on each of them, until the transaction's end. The name of one that another session
/// holds, or has removed, where it cannot be had.
///
/// # Errors
/// Any other refusal.
pub fn lock(client: &mut impl GenericClient, tables: &[DumpTable]) -> Result<Option<String>> {
    for batch in tables.chunks(BATCH) {
        let names: Vec<String> = batch.iter().map(|table| format!("ONLY {}", table.extent.name)).collect();
        let statement = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
        let Err(cause) = client.batch_execute(&statement) else { continue };
        let gone = [SqlState::LOCK_NOT_AVAILABLE, SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
        if !cause.code().is_some_and(|code| gone.contains(code)) {
            return Err(from_postgres("locking the tables", cause));
        }
        return Ok(Some(cause.as_db_error().map_or_else(String::new, |error| error.message().to_owned())));
    }
    Ok(None)
}

/// A table that was rewritten or truncated after the transaction's snapshot: its rows would be missing in it. To be asked when
/// the locks are held.
///
/// # Errors
/// If the server does not answer.
pub fn rewritten(client: &mut impl GenericClient, tables: &[DumpTable]) -> Result<Option<Name>> {
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let query = "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1) AND c.relfilenode <> 0 \
                 AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid) LIMIT 1";
    let row = client.query_opt(query, &[&oids]).map_err(|cause| from_postgres(STEP, cause))?;
    let oid: Option<u32> = row.map(|row| row.get(0));
    Ok(oid.and_then(|oid| tables.iter().find(|table| table.oid == oid)).map(|table| table.name.clone()))
}

/// The oid of the database that we are in.
///
/// # Errors
/// If the server does not answer.
pub fn database_oid(client: &mut impl GenericClient) -> Result<u32> {
    let query = "SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()";
    Ok(client.query_one(query, &[]).map_err(|cause| from_postgres(STEP, cause))?.get(0))
}

/// Where all sequences stand. A sequence is no part of any snapshot: it shows what it is now.
///
/// # Errors
/// If the server does not answer, or one may not be read.
pub fn sequences(client: &mut impl GenericClient) -> Result<Vec<SequenceState>> {
    let query = format!(
        "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace {EXTENSION} \
         WHERE c.relkind = 'S' AND {OF_THE_USER} ORDER BY 1, 2"
    );
    let rows = client.query(&query, &[]).map_err(|cause| from_postgres(STEP, cause))?;
    let names: Vec<Name> = rows.iter().map(|row| Name { schema: row.get(0), name: row.get(1) }).collect();
    let mut states = Vec::with_capacity(names.len());
    for batch in names.chunks(BATCH) {
        let select = |(place, name)| format!("SELECT {place}, last_value, is_called FROM {}", quoted(name));
        let query = batch.iter().enumerate().map(select).collect::<Vec<_>>().join(" UNION ALL ");
        let rows = client.query(&format!("{query} ORDER BY 1"), &[]);
        let rows = rows.map_err(|cause| from_postgres("reading the sequences", cause))?;
        let state = |(name, row): (&Name, &Row)| SequenceState {
            name: name.clone(),
            last_value: row.get(1),
            is_called: row.get(2),
        };
        states.extend(batch.iter().zip(&rows).map(state));
    }
    Ok(states)
}

/// Counts what is valid. Not-null constraints, which newer servers list and older ones do not, are left out, and what belongs to an
/// extension, of which there may be another version.
///
/// # Errors
/// If the server does not answer.
pub fn validity(client: &mut impl GenericClient) -> Result<Validity> {
    let query = "WITH own AS (SELECT c.convalidated FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace \
         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.contype IN ('c', 'f', 'p', 'u', 'x') \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid IN (c.conrelid, c.contypid))) \
       SELECT (SELECT count(*) FROM own WHERE convalidated), (SELECT count(*) FROM own WHERE NOT convalidated), \
       (SELECT count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
          WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND i.indisvalid \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = i.indrelid))";
    let row = client.query_one(query, &[]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(Validity { valid_constraints: row.get(0), unproven_constraints: row.get(1), valid_indexes: row.get(2) })
}

/// What keeps a database from being empty: the names of relations that no extension made, or its large objects.
///
/// # Errors
/// If the server does not answer.
pub fn occupants(client: &mut impl GenericClient) -> Result<Vec<String>> {
    let query = format!(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace {EXTENSION} \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {OF_THE_USER} AND e.oid IS NULL \
         UNION ALL (SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata LIMIT 1) ORDER BY 1"
    );
    let rows = client.query(&query, &[]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
