//! What stands on a server only as long as somebody works on it: schemas and databases that are not whole yet. Each bears a mark, and as
//! long as the work goes on one of its connections holds a lock of the server on the name; what bears the mark and is not locked was left
//! by a process that was killed, and the next one drops it.

mod database;

pub use database::Database;

use postgres::{Client, Error};

/// The comment on a schema that is not whole yet.
pub const MARK: &str = "vb-import: on its way; to be dropped if no restore is running";

/// The connection limit of a database that is not whole yet, far beyond what a server takes. A comment would come a statement after the
/// database, and whoever is killed in between would leave one without.
const LIMIT: i32 = 0x7662_7662;

/// The first key of the locks: "vb". The second one is the name's hash.
const KEY: i32 = 0x7662;

/// Keeps a connection that only holds locks from being ended by a setting, which 13 does not know.
const STAY: &str =
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'";

/// Where a server lists what may be on its way.
#[derive(Debug, Clone, Copy)]
pub enum Listed {
    /// The schemas of the database that a connection is in.
    Schemas,
    /// The databases of the server, locked by connections to the same one.
    Databases,
}

/// In SQL: takes the lock on a name, which is an expression, after waiting for whoever is just looking whether it is held.
#[must_use]
pub fn claim(name: &str) -> String {
    format!("SELECT pg_catalog.pg_advisory_lock({KEY}, pg_catalog.hashtext({name}))")
}

/// The names with this beginning of what nobody works on any more, as far as we may drop it. The connection holds the locks from now on.
///
/// # Errors
/// Those of the server.
pub fn abandoned(client: &mut Client, listed: Listed, beginning: &str) -> Result<Vec<String>, Error> {
    let (catalog, name, owner, mark) = match listed {
        Listed::Schemas => {
            let comment = format!("pg_catalog.obj_description(oid, 'pg_namespace') = '{MARK}'");
            ("pg_namespace", "nspname", "nspowner", comment)
        }
        Listed::Databases => ("pg_database", "datname", "datdba", format!("datconnlimit = {LIMIT}")),
    };
    // Only what bears the mark is asked for its lock.
    let query = format!(
        "WITH marked AS MATERIALIZED (SELECT {name}::text AS name FROM pg_catalog.{catalog} \
         WHERE pg_catalog.starts_with({name}::text, $1) AND {mark} AND pg_catalog.pg_has_role({owner}, 'USAGE')) \
         SELECT name FROM marked WHERE pg_catalog.pg_try_advisory_lock({KEY}, pg_catalog.hashtext(name)) ORDER BY name"
    );
    Ok(client.query(&query, &[&beginning])?.iter().map(|row| row.get(0)).collect())
}
