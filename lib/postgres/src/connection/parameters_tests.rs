//! How settings from several places come together.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn resolved(variables: &[(&str, &str)]) -> Parameters {
    Parameters::resolve(&environment(variables), "vb-test").unwrap()
}

#[test]
fn the_url_goes_before_the_variables() {
    for (variables, expected) in [
        (&[("PGHOST", "h"), ("PGUSER", "u")][..], "u@h:5432/u"),
        (&[("PGHOST", "h"), ("PGUSER", "u"), ("PGDATABASE", "d"), ("PGPORT", "6")], "u@h:6/d"),
        (&[("DATABASE_URL", "postgres://a@b:7/c"), ("PGHOST", "h"), ("PGUSER", "u"), ("PGPORT", "6")], "a@b:7/c"),
        (&[("DATABASE_URL", "postgres://b"), ("PGHOST", "h"), ("PGUSER", "u"), ("PGPORT", "6")], "u@b:6/u"),
        (&[("DATABASE_URL", "postgres:///c"), ("PGHOST", "h"), ("PGUSER", "u")], "u@h:5432/c"),
        (&[("DATABASE_URL", "host=/run/x user=u dbname=d")], "u@/run/x:5432/d"),
        (&[("DATABASE_URL", "postgres://u@h1:1,h2:2/d")], "u@h1:1,h2:2/d"),
    ] {
        assert_eq!(resolved(variables).describe(), expected);
    }
}

#[test]
fn defaults() {
    let settings = Settings::default();
    let decide = |exists| {
        Parameters::decide(&settings, "vb-test", &default_place(exists), None, || Ok("me".to_owned())).unwrap()
    };
    assert_eq!(decide(true).describe(), "me@/var/run/postgresql:5432/me");
    assert_eq!(decide(false).describe(), "me@localhost:5432/me");
    assert_eq!(decide(true).connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!(decide(true).application_name, "vb-test");
    assert!(!system_user().unwrap().is_empty());
}

#[test]
fn values() {
    let with = |query: &str| resolved(&[("DATABASE_URL", &format!("postgres://u@h/d?{query}"))]);
    assert_eq!(with("connect_timeout=3").connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(with("connect_timeout=0").connect_timeout, None);
    assert_eq!(with("connect_timeout=-1").connect_timeout, None);
    assert_eq!(with("application_name=x").application_name, "x");
    assert_eq!(with("fallback_application_name=y").application_name, "y");
    assert_eq!(with("options=-c%20a=b").options.as_deref(), Some("-c a=b"));
    assert_eq!(with("channel_binding=require").binding, Binding::Require);
    assert_eq!(with("target_session_attrs=read-write").session, Session::ReadWrite);
}

#[test]
fn wrong_values_are_usage_errors() {
    for (query, message) in [
        ("connect_timeout=soon", "connect_timeout is not a number of seconds"),
        ("channel_binding=x", "channel_binding is none of disable, prefer and require"),
        ("sslmode=on", "sslmode is none of disable, allow, prefer, require, verify-ca and verify-full"),
        ("x=y", "DATABASE_URL: unknown setting x"),
    ] {
        let variables = [("DATABASE_URL", format!("postgres://u:hunter2@h/d?{query}"))];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let error = Parameters::resolve(&environment(&variables), "vb-test").unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind().exit_code()), (message, 2));
    }
}

#[test]
fn a_service_stands_between_the_url_and_the_variables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services");
    std::fs::write(&path, "[s]\nhost=service\nport=1\ndbname=ds\n").unwrap();
    let file = path.to_str().unwrap();
    let given = [
        ("PGSERVICEFILE", file),
        ("PGSERVICE", "s"),
        ("PGUSER", "u"),
        ("PGPORT", "9"),
        ("DATABASE_URL", "postgres:///url"),
    ];
    assert_eq!(resolved(&given).describe(), "u@service:1/url");
    let given = [("PGSERVICEFILE", file), ("PGUSER", "u"), ("DATABASE_URL", "postgres://?service=s")];
    assert_eq!(resolved(&given).describe(), "u@service:1/ds");
    let missing = Parameters::resolve(&environment(&[("PGSERVICEFILE", file), ("PGSERVICE", "t")]), "vb-test");
    assert!(missing.unwrap_err().to_string().starts_with("no service t in "));
}

#[test]
fn passwords() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let file = folder.path().join(".pgpass");
    std::fs::write(&file, "h1:*:*:*:first\nh2:2:d:u:second\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let passwords = |variables: &[(&str, &str)]| {
        let parameters = resolved(&[&[("HOME", home)], variables].concat());
        parameters.hosts.into_iter().map(|host| host.password.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(passwords(&[("DATABASE_URL", "postgres://u@h1,h2:2,h3/d")]), ["first", "second", ""]);
    assert_eq!(passwords(&[("DATABASE_URL", "postgres://u:own@h1/d")]), ["own"]);
    assert_eq!(passwords(&[("DATABASE_URL", "postgres://u@h1/d"), ("PGPASSWORD", "env")]), ["env"]);
    assert_eq!(passwords(&[("DATABASE_URL", "postgres://u@h1/d"), ("PGPASSFILE", "/nonexistent")]), [""]);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let parameters = resolved(&[("HOME", home), ("DATABASE_URL", "postgres://u@h1/d")]);
    assert_eq!(parameters.hosts[0].password, None);
    assert_eq!(parameters.warnings().len(), 1);
}

#[test]
fn debug_shows_no_password() {
    let parameters = resolved(&[("DATABASE_URL", "postgres://u:hunter2@h/d")]);
    assert_eq!(format!("{parameters:?}"), "Parameters(u@h:5432/d)");
}
