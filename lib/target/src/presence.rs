//! Which of the things that a stored schema needs are in the target's database already: they are left as they are.

use postgres::Client;
use vb_core::Result;
use vb_postgres::connection::from_postgres;
use vb_postgres::stored_schema::{Object, ObjectKind, StoredSchema};

const STEP: &str = "reading the target's catalog";

/// What is there, in the order of the stored schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) objects: Vec<bool>,
    pub(crate) ancestors: Vec<bool>,
    /// The server's process for this session, which makes the name of a scratch schema its own.
    pub(crate) backend: i32,
    /// Whether it makes no difference where the table is made, if it is moved to its place in the end.
    pub(crate) place_is_free: bool,
    /// Whether no name of the table and of what belongs to it is taken there.
    pub(crate) names_are_free: bool,
}

/// Looks each of them up. Within the restore's transaction. `schema` is the one that the table shall be in.
pub(crate) fn of(client: &mut Client, stored: &StoredSchema, schema: &str) -> Result<Present> {
    let refused = |cause| from_postgres(STEP, cause);
    // A function's arguments are compared as they were written: with the schema of every type.
    client.batch_execute("SET LOCAL search_path = ''").map_err(refused)?;
    let mut present = Present::default();
    for object in &stored.objects {
        let row = client.query_one(query(object.kind), &parameters(object)).map_err(refused)?;
        present.objects.push(row.get(0));
    }
    for ancestor in &stored.ancestors {
        let row = client.query_one(RELATION, &[&ancestor.name.name, &ancestor.name.schema]).map_err(refused)?;
        present.ancestors.push(row.get(0));
    }
    client.batch_execute("SET LOCAL search_path TO DEFAULT").map_err(refused)?;
    present.backend = client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).map_err(refused)?.get(0);
    let names: Vec<&str> = stored.relations.iter().map(|relation| relation.name.as_str()).collect();
    let place = client.query_one(PLACE, &[&schema, &names]).map_err(refused)?;
    let published = client.query_opt(PUBLISHED_SCHEMAS, &[]).map_err(refused)?.is_some()
        && client.query_opt(PUBLISHED, &[&schema]).map_err(refused)?.is_some();
    (present.place_is_free, present.names_are_free) = (place.get::<_, bool>(0) && !published, place.get(1));
    Ok(present)
}

/// Whether the role may make schemas, nothing gives rights to what is made in the table's own, and no publication takes what is made
/// anywhere; and whether no name of the table or of what belongs to it is taken.
const PLACE: &str = "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') \
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE puballtables) \
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace \
         WHERE n.nspname = $1), \
     NOT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]))";

/// Whether publications can be of schemas: before 15 they cannot.
const PUBLISHED_SCHEMAS: &str =
    "SELECT 1 WHERE pg_catalog.to_regclass('pg_catalog.pg_publication_namespace') IS NOT NULL";
const PUBLISHED: &str = "SELECT 1 FROM pg_catalog.pg_publication_namespace p JOIN pg_catalog.pg_namespace n ON n.oid = p.pnnspid \
     WHERE n.nspname = $1";

fn parameters(object: &Object) -> Vec<&(dyn postgres::types::ToSql + Sync)> {
    match object.kind {
        ObjectKind::Schema | ObjectKind::Extension => vec![&object.name],
        _ => vec![&object.name, &object.schema],
    }
}

const RELATION: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relname = $1 AND n.nspname = $2)";

fn query(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Schema => "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)",
        ObjectKind::Extension => "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = $1)",
        ObjectKind::Type => {
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             WHERE t.typname = $1 AND n.nspname = $2)"
        }
        ObjectKind::Function => {
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             WHERE p.oid::pg_catalog.regprocedure::text = $1 AND n.nspname = $2)"
        }
        ObjectKind::Sequence => RELATION,
        ObjectKind::Collation => {
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace \
             WHERE c.collname = $1 AND n.nspname = $2)"
        }
    }
}
