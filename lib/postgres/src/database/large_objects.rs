//! Large objects: their statements, and their bytes as the rows of a query.

use crate::connection::from_postgres;
use crate::keys::name_of;
use crate::row_hash;
use crate::sql::{identifier, literal};
use postgres::{GenericClient, Row};
use vb_core::Result;

const STEP: &str = "reading the large objects";

/// How many there are.
///
/// # Errors
/// If the server does not answer.
pub fn count(client: &mut impl GenericClient) -> Result<u64> {
    let row = client.query_one("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata", &[]);
    let count: i64 = row.map_err(|cause| from_postgres(STEP, cause))?.get(0);
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The query whose rows are their bytes: object, offset, bytes. Pages that are not there are zeros. Whoever may read
/// `pg_largeobject` gets it page by page; others ask each object for its bytes, as its privileges allow.
///
/// # Errors
/// If the server does not answer.
pub fn query(client: &mut impl GenericClient) -> Result<String> {
    let may = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')";
    let may: bool = client.query_one(may, &[]).map_err(|cause| from_postgres(STEP, cause))?.get(0);
    let pages = "SELECT loid AS large_object, pageno::int8 * (current_setting('block_size')::int8 / 4) AS byte_offset, data \
                 FROM pg_catalog.pg_largeobject ORDER BY loid, pageno";
    // 262144 is INV_READ, 2 SEEK_END; a descriptor lives as long as the transaction.
    let chunks = "SELECT sized.oid AS large_object, chunk.start AS byte_offset, pg_catalog.lo_get(sized.oid, chunk.start, 262144) AS data \
                  FROM (SELECT oid, pg_catalog.lo_lseek64(pg_catalog.lo_open(oid, 262144), 0, 2) AS size FROM pg_catalog.pg_largeobject_metadata OFFSET 0) AS sized, \
                  LATERAL generate_series(0::int8, sized.size - 1, 262144) AS chunk (start) ORDER BY 1, 2";
    Ok(if may { pages } else { chunks }.to_owned())
}

/// The statements that make them, without their bytes: each with its owner, its comment and its privileges, as `pg_dump` up to 16
/// writes them among what comes before the rows.
///
/// # Errors
/// If the server does not answer.
pub fn statements(client: &mut impl GenericClient) -> Result<String> {
    let query = "SELECT m.oid, pg_catalog.pg_get_userbyid(m.lomowner)::text, pg_catalog.obj_description(m.oid, 'pg_largeobject'), m.lomacl IS NOT NULL, \
                   ARRAY(SELECT format('%s|%s|%s', a.privilege_type, a.is_grantable, CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END) \
                         FROM pg_catalog.aclexplode(m.lomacl) a) \
                 FROM pg_catalog.pg_largeobject_metadata m ORDER BY m.oid";
    let rows = client.query(query, &[]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().map(object).collect())
}

/// A digest of all of them, with their bytes, owners, comments and privileges: where it is the same, so are they. The server hashes the bytes.
///
/// # Errors
/// If the server does not answer.
pub fn digest(client: &mut impl GenericClient) -> Result<String> {
    if count(client)? == 0 {
        return Ok(String::new());
    }
    // Whoever may not read them page by page hashes other pieces.
    let query = query(client)?;
    let bytes = row_hash::of_query(client, &query)?;
    Ok(name_of(format!("{query}\n{}\n{}\n{}", bytes.records, bytes.sum, statements(client)?).as_bytes()))
}

fn object(row: &Row) -> String {
    let (oid, owner, comment): (u32, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
    let owner = identifier(&owner);
    let mut text = format!("SELECT pg_catalog.lo_create('{oid}');\nALTER LARGE OBJECT {oid} OWNER TO {owner};\n");
    if let Some(comment) = comment {
        text.push_str(&format!("COMMENT ON LARGE OBJECT {oid} IS {};\n", literal(&comment)));
    }
    if row.get(3) {
        text.push_str(&format!("REVOKE ALL ON LARGE OBJECT {oid} FROM {owner};\n"));
        text.extend(row.get::<_, Vec<String>>(4).iter().filter_map(|granted| grant(oid, granted)));
    }
    text
}

/// `SELECT|f|role`; no role is everybody.
fn grant(oid: u32, granted: &str) -> Option<String> {
    let mut parts = granted.splitn(3, '|');
    let (privilege, grantable, role) = (parts.next()?, parts.next()?, parts.next()?);
    let role = if role.is_empty() { "PUBLIC".to_owned() } else { identifier(role) };
    let option = if grantable == "t" { " WITH GRANT OPTION" } else { "" };
    Some(format!("GRANT {privilege} ON LARGE OBJECT {oid} TO {role}{option};\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_written_as_they_were() {
        assert_eq!(grant(7, "SELECT|f|a|b").unwrap(), "GRANT SELECT ON LARGE OBJECT 7 TO \"a|b\";\n");
        assert_eq!(grant(7, "UPDATE|t|").unwrap(), "GRANT UPDATE ON LARGE OBJECT 7 TO PUBLIC WITH GRANT OPTION;\n");
    }
}
