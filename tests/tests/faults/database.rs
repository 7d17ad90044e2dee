//! A database that is not there, or does not let us in.

use crate::{Case, PIPE, refused};
use anyhow::Result;

/// The export says why, the others refuse what it began, and vb-import says the same of its side.
fn both_sides(url: impl Fn(&str) -> String, code: i64) -> Result<Vec<String>> {
    let case = Case::on_disk()?;
    case.line("vb-export -o table.parquet").run()?.succeeded()?;
    let before = case.digest()?;
    let url = url(case.database.url());

    let run = case.line(PIPE).env("DATABASE_URL", &url).run()?.exited(6)?;
    let export = refused(&run, "vb-export", code)?;
    assert!(run.event("vb-put", "failed")?["message"].as_str().unwrap_or_default().contains("failed:"), "{run}");

    let import = case.command("vb-import")?.arg("table.parquet").env("DATABASE_URL", &url).run()?;
    let import = refused(&import.exited(code.try_into()?)?, "vb-import", code)?;
    assert_eq!(case.digest()?, before);
    assert!(case.stock.keys()?.is_empty());
    case.nothing_but_the_store_is_left(&["table.parquet"])?;
    Ok([export, import].map(|failed| failed["message"].as_str().unwrap_or_default().to_owned()).into())
}

#[test]
fn a_wrong_password() {
    for message in both_sides(|url| url.replace("test-only-password", "not-this-one"), 7).unwrap() {
        assert!(message.contains("password") && !message.contains("not-this-one"), "{message}");
    }
}

#[test]
fn no_such_database() {
    for message in both_sides(|url| format!("{url}_and_no_other"), 4).unwrap() {
        assert!(message.contains("_and_no_other"), "{message}");
    }
}

#[test]
fn no_server() {
    let nobody = |url: &str| {
        let (before, database) = url.rsplit_once('/').unwrap();
        let (user, _) = before.rsplit_once('@').unwrap();
        format!("{user}@127.0.0.1:1/{database}")
    };
    for message in both_sides(nobody, 8).unwrap() {
        assert!(message.contains("127.0.0.1"), "{message}");
    }
}

#[test]
fn no_such_table() {
    let case = Case::on_disk().unwrap();
    let run =
        case.line(&PIPE.replace("vb-export", "vb-export table weather.nothing")).run().unwrap().exited(6).unwrap();
    let failed = refused(&run, "vb-export", 4).unwrap();
    assert!(failed["message"].as_str().unwrap().contains("nothing"), "{failed}");
    case.nothing_is_left().unwrap();
}
