//! The round-trip oracle: a number over all rows, whatever their order, that the server computes from its own values before
//! the export and again after the restore. Nothing of ours is between the values and the number.
//!
//! Each row becomes the bytes that the server would send, NULLs and lengths with them, then the first 64 bits of their MD5,
//! and these are summed. Types that carry an oid of this one database in their bytes (enums, composites, `regclass`) are
//! taken as text.

use crate::connection::from_postgres;
use crate::sql::identifier;
use postgres::GenericClient;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use vb_core::{Error, Result};

/// The footer's key for the hash.
pub const METADATA_KEY: &str = "vb.rows";

/// The rows of a table or a query, as one number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowHash {
    /// How many they are.
    pub records: u64,
    /// The sum of their hashes, in decimal: it does not fit into 64 bits.
    pub sum: String,
    /// What was hashed.
    pub columns: Vec<HashedColumn>,
}

/// A column, in the form in which it was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedColumn {
    /// Its name.
    pub name: String,
    /// Whether its text was hashed, and not its bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
}

/// The hash of the rows that a query gives.
///
/// # Errors
/// If the server refuses the query.
pub fn of_query(client: &mut impl GenericClient, select: &str) -> Result<RowHash> {
    let columns = columns(client, select)?;
    of_columns(client, select, columns)
}

/// The hash of these columns of a query's rows, in the forms in which they were hashed before.
///
/// # Errors
/// If the server refuses the query.
pub fn of_columns(client: &mut impl GenericClient, select: &str, columns: Vec<HashedColumn>) -> Result<RowHash> {
    let row = client.query_one(&statement(select, &columns), &[]).map_err(|cause| from_postgres(STEP, cause))?;
    let records = u64::try_from(row.get::<_, i64>(0)).map_err(|_| Error::failure("a table has too many rows"))?;
    Ok(RowHash { records, sum: row.get(1), columns })
}

const STEP: &str = "hashing the rows";

fn statement(select: &str, columns: &[HashedColumn]) -> String {
    let column = |column: &HashedColumn| {
        let name = identifier(&column.name);
        if column.text { format!("vb_rows.{name}::text") } else { format!("vb_rows.{name}") }
    };
    let row = columns.iter().map(column).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT count(*), COALESCE(sum(('x' || left(md5(record_send(ROW({row}))), 16))::bit(64)::int8), 0)::text \
         FROM ({select}) AS vb_rows"
    )
}

/// The columns of a query, each in the form that is the same in every database.
fn columns(client: &mut impl GenericClient, select: &str) -> Result<Vec<HashedColumn>> {
    let failed = |cause| from_postgres(STEP, cause);
    let query = client.prepare(select).map_err(failed)?;
    let types: Vec<u32> = query.columns().iter().map(|column| column.type_().oid()).collect();
    let rows = client.query(SAME_EVERYWHERE, &[&types]).map_err(failed)?;
    let same: HashSet<u32> = rows.iter().map(|row| row.get(0)).collect();
    let column = |column: &postgres::Column| HashedColumn {
        name: column.name().to_owned(),
        text: !same.contains(&column.type_().oid()),
    };
    Ok(query.columns().iter().map(column).collect())
}

/// Types that are built in, can be sent, and do not mean an object of this database. What users make begins at 16384
/// (`FirstNormalObjectId`).
const SAME_EVERYWHERE: &str = "SELECT oid FROM pg_catalog.pg_type WHERE oid = ANY ($1) AND oid < 16384 \
     AND typsend <> 0 AND typname !~ '^_?reg'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_forms_kept() {
        let columns = [("a\"b", false), ("model", true)];
        let columns = columns.map(|(name, text)| HashedColumn { name: name.to_owned(), text });
        let statement = statement("SELECT 1", &columns);
        assert!(statement.contains(r#"ROW(vb_rows."a""b", vb_rows."model"::text)"#), "{statement}");
    }
}
