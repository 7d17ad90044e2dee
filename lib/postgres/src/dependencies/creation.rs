//! The statements that make what a table needs, written by the server from its catalog.

use super::graph::Node;
use super::{Needs, STEP};
use crate::connection::from_postgres;
use crate::stored_schema::{Object, ObjectKind};
use postgres::GenericClient;
use std::collections::BTreeMap;
use vb_core::Result;

/// Each of these gives: oid, schema, name, the statement (none where there is no way to make it), a second one or none.
/// Those that need no statement because another one brings them are not among the rows.
const KINDS: [(&str, ObjectKind, &str); 6] = [
    ("pg_namespace", ObjectKind::Schema, SCHEMAS),
    ("pg_extension", ObjectKind::Extension, EXTENSIONS),
    ("pg_type", ObjectKind::Type, TYPES),
    ("pg_proc", ObjectKind::Function, FUNCTIONS),
    ("pg_class", ObjectKind::Sequence, SEQUENCES),
    ("pg_collation", ObjectKind::Collation, COLLATIONS),
];

/// Catalogs whose objects come with the table itself, or are ways to it.
const CARRIED: &str = "SELECT node.place FROM unnest($1::oid[], $2::oid[]) WITH ORDINALITY AS node (classid, objid, place)
    WHERE node.classid NOT IN ('pg_catalog.pg_namespace'::regclass, 'pg_catalog.pg_extension'::regclass, 'pg_catalog.pg_type'::regclass,
        'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_class'::regclass, 'pg_catalog.pg_collation'::regclass,
        'pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_trigger'::regclass,
        'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_statistic_ext'::regclass)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = node.classid AND d.objid = node.objid AND d.deptype = 'e')";

/// The objects behind these nodes, in the same order.
pub(super) fn of(client: &mut impl GenericClient, order: &[Node], relations: &[u32]) -> Result<Needs> {
    let mut made: BTreeMap<(String, u32), Option<Object>> = BTreeMap::new();
    let objects: Vec<u32> = order.iter().map(|node| node.object).collect();
    for (catalog, kind, query) in KINDS {
        let parameters: &[&(dyn postgres::types::ToSql + Sync)] =
            if kind == ObjectKind::Sequence { &[&objects, &relations] } else { &[&objects] };
        for row in client.query(query, parameters).map_err(|cause| from_postgres(STEP, cause))? {
            let (schema, name): (String, String) = (row.get(1), row.get(2));
            let first: Option<String> = row.get(3);
            let object = first.map(|first| {
                let statements = std::iter::once(first).chain(row.get::<_, Option<String>>(4)).collect();
                Object { kind, schema, name, statements }
            });
            made.insert((catalog.to_owned(), row.get(0)), object);
        }
    }
    let classes: Vec<u32> = order.iter().map(|node| node.class).collect();
    let names = client
        .query("SELECT relname::text FROM unnest($1::oid[]) WITH ORDINALITY AS node (oid, place) JOIN pg_catalog.pg_class USING (oid) ORDER BY place", &[&classes])
        .map_err(|cause| from_postgres(STEP, cause))?;
    let mut needs = Needs::default();
    let mut unknown: Vec<&Node> = Vec::new();
    for (node, catalog) in order.iter().zip(names.iter().map(|row| row.get::<_, String>(0))) {
        match made.remove(&(catalog, node.object)) {
            Some(Some(object)) => needs.objects.push(object),
            Some(None) => unknown.push(node),
            None => {}
        }
    }
    let rows = client.query(CARRIED, &[&classes, &objects]).map_err(|cause| from_postgres(STEP, cause))?;
    unknown.extend(rows.iter().filter_map(|row| order.get(usize::try_from(row.get::<_, i64>(0) - 1).ok()?)));
    for node in unknown {
        let query = "SELECT pg_catalog.pg_describe_object($1, $2, 0)";
        let row = client.query_one(query, &[&node.class, &node.object]).map_err(|cause| from_postgres(STEP, cause))?;
        needs.not_carried.push(row.get(0));
    }
    Ok(needs)
}

const SCHEMAS: &str = "SELECT oid, '', nspname::text, format('CREATE SCHEMA %I', nspname), NULL::text FROM pg_catalog.pg_namespace \
     WHERE oid = ANY ($1) AND oid >= 16384";

const EXTENSIONS: &str = "SELECT e.oid, '', extname::text, \
     format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I CASCADE', extname, nspname), NULL::text \
     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = extnamespace WHERE e.oid = ANY ($1)";

