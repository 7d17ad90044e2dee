//! SQL text cut into tokens and statements, as far as that needs no grammar: quotes, dollar quotes, comments, brackets.
//!
//! For the plain text of `pg_dump`, which is written for psql: its commands and its settings of the session are left out.

/// What a piece of SQL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space.
    Blank,
    /// `-- …`, `/* … */`, or a command of psql.
    Comment,
    /// A keyword, or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string, in whatever quotes.
    Text,
    /// Anything else, one character.
    Other,
}

/// A piece of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'sql> {
    pub(crate) kind: Kind,
    pub(crate) text: &'sql str,
}

impl Token<'_> {
    /// The name that it means, if it is one.
    pub(crate) fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_ascii_lowercase()),
            Kind::Quoted if self.text.len() > 2 => {
                Some(self.text.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\""))
            }
            _ => None,
        }
    }

    /// Whether it is this keyword or character.
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Other) && self.text.eq_ignore_ascii_case(word)
    }
}

/// Every token, blanks and comments too: together they are the text again.
pub(crate) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let (mut found, mut rest) = (Vec::new(), sql);
    while let Some(first) = rest.chars().next() {
        let (kind, length) = first_token(rest, first);
        let (text, after) = rest.split_at(length.clamp(first.len_utf8(), rest.len()));
        found.push(Token { kind, text });
        rest = after;
    }
    found
}

fn first_token(rest: &str, first: char) -> (Kind, usize) {
    let begins_word = |letter: char| letter.is_alphabetic() || letter == '_' || !letter.is_ascii();
    match first {
        _ if first.is_whitespace() => (Kind::Blank, run(rest, char::is_whitespace)),
        // No operator of SQL has a backslash: outside of quotes it begins a command of psql, which takes the rest of its line.
        '\\' => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => (Kind::Comment, comment(rest)),
        '\'' => (Kind::Text, quoted(rest, '\'', false)),
        'e' | 'E' if rest[1..].starts_with('\'') => (Kind::Text, 1 + quoted(&rest[1..], '\'', true)),
        '"' => (Kind::Quoted, quoted(rest, '"', false)),
        '$' => match dollar_quoted(rest) {
            Some(length) => (Kind::Text, length),
            None => (Kind::Other, 1),
        },
        _ if begins_word(first) => {
            (Kind::Word, run(rest, |letter| begins_word(letter) || letter.is_ascii_digit() || letter == '$'))
        }
        _ => (Kind::Other, first.len_utf8()),
    }
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !belongs(letter)).unwrap_or(text.len())
}

/// The length up to the closing quote; a doubled one, and with `escapes` one behind a backslash, does not close.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if escapes && letter == '\\' {
            letters.next();
        } else if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

fn dollar_quoted(text: &str) -> Option<usize> {
    let tag_end = text[1..].find('$')? + 2;
    let tag = &text[..tag_end];
    let is_tag = |letter: char| letter.is_alphanumeric() || letter == '_' || !letter.is_ascii();
    let inside = &tag[1..tag_end - 1];
    if !inside.chars().all(is_tag) || inside.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    Some(text[tag_end..].find(tag).map_or(text.len(), |at| tag_end + at + tag.len()))
}

/// Comments of this kind may lie in each other.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// The statements of a plain-text dump that a server can run: without comments, psql's commands and settings of the session.
#[must_use]
pub fn statements(dump: &str) -> Vec<String> {
    let mut all = cut(dump);
    all.retain(|statement| !sets_the_session(statement));
    all
}

/// The same with the settings that decide where and how the next table is kept: its tablespace and its access method.
#[must_use]
pub fn statements_and_places(dump: &str) -> Vec<String> {
    let is_place = |statement: &str| PLACES.iter().any(|setting| statement.starts_with(setting));
    let mut all = cut(dump);
    all.retain(|statement| !sets_the_session(statement) || is_place(statement));
    all
}

const PLACES: [&str; 2] = ["SET default_tablespace = ", "SET default_table_access_method = "];

fn cut(dump: &str) -> Vec<String> {
    let (mut all, mut current, mut depth, mut body) = (Vec::new(), String::new(), 0_i32, Body::default());
    for token in tokens(dump) {
        body.pass(&token);
        match token.kind {
            Kind::Comment => continue,
            Kind::Blank if current.is_empty() => continue,
            Kind::Other if token.text == "(" => depth += 1,
            Kind::Other if token.text == ")" => depth -= 1,
            Kind::Other if token.text == ";" && depth == 0 && body.depth == 0 => {
                body = Body::default();
                all.push(std::mem::take(&mut current).trim_end().to_owned());
                continue;
            }
            _ => {}
        }
        current.push_str(token.text);
    }
    all.push(current.trim_end().to_owned());
    all.retain(|statement| !statement.is_empty());
    all
}

/// Whether we are in the body of a routine in SQL (`BEGIN ATOMIC … END`), whose statements end in semicolons too. As psql reads it.
#[derive(Default)]
struct Body<'sql> {
    /// The statement's first words, as far as they matter.
    words: Vec<&'sql str>,
    depth: u32,
}

