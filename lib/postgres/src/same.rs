//! Whether two values that are equal are the same value, which a primary key does not ask: 'a' and 'A' of citext, 1.0 and 1.00 of numeric.

use crate::connection::from_postgres;
use postgres::GenericClient;
use vb_core::Result;

/// The first column of a table's primary key whose values may be equal and not the same, as `column (type)`.
///
/// # Errors
/// If the server refuses.
pub fn loose_key(client: &mut impl GenericClient, oid: u32) -> Result<Option<String>> {
    let row = client.query_opt(LOOSE, &[&oid]).map_err(|cause| from_postgres("reading the primary key", cause))?;
    Ok(row.map(|row| row.get(0)))
}

/// Types whose equality compares everything, beneath domains: not numeric without a scale, floats (-0), intervals (a day and 24 hours), jsonb,
/// text whose collation takes letters for each other, nor what extensions bring.
const LOOSE: &str = "\
    WITH RECURSIVE part AS (SELECT k.attnum, k.place, i.indcollation[k.place - 1] AS collation, a.attname, a.atttypid AS oid, \
       a.atttypmod AS modifier, pg_catalog.format_type(a.atttypid, a.atttypmod) AS shown \
       FROM pg_catalog.pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place) \
       JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
       WHERE i.indrelid = $1 AND i.indisprimary AND k.place <= i.indnkeyatts \
     UNION ALL SELECT part.attnum, part.place, part.collation, part.attname, t.typbasetype, t.typtypmod, part.shown \
       FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid WHERE t.typtype = 'd') \
    SELECT format('%s (%s)', part.attname, part.shown) FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid \
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_catalog.pg_collation c ON c.oid = part.collation \
    WHERE t.typtype <> 'd' AND t.typtype <> 'e' AND NOT (n.nspname = 'pg_catalog' AND ( \
      t.typname IN ('bool', 'int2', 'int4', 'int8', 'oid', 'xid8', 'pg_lsn', 'money', 'uuid', 'bytea', 'bit', 'varbit', 'char', \
        'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'inet', 'cidr', 'macaddr', 'macaddr8') \
      OR t.typname IN ('text', 'varchar', 'name') AND COALESCE(c.collisdeterministic, true) \
      OR t.typname = 'bpchar' AND part.modifier >= 0 AND COALESCE(c.collisdeterministic, true) \
      OR t.typname = 'numeric' AND part.modifier >= 0)) \
    ORDER BY part.place LIMIT 1";
