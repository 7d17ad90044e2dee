//! `.pgpass`: lines of `host:port:database:user:password`, the first that matches counts.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whom the password is for.
pub(super) struct Login<'a> {
    /// The host's name, its address, the socket's folder, or `localhost` for the default folder.
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The text of the file, `None` where there is none.
///
/// # Errors
/// A warning: the file exists and is not used, for this reason.
pub(super) fn read(path: &Path) -> Result<Option<String>, String> {
    let ignored = |why: &str| Err(format!("password file {} is ignored: {why}", path.display()));
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) => return ignored("it cannot be read"),
    };
    if !metadata.is_file() {
        return ignored("it is not a plain file");
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return ignored("others may read it; its mode must be 0600 or less");
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(_) => ignored("it cannot be read"),
    }
}

/// The password of the first line that matches.
pub(super) fn find(text: &str, login: &Login<'_>) -> Option<String> {
    let port = login.port.to_string();
    let wanted = [login.host, &port, login.database, login.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for value in wanted {
            let (field, following) = split_field(rest);
            rest = following?;
            if field != "*" && unescape(field) != value {
                return None;
            }
        }
        Some(unescape(split_field(rest).0)).filter(|password| !password.is_empty())
    })
}

/// Up to the next colon that no backslash precedes, and what follows that colon.
fn split_field(text: &str) -> (&str, Option<&str>) {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == ':' && !escaped {
            return (&text[..at], Some(&text[at + 1..]));
        }
        escaped = letter == '\\' && !escaped;
    }
    (text, None)
}

fn unescape(field: &str) -> String {
    let mut characters = field.chars();
    let mut plain = String::with_capacity(field.len());
    while let Some(letter) = characters.next() {
        plain.push(if letter == '\\' { characters.next().unwrap_or('\\') } else { letter });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let login = Login { host: "db.example", port: 5432, database: "shop", user: "bob" };
        for (text, expected) in [
            ("db.example:5432:shop:bob:secret", Some("secret")),
            ("*:*:*:*:any", Some("any")),
            ("# *:*:*:*:no\n\nother:*:*:*:no\n*:*:shop:*:yes\n*:*:*:*:late", Some("yes")),
            (r"*:*:*:*:a\:b\\c", Some(r"a:b\c")),
            (r"*:*:*:*:end\", Some(r"end\")),
            ("*:*:*:*:ends:here", Some("ends")),
            (r"db\.example:*:*:*:escaped", Some("escaped")),
            (r"\*:*:*:*:literal star", None),
            ("db.example:5433:*:*:no", None),
            ("db.example:5432:shop:alice:no", None),
            ("*:*:*:*:", None),
            ("*:*:*", None),
            ("", None),
            ("*:*:*:*:crlf\r\n", Some("crlf")),
        ] {
            assert_eq!(find(text, &login).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_name_with_a_colon() {
        let login = Login { host: "::1", port: 5432, database: r"a\b", user: "bob" };
        assert_eq!(find(r"\:\:1:*:a\\b:*:six", &login).as_deref(), Some("six"));
    }

    #[test]
    fn an_open_file_is_ignored_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        assert_eq!(read(&path), Ok(None));
        std::fs::write(&path, "*:*:*:*:x\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().ends_with("others may read it; its mode must be 0600 or less"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path), Ok(Some("*:*:*:*:x\n".to_owned())));
        assert!(read(folder.path()).unwrap_err().ends_with("it is not a plain file"));
    }
}
