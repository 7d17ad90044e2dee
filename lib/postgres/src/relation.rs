//! What kind of relation a name stands for, and which others belong to it: parts, ancestors, children, sequences.

use crate::connection::from_postgres;
use crate::script::parse_name;
use crate::sql::identifier;
use crate::stored_schema::{Name, Sequence};
use postgres::GenericClient;
use postgres::error::SqlState;
use vb_core::{Error, Result};

const STEP: &str = "reading the catalog";

/// What rows can be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// A table that has rows of its own.
    Table,
    /// A table whose rows lie in its parts.
    Partitioned,
    /// A view.
    View,
    /// A materialised view.
    MaterializedView,
    /// A table of another server.
    ForeignTable,
}

impl RelationKind {
    /// From `relkind`.
    ///
    /// # Errors
    /// A usage error for what has no rows of its own to export.
    pub fn of(relkind: &str, name: &str) -> Result<Self> {
        let other = match relkind {
            "r" => return Ok(Self::Table),
            "p" => return Ok(Self::Partitioned),
            "v" => return Ok(Self::View),
            "m" => return Ok(Self::MaterializedView),
            "f" => return Ok(Self::ForeignTable),
            "S" => "a sequence",
            "i" | "I" => "an index",
            "c" => "a composite type",
            _ => "no table",
        };
        Err(Error::usage(format!("{name} is {other}, which has no rows to export"))
            .with_hint("Name a table, a view, a materialised view or a foreign table."))
    }

    /// Whether a restore makes it again as it was, and not only a table of its rows.
    #[must_use]
    pub fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::Partitioned)
    }
}

/// The oid of the relation by the name that the user gave: as SQL reads it, or else letter by letter. None if there is none.
///
/// # Errors
/// If the server does not answer.
pub fn find(client: &mut impl GenericClient, name: &str) -> Result<Option<u32>> {
    let literal = name.split_once('.').map(|(schema, table)| (Some(schema.to_owned()), table.to_owned()));
    let candidates = [parse_name(name), literal, Some((None, name.to_owned()))];
    let query = "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relname = $2 AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $1 END";
    for (schema, table) in candidates.into_iter().flatten() {
        let found = client.query_opt(query, &[&schema, &table]).map_err(|cause| from_postgres(STEP, cause))?;
        if let Some(row) = found {
            return Ok(Some(row.get(0)));
        }
    }
    Ok(None)
}

/// The relation's name, and whether policies hide rows of it from this session.
///
/// # Errors
/// If the server does not answer.
pub fn name(client: &mut impl GenericClient, oid: u32) -> Result<(Name, bool)> {
    let query = "SELECT n.nspname::text, c.relname::text, c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid) \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    let row = client.query_one(query, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok((Name { schema: row.get(0), name: row.get(1) }, row.get(2)))
}

/// Takes the lock that every reader takes, and keeps it until the transaction's end. False where another session holds one that
/// forbids it for longer than `lock_timeout`.
///
/// # Errors
/// Any other refusal.
pub fn lock(client: &mut impl GenericClient, name: &Name, only: bool) -> Result<bool> {
    let only = if only { "ONLY " } else { "" };
    let query = format!("SELECT FROM {only}{}.{} LIMIT 0", identifier(&name.schema), identifier(&name.name));
    match client.batch_execute(&query) {
        Ok(()) => Ok(true),
        Err(cause) if cause.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(false),
        Err(cause) => Err(from_postgres(format!("exporting {}.{}", name.schema, name.name), cause)),
    }
}

/// Whether a relation was rewritten, truncated or dropped after the transaction's snapshot: its rows would be missing in it.
/// To be asked when the lock is held.
///
/// # Errors
/// If the server does not answer.
pub fn was_rewritten(client: &mut impl GenericClient, oid: u32) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
                   WHERE c.oid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid)) AND c.relkind IN ('r', 'm') \
                   AND c.relfilenode <> 0 AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid))";
    Ok(client.query_one(query, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?.get(0))
}

/// The relation and, of a partitioned one, all its parts, each with whether it lies on another server.
///
/// # Errors
/// If the server does not answer.
pub fn tree(client: &mut impl GenericClient, oid: u32) -> Result<Vec<(u32, Name, bool)>> {
    let query = "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'f' FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.oid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid)) ORDER BY c.oid <> $1, 2, 3";
    let rows = client.query(query, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().map(|row| (row.get(0), Name { schema: row.get(1), name: row.get(2) }, row.get(3))).collect())
}

/// Tables that a table inherits from, the farthest first; whether it names them itself; none for a part of a partitioned table.
///
/// # Errors
/// If the server does not answer.
pub fn ancestors(client: &mut impl GenericClient, oid: u32) -> Result<Vec<(u32, Name, bool)>> {
    let query = "WITH RECURSIVE up (oid, depth) AS ( \
                   SELECT i.inhparent, 1 FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
                     WHERE i.inhrelid = $1 AND NOT c.relispartition \
                   UNION ALL SELECT i.inhparent, depth + 1 FROM up JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.oid) \
                 SELECT c.oid, n.nspname::text, c.relname::text, min(depth) = 1 FROM up JOIN pg_catalog.pg_class c USING (oid) \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace GROUP BY 1, 2, 3 ORDER BY max(depth) DESC, 2, 3";
    let rows = client.query(query, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().map(|row| (row.get(0), Name { schema: row.get(1), name: row.get(2) }, row.get(3))).collect())
}

