//! `pg_service.conf`: named sections of `keyword=value` lines.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use vb_core::environment::{Environment, PGSERVICEFILE, PGSYSCONFDIR};
use vb_core::{Error, Result};

use super::keywords::Settings;

/// Where Debian's libpq looks when `PGSYSCONFDIR` does not say otherwise.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// The files to look into, in order.
pub(super) fn places(named: Option<&str>, environment: &Environment, home: Option<&Path>) -> Vec<PathBuf> {
    let own = named.or_else(|| environment.get(PGSERVICEFILE)).map(PathBuf::from);
    let own = own.or_else(|| home.map(|home| home.join(".pg_service.conf")));
    let system = Path::new(environment.get(PGSYSCONFDIR).unwrap_or(SYSTEM_FOLDER)).join("pg_service.conf");
    own.into_iter().chain([system]).collect()
}

/// The service's settings from the first of these files that has it.
pub(super) fn load(service: &str, places: &[PathBuf]) -> Result<Settings> {
    for path in places {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == ErrorKind::NotFound => continue,
            Err(cause) => return Err(Error::io(format_args!("reading {}", path.display()), cause)),
        };
        if let Some(settings) = find(&text, service).map_err(|error| error.during(path.display()))? {
            return Ok(settings);
        }
    }
    let looked: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
    Err(Error::usage(format!("no service {service} in {}", looked.join(" or ")))
        .with_hint("Check PGSERVICE, or name the file that has it in PGSERVICEFILE."))
}

/// The section's settings; of a keyword that comes twice the first counts, as in libpq.
fn find(text: &str, service: &str) -> Result<Option<Settings>> {
    let mut found: Option<Settings> = None;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            if found.is_some() {
                break;
            }
            found = (section == service).then(Settings::default);
            continue;
        }
        let Some(settings) = &mut found else { continue };
        let wrong = |error: Error| error.during(format_args!("line {}", index + 1));
        let (keyword, value) = line.split_once('=').ok_or_else(|| wrong(Error::usage("no keyword=value")))?;
        if keyword == "service" || keyword == "servicefile" {
            return Err(wrong(Error::usage("a service cannot name another one")));
        }
        let mut pair = Settings::default();
        pair.set(keyword, value).map_err(wrong)?;
        settings.fill(pair);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours\n[a]\nhost=one\nport=1\n\n[b]\n host=two\nhost=late\ndbname=d=e\nkeepalives=1\n[c]\nhots=x\n[d]\nservice=a\n[e]\nword\n";

    #[test]
    fn sections() {
        let value = |service, keyword: &str| {
            find(TEXT, service).unwrap().and_then(|settings| settings.get(keyword).map(str::to_owned))
        };
        assert_eq!(value("a", "host").unwrap(), "one");
        assert_eq!(value("a", "dbname"), None);
        assert_eq!(value("b", "host").unwrap(), "two");
        assert_eq!(value("b", "dbname").unwrap(), "d=e");
        assert!(find(TEXT, "z").unwrap().is_none());
    }

    #[test]
    fn wrong_lines_are_named() {
        for (service, message) in [
            ("c", "line 12: unknown setting hots"),
            ("d", "line 14: a service cannot name another one"),
            ("e", "line 16: no keyword=value"),
        ] {
            assert_eq!(find(TEXT, service).err().unwrap().to_string(), message);
        }
    }

    #[test]
    fn the_own_file_goes_before_the_systems() {
        let folder = tempfile::tempdir().unwrap();
        let (own, system) = (folder.path().join("own"), folder.path().join("pg_service.conf"));
        std::fs::write(&system, "[s]\nhost=system\n[only]\nhost=there\n").unwrap();
        let variables = [("PGSERVICEFILE", &own), ("PGSYSCONFDIR", &folder.path().to_owned())]
            .map(|(name, path)| (name.to_owned(), path.display().to_string()));
        let places = places(None, &Environment::new(variables), None);
        assert_eq!(places, [own.clone(), system]);
        assert_eq!(load("s", &places).unwrap().get("host"), Some("system"));
        std::fs::write(&own, "[s]\nhost=own\n").unwrap();
        assert_eq!(load("s", &places).unwrap().get("host"), Some("own"));
        assert_eq!(load("only", &places).unwrap().get("host"), Some("there"));
        assert!(load("none", &places).err().unwrap().to_string().starts_with("no service none in "));
    }
}
