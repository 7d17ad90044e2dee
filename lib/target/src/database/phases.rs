//! What follows the rows, in an order in which connections can share it. Pure.
//!
//! `pg_dump` sorts it so that each statement finds what it needs before it. Indexes and keys need nothing but rows, and nothing that
//! is no index comes before what they need; foreign keys need the keys and are needed by nothing. So the first and the last can be
//! shared out, and everything else stays in its order between them; but for event triggers, which come last of all.

/// A statement, and the tablespace in which it makes what it makes, as SQL; none where that is the database's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) sql: String,
    pub(super) tablespace: Option<String>,
}

/// The statements of a dump, each with the tablespace that was set before it. What is set of access methods stays a statement.
pub(super) fn placed(statements: Vec<String>) -> Vec<Placed> {
    let (mut all, mut tablespace) = (Vec::new(), None);
    for sql in statements {
        match sql.strip_prefix("SET default_tablespace = ") {
            Some("''") => tablespace = None,
            Some(name) => tablespace = Some(name.to_owned()),
            None => all.push(Placed { sql, tablespace: tablespace.clone() }),
        }
    }
    all
}

/// Statements after the rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Phases {
    /// Indexes, primary keys, unique and exclusion constraints.
    pub(super) indexes: Vec<Placed>,
    /// Everything else, in its order.
    pub(super) others: Vec<Placed>,
    /// Foreign keys.
    pub(super) foreign_keys: Vec<Placed>,
    /// The refreshing of materialised views, in its order: theirs may need all that is before.
    pub(super) refreshes: Vec<Placed>,
    /// Event triggers and what is said of them: made before, they would hear of all that follows.
    pub(super) event_triggers: Vec<Placed>,
}

impl Phases {
    /// Sorts the statements of `pg_dump`.
    pub(super) fn of(statements: Vec<Placed>) -> Self {
        let mut phases = Self::default();
        for statement in statements {
            let kind = if builds_an_index(&statement.sql) {
                &mut phases.indexes
            } else if adds_a_foreign_key(&statement.sql) {
                &mut phases.foreign_keys
            } else if statement.sql.starts_with("REFRESH MATERIALIZED VIEW ") {
                &mut phases.refreshes
            } else if EVENT_TRIGGERS.iter().any(|begin| statement.sql.starts_with(begin)) {
                &mut phases.event_triggers
            } else {
                &mut phases.others
            };
            kind.push(statement);
        }
        phases
    }
}

const EVENT_TRIGGERS: [&str; 3] = ["CREATE EVENT TRIGGER ", "ALTER EVENT TRIGGER ", "COMMENT ON EVENT TRIGGER "];

/// A key of a partitioned table itself must be there before those of its parts are attached to it, and is no work: it comes in the same
/// phase, and the attaching follows.
fn builds_an_index(statement: &str) -> bool {
    let is_index = ["CREATE INDEX ", "CREATE UNIQUE INDEX "].iter().any(|begin| statement.starts_with(begin));
    let added = added_constraint(statement);
    let is_key =
        ["PRIMARY KEY", "UNIQUE", "EXCLUDE"].iter().any(|kind| added.is_some_and(|(_, rest)| rest.starts_with(kind)));
    is_index || is_key
}

fn adds_a_foreign_key(statement: &str) -> bool {
    added_constraint(statement).is_some_and(|(_, rest)| rest.starts_with("FOREIGN KEY"))
}

/// The table in `ALTER TABLE table ADD CONSTRAINT name …`, as `pg_dump` writes it, and what follows the name.
pub(super) fn added_constraint(statement: &str) -> Option<(&str, &str)> {
    let (table, rest) = statement.strip_prefix("ALTER TABLE ")?.split_once("\n    ADD CONSTRAINT ")?;
    let Some(quoted) = rest.strip_prefix('"') else { return rest.split_once(' ').map(|(_, rest)| (table, rest)) };
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '"' && letters.next_if(|(_, next)| *next == '"').is_none() {
            return Some((table, quoted[at + 1..].trim_start()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_has_its_phase() {
        let key = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_pkey PRIMARY KEY (id)";
        let odd = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT \"a \"\"FOREIGN KEY\" UNIQUE (b)";
        let foreign = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES public.b(id)";
        let check = "ALTER TABLE public.a\n    ADD CONSTRAINT c CHECK ((id > 0)) NOT VALID";
        let index = "CREATE UNIQUE INDEX i ON public.a USING btree (b)";
        let attach = "ALTER INDEX public.p_pkey ATTACH PARTITION public.a_pkey";
        let refresh = "REFRESH MATERIALIZED VIEW public.v";
        let hears = [
            "CREATE EVENT TRIGGER e ON ddl_command_end\n   EXECUTE FUNCTION public.f()",
            "ALTER EVENT TRIGGER e DISABLE",
        ];
        let mut all =
            [foreign, key, hears[0], hears[1], refresh, attach, check, odd, index].map(str::to_owned).to_vec();
        all.push("COMMENT ON EVENT TRIGGER e IS 'x'".to_owned());
        let phases = Phases::of(placed(all));
        let words = |statements: &[Placed]| statements.iter().map(|one| one.sql.clone()).collect::<Vec<_>>();
        assert_eq!(words(&phases.indexes), [key, odd, index]);
        assert_eq!(words(&phases.others), [attach, check]);
        assert_eq!(words(&phases.event_triggers), [hears[0], hears[1], "COMMENT ON EVENT TRIGGER e IS 'x'"]);
        assert_eq!(
            (words(&phases.foreign_keys), words(&phases.refreshes)),
            (vec![foreign.to_owned()], vec![refresh.to_owned()])
        );
    }

    #[test]
    fn a_tablespace_holds_until_the_next_is_set() {
        let statements = ["SET default_tablespace = fast", "a", "b", "SET default_tablespace = ''", "c"];
        let placed = placed(statements.map(str::to_owned).to_vec());
        let places: Vec<_> = placed.iter().map(|one| (one.sql.as_str(), one.tablespace.as_deref())).collect();
        assert_eq!(places, [("a", Some("fast")), ("b", Some("fast")), ("c", None)]);
    }
}
