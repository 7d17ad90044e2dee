//! A database that is not there, or does not let us in.

use crate::{Case, PIPE, refused};

/// The export says why, the others refuse what it began, and vb-import says the same of its side.
fn both_sides(url: impl Fn(&str) -> String, code: i64) -> Vec<String> {
    let case = Case::on_disk().unwrap();
    case.line("vb-export -o table.parquet").run().unwrap().succeeded().unwrap();
    let before = case.digest().unwrap();
    let url = url(case.database.url());

    let run = case.line(PIPE).env("DATABASE_URL", &url).run().unwrap().exited(6).unwrap();
    let export = refused(&run, "vb-export", code).unwrap();
    assert!(run.event("vb-put", "failed").unwrap()["message"].as_str().unwrap().contains("failed:"), "{run}");

    let import = case.command("vb-import").unwrap().arg("table.parquet").env("DATABASE_URL", &url).run().unwrap();
    let import = refused(&import.exited(code.try_into().unwrap()).unwrap(), "vb-import", code).unwrap();
    assert_eq!(case.digest().unwrap(), before);
    assert!(case.stock.keys().unwrap().is_empty());
    case.nothing_but_the_store_is_left(&["table.parquet"]).unwrap();
    [export, import].map(|failed| failed["message"].as_str().unwrap().to_owned()).into()
}

#[test]
fn a_wrong_password() {
    for message in both_sides(|url| url.replace("test-only-password", "not-this-one"), 7) {
        assert!(message.contains("password") && !message.contains("not-this-one"), "{message}");
    }
}

#[test]
fn no_such_database() {
    for message in both_sides(|url| format!("{url}_and_no_other"), 4) {
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
    for message in both_sides(nobody, 8) {
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