impl<'sql> Body<'sql> {
    fn pass(&mut self, token: &Token<'sql>) {
        if token.kind != Kind::Word {
            return;
        }
        if self.words.len() < 4 {
            self.words.push(token.text);
        }
        if token.is("begin") && self.is_routine() || token.is("case") && self.depth > 0 {
            self.depth += 1;
        } else if token.is("end") {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    /// `CREATE FUNCTION` or `PROCEDURE`, perhaps with `OR REPLACE` in between.
    fn is_routine(&self) -> bool {
        let is = |place: usize, words: &[&str]| {
            self.words.get(place).is_some_and(|word| words.iter().any(|one| word.eq_ignore_ascii_case(one)))
        };
        let routine = ["function", "procedure"];
        is(0, &["create"]) && (is(1, &routine) || is(1, &["or"]) && is(2, &["replace"]) && is(3, &routine))
    }
}

/// Whether it is `ALTER … OWNER TO role`, as `pg_dump` writes it. The same words in a string or a name do not count.
#[must_use]
pub fn gives_an_owner(statement: &str) -> bool {
    let tokens = tokens(statement);
    let said: Vec<&Token<'_>> =
        tokens.iter().filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment)).collect();
    match said.as_slice() {
        [first, .., owner, to, role] => {
            first.is("alter") && owner.is("owner") && to.is("to") && matches!(role.kind, Kind::Word | Kind::Quoted)
        }
        _ => false,
    }
}

fn sets_the_session(statement: &str) -> bool {
    statement.starts_with("SET ") || statement.starts_with("SELECT pg_catalog.set_config(")
}

/// A name as SQL reads it: schema and name, or the name alone. None where it is no name.
#[must_use]
pub fn parse_name(text: &str) -> Option<(Option<String>, String)> {
    let tokens = tokens(text.trim());
    let names: Vec<Option<String>> = tokens.iter().map(Token::name).collect();
    match (names.as_slice(), tokens.get(1)) {
        ([Some(name)], None) => Some((None, name.clone())),
        ([Some(schema), None, Some(name)], Some(dot)) if dot.text == "." => Some((Some(schema.clone()), name.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_psql_is_left_out() {
        let dump = "--\n-- Name: t; Type: TABLE\n--\n\n\\restrict aB'c\n\nSET statement_timeout = 0;\n\
            SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.t (\n    a text DEFAULT ';'::text\n);\n\n\
            COMMENT ON TABLE public.t IS 'it''s; -- no comment';\n\n\\unrestrict aB'c\n";
        assert_eq!(
            statements(dump),
            [
                "CREATE TABLE public.t (\n    a text DEFAULT ';'::text\n)",
                "COMMENT ON TABLE public.t IS 'it''s; -- no comment'"
            ]
        );
    }

    #[test]
    fn quotes_of_every_kind_hold_semicolons() {
        for sql in [
            "SELECT E'a\\';b'",
            "SELECT $x$;$y$;$x$",
            "SELECT $$;$$",
            "SELECT \"a;\"\"b\"",
            "SELECT '\\'",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
            "CREATE FUNCTION public.f(a integer) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 2 END; SELECT 3; END",
            "CREATE OR REPLACE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END",
            "SELECT 'ü;€'",
        ] {
            assert_eq!(statements(&format!("{sql};\nSELECT 1;")), [sql, "SELECT 1"], "{sql}");
            assert_eq!(tokens(sql).iter().map(|token| token.text).collect::<String>(), sql);
        }
        assert_eq!(statements("SELECT /* ; /* ; */ ; */ 1;"), ["SELECT  1"]);
    }

    #[test]
    fn an_owner_is_given_by_the_last_words() {
        for statement in [
            "ALTER TABLE public.a OWNER TO bob",
            "ALTER FUNCTION \"a\nb\".f(a integer DEFAULT 1) OWNER TO \"it's bob\"",
            "ALTER OPERATOR public.+ (integer, NONE) OWNER TO bob",
            "ALTER LARGE OBJECT 4711 OWNER TO bob",
        ] {
            assert!(gives_an_owner(statement), "{statement}");
        }
        for statement in [
            "ALTER TABLE ONLY public.p ATTACH PARTITION public.q FOR VALUES IN ('change OWNER TO bob')",
            "ALTER TABLE public.a ALTER COLUMN b SET DEFAULT 'x OWNER TO y'::text",
            "ALTER TABLE public.a ADD CONSTRAINT c CHECK (b <> ' OWNER TO ') NOT VALID",
            "ALTER TABLE public.a\n    ADD CONSTRAINT \" OWNER TO x\" UNIQUE (b)",
            "COMMENT ON TABLE a IS ' OWNER TO b'",
            "ALTER TABLE a",
        ] {
            assert!(!gives_an_owner(statement), "{statement}");
        }
    }

    #[test]
    fn names_are_read_as_sql_reads_them() {
        let parsed = |text| parse_name(text).map(|(schema, name)| (schema.unwrap_or_default(), name));
        let pair = |schema: &str, name: &str| Some((schema.to_owned(), name.to_owned()));
        assert_eq!(parsed("Public.Notes"), pair("public", "notes"));
        assert_eq!(parsed("\"a.b\".\"C\"\"\""), pair("a.b", "C\""));
        assert_eq!(parsed("größe"), pair("", "größe"));
        for none in ["my table", "a.b.c", "1x", "", "a.", "\"\""] {
            assert_eq!(parsed(none), None, "{none}");
        }
    }
}
