//! What vb-put makes itself: a command's output, whose exit status is its proof, and an archive of files.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{done, ended, file, files, has_ended, spawn, until};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use vb_tests::chance::noise;
use vb_tests::place::Place;
use vb_tests::servers::Postgres;

fn manifest(place: &Place, done: &serde_json::Value) -> serde_json::Value {
    let path = place.path("backups").join(done["manifest_key"].as_str().unwrap());
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_dump_is_stored_if_pg_dump_says_that_it_is_whole() {
    let place = Place::new().unwrap();
    let database = Postgres::shared().unwrap().create_database("dumped").unwrap();
    let create = "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n";
    database.client().unwrap().batch_execute(create).unwrap();
    let line = "vb-put --set shop -- pg_dump -Fc";
    let run = place.shell(line).envs(database.variables()).run().unwrap().succeeded().unwrap();
    let done = done(&run);
    let manifest = manifest(&place, &done);
    assert_eq!((&manifest["proof"], &manifest["set"]), (&"exit_status".into(), &"shop".into()));
    // `printf 'pg_dump\0-Fc' | sha256sum`, the first eight digits
    let digest = "04b55ac8";
    let source = serde_json::json!({"type": "command", "name": "pg_dump", "command_digest": digest});
    assert_eq!(manifest["source"], source);
    let key = done["key"].as_str().unwrap();
    let list = place.shell(&format!("pg_restore -f - backups/{key} | grep -c '^[0-9]'")).run().unwrap();
    assert!(list.succeeded().unwrap().stdout_text().trim().parse::<u32>().unwrap() >= 1000);
    let refused = "vb-put -- pg_dump -Fc no_such_database";
    let run = place.shell(refused).envs(database.variables()).run().unwrap().exited(6).unwrap();
    // Its own words come through.
    assert!(run.stderr_text().contains("pg_dump: error"), "{run}");
    assert_eq!(files(&place.path("backups")).len(), 2);
}

#[test]
fn a_command_that_fails_is_nothing() {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(3_000_000));
    for (line, code, words) in [
        ("vb-put -- sh -c 'echo x; exit 3' secret", 6, "sh exited with status 3"),
        ("vb-put --unproven -- sh -c 'cat data; exit 1'", 6, "sh exited with status 1"),
        ("vb-put -- sh -c 'cat data; kill -9 $$'", 6, "sh was ended by signal 9"),
        ("vb-put -- true", 6, "the output of true is empty"),
        ("vb-put -- sh -c 'tar c data | head -c 1000000'", 6, "not whole: it begins as tar"),
        ("vb-put -- no-such-program", 4, "starting no-such-program"),
    ] {
        let run = place.shell(line).run().unwrap().exited(code).unwrap_or_else(|error| panic!("{line}: {error}"));
        let failed = run.event("vb-put", "failed").unwrap();
        assert!(failed["message"].as_str().unwrap().contains(words), "{line}: {failed}");
        assert!(!failed.to_string().contains("secret"));
        assert_eq!(files(&place.path("backups")), [""; 0], "{line}");
    }
}

#[test]
fn retention_tells_commands_apart_by_their_arguments() {
    let place = Place::new().unwrap();
    let put = |secret: &str, word: &str| format!("vb-put -- printf %s a://u:{secret}@h/{word}");
    let line = [put("one", "a"), put("one", "b"), put("two", "a")].join(" && ");
    let run = place.shell(&line).run().unwrap().succeeded().unwrap();
    let lines = run.status_lines().unwrap();
    let digests: Vec<_> = lines.iter().map(|done| manifest(&place, done)["source"]["command_digest"].clone()).collect();
    assert_ne!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2], "of another password");
    let run = place.shell("vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    let left = place.shell("vb-ls --ids").run().unwrap().succeeded().unwrap();
    assert_eq!(left.stdout_text().lines().count(), 2, "{run}");
    for file in files(&place.path("backups")).iter().filter(|name| name.ends_with(".json")) {
        let text = std::fs::read_to_string(place.path("backups").join(file)).unwrap();
        assert!(!text.contains("one") && !text.contains("two"), "{text}");
    }
}

#[test]
fn a_command_is_named_by_its_program() {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(3_000_000));
    let run = place.shell("vb-put -- /bin/cat data; vb-put -- tar c data; vb-put -- sh -c 'vb-compress <data'").run();
    let lines = run.unwrap().succeeded().unwrap().status_lines().unwrap();
    let stored: Vec<_> = lines.iter().filter(|line| line["command"] == "vb-put").collect();
    assert_eq!([&stored[0]["set"], &stored[1]["set"]], ["cat", "tar"]);
    assert!(stored[1]["key"].as_str().unwrap().ends_with(".tar"), "{:?}", stored[1]);
    // One of ours seals as it does in any pipe.
    assert_eq!(stored[2]["proof"], "file", "{:?}", stored[2]);
    assert_eq!(std::fs::read_dir(place.run_dir()).unwrap().count(), 0);
}