/// Tables that inherit from this one and are no parts of it, at any depth.
///
/// # Errors
/// If the server does not answer.
pub fn children(client: &mut impl GenericClient, oid: u32) -> Result<Vec<String>> {
    let query = "WITH RECURSIVE down (oid) AS ( \
                   SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
                     WHERE i.inhparent = $1 AND NOT c.relispartition \
                   UNION SELECT i.inhrelid FROM down JOIN pg_catalog.pg_inherits i ON i.inhparent = down.oid) \
                 SELECT format('%I.%I', n.nspname, c.relname) FROM down JOIN pg_catalog.pg_class c USING (oid) \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY 1";
    let rows = client.query(query, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// All that a dump of these relations makes: they themselves, their indexes, the sequences that they own, their statistics.
///
/// # Errors
/// If the server does not answer.
pub fn own_names(client: &mut impl GenericClient, oids: &[u32]) -> Result<Vec<Name>> {
    let query = "SELECT n.nspname::text, own.name FROM ( \
                   SELECT relnamespace, relname::text FROM pg_catalog.pg_class WHERE oid = ANY ($1) \
                   UNION SELECT c.relnamespace, c.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
                     WHERE i.indrelid = ANY ($1) \
                   UNION SELECT stxnamespace, stxname FROM pg_catalog.pg_statistic_ext WHERE stxrelid = ANY ($1) \
                   UNION SELECT c.relnamespace, c.relname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' \
                     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass \
                       AND d.refobjid = ANY ($1) AND d.deptype IN ('a', 'i') \
                 ) AS own (namespace, name) JOIN pg_catalog.pg_namespace n ON n.oid = own.namespace ORDER BY 1, 2";
    let rows = client.query(query, &[&oids]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().map(|row| Name { schema: row.get(0), name: row.get(1) }).collect())
}

/// The statements that make the extended statistics of these relations, and what is said of them; `pg_dump` of a table leaves them out
/// in some versions.
///
/// # Errors
/// If the server does not answer.
pub fn statistics(client: &mut impl GenericClient, oids: &[u32]) -> Result<Vec<String>> {
    let query = "SELECT pg_catalog.pg_get_statisticsobjdef(s.oid), \
                   CASE WHEN s.stxstattarget >= 0 THEN format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget) END, \
                   format('COMMENT ON STATISTICS %I.%I IS ', n.nspname, s.stxname) || quote_literal(obj_description(s.oid, 'pg_statistic_ext')) \
                 FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace \
                 WHERE stxrelid = ANY ($1) ORDER BY stxname";
    let rows = client.query(query, &[&oids]).map_err(|cause| from_postgres(STEP, cause))?;
    Ok(rows.iter().flat_map(|row| (0..3).filter_map(|column| row.get::<_, Option<String>>(column))).collect())
}

/// Where the sequences stand that these relations own or take values from, and the names of those that we may not read.
///
/// # Errors
/// If the server does not answer.
pub fn sequences(client: &mut impl GenericClient, oids: &[u32]) -> Result<(Vec<Sequence>, Vec<Name>)> {
    let query = "SELECT DISTINCT ON (1, 2) n.nspname::text, s.relname::text, \
                   (SELECT a.attname::text FROM pg_catalog.pg_depend o JOIN pg_catalog.pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid \
                      WHERE o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = s.oid AND o.refclassid = 'pg_catalog.pg_class'::regclass \
                        AND o.refobjid = ($1::oid[])[1] AND o.deptype IN ('a', 'i') LIMIT 1), \
                   pg_catalog.has_sequence_privilege(s.oid, 'SELECT') \
                 FROM pg_catalog.pg_class s JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace \
                 WHERE s.relkind = 'S' AND ( \
                   EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid \
                     AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ($1) AND d.deptype IN ('a', 'i')) \
                   OR EXISTS (SELECT FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid \
                     WHERE f.adrelid = ANY ($1) AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = s.oid))";
    let rows = client.query(query, &[&oids]).map_err(|cause| from_postgres(STEP, cause))?;
    let (mut sequences, mut hidden) = (Vec::new(), Vec::new());
    for row in rows {
        let name = Name { schema: row.get(0), name: row.get(1) };
        if !row.get::<_, bool>(3) {
            hidden.push(name);
            continue;
        }
        let value =
            format!("SELECT last_value, is_called FROM {}.{}", identifier(&name.schema), identifier(&name.name));
        let value = client.query_one(&value, &[]).map_err(|cause| from_postgres("reading a sequence", cause))?;
        sequences.push(Sequence { name, column: row.get(2), last_value: value.get(0), is_called: value.get(1) });
    }
    Ok((sequences, hidden))
}
