//! Where a table's rows lie: its own pages, and those of its partitions and children.

use crate::connection::from_postgres;
use crate::sql::identifier;
use postgres::{GenericClient, Row};
use vb_core::{Error, Result};

/// A relation that holds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Its oid.
    pub oid: u32,
    /// The `relfilenode`, which changes when it is rewritten or truncated; 0 where it has none.
    pub filenode: u32,
    /// Its name, schema first, quoted.
    pub name: String,
    /// Its pages. More may come, but none that the snapshot sees.
    pub pages: u32,
    /// Whether a range of pages can be read by itself: a heap, on a server that knows how.
    pub by_page: bool,
    /// Whether each of its rows knows the transaction that wrote it: a heap of this server.
    pub has_xmin: bool,
}

/// The relations whose rows are the table's, in a fixed order: `only` its own, or also those of its parts and children. None
/// for what has no pages of its own, such as a view.
///
/// # Errors
/// If the server refuses.
pub fn of(client: &mut impl GenericClient, oid: u32, only: bool) -> Result<Vec<Extent>> {
    let rows = client.query(TREE, &[&oid, &only]);
    rows.map_err(|cause| from_postgres("reading where the rows lie", cause))?.iter().map(extent).collect()
}

/// Whether the transaction that exported this snapshot keeps the table from being rewritten: then its pages hold the same
/// rows for whoever reads them, and whenever. The snapshot's name begins with the transaction's virtual id
/// (`ExportSnapshot` in snapmgr.c).
///
/// # Errors
/// If the server refuses.
pub fn is_held(client: &mut impl GenericClient, oid: u32, snapshot: &str) -> Result<bool> {
    let mut numbers = snapshot.split('-').map(|number| u32::from_str_radix(number, 16));
    let (Some(Ok(backend)), Some(Ok(transaction))) = (numbers.next(), numbers.next()) else { return Ok(false) };
    let row = client.query_one(HELD, &[&oid, &format!("{backend}/{transaction}")]);
    Ok(row.map_err(|cause| from_postgres("looking for the snapshot's lock", cause))?.get(0))
}

/// Partitions of partitions too, but none that is being detached (`DETACH PARTITION … CONCURRENTLY`, from 14 on), whose rows are the table's
/// no longer. From 14 on a range of pages is read without the rest (`Tid Range Scan`).
const TREE: &str = "\
    WITH RECURSIVE tree AS (SELECT $1::oid AS oid \
     UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid \
       WHERE NOT $2 AND to_jsonb(i) ->> 'inhdetachpending' IS DISTINCT FROM 'true') \
    SELECT n.nspname::text, c.relname::text, \
     (COALESCE(pg_catalog.pg_relation_size(c.oid), 0) / current_setting('block_size')::int)::int8, \
     COALESCE(a.amname = 'heap', false) AND current_setting('server_version_num')::int >= 140000, \
     c.oid, COALESCE(pg_catalog.pg_relation_filenode(c.oid), 0), COALESCE(a.amname = 'heap', false) \
    FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam \
    WHERE c.relkind IN ('r', 'm', 'f') ORDER BY c.oid";

const HELD: &str = "\
    WITH RECURSIVE tree AS (SELECT $1::oid AS oid \
     UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid) \
    SELECT NOT EXISTS (SELECT FROM tree WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_locks l \
     WHERE l.locktype = 'relation' AND l.relation = tree.oid AND l.granted AND l.virtualtransaction = $2 \
     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())))";

fn extent(row: &Row) -> Result<Extent> {
    let (schema, table): (String, String) = (row.get(0), row.get(1));
    let pages = u32::try_from(row.get::<_, i64>(2)).map_err(|_| Error::failure("a table has too many pages"))?;
    let name = format!("{}.{}", identifier(&schema), identifier(&table));
    Ok(Extent { oid: row.get(4), filenode: row.get(5), name, pages, by_page: row.get(3), has_xmin: row.get(6) })
}