const TYPES: &str = "
SELECT t.oid, n.nspname::text, t.typname::text, CASE t.typtype
  WHEN 'e' THEN format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
    (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_catalog.pg_enum WHERE enumtypid = t.oid))
  WHEN 'd' THEN format('CREATE DOMAIN %I.%I AS %s%s%s%s%s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod),
    (SELECT format(' COLLATE %I.%I', cn.nspname, c.collname) FROM pg_catalog.pg_collation c
       JOIN pg_catalog.pg_namespace cn ON cn.oid = c.collnamespace JOIN pg_catalog.pg_type base ON base.oid = t.typbasetype
       WHERE c.oid = t.typcollation AND base.typcollation <> t.typcollation),
    ' DEFAULT ' || pg_get_expr(t.typdefaultbin, 'pg_catalog.pg_type'::regclass), CASE WHEN t.typnotnull THEN
      coalesce((SELECT format(' CONSTRAINT %I', conname) FROM pg_catalog.pg_constraint WHERE contypid = t.oid AND contype = 'n'), '')
      || ' NOT NULL' END,
    (SELECT string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), '' ORDER BY conname)
       FROM pg_catalog.pg_constraint WHERE contypid = t.oid AND contype = 'c' AND convalidated))
  WHEN 'c' THEN format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
    (SELECT string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
         (SELECT format(' COLLATE %I.%I', cn.nspname, c.collname) FROM pg_catalog.pg_collation c
            JOIN pg_catalog.pg_namespace cn ON cn.oid = c.collnamespace JOIN pg_catalog.pg_type base ON base.oid = a.atttypid
            WHERE c.oid = a.attcollation AND base.typcollation <> a.attcollation)), ', ' ORDER BY a.attnum)
       FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
  WHEN 'r' THEN (SELECT format('CREATE TYPE %I.%I AS RANGE (subtype = %s, subtype_opclass = %I.%I%s%s%s)', n.nspname, t.typname,
      format_type(r.rngsubtype, NULL), op.nspname, o.opcname,
      (SELECT format(', collation = %I.%I', cn.nspname, c.collname) FROM pg_catalog.pg_collation c
         JOIN pg_catalog.pg_namespace cn ON cn.oid = c.collnamespace WHERE c.oid = r.rngcollation),
      (SELECT format(', subtype_diff = %I.%I', pn.nspname, p.proname) FROM pg_catalog.pg_proc p
         JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace WHERE p.oid = r.rngsubdiff::oid),
      (SELECT format(', multirange_type_name = %I.%I', mn.nspname, m.typname) FROM pg_catalog.pg_type m
         JOIN pg_catalog.pg_namespace mn ON mn.oid = m.typnamespace WHERE m.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid))
    FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass o ON o.oid = r.rngsubopc JOIN pg_catalog.pg_namespace op ON op.oid = o.opcnamespace
    WHERE r.rngtypid = t.oid AND r.rngcanonical = 0)
  END,
  NULLIF(concat_ws('; ',
    (SELECT string_agg(format('ALTER DOMAIN %I.%I ADD CONSTRAINT %I %s', n.nspname, t.typname, conname, pg_get_constraintdef(oid)), '; ')
       FROM pg_catalog.pg_constraint WHERE contypid = t.oid AND contype = 'c' AND NOT convalidated),
    (SELECT string_agg(format('COMMENT ON CONSTRAINT %I ON DOMAIN %I.%I IS %L', conname, n.nspname, t.typname,
         obj_description(oid, 'pg_constraint')), '; ' ORDER BY conname)
       FROM pg_catalog.pg_constraint WHERE contypid = t.oid AND obj_description(oid, 'pg_constraint') IS NOT NULL),
    (SELECT string_agg(format('COMMENT ON COLUMN %I.%I.%I IS %L', n.nspname, t.typname, attname, col_description(attrelid, attnum)), '; '
         ORDER BY attnum)
       FROM pg_catalog.pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND col_description(attrelid, attnum) IS NOT NULL),
    format('COMMENT ON TYPE %I.%I IS ', n.nspname, t.typname) || quote_literal(obj_description(t.oid, 'pg_type'))), '')
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid = ANY ($1) AND t.oid >= 16384 AND t.typtype IN ('e', 'd', 'c', 'r', 'b')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_type element WHERE element.typarray = t.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')";

/// Aggregates are no functions that the server could write out.
const FUNCTIONS: &str = "
SELECT p.oid, n.nspname::text, p.oid::regprocedure::text, CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
  format('COMMENT ON ROUTINE %s IS ', p.oid::regprocedure) || quote_literal(obj_description(p.oid, 'pg_proc'))
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.oid = ANY ($1) AND p.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')";

/// Those that a column of the dumped tables owns come with them.
const SEQUENCES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text,
  format('CREATE SEQUENCE %I.%I AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', n.nspname, c.relname,
    format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' END),
  NULL::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
WHERE c.oid = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
    AND (d.deptype = 'e' OR (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ($2) AND d.deptype IN ('a', 'i'))))";

/// The columns differ between the server's versions; as JSON they can be asked for all the same.
const COLLATIONS: &str = "
SELECT c.oid, n.nspname::text, c.collname::text,
  format('CREATE COLLATION %I.%I (provider = %s, %s, deterministic = %s)', n.nspname, c.collname,
    CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
    CASE WHEN c.collprovider IN ('i', 'b')
      THEN format('locale = %L', coalesce(j ->> 'colllocale', j ->> 'colliculocale', j ->> 'collcollate'))
      ELSE format('lc_collate = %L, lc_ctype = %L', j ->> 'collcollate', j ->> 'collctype') END,
    CASE WHEN c.collisdeterministic THEN 'true' ELSE 'false' END), NULL::text
FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace CROSS JOIN LATERAL to_jsonb(c) AS j
WHERE c.oid = ANY ($1) AND c.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_collation'::regclass AND d.objid = c.oid AND d.deptype = 'e')";
