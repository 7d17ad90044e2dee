//! A table that is whole, out of its scratch schema and under the name that was asked for, with all that belongs to it.

use crate::definition::full_name;
use crate::errors::refused;
use crate::schema::Move;
use postgres::Client;
use std::collections::BTreeSet;
use vb_core::Result;
use vb_postgres::connection::from_postgres;
use vb_postgres::sql::identifier;

/// The longest name that the server keeps, in bytes.
const LONGEST: usize = 63;

/// What lies in a scratch schema.
struct Found {
    schema: String,
    name: String,
    kind: String,
    /// Whether it goes where its table goes.
    follows: bool,
}

/// Renames everything and moves it. Names that begin with the old table's get the new one's in its place, as if the server had
/// chosen them; where a name is taken, a number is added.
pub(crate) fn out_of_scratch(client: &mut Client, step: &str, moved: &Move) -> Result<()> {
    let run =
        |client: &mut Client, statement: &str| client.batch_execute(statement).map_err(|cause| refused(step, cause));
    for ancestor in &moved.dropped {
        run(client, &format!("DROP TABLE {ancestor}"))?;
    }
    let mut taken = taken(client, step, &moved.to.schema)?;
    for found in found(client, step, moved)? {
        let is_table =
            found.name == moved.from.name && moved.scratch.contains(&(moved.from.schema.clone(), found.schema.clone()));
        let name = if is_table { moved.to.name.clone() } else { free_name(&found.name, moved, &taken) };
        let (place, alter) = (full_name(&found.schema, &found.name), format!("ALTER {}", found.kind));
        if name != found.name {
            run(client, &format!("{alter} {place} RENAME TO {}", identifier(&name)))?;
        }
        if !found.follows {
            let place = full_name(&found.schema, &name);
            run(client, &format!("{alter} {place} SET SCHEMA {}", identifier(&moved.to.schema)))?;
        }
        taken.insert(name);
    }
    moved.scratch.iter().try_for_each(|(_, scratch)| run(client, &format!("DROP SCHEMA {}", identifier(scratch))))
}

/// Names of relations in the schema that everything moves to.
fn taken(client: &mut Client, step: &str, schema: &str) -> Result<BTreeSet<String>> {
    let query = "SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 \
                 UNION SELECT stxname::text FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace WHERE n.nspname = $1";
    let rows = client.query(query, &[&schema]).map_err(|cause| from_postgres(step, cause))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Indexes and owned sequences are renamed while they are still alone, and then follow their table.
fn found(client: &mut Client, step: &str, moved: &Move) -> Result<Vec<Found>> {
    let schemas: Vec<&str> = moved.scratch.iter().map(|(_, name)| name.as_str()).collect();
    let query = "SELECT n.nspname::text, c.relname::text, CASE WHEN c.relkind IN ('i', 'I') THEN 'INDEX' WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, \
                   c.relkind IN ('i', 'I', 'S'), 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'i', 'I', 'S') \
                 UNION ALL SELECT n.nspname::text, s.stxname::text, 'STATISTICS', false, 1 FROM pg_catalog.pg_statistic_ext s \
                   JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace WHERE n.nspname = ANY ($1) \
                 ORDER BY 4 DESC, 1, 2";
    let rows = client.query(query, &[&schemas]).map_err(|cause| from_postgres(step, cause))?;
    let found =
        |row: &postgres::Row| Found { schema: row.get(0), name: row.get(1), kind: row.get(2), follows: row.get(3) };
    Ok(rows.iter().map(found).collect())
}

fn free_name(name: &str, moved: &Move, taken: &BTreeSet<String>) -> String {
    let wanted = match name.strip_prefix(moved.from.name.as_str()).filter(|rest| rest.starts_with('_')) {
        Some(rest) => format!("{}{rest}", moved.to.name),
        None => name.to_owned(),
    };
    let numbered = (1..).map(|number| shortened(&wanted, &format!("_{number}")));
    std::iter::once(shortened(&wanted, "")).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(wanted)
}

fn shortened(name: &str, ending: &str) -> String {
    let mut end = name.len().min(LONGEST - ending.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_postgres::stored_schema::Name;

    #[test]
    fn names_follow_the_table_and_are_free() {
        let name = |name: &str| Name { schema: "s".to_owned(), name: name.to_owned() };
        let moved = Move { from: name("notes"), to: name("copy"), scratch: Vec::new(), dropped: Vec::new() };
        let taken = BTreeSet::from(["copy_pkey".to_owned(), "by_day".to_owned()]);
        for (was, is) in [
            ("notes_id_seq", "copy_id_seq"),
            ("notes_pkey", "copy_pkey_1"),
            ("by_day", "by_day_1"),
            ("notesx", "notesx"),
        ] {
            assert_eq!(free_name(was, &moved, &taken), is);
        }
        assert_eq!(shortened(&"ü".repeat(40), "_1").len(), 62);
    }
}
