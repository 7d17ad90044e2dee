//! `postgresql://user:password@host:port,host:port/database?keyword=value`, as libpq reads it.

use vb_core::{Error, Result};

use super::keywords::Settings;

/// What stands after `://`. Errors quote no part of it: with a character that should have been percent-encoded, any part may
/// be a piece of the password.
pub(super) fn parse(text: &str) -> Result<Settings> {
    let mut settings = Settings::default();
    let rest = match text.find(['@', '/']).filter(|at| text[*at..].starts_with('@')) {
        Some(at) => {
            credentials(&text[..at], &mut settings)?;
            &text[at + 1..]
        }
        None => text,
    };
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = address.split_once('/').unwrap_or((address, ""));
    if address.contains('@') {
        return Err(misplaced());
    }
    add_hosts(hosts, &mut settings)?;
    settings.set("dbname", decode(database)?)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (keyword, value) = pair.split_once('=').ok_or_else(|| Error::usage("a query parameter has no ="))?;
        match (decode(keyword)?.as_str(), decode(value)?) {
            // JDBC and asyncpg write it so.
            ("ssl", value) if value == "true" => settings.set("sslmode", "require")?,
            ("ssl", value) => settings.set("sslmode", value)?,
            (keyword, value) => settings.set(keyword, value)?,
        }
    }
    Ok(settings)
}

fn misplaced() -> Error {
    Error::usage("user, password, host and database cannot be told apart")
        .with_hint("Percent-encode special characters in the password: @ as %40, / as %2F, : as %3A.")
}

fn credentials(text: &str, settings: &mut Settings) -> Result<()> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    settings.set("user", decode(user)?)?;
    settings.set("password", decode(password)?)
}

fn add_hosts(text: &str, settings: &mut Settings) -> Result<()> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (host, port) = match part.strip_prefix('[') {
            Some(inside) => {
                let (host, after) = inside.split_once(']').ok_or_else(|| Error::usage("an IPv6 address has no ]"))?;
                let port = if after.is_empty() { Some("") } else { after.strip_prefix(':') };
                (host, port.ok_or_else(|| Error::usage("after the ] of an IPv6 address stands no port"))?)
            }
            None => part.split_once(':').unwrap_or((part, "")),
        };
        let port = decode(port)?;
        if !port.chars().all(|digit| digit.is_ascii_digit()) {
            return Err(misplaced());
        }
        hosts.push(decode(host)?);
        ports.push(port);
    }
    let joined = |list: Vec<String>| if list.iter().all(String::is_empty) { String::new() } else { list.join(",") };
    settings.set("host", joined(hosts))?;
    settings.set("port", joined(ports))
}

fn decode(text: &str) -> Result<String> {
    let wrong = || {
        Error::usage("a percent sign is not followed by two hexadecimal digits of text")
            .with_hint("Write a percent sign itself as %25.")
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, following)) = rest.split_first() {
        rest = following;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, following) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let digit = |at: usize| char::from(digits[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (digit(0), digit(1)) {
            (Some(0), Some(0)) | (None, _) | (_, None) => return Err(wrong()),
            (Some(high), Some(low)) => bytes.push(high * 16 + low),
        }
        rest = following;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let settings = parse(text).unwrap();
        let keywords = ["user", "password", "host", "port", "dbname", "sslmode", "options"];
        keywords.map(|keyword| settings.get(keyword).unwrap_or("-").to_owned()).join(" ")
    }

    #[test]
    fn urls() {
        for (text, expected) in [
            ("", "- - - - - - -"),
            ("/", "- - - - - - -"),
            ("localhost", "- - localhost - - - -"),
            ("localhost:5433", "- - localhost 5433 - - -"),
            ("/mydb", "- - - - mydb - -"),
            ("u@localhost", "u - localhost - - - -"),
            ("u:secret@localhost/d", "u secret localhost - d - -"),
            ("u:p%40%2F%3a@h/d", "u p@/: h - d - -"),
            ("u:a?b#c@h/d", "u a?b#c h - d - -"),
            ("u:a:b@h", "u a:b h - - - -"),
            ("h1:1,h2:2/d", "- - h1,h2 1,2 d - -"),
            ("h1,h2:2/d", "- - h1,h2 ,2 d - -"),
            ("[::1]:6/d", "- - ::1 6 d - -"),
            ("[fe80::1],h/d", "- - fe80::1,h - d - -"),
            ("%2Frun%2Fpg:6/d", "- - /run/pg 6 d - -"),
            ("/d?host=/run/pg&port=7&user=me", "me - /run/pg 7 d - -"),
            ("h/d?sslmode=verify-full", "- - h - d verify-full -"),
            ("h?ssl=true", "- - h - - require -"),
            ("h/d?options=-c%20work_mem%3D1MB", "- - h - d - -c work_mem=1MB"),
            ("h/d?keepalives=1&connect_timeout=3", "- - h - d - -"),
            ("h/%C3%A9", "- - h - é - -"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn wrong_urls_never_show_a_piece_of_the_password() {
        for text in [
            "u:hunter@2@h/d",
            "u:hunter/2@h/d",
            "u:55/hunter@h/d",
            "u:hunter%2@h",
            "u:hunter%@h",
            "u:%00@h",
            "h:hunter",
            "u:%ff@h",
        ] {
            let message = parse(text).err().unwrap_or_else(|| panic!("{text}")).to_string();
            assert!(!message.contains("hunter"), "{text}: {message}");
        }
        for (text, message) in [
            ("[::1/d", "an IPv6 address has no ]"),
            ("[::1]x/d", "after the ] of an IPv6 address stands no port"),
            ("h/d?sslmode", "a query parameter has no ="),
            ("h/d?colour=red", "unknown setting colour"),
        ] {
            assert_eq!(parse(text).err().unwrap().to_string(), message);
        }
    }
}
