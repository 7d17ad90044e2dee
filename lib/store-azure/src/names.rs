//! Facts as Azure takes them: metadata and tags, each with its own letters.

use std::collections::HashMap;
use std::fmt::Write;
use vb_store::Facts;

/// What a tag's value may have ("Manage and find Azure Blob data with blob index tags").
const LONGEST_TAG_VALUE: usize = 256;

/// Names are C# identifiers; values travel as headers, so what is not printable ASCII is percent-encoded.
pub(crate) fn metadata(facts: &Facts) -> HashMap<String, String> {
    facts.iter().map(|(name, value)| (identifier(name), header_value(value))).collect()
}

/// Letters that tags do not know become `=XX`, as in quoted-printable, since tags do not know `%` either.
pub(crate) fn tags(facts: &Facts) -> HashMap<String, String> {
    facts.iter().map(|(name, value)| (name.clone(), tag_value(value))).collect()
}

fn identifier(name: &str) -> String {
    let underscore = if name.starts_with(|first: char| first.is_ascii_digit()) { "_" } else { "" };
    format!("{underscore}{}", name.replace('-', "_"))
}

fn header_value(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let outer = |index| index == 0 || index == last;
    let mut text = String::new();
    for (index, byte) in value.bytes().enumerate() {
        // Blanks at the ends would be lost on the way.
        match byte {
            b'%' | b' ' if byte == b'%' || outer(index) => push_hex(&mut text, '%', byte),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => push_hex(&mut text, '%', byte),
        }
    }
    text
}

fn tag_value(value: &str) -> String {
    let mut text = String::new();
    for letter in value.chars() {
        let mut escaped = String::new();
        let plain = letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '+' | '-' | '.' | '/' | ':' | '_');
        match plain {
            true => escaped.push(letter),
            false => letter.to_string().bytes().for_each(|byte| push_hex(&mut escaped, '=', byte)),
        }
        if text.len() + escaped.len() > LONGEST_TAG_VALUE {
            break;
        }
        text.push_str(&escaped);
    }
    text
}

fn push_hex(text: &mut String, mark: char, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{mark}{byte:02X}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Facts {
        Facts::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn metadata_is_made_of_identifiers_and_headers() {
        let table =
            [("data-kind", "plain text", "data_kind", "plain text"), ("1st", " ström%", "_1st", "%20str%C3%B6m%25")];
        for (name, value, stored_name, stored) in table {
            assert_eq!(metadata(&one(name, value)), HashMap::from([(stored_name.to_owned(), stored.to_owned())]));
        }
    }

    #[test]
    fn tags_know_few_letters_and_an_end() {
        assert_eq!(tags(&one("data-kind", "a=b ström"))["data-kind"], "a=3Db str=C3=B6m");
        let long = &tags(&one("a", &"ö".repeat(100)))["a"];
        assert!(long.len() == 252 && long.ends_with("=C3=B6"), "{long}");
    }
}
