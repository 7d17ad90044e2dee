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
    /// Whether the role may make schemas.
    pub(crate) may_make_schemas: bool,
}

/// Looks each of them up. Within the restore's transaction.
pub(crate) fn of(client: &mut Client, stored: &StoredSchema) -> Result<Present> {
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
    let own = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')";
    let own = client.query_one(own, &[]).map_err(refused)?;
    (present.backend, present.may_make_schemas) = (own.get(0), own.get(1));
    Ok(present)
}

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
