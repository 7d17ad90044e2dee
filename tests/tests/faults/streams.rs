//! Streams that are not what they should be, are not proven, or lose their reader.

use anyhow::Result;
use vb_tests::chance::noise;
use vb_tests::command::Run;

use crate::{Case, refused, write};

#[test]
fn garbage_for_an_import() {
    let case = Case::on_disk().unwrap();
    let before = case.digest().unwrap();
    let run = case.command("vb-import").unwrap().stdin("this is no backup\n").run().unwrap().exited(2).unwrap();
    refused(&run, "vb-import", 2).unwrap();
    let run = case.line("vb-export | vb-compress | vb-import --mode replace").run().unwrap().exited(2).unwrap();
    let failed = refused(&run, "vb-import", 2).unwrap();
    assert!(failed["hint"].as_str().unwrap().contains("vb-compress -d"), "{failed}");
    let run = case.command("vb-import").unwrap().run().unwrap().exited(6).unwrap();
    refused(&run, "vb-import", 6).unwrap();
    // It begins as Parquet does.
    let run = case.line("vb-export -o t; head -c 9999 t | vb-import --mode replace; code=$?; rm t; exit $code").run();
    refused(&run.unwrap().exited(6).unwrap(), "vb-import", 6).unwrap();
    assert_eq!(case.digest().unwrap(), before);
    case.nothing_is_left().unwrap();
}

#[test]
fn a_compressor_of_nothing() {
    let case = Case::on_disk().unwrap();
    for compressor in ["gzip", "zstd -q"] {
        let run = case.line(&format!("false | {compressor} | vb-put --set w")).run().unwrap().exited(6).unwrap();
        let failed = refused(&run, "vb-put", 6).unwrap();
        assert!(failed["message"].as_str().unwrap().ends_with(" of nothing"), "{failed}");
        case.nothing_is_left().unwrap();
    }
}

#[test]
fn a_file_that_is_not_read_whole() {
    let case = Case::on_disk().unwrap();
    write(&case.place, "data", &noise(3_000_000)).unwrap();
    let run = case.line("(head -c 5 >head; vb-put --set w) <data; code=$?; rm data head; exit $code").run().unwrap();
    let failed = refused(&run.exited(6).unwrap(), "vb-put", 6).unwrap();
    assert!(failed["message"].as_str().unwrap().contains("changed while it was read"), "{failed}");
    case.nothing_is_left().unwrap();
}

#[test]
fn garbage_to_decompress() {
    let case = Case::on_disk().unwrap();
    let decompress = || case.command("vb-compress").unwrap().args(["-d", "-o", "out"]);
    refused(&decompress().stdin("this is no gzip\n").run().unwrap().exited(2).unwrap(), "vb-compress", 2).unwrap();
    write(&case.place, "data", &noise(3_000_000)).unwrap();
    let line = "vb-compress data -o data.gz; head -c 2000000 data.gz | vb-compress -d -o out; code=$?; rm data data.gz; exit $code";
    let run = case.line(line).run().unwrap().exited(6).unwrap();
    let last = run.event("vb-compress", "failed").unwrap();
    assert_eq!(last["exit_code"], 6, "{run}");
    assert!(last["hint"].is_string(), "{run}");
    case.nothing_is_left().unwrap();
}

#[test]
fn what_nothing_proves() {
    let case = Case::on_disk().unwrap();
    let run = case.line("printf hello | vb-put --set words").run().unwrap().exited(6).unwrap();
    let failed = refused(&run, "vb-put", 6).unwrap();
    assert!(failed["hint"].as_str().unwrap().contains("--unproven"), "{failed}");
    case.nothing_is_left().unwrap();

    let run = case.line("printf hello | vb-put --set words --unproven").run().unwrap().succeeded().unwrap();
    let done = run.event("vb-put", "done").unwrap();
    assert_eq!((&done["proof"], &done["stored"]), (&"unproven".into(), &true.into()), "{done}");
    let id = done["id"].as_str().unwrap();
    assert_eq!(case.command("vb-get").unwrap().arg(id).run().unwrap().succeeded().unwrap().stdout, b"hello");
}

