//! Nothing secret in any output: whatever a test gives a command to know, the command must not show. Looked at in the one place where
//! commands are run, for every run of every test: all that it said, and the manifest that it stored on a disk.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

/// A shorter one may stand anywhere by chance.
const LEAST_LENGTH: usize = 8;

/// Parts of names whose whole value is a secret.
const NAMES: [&str; 3] = ["SECRET", "PASSWORD", "TOKEN"];

/// What stands before a secret within a value, and what ends it.
const MARKS: [(&str, &[char]); 2] = [("AccountKey=", &[';']), ("sig=", &['&', ';'])];

/// A secret, and the name of the variable that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    name: String,
    value: String,
}

/// The secrets in a variable's value.
pub(crate) fn of(name: &str, value: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    if NAMES.iter().any(|part| name.contains(part)) {
        found.push(value);
    }
    for (mark, ends) in MARKS {
        found.extend(value.split(mark).skip(1).filter_map(|rest| rest.split(ends).next()));
    }
    found.extend(password_of_url(value));
    let long = found.into_iter().filter(|value| value.len() >= LEAST_LENGTH);
    long.map(|value| Secret { name: name.to_owned(), value: value.to_owned() }).collect()
}

/// `password` in `postgresql://user:password@host/database`.
fn password_of_url(value: &str) -> Option<&str> {
    let (authority, _) = value.split_once("://")?.1.split_once('@')?;
    authority.split_once(':').map(|(_, password)| password).filter(|password| !password.contains('/'))
}

/// Demands that none of these stands in what a command said.
///
/// # Errors
/// The name of the variable whose secret was shown, never its value.
pub(crate) fn must_not_show(secrets: &[Secret], what: &str, said: &[u8]) -> Result<()> {
    for Secret { name, value } in secrets {
        let shown = find(said, value.as_bytes());
        ensure!(!shown, "{what} shows a secret of {name}");
    }
    Ok(())
}

/// The same of the manifest that a `vb-put` has stored in a folder, by the status lines that it wrote.
///
/// # Errors
/// As [`must_not_show`].
pub(crate) fn must_not_keep(secrets: &[Secret], folder: &Path, said: &[u8]) -> Result<()> {
    for line in said.split(|byte| *byte == b'\n').filter(|line| find(line, b"\"manifest_key\"")) {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
        let store = line["store"].as_str().and_then(|store| store.strip_prefix("file://"));
        if let (Some(store), Some(key)) = (store, line["manifest_key"].as_str()) {
            // what a test removed in the same run is nobody's to read
            let manifest = std::fs::read(folder.join(store).join(key)).unwrap_or_default();
            must_not_show(secrets, key, &manifest)?;
        }
    }
    Ok(())
}

fn find(text: &[u8], wanted: &[u8]) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return false };
    let mut text = text;
    while let Some(place) = text.iter().position(|byte| byte == first) {
        text = &text[place + 1..];
        if text.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    fn values(name: &str, value: &str) -> Vec<String> {
        of(name, value).into_iter().map(|secret| secret.value).collect()
    }

    #[test]
    fn passwords_keys_and_signatures_are_secrets() {
        assert_eq!(values("AWS_SECRET_ACCESS_KEY", "long-enough"), ["long-enough"]);
        assert_eq!(values("DATABASE_URL", "postgresql://me:long-enough@host:1/db"), ["long-enough"]);
        assert_eq!(values("AZURE", "AccountName=a;AccountKey=bG9uZyBlbm91Z2g=;B=c"), ["bG9uZyBlbm91Z2g="]);
        assert_eq!(values("VB_TEST_SAS", "sv=1&sig=long%2Fenough&x=y"), ["long%2Fenough"]);
        assert_eq!(values("AWS_ACCESS_KEY_ID", "long-enough"), [""; 0]);
        assert_eq!(values("AWS_ENDPOINT_URL", "http://127.0.0.1:80/a@b:c"), [""; 0]);
    }

    #[test]
    fn a_command_that_shows_a_secret_fails_its_test() {
        let place = Place::new().unwrap();
        let lines = ["echo \"cannot connect to $DATABASE_URL\" >&2", "echo \"{\\\"url\\\":\\\"$DATABASE_URL\\\"}\""];
        for line in lines {
            let run = place.shell(line).env("DATABASE_URL", "postgresql://me:very-secret@host/db").run();
            let message = run.unwrap_err().to_string();
            assert!(
                message.contains("shows a secret of DATABASE_URL") && !message.contains("very-secret"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_manifest_that_keeps_a_secret_fails_its_test() {
        let place = Place::new().unwrap();
        let line = r#"mkdir -p s; echo "$PGPASSWORD" >s/m.json; echo '{"store":"file://./s","manifest_key":"m.json"}'"#;
        let run = place.shell(line).env("PGPASSWORD", "very-secret").run();
        assert_eq!(run.unwrap_err().to_string(), "m.json shows a secret of PGPASSWORD");
    }

    #[test]
    fn a_stage_that_shows_a_secret_fails_its_test() {
        let place = Place::new().unwrap();
        let stages = vec![place.shell("echo \"$PGPASSWORD\" >&2").env("PGPASSWORD", "very-secret"), place.shell("cat")];
        let ended = crate::pipeline::Pipeline::start(stages).unwrap().finish(std::time::Duration::from_secs(60));
        assert!(ended.unwrap_err().to_string().contains("shows a secret of PGPASSWORD"));
    }
}
