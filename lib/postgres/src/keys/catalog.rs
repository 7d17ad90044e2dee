//! Which columns make the key of a table, and in which form each is hashed.

use crate::connection::from_postgres;
use crate::row_hash::HashedColumn;
use postgres::GenericClient;
use std::collections::HashSet;
use vb_core::Result;

const STEP: &str = "reading the key";

/// The columns of the primary key, or else of another unique index whose columns cannot be NULL, in the index's order; none where
/// the table has neither.
///
/// # Errors
/// If the server does not answer.
pub fn key_of(client: &mut impl GenericClient, oid: u32) -> Result<Vec<String>> {
    let rows = client.query(KEY, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// An index that holds for every row and is checked at once: neither partial, nor of expressions, nor being built.
const KEY: &str = "\
    WITH best AS (SELECT i.indexrelid, i.indrelid, i.indkey::int2[] AS key, i.indnkeyatts FROM pg_catalog.pg_index i \
     WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indimmediate \
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND NOT a.attnotnull \
      AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) \
     ORDER BY NOT i.indisprimary, i.indnkeyatts, i.indexrelid LIMIT 1) \
    SELECT a.attname::text FROM best CROSS JOIN LATERAL generate_series(0, best.indnkeyatts - 1) AS place \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = best.indrelid AND a.attnum = best.key[place] ORDER BY place";

/// These columns of a table, each in the form that is the same in every database: bytes of types that are built in and do not mean
/// an object of this one, and of domains over them; text of all others.
///
/// # Errors
/// If the server does not answer.
pub fn columns(client: &mut impl GenericClient, oid: u32, names: &[String]) -> Result<Vec<HashedColumn>> {
    let rows = client.query(SAME_EVERYWHERE, &[&oid, &names]).map_err(|cause| from_postgres(STEP, cause))?;
    let same: HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(names.iter().map(|name| HashedColumn { name: name.clone(), text: !same.contains(name) }).collect())
}

/// What users make begins at 16384 (`FirstNormalObjectId`).
const SAME_EVERYWHERE: &str = "\
    WITH RECURSIVE type AS (SELECT a.attname::text AS name, a.atttypid AS oid FROM pg_catalog.pg_attribute a \
      WHERE a.attrelid = $1 AND a.attname = ANY ($2) \
     UNION ALL SELECT type.name, t.typbasetype FROM type JOIN pg_catalog.pg_type t ON t.oid = type.oid WHERE t.typtype = 'd') \
    SELECT type.name FROM type JOIN pg_catalog.pg_type t ON t.oid = type.oid \
    WHERE t.oid < 16384 AND t.typtype <> 'd' AND t.typsend <> 0 AND t.typname !~ '^_?reg'";
