//! What a table needs that `pg_dump` leaves out when it dumps a table alone: types, functions, extensions, free sequences.
//!
//! The server knows it all in `pg_depend`. We walk from the table to what it uses and to what belongs to it (defaults, constraints,
//! indexes, triggers), and from there on, but not into other tables.

mod creation;
mod graph;

use crate::connection::from_postgres;
use crate::stored_schema::Object;
use graph::{Graph, Node};
use postgres::GenericClient;
use vb_core::Result;

const STEP: &str = "reading what the table depends on";

/// What a table needs, in the order in which it can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// What can be made.
    pub objects: Vec<Object>,
    /// What cannot, by the server's own description: it must be there on restore.
    pub not_carried: Vec<String>,
}

/// What these relations need. The session's `search_path` must be empty, so that every name comes with its schema.
///
/// # Errors
/// If the server refuses to tell.
pub fn of(client: &mut impl GenericClient, relations: &[u32]) -> Result<Needs> {
    let class: u32 = class_oid(client)?;
    let roots: Vec<Node> = relations.iter().map(|oid| Node { class, object: *oid }).collect();
    let mut graph = Graph::default();
    let mut frontier = roots.clone();
    while !frontier.is_empty() {
        let edges = edges(client, &frontier)?;
        frontier = graph.add(&frontier, &edges);
    }
    let order = graph.ordered(&roots);
    let made = creation::of(client, &order, relations)?;
    Ok(made)
}

fn class_oid(client: &mut impl GenericClient) -> Result<u32> {
    let row = client.query_one("SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid", &[]);
    Ok(row.map_err(|cause| from_postgres(STEP, cause))?.get(0))
}

/// What these nodes lead to.
fn edges(client: &mut impl GenericClient, nodes: &[Node]) -> Result<Vec<graph::Edge>> {
    let classes: Vec<u32> = nodes.iter().map(|node| node.class).collect();
    let objects: Vec<u32> = nodes.iter().map(|node| node.object).collect();
    let rows = client.query(EDGES, &[&classes, &objects]).map_err(|cause| from_postgres(STEP, cause))?;
    let edge = |row: &postgres::Row| graph::Edge {
        from: Node { class: row.get(0), object: row.get(1) },
        to: Node { class: row.get(2), object: row.get(3) },
        is_membership: row.get(4),
    };
    Ok(rows.iter().map(edge).collect())
}

/// Objects below 16384 come with every database (`FirstNormalObjectId`).
const EDGES: &str = "
WITH node AS (SELECT * FROM unnest($1::oid[], $2::oid[]) AS node (classid, objid)),
uses AS (
    SELECT d.classid, d.objid, d.refclassid, d.refobjid, d.deptype = 'e' AS member
    FROM node JOIN pg_catalog.pg_depend d USING (classid, objid)
    WHERE d.deptype IN ('n', 'a', 'i', 'e')
      AND (d.refclassid <> 'pg_catalog.pg_class'::regclass
           OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.refobjid AND c.relkind IN ('S', 'c')))
), belongs AS (
    SELECT d.refclassid, d.refobjid, d.classid, d.objid, false
    FROM node JOIN pg_catalog.pg_depend d ON d.refclassid = node.classid AND d.refobjid = node.objid
    WHERE d.deptype IN ('a', 'i', 'P', 'S') AND d.classid IN (
        'pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_class'::regclass,
        'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_rewrite'::regclass,
        'pg_catalog.pg_statistic_ext'::regclass)
), composite AS (
    SELECT node.classid, node.objid, 'pg_catalog.pg_class'::regclass::oid, c.oid, false
    FROM node JOIN pg_catalog.pg_type t ON node.classid = 'pg_catalog.pg_type'::regclass AND t.oid = node.objid
    JOIN pg_catalog.pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
)
SELECT * FROM uses WHERE refobjid >= 16384
UNION SELECT * FROM belongs WHERE objid >= 16384
UNION SELECT * FROM composite ORDER BY 1, 2, 3, 4";