/// Whoever writes nothing says why, whatever the stage behind it may put up with.
#[test]
fn a_stage_that_is_refused_or_runs_dry() {
    let case = Case::on_disk().unwrap();
    for (stage, why) in [
        ("vb-export --bogus", "vb-export (process"),
        ("vb-export --bogus", "unexpected argument '--bogus' found"),
        ("vb-export nosuch", "unrecognized subcommand"),
        ("vb-export table --since never", "\"never\" is no time"),
        ("vb-export --dry-run", "it is a dry run, which writes no data"),
        ("vb-get --bogus", "unexpected argument"),
        ("vb-compress -l 99", "invalid value '99'"),
        ("vb-export --status /nosuch/folder/file", "/nosuch/folder/file"),
    ] {
        for options in ["", "--allow-empty", "--unproven"] {
            let line = format!("{stage} </dev/null | vb-put --set words {options}");
            let run = case.line(&line).run().unwrap().exited(6).unwrap();
            let failed = run.event("vb-put", "failed").unwrap();
            assert!(failed["message"].as_str().unwrap().contains(why), "{line}: {run}");
        }
    }
    let run = case.line("VB_STORE=$(printf 'file:///\\377') vb-ls").run().unwrap().exited(2).unwrap();
    assert!(run.stderr_text().contains("VB_STORE is not UTF-8"), "{run}");
    case.nothing_is_left().unwrap();
}

#[test]
fn nothing_at_all() {
    let case = Case::on_disk().unwrap();
    refused(&case.line("true | vb-put --set words").run().unwrap().exited(6).unwrap(), "vb-put", 6).unwrap();
    refused(&case.line("true | vb-compress | vb-put --set words").run().unwrap().exited(6).unwrap(), "vb-put", 6)
        .unwrap();
    case.nothing_is_left().unwrap();
}

#[test]
fn a_foreign_producer_that_dies() {
    let case = Case::on_disk().unwrap();
    let lines: String = (0..20_000).map(|number| format!("{{\"number\":{number}}}\n")).collect();
    write(&case.place, "data", lines.as_bytes()).unwrap();
    let line = "sh -c 'head -c 100000 data; kill -9 $$' | vb-compress | vb-put --set words";
    let run = case.line(line).run().unwrap().exited(6).unwrap();
    refused(&run, "vb-put", 6).unwrap();
    let run = case.line(&line.replace("vb-compress | ", "")).run().unwrap().exited(6).unwrap();
    refused(&run, "vb-put", 6).unwrap();
    // A format that shows its end is refused by the first command that sees it.
    let line = "sh -c 'gzip -c data | head -c 10000; kill -9 $$' | vb-compress -d | vb-put --set words --unproven";
    let run = case.line(line).run().unwrap().exited(6).unwrap();
    refused(&run, "vb-compress", 6).unwrap();
    assert!(case.stock.keys().unwrap().is_empty());
    case.nothing_but_the_store_is_left(&["data"]).unwrap();
}

#[test]
fn two_writers_into_one_pipe() {
    let case = Case::on_disk().unwrap();
    write(&case.place, "a", &noise(300_000)).unwrap();
    write(&case.place, "b", &noise(400_000)).unwrap();
    let run = case.line("{ vb-compress a; vb-compress b; } | vb-put --set pair").run().unwrap().exited(6).unwrap();
    refused(&run, "vb-put", 6).unwrap();
    assert!(case.stock.keys().unwrap().is_empty());
    case.nothing_but_the_store_is_left(&["a", "b"]).unwrap();
}

/// The reader closes its end before the writer begins, so that this is no matter of luck.
fn without_reader(case: &Case, line: &str) -> Result<Run> {
    let script = format!(
        "( until [ -e closed ]; do sleep 0.01; done; {line}; echo $? >code ) | ( exec <&-; : >closed; until [ -e code ]; do sleep 0.01; done ); \
         code=$(cat code); rm closed code; exit $code"
    );
    case.line(&script).run()
}

#[test]
fn a_listing_may_lose_its_reader() {
    let case = Case::on_disk().unwrap();
    case.backup().unwrap();
    for line in ["vb-ls", "vb-ls --ids"] {
        let run = without_reader(&case, line).unwrap().succeeded().unwrap();
        assert_eq!(run.stderr_text(), "", "{line}");
    }
    let run = case.line("vb-ls | head -n 1").run().unwrap().succeeded().unwrap();
    assert_eq!(run.stdout_text().lines().count(), 1);
}

#[test]
fn data_must_not_lose_its_reader() {
    let case = Case::on_disk().unwrap();
    let backup = case.backup().unwrap();
    for line in ["vb-export".to_owned(), "vb-compress /etc/passwd".to_owned(), format!("vb-get {}", backup.id)] {
        let run = without_reader(&case, &line).unwrap().exited(1).unwrap();
        assert_eq!(run.stderr_text(), "", "{line}: a failure, but a quiet one");
    }
    let run = case.line("vb-export | head -c 100").run().unwrap().succeeded().unwrap();
    assert_eq!((run.stdout.len(), run.stderr_text()), (100, ""));
    case.nothing_but_the_store_is_left(&["data/.last_backup"]).unwrap();
}
