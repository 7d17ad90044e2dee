//! What acts on its own when rows come into a table that is there, or go: triggers, rules, foreign keys of other tables.

use crate::catalog::ask;
use postgres::{Client, Row};
use vb_core::Result;
use vb_postgres::sql::identifier;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Those that run: the table's own, and those of its parts for each row, which a row meets on its way through the table.
    pub(crate) triggers: Vec<Trigger>,
    /// Those that are on. A row on its way to a part does not meet the part's.
    pub(crate) rules: Vec<Rule>,
    /// Those that do something to the rows of another table when one goes to which they point.
    pub(crate) acting: Vec<Acting>,
    /// A foreign key that empties what points at a key that is written anew, even if it is an equal one.
    pub(crate) emptied_by: Option<String>,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    /// Its table, in SQL.
    pub(crate) table: String,
    /// The part that has it, for people; none where the table itself has it.
    pub(crate) part: Option<String>,
    /// Whether it runs even in a session that replicates.
    pub(crate) always: bool,
    /// Whether its parts have it as it is, and only through it.
    pub(crate) with_parts: bool,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) event: Event,
}

/// What a statement does to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Insert,
    Update,
    Delete,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acting {
    /// Its name and its table's, for people.
    pub(crate) name: String,
    /// What follows FROM to have its table's own rows.
    pub(crate) from: String,
    /// Its columns, each with the one at which it points.
    pub(crate) columns: Vec<(String, String)>,
}

/// Asks for all of them.
pub(crate) fn of(client: &mut Client, oid: u32) -> Result<Surroundings> {
    let trigger = |row: &Row| Trigger {
        name: row.get(0),
        always: row.get(1),
        table: row.get(2),
        part: row.get(3),
        with_parts: row.get(4),
    };
    let rule = |row: &Row| Rule {
        name: row.get(0),
        event: match row.get(1) {
            "2" => Event::Update,
            "3" => Event::Insert,
            _ => Event::Delete,
        },
    };
    let acting = |row: &Row| {
        let (own, theirs): (Vec<String>, Vec<String>) = (row.get(3), row.get(2));
        Acting { name: row.get(0), from: row.get(1), columns: own.into_iter().zip(theirs).collect() }
    };
    Ok(Surroundings {
        triggers: ask(client, TRIGGERS, &[&oid])?.iter().map(trigger).collect(),
        rules: ask(client, RULES, &[&oid])?.iter().map(rule).collect(),
        acting: ask(client, ACTING, &[&oid])?.iter().map(acting).collect(),
        emptied_by: ask(client, EMPTIED_BY, &[&oid])?.first().map(|row| row.get(0)),
    })
}

impl Acting {
    /// Whether one of its rows, called `pointing`, points at the row called `known`.
    pub(crate) fn points(&self) -> String {
        let points =
            |(own, other): &(String, String)| format!("pointing.{} = known.{}", identifier(own), identifier(other));
        self.columns.iter().map(points).collect::<Vec<_>>().join(" AND ")
    }
}

/// Those of foreign keys and of deferrable keys are internal: they only check. Before 15, so are those that a part has from its parent,
/// which only a superuser may touch alone; where all are as the parent's is, they go with it.
const TRIGGERS: &str = "WITH tree AS (SELECT $1::oid AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1)), \
       found AS (SELECT t.tgrelid, t.tgname, t.tgenabled, t.tgisinternal FROM pg_catalog.pg_trigger t WHERE t.tgrelid IN (SELECT oid FROM tree) \
         AND (t.tgrelid = $1 OR t.tgtype & 1 = 1) AND (NOT t.tgisinternal OR NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k \
           WHERE k.oid = t.tgconstraint AND k.contype <> 't'))), \
       passed AS (SELECT tgname FROM found GROUP BY tgname \
         HAVING bool_or(tgisinternal) AND bool_or(tgrelid = $1 AND NOT tgisinternal) AND count(DISTINCT tgenabled) = 1) \
     SELECT t.tgname::text, t.tgenabled = 'A', format('%I.%I', n.nspname, c.relname), \
       CASE WHEN c.oid <> $1 AND NOT EXISTS (SELECT FROM found own WHERE own.tgrelid = $1 AND own.tgname = t.tgname) \
         THEN n.nspname || '.' || c.relname END, \
       t.tgname IN (SELECT tgname FROM passed) \
     FROM found t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE t.tgenabled IN ('O', 'A') AND NOT (t.tgisinternal AND t.tgname IN (SELECT tgname FROM passed)) \
     ORDER BY c.oid <> $1, 3, 1";

const RULES: &str = "SELECT rulename::text, ev_type::text FROM pg_catalog.pg_rewrite \
     WHERE ev_class = $1 AND ev_type <> '1' AND ev_enabled IN ('O', 'A') ORDER BY 1";

/// Each once: not those that parts have of one on the whole, on either side. What points at rows of the same table is not another's.
const ACTING: &str = "WITH tree AS (SELECT $1::oid AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1)), \
       pointing AS (SELECT * FROM pg_catalog.pg_constraint k WHERE contype = 'f' AND confrelid IN (SELECT oid FROM tree) \
         AND conrelid NOT IN (SELECT oid FROM tree) AND COALESCE((to_jsonb(k) ->> 'conenforced')::boolean, true)) \
     SELECT format('%s of %s', k.conname, k.conrelid::regclass), \
       CASE WHEN c.relkind = 'p' THEN '' ELSE 'ONLY ' END || format('%I.%I', n.nspname, c.relname), \
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, place) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY place), \
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY place) \
     FROM pointing k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE k.confdeltype IN ('c', 'n', 'd') AND k.conparentid NOT IN (SELECT oid FROM pointing) ORDER BY 1";

const EMPTIED_BY: &str = "SELECT format('%s of %s', conname, conrelid::regclass) FROM pg_catalog.pg_constraint \
     WHERE contype = 'f' AND confrelid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1)) \
     AND confupdtype IN ('n', 'd') ORDER BY 1 LIMIT 1";
