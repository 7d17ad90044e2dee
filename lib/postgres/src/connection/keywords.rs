//! libpq's connection keywords, and the `key=value` form of a connection string.

use std::collections::BTreeMap;

use vb_core::{Error, Result};

use super::url;

/// Keywords that decide something here.
const TAKEN: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "host",
    "hostaddr",
    "options",
    "passfile",
    "password",
    "port",
    "service",
    "servicefile",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

/// Keywords of libpq that change nothing here: we speak UTF-8, TLS 1.2 or newer, and neither GSS nor OAuth.
const IGNORED: &[&str] = &[
    "client_encoding",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "scram_client_key",
    "scram_server_key",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslkeylogfile",
    "sslnegotiation",
    "sslsni",
    "tcp_user_timeout",
];

/// Keywords of libpq that demand something we do not do: to ignore them would be less safe than their user believes.
const REFUSED: &[&str] = &["replication", "require_auth", "requirepeer", "sslcrl", "sslcrldir", "sslpassword"];

/// Values by keyword. It may hold a password, so it has no `Debug`.
#[derive(Default)]
pub(super) struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// Sets a keyword; a later value replaces an earlier one.
    pub(super) fn set(&mut self, keyword: &str, value: impl Into<String>) -> Result<()> {
        let known = |list: &'static [&'static str]| list.iter().copied().find(|known| *known == keyword);
        if let Some(keyword) = known(TAKEN) {
            self.0.insert(keyword, value.into());
            return Ok(());
        }
        if known(IGNORED).is_some() {
            return Ok(());
        }
        if known(REFUSED).is_some() {
            return Err(Error::usage(format!("{keyword} is not supported")));
        }
        Err(Error::usage(format!("unknown setting {keyword}")))
    }

    /// Takes from `other` what is not set here.
    pub(super) fn fill(&mut self, other: Self) {
        for (keyword, value) in other.0 {
            if self.get(keyword).is_none() {
                self.0.insert(keyword, value);
            }
        }
    }

    /// The keyword's value; an empty one counts as not set, as in libpq.
    pub(super) fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A connection string: a URL or `key=value` pairs. Errors never quote a value, since it may be a password.
pub(super) fn parse(text: &str) -> Result<Settings> {
    match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => {
            // Python programs name their driver after the database: postgresql+psycopg2.
            match scheme.split('+').next() {
                Some("postgres" | "postgresql") => url::parse(rest),
                _ => Err(Error::usage(format!("{scheme}:// is not a PostgreSQL URL"))),
            }
        }
        _ => parse_pairs(text),
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '+' || letter == '-')
}

fn parse_pairs(text: &str) -> Result<Settings> {
    let mut settings = Settings::default();
    let mut rest = text.trim();
    let mut after_password = false;
    while !rest.is_empty() {
        let Some((keyword, value)) = rest.split_once('=').map(|(keyword, value)| (keyword.trim_end(), value)) else {
            return Err(no_pair(after_password));
        };
        if keyword.is_empty() || keyword.contains(char::is_whitespace) {
            return Err(no_pair(after_password));
        }
        let (value, following) = take_value(value.trim_start())?;
        if let Err(error) = settings.set(keyword, value) {
            // With an unquoted blank in a password, this "keyword" is the password's second half.
            return Err(if after_password { no_pair(true) } else { error });
        }
        after_password = keyword == "password";
        rest = following.trim_start();
    }
    Ok(settings)
}

fn no_pair(after_password: bool) -> Error {
    if after_password {
        return Error::usage("after password=… stands neither a known setting nor the end")
            .with_hint("Quote a password that has blanks: password='…'.");
    }
    Error::usage("neither a URL nor key=value pairs").with_hint("Write it as postgresql://user@host:5432/database.")
}

/// One value, quoted or up to a blank; a backslash takes the next character as it is.
fn take_value(text: &str) -> Result<(String, &str)> {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(inside) => (true, inside),
        None => (false, text),
    };
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, letter)) = characters.next() {
        match letter {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            blank if !quoted && blank.is_whitespace() => return Ok((value, &text[at..])),
            other => value.push(other),
        }
    }
    if quoted {
        return Err(Error::usage("a quoted value has no end"));
    }
    Ok((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        for (text, keyword, value) in [
            ("host=db port=5433", "port", "5433"),
            ("  host = db   user='a b' ", "user", "a b"),
            ("  host = db   user='a b' ", "host", "db"),
            (r"password='it\'s \\ 1' host=x", "password", r"it's \ 1"),
            (r"password=a\ b host=x", "password", "a b"),
            ("user=a user=b", "user", "b"),
            ("options='-c work_mem=64MB'", "options", "-c work_mem=64MB"),
            ("host=/run/pg keepalives=1 gssencmode=prefer", "host", "/run/pg"),
            ("user='a'host=b", "host", "b"),
            ("password=https://x", "password", "https://x"),
        ] {
            assert_eq!(
                parse(text).map(|settings| settings.get(keyword).map(str::to_owned)).unwrap().unwrap(),
                value,
                "{text}"
            );
        }
        assert!(parse("host=").unwrap().get("host").is_none());
    }

    #[test]
    fn errors_tell_the_cause_and_no_password() {
        for (text, message) in [
            ("db", "neither a URL nor key=value pairs"),
            ("sslmod=require", "unknown setting sslmod"),
            ("host=x replication=database", "replication is not supported"),
            ("password='open", "a quoted value has no end"),
            ("password=two words", "after password=… stands neither a known setting nor the end"),
            ("password=two words=x", "after password=… stands neither a known setting nor the end"),
            ("mysql://u:p@h/d", "mysql:// is not a PostgreSQL URL"),
            ("=x", "neither a URL nor key=value pairs"),
        ] {
            assert_eq!(parse(text).err().unwrap().to_string(), message, "{text}");
        }
    }

    #[test]
    fn schemes_of_python_programs() {
        for scheme in ["postgres", "postgresql", "postgresql+psycopg2", "postgres+asyncpg"] {
            assert_eq!(parse(&format!("{scheme}://u@h/d")).unwrap().get("host"), Some("h"), "{scheme}");
        }
    }
}
