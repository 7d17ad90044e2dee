//! Whether the rows that an older dump has of a table mean what they meant: a digest of all that this hangs on.

use super::contents::DumpTable;
use crate::connection::from_postgres;
use crate::keys::name_of;
use postgres::{GenericClient, Row};
use vb_core::Result;

const STEP: &str = "reading the columns of all tables";

/// Of each table a digest of all that the meaning of its stored rows hangs on: its name, which of its rows are the user's, its columns
/// with their numbers (a column that was dropped and added again has another one, and no old values) and types, and of what
/// those are called and made of: labels of enums, attributes of composites. Where values name other objects (`regclass` and its like,
/// `aclitem`), also of what all objects are called: when one is renamed they read otherwise, and no row has changed.
///
/// # Errors
/// If the server does not answer.
pub fn of(client: &mut impl GenericClient, tables: &[DumpTable]) -> Result<Vec<String>> {
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let rows = client.query(SHAPES, &[&oids]).map_err(|cause| from_postgres(STEP, cause))?;
    let of_table = |(table, row): (&DumpTable, &Row)| {
        let condition = table.condition.as_deref().unwrap_or_default();
        shape(&format!("{}\n{condition}\n", table.extent.name), row)
    };
    Ok(tables.iter().zip(&rows).map(of_table).collect())
}

/// The same of one table, whose name and rows are told otherwise.
///
/// # Errors
/// If the server does not answer.
pub fn of_table(client: &mut impl GenericClient, oid: u32) -> Result<String> {
    let row = client.query_one(SHAPES, &[&vec![oid]]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(shape("", &row))
}

fn shape(own: &str, row: &Row) -> String {
    let columns: Option<String> = row.get(0);
    name_of(format!("{own}{}", columns.unwrap_or_default()).as_bytes())
}

/// Before 14 there are no multiranges. What users make begins at 16384 (`FirstNormalObjectId`). A change of any name counts for the
/// values that hold such names: which ones they hold, only their rows know.
const SHAPES: &str = "\
    WITH RECURSIVE asked AS (SELECT oid, place FROM unnest($1::oid[]) WITH ORDINALITY AS asked (oid, place)), \
    used AS (SELECT asked.place, a.atttypid AS oid FROM asked JOIN pg_catalog.pg_attribute a ON a.attrelid = asked.oid \
       WHERE a.attnum > 0 AND NOT a.attisdropped \
     UNION SELECT used.place, made.oid FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid CROSS JOIN LATERAL ( \
       SELECT t.typelem AS oid UNION ALL SELECT t.typbasetype \
       UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r \
         WHERE r.rngtypid = t.oid OR (to_jsonb(r) ->> 'rngmultitypid') = t.oid::text \
       UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped) AS made \
       WHERE made.oid <> 0), \
    line AS (SELECT asked.place, format('column %s %s %s %s %s', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated) AS words \
       FROM asked JOIN pg_catalog.pg_attribute a ON a.attrelid = asked.oid WHERE a.attnum > 0 AND NOT a.attisdropped \
     UNION ALL SELECT used.place, format('type %s %s %s', t.oid, n.nspname, t.typname) \
       FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
     UNION ALL SELECT used.place, format('label %s %s %s', e.enumtypid, e.enumsortorder, e.enumlabel) \
       FROM used JOIN pg_catalog.pg_enum e ON e.enumtypid = used.oid \
     UNION ALL SELECT used.place, format('attribute %s %s %s %s %s', t.oid, a.attnum, a.attname, a.atttypid, a.atttypmod) \
       FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid \
       WHERE t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped), \
    space AS (SELECT oid, nspname AS name FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast|temp)'), \
    named AS (SELECT md5(string_agg(words, E'\\n' ORDER BY words COLLATE \"C\")) AS words FROM ( \
       SELECT format('space %s %s', oid, name) AS words FROM space UNION ALL SELECT format('role %s %s', oid, rolname) FROM pg_catalog.pg_roles \
       UNION ALL SELECT format('path %s', pg_catalog.current_setting('search_path')) \
       UNION ALL SELECT format('%s %s %s.%s', each.kind, each.oid, space.name, each.name) FROM ( \
         SELECT 'class', oid, relnamespace, relname::text FROM pg_catalog.pg_class \
         UNION ALL SELECT 'type', oid, typnamespace, typname::text FROM pg_catalog.pg_type \
         UNION ALL SELECT 'function', oid, pronamespace, format('%s %s', proname, proargtypes) FROM pg_catalog.pg_proc \
         UNION ALL SELECT 'operator', oid, oprnamespace, oprname::text FROM pg_catalog.pg_operator \
         UNION ALL SELECT 'collation', oid, collnamespace, collname::text FROM pg_catalog.pg_collation \
         UNION ALL SELECT 'configuration', oid, cfgnamespace, cfgname::text FROM pg_catalog.pg_ts_config \
         UNION ALL SELECT 'dictionary', oid, dictnamespace, dictname::text FROM pg_catalog.pg_ts_dict) AS each (kind, oid, space, name) \
       JOIN space ON space.oid = each.space WHERE each.oid >= 16384) AS every) \
    SELECT concat_ws(E'\\n', string_agg(line.words, E'\\n' ORDER BY line.words COLLATE \"C\"), \
      CASE WHEN EXISTS (SELECT FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid WHERE used.place = asked.place \
         AND t.typnamespace = 'pg_catalog'::regnamespace AND (t.typname LIKE 'reg%' OR t.typname = 'aclitem')) THEN (SELECT words FROM named) END) \
    FROM asked LEFT JOIN line USING (place) GROUP BY asked.place ORDER BY asked.place";
