//! The statements before and after the rows, as the target's server is to run them.

use super::crew::{run, share_apart};
use super::locks::{Locking, largest_first};
use super::phases::{Phases, Placed, placed};
use super::restore::Options;
use postgres::Client;
use std::collections::{BTreeMap, HashSet};
use vb_core::Result;
use vb_postgres::connection::from_postgres;
use vb_postgres::script::{gives_an_owner, parse_name, statements_and_places};
use vb_postgres::stored_schema::Name;

/// Statements that say whose something is, or who may use it.
const OF_ROLES: [&str; 3] = ["GRANT ", "REVOKE ", "ALTER DEFAULT PRIVILEGES "];

/// The statements of a section, each with its tablespace if that is here; the tablespaces that are not.
pub(super) fn statements(client: &mut Client, text: &str, options: &Options) -> Result<(Vec<Placed>, Vec<String>)> {
    let rows = client.query("SELECT spcname::text FROM pg_catalog.pg_tablespace", &[]);
    let rows = rows.map_err(|cause| from_postgres("reading the tablespaces", cause))?;
    let here: HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut missing = Vec::new();
    let mut all = placed(statements_and_places(text));
    all.retain(|statement| !options.no_owner || !is_about_roles(&statement.sql));
    for statement in &mut all {
        let name = statement.tablespace.as_deref().and_then(parse_name).map(|(_, name)| name);
        if let Some(name) = name.filter(|name| !here.contains(name)) {
            statement.tablespace = None;
            if !missing.contains(&name) {
                missing.push(name);
            }
        }
    }
    Ok((all, missing))
}

fn is_about_roles(statement: &str) -> bool {
    gives_an_owner(statement) || OF_ROLES.iter().any(|begin| statement.starts_with(begin))
}

/// What comes before the rows, in its order.
pub(super) fn before(client: &mut Client, statements: &[Placed]) -> Result<()> {
    statements.iter().try_for_each(|statement| place(client, statement))
}

/// What follows them: what connections can share is shared out. `rows` is how many each table has.
pub(super) fn after(clients: &mut [Client], statements: Vec<Placed>, rows: &BTreeMap<&Name, u64>) -> Result<()> {
    let phases = Phases::of(statements);
    side_by_side(clients, &largest_first(phases.indexes, rows))?;
    in_order(clients, &phases.others)?;
    side_by_side(clients, &largest_first(phases.foreign_keys, rows))?;
    in_order(clients, &phases.refreshes)?;
    in_order(clients, &phases.event_triggers)
}

fn side_by_side(clients: &mut [Client], statements: &[Locking]) -> Result<()> {
    share_apart(clients, statements, Locking::keeps_waiting, |client, locking| place(client, &locking.statement))
}

fn in_order(clients: &mut [Client], statements: &[Placed]) -> Result<()> {
    let Some(client) = clients.first_mut() else { return Ok(()) };
    statements.iter().try_for_each(|statement| place(client, statement))
}

fn place(client: &mut Client, statement: &Placed) -> Result<()> {
    let step = "making the schema";
    let made = |client: &mut Client| {
        run(client, step, &statement.sql).map_err(|error| match is_about_roles(&statement.sql) {
            true => error.with_hint("Make the role first, or leave owners and privileges out with --no-owner."),
            false => error,
        })
    };
    let Some(tablespace) = &statement.tablespace else { return made(client) };
    run(client, step, &format!("SET default_tablespace = {tablespace}"))?;
    made(client)?;
    run(client, step, "SET default_tablespace = ''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_roles_is_known() {
        for about in [
            "ALTER TABLE public.a OWNER TO bob",
            "GRANT SELECT ON TABLE a TO b",
            "ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT b",
        ] {
            assert!(is_about_roles(about), "{about}");
        }
        let function = "CREATE FUNCTION f() RETURNS void\n LANGUAGE sql AS 'ALTER TABLE a OWNER TO b'";
        assert!(!is_about_roles(function) && !is_about_roles("ALTER TABLE a ADD COLUMN b integer"));
    }
}
