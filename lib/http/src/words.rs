//! A cause as people read it.

use std::error::Error as StdError;

/// Longer than any cause that says something.
const MOST_LETTERS: usize = 300;

/// What begins a secret in a URL: a signature of Azure's or Amazon's, and the name of an upload of Google's, to which
/// whoever knows it can write.
const SECRETS: [&str; 3] = ["sig=", "Signature=", "upload_id="];

/// The cause at the end of the chain.
#[must_use]
pub fn deepest<'error>(error: &'error (dyn StdError + 'static)) -> &'error (dyn StdError + 'static) {
    std::iter::successors(Some(error), |link| (**link).source()).last().unwrap_or(error)
}

/// One line of bounded length, lower case at its beginning, without a full stop, the system's error number or what looks
/// like a secret.
#[must_use]
pub fn words(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" (os error").next().unwrap_or_default().trim_end_matches('.');
    let secret = SECRETS.iter().filter_map(|name| Some(text.find(name)? + name.len())).min();
    let text: String = match secret.and_then(|end| text.get(..end)) {
        Some(before) => format!("{before}…"),
        None => text.to_owned(),
    };
    let text: String = text.chars().take(MOST_LETTERS).collect();
    let second_is_lower = text.chars().nth(1).is_none_or(|letter| !letter.is_uppercase());
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if second_is_lower => first.to_lowercase().chain(letters).collect(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_lose_numbers_stops_and_secrets_but_not_acronyms() {
        assert_eq!(words("Connection refused (os error 111)"), "connection refused");
        assert_eq!(words("The end.\nmore"), "the end");
        assert_eq!(words("TLS failed"), "TLS failed");
        assert_eq!(words(""), "");
        assert_eq!(words("No route to https://a/b?sv=1&sig=secret"), "no route to https://a/b?sv=1&sig=…");
        assert_eq!(words("No session http://h/u?upload_id=SECRET&name=a"), "no session http://h/u?upload_id=…");
        assert_eq!(words(&"x".repeat(1000)).len(), MOST_LETTERS);
    }
}
