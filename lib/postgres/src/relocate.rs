//! Names of relations in a dump's statements, changed to another schema.
//!
//! `pg_dump` writes every relation with its schema, so that a schema, a dot and a name stand for exactly one. Only the schema is
//! changed: columns that are written with their table's name (`notes.id` in a policy) keep their meaning, and the server itself
//! renames the table when it is whole.

use crate::script::{Kind, Token, tokens};
use crate::sql::{identifier, literal};

/// The statement with `schema.name` changed where `target` knows another schema for it.
#[must_use]
pub fn relocate(statement: &str, target: &dyn Fn(&str, &str) -> Option<String>) -> String {
    let tokens = tokens(statement);
    let mut moved = String::with_capacity(statement.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let after_dot = at > 0 && tokens[at - 1].is(".");
        let here = &tokens[at..];
        if let Some(sql) = (!after_dot).then(|| qualified(here, target)).flatten() {
            moved.push_str(&sql);
            at += 3;
        } else if let Some(sql) = sequence_literal(here, target) {
            moved.push_str(&sql);
            at += 1;
        } else {
            moved.push_str(token.text);
            at += 1;
        }
    }
    moved
}

/// `schema.name`.
fn qualified(tokens: &[Token<'_>], target: &dyn Fn(&str, &str) -> Option<String>) -> Option<String> {
    let [schema, dot, name, ..] = tokens else { return None };
    let (schema, name) = (schema.name()?, name.name().filter(|_| dot.is("."))?);
    Some(format!("{}.{}", identifier(&target(&schema, &name)?), identifier(&name)))
}

/// `'schema.name'::regclass`, as the default of a serial column has it.
fn sequence_literal(here: &[Token<'_>], target: &dyn Fn(&str, &str) -> Option<String>) -> Option<String> {
    let [text, colon, second, class, ..] = here else { return None };
    if text.kind != Kind::Text || !colon.is(":") || !second.is(":") || !class.is("regclass") {
        return None;
    }
    let inside = text.text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'");
    Some(literal(&qualified(&tokens(&inside), target).filter(|_| tokens(&inside).len() == 3)?))
}

/// The partition that a statement attaches to its parent: `ALTER TABLE ONLY parent ATTACH PARTITION child …`, or of indexes.
#[must_use]
pub fn attached(statement: &str) -> Option<(String, String)> {
    let tokens: Vec<Token<'_>> = tokens(statement).into_iter().filter(|token| token.kind != Kind::Blank).collect();
    tokens.first().filter(|token| token.is("ALTER"))?;
    let place = tokens.windows(2).position(|pair| pair[0].is("ATTACH") && pair[1].is("PARTITION"))?;
    match &tokens[place + 2..] {
        [schema, dot, name, ..] if dot.is(".") => Some((schema.name()?, name.name()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(statement: &str) -> String {
        relocate(statement, &|schema, name| {
            let own = [("public", "notes"), ("public", "notes_id_seq"), ("Q.s", "a\"b")];
            own.contains(&(schema, name)).then(|| "scratch".to_owned())
        })
    }

    #[test]
    fn only_the_schema_of_known_relations_changes() {
        for (was, is) in [
            ("CREATE TABLE public.notes (id int)", "CREATE TABLE \"scratch\".\"notes\" (id int)"),
            (
                "COMMENT ON COLUMN public.notes.id IS 'public.notes'",
                "COMMENT ON COLUMN \"scratch\".\"notes\".id IS 'public.notes'",
            ),
            (
                "CREATE INDEX notes_x ON \"Q.s\".\"a\"\"b\" USING btree (x)",
                "CREATE INDEX notes_x ON \"scratch\".\"a\"\"b\" USING btree (x)",
            ),
            (
                "DEFAULT nextval('public.notes_id_seq'::regclass)",
                "DEFAULT nextval('\"scratch\".\"notes_id_seq\"'::regclass)",
            ),
            ("DEFAULT 'public.notes'::text", "DEFAULT 'public.notes'::text"),
            ("USING ((o.id = notes.id) AND x.public.notes)", "USING ((o.id = notes.id) AND x.public.notes)"),
            ("REFERENCES public.others(id)", "REFERENCES public.others(id)"),
        ] {
            assert_eq!(moved(was), is);
        }
    }

    #[test]
    fn what_is_attached() {
        let own = |schema: &str, name: &str| Some((schema.to_owned(), name.to_owned()));
        assert_eq!(
            attached("ALTER TABLE ONLY public.p ATTACH PARTITION public.p_1 FOR VALUES IN (1)"),
            own("public", "p_1")
        );
        assert_eq!(attached("ALTER INDEX \"x y\".i ATTACH PARTITION \"x y\".\"j.1\""), own("x y", "j.1"));
        assert_eq!(attached("CREATE TABLE attach (partition int)"), None);
    }
}