/// `vb-put` in the middle of a command that goes on for a minute, and that command's process.
fn running(place: &Place) -> (std::process::Child, u32) {
    let command = "echo $$ >pid; cat data; sleep 60; echo end";
    let child = spawn(place, &["--set", "w", "--", "sh", "-c", command], Stdio::null());
    let process = until("the command", || std::fs::read_to_string(place.path("pid")).ok()?.trim().parse().ok());
    (child, process)
}

#[test]
fn the_command_ends_with_us() {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(3_000_000));
    for (signal, code) in [(Signal::TERM, 143), (Signal::KILL, 137)] {
        let (child, process) = running(&place);
        let group = rustix::process::getpgid(Pid::from_raw(i32::try_from(process).unwrap())).unwrap();
        assert_eq!(group.as_raw_nonzero().get(), i32::try_from(process).unwrap());
        kill_process(Pid::from_child(&child), signal).unwrap();
        // What the sleeping child of the command holds open is our end of its pipe only.
        assert_eq!(ended(child).0, code);
        until("the command's end", || has_ended(process).then_some(()));
        assert_eq!(files(&place.path("backups")), [""; 0]);
        std::fs::remove_file(place.path("pid")).unwrap();
    }
}

#[test]
fn a_killed_command_is_a_failure_with_its_signal() {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(3_000_000));
    let command = "echo $$ >pid; cat data; exec sleep 60";
    let child = spawn(&place, &["--set", "w", "--", "sh", "-c", command], Stdio::null());
    let process: i32 = until("the command", || std::fs::read_to_string(place.path("pid")).ok()?.trim().parse().ok());
    until("its sleep", || {
        std::fs::read_to_string(format!("/proc/{process}/comm")).ok()?.contains("sleep").then_some(())
    });
    kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
    let (code, said) = ended(child);
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("sh was ended by signal 9"), "{said}");
    assert_eq!(files(&place.path("backups")), [""; 0]);
}

#[test]
fn files_and_folders_become_one_archive() {
    let place = Place::new().unwrap();
    let line = "mkdir -p maps/deep/empty && for n in $(seq 300); do echo $n >maps/deep/$n; done
        ln -s deep/7 maps/link && ln -s /nowhere maps/broken && cp maps/deep/7 'legend (ü).txt' && mkfifo maps/pipe
        printf %0200d 7 >maps/$(printf %0200d 7) && chmod 640 maps/deep/9 && touch -d '2020-02-02 02:02:02' maps/deep/9
        vb-put maps 'legend (ü).txt' $PWD/maps/../maps.json 2>said; echo >maps.json
        vb-put maps 'legend (ü).txt' ../work/maps.json";
    let run = place.shell(line).run().unwrap().succeeded().unwrap();
    let done = done(&run);
    assert_eq!((&done["records"], &done["proof"], &done["set"]), (&305.into(), &"file".into(), &"files".into()));
    assert!(run.stderr_text().contains("maps/pipe is neither a file nor a folder nor a link: left out"), "{run}");
    let manifest = manifest(&place, &done);
    assert_eq!(manifest["source"]["type"], "files");
    let line = "rm maps/pipe && mkdir out && vb-get --latest --set files | tar x -C out && diff -r --no-dereference maps out/maps \
                && cmp 'legend (ü).txt' 'out/legend (ü).txt' && stat -c '%a %Y' maps/deep/9 out/maps/deep/9 | uniq | wc -l \
                && stat -c %Y out/work/maps.json";
    let run = place.shell(line).run().unwrap().succeeded().unwrap();
    assert!(run.stdout_text().starts_with("1\n"), "{run}: {}", run.stdout_text());
    assert!(std::fs::read_to_string(place.path("said")).unwrap().contains("maps.json: no such file"));
}

#[test]
fn a_folder_alone_names_the_set() {
    let place = Place::new().unwrap();
    let run = place.shell("mkdir maps && echo 1 >maps/one && vb-put maps/").run().unwrap().succeeded().unwrap();
    assert_eq!((&done(&run)["set"], &done(&run)["records"]), (&"maps".into(), &1.into()));
    let run = place.shell("vb-put --dry-run maps").run().unwrap().succeeded().unwrap();
    assert!(done(&run)["key"].as_str().unwrap().ends_with(".tar"));
}

#[test]
fn a_file_that_grows_meanwhile_spoils_the_archive() {
    let place = Place::new().unwrap();
    // The second file holds the writer back, so that the first one is opened and measured before it grows.
    file(&place, "large", &noise(40_000_000));
    std::fs::write(place.path("log"), b"").unwrap();
    let line = "(while :; do echo more >>log; done) & writer=$!
        for n in $(seq 60); do ln log log.$n; done; vb-put log* large; code=$?; kill $writer; exit $code";
    let run = place.shell(line).run().unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("it changed its size meanwhile"), "{run}");
    assert_eq!(files(&place.path("backups")), [""; 0]);
}
