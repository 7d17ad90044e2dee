//! What a type of the user's own is made of, which its name does not say: two databases may mean different things by one name, and
//! the server rounds and cuts what comes into the narrower one without a word.

use crate::connection::from_postgres;
use crate::sql::identifier;
use postgres::GenericClient;
use vb_core::Result;

const STEP: &str = "reading the types";

/// The first oid that the server gives to what is not its own (`FirstNormalObjectId` in transam.h).
const FIRST_OWN: u32 = 16384;

/// Names of the server's own types as `format_type` prints them, all others without their schema, which no search path then changes.
const TYPE: &str = "SELECT t.typtype::text, t.typbasetype, t.typtypmod, t.typrelid, \
     (SELECT e.oid FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid), \
     CASE WHEN pg_catalog.starts_with(f.name, pg_catalog.quote_ident(n.nspname) || '.') \
       THEN pg_catalog.substr(f.name, pg_catalog.length(pg_catalog.quote_ident(n.nspname)) + 2) ELSE f.name END \
     FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
     CROSS JOIN LATERAL pg_catalog.format_type(t.oid, $2) AS f (name) WHERE t.oid = $1";

const PARTS: &str = "SELECT attname::text, atttypid, atttypmod FROM pg_catalog.pg_attribute \
     WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// What a type is made of, such as `numeric(10,2)` for a domain; none where its name and modifier already say it.
///
/// # Errors
/// If the server does not answer.
pub fn made_of(client: &mut impl GenericClient, oid: u32, modifier: i32) -> Result<Option<String>> {
    if oid < FIRST_OWN { Ok(None) } else { Ok(words(client, oid, modifier)?.1) }
}

/// The type's name, and what it is made of.
fn words(client: &mut impl GenericClient, oid: u32, modifier: i32) -> Result<(String, Option<String>)> {
    let row = client.query_one(TYPE, &[&oid, &modifier]).map_err(|cause| from_postgres(STEP, cause))?;
    let name: String = row.get(5);
    let whole = |(name, made): (String, Option<String>)| made.unwrap_or(name);
    let made = match (row.get::<_, &str>(0), row.get::<_, Option<u32>>(4)) {
        _ if oid < FIRST_OWN => None,
        ("d", _) => Some(whole(words(client, row.get(1), row.get(2))?)),
        ("c", _) => Some(parts(client, row.get(3))?),
        ("r", _) => Some(of_bound(client, "SELECT rngsubtype FROM pg_catalog.pg_range WHERE rngtypid = $1", oid)?),
        ("m", _) => Some(of_bound(client, "SELECT rngsubtype FROM pg_catalog.pg_range WHERE rngmultitypid = $1", oid)?),
        (_, Some(element)) => words(client, element, modifier)?.1.map(|made| format!("{made}[]")),
        _ => None,
    };
    Ok((name, made))
}

fn parts(client: &mut impl GenericClient, relation: u32) -> Result<String> {
    let mut parts = Vec::new();
    for row in client.query(PARTS, &[&relation]).map_err(|cause| from_postgres(STEP, cause))? {
        let (name, made) = words(client, row.get(1), row.get(2))?;
        parts.push(format!("{} {}", identifier(row.get(0)), made.unwrap_or(name)));
    }
    Ok(format!("({})", parts.join(", ")))
}

fn of_bound(client: &mut impl GenericClient, query: &str, oid: u32) -> Result<String> {
    let row = client.query_one(query, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?;
    let (name, made) = words(client, row.get(0), -1)?;
    Ok(format!("range of {}", made.unwrap_or(name)))
}
