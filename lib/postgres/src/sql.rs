//! Pieces of SQL: names and values quoted so that they mean what they say.

use vb_core::time::{self, Instant};

/// An identifier in double quotes.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string in single quotes, whatever `standard_conforming_strings` says.
#[must_use]
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// An expression as its type's own output function prints it. The detour by `bpchar`, to which hardly any type has a cast
/// of its own, keeps casts to text out of the way that print something else, such as that of regclass; nothing is padded.
#[must_use]
pub fn printed(expression: &str) -> String {
    format!("{expression}::pg_catalog.bpchar")
}

/// A time as a `timestamptz`, to the microsecond.
#[must_use]
pub fn timestamptz(at: Instant) -> String {
    format!("timestamptz {}", literal(&time::exact(at)))
}

/// A time as a clock in UTC shows it, for columns without a time zone.
#[must_use]
pub fn timestamp(at: Instant) -> String {
    format!("timestamp {}", literal(&at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_its_quotes() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), " E'a\\\\b'");
    }
}
