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
use vb_core::{Error, Result};

/// The footer's key for the hash.
pub const METADATA_KEY: &str = "vb.rows";

/// The same for the hash of all rows of a table, in a file that holds the new ones only.
pub const STATE_KEY: &str = "vb.all_rows";

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

impl RowHash {
    /// The hash of rows of which each part was hashed by itself, in the same columns; none where there is no part.
    #[must_use]
    pub fn sum(parts: &[&Self]) -> Option<Self> {
        let sums: Option<Vec<i128>> = parts.iter().map(|part| part.sum.parse().ok()).collect();
        let sum = sums?.into_iter().try_fold(0_i128, i128::checked_add)?;
        let columns = parts.first()?.columns.clone();
        Some(Self { records: parts.iter().map(|part| part.records).sum(), sum: sum.to_string(), columns })
    }
}

/// The hash of the rows that a query gives.
///
/// # Errors
/// If the server refuses the query.
pub fn of_query(client: &mut impl GenericClient, select: &str) -> Result<RowHash> {
    let types = types(client, select)?;
    let columns = types.iter().map(Typed::hashed).collect();
    of_typed(client, select, columns, &types)
}

/// The hash of these columns of a query's rows, in the forms in which they were hashed before.
///
/// # Errors
/// If the server refuses the query.
pub fn of_columns(client: &mut impl GenericClient, select: &str, columns: Vec<HashedColumn>) -> Result<RowHash> {
    let types = types(client, select)?;
    of_typed(client, select, columns, &types)
}

fn of_typed(
    client: &mut impl GenericClient,
    select: &str,
    columns: Vec<HashedColumn>,
    types: &[Typed],
) -> Result<RowHash> {
    let row = client.query_one(&statement(select, &columns, types), &[]).map_err(|cause| from_postgres(STEP, cause))?;
    let records = u64::try_from(row.get::<_, i64>(0)).map_err(|_| Error::failure("a table has too many rows"))?;
    Ok(RowHash { records, sum: row.get(1), columns })
}

const STEP: &str = "hashing the rows";

/// Bytes are those of what a domain is over: a record's bytes hold the types of its fields, and a domain's number is another in
/// every database.
fn statement(select: &str, columns: &[HashedColumn], types: &[Typed]) -> String {
    let column = |column: &HashedColumn| {
        let name = identifier(&column.name);
        let base = types.iter().find(|typed| typed.name == column.name).map(|typed| typed.base.as_str());
        match (column.text, base) {
            (true, _) => format!("vb_rows.{name}::text"),
            (false, Some(base)) => format!("vb_rows.{name}::{base}"),
            (false, None) => format!("vb_rows.{name}"),
        }
    };
    let row = columns.iter().map(column).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT count(*), COALESCE(sum(('x' || left(md5(record_send(ROW({row}))), 16))::bit(64)::int8), 0)::text \
         FROM ({select}) AS vb_rows"
    )
}

/// A column of a query.
struct Typed {
    name: String,
    /// Its type, or what the domain is over, without a length: as SQL.
    base: String,
    /// Whether that type is the same in every database.
    same_everywhere: bool,
}

impl Typed {
    /// In the form that is the same in every database.
    fn hashed(&self) -> HashedColumn {
        HashedColumn { name: self.name.clone(), text: !self.same_everywhere }
    }
}

/// The columns of a query. The server itself tells the types below domains.
fn types(client: &mut impl GenericClient, select: &str) -> Result<Vec<Typed>> {
    let failed = |cause| from_postgres(STEP, cause);
    let query = client.prepare(select).map_err(failed)?;
    let oids: Vec<u32> = query.columns().iter().map(|column| column.type_().oid()).collect();
    let rows = client.query(SAME_EVERYWHERE, &[&oids]).map_err(failed)?;
    let typed = |(column, row): (&postgres::Column, &postgres::Row)| Typed {
        name: column.name().to_owned(),
        base: row.get(0),
        same_everywhere: row.get(1),
    };
    Ok(query.columns().iter().zip(&rows).map(typed).collect())
}

/// Types that are built in, can be sent, and do not mean an object of this database. What users make begins at 16384
/// (`FirstNormalObjectId`).
const SAME_EVERYWHERE: &str = "SELECT pg_catalog.format_type(asked.oid, -1), asked.oid < 16384 AND t.typsend <> 0 AND t.typname !~ '^_?reg' \
     FROM unnest($1::oid[]) WITH ORDINALITY AS asked (oid, place) JOIN pg_catalog.pg_type t ON t.oid = asked.oid ORDER BY asked.place";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_forms_kept() {
        let columns = [("a\"b", false), ("model", true)];
        let types = columns.map(|(name, text)| Typed {
            name: name.to_owned(),
            base: "integer".to_owned(),
            same_everywhere: !text,
        });
        let columns: Vec<_> = types.iter().map(Typed::hashed).collect();
        let statement = statement("SELECT 1", &columns, &types);
        assert!(statement.contains(r#"ROW(vb_rows."a""b"::integer, vb_rows."model"::text)"#), "{statement}");
    }
}
