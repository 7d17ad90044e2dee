//! What keeps a dump from being whole, and a restore from being begun.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use vb_tests::leftovers::until;

use crate::Rental;

/// A `pg_dump` that knows its version, writes a little of the real one's output, and dies.
const DYING: &str = "#!/bin/sh\n\
    case \"$*\" in --version) exec pg_dump --version ;; esac\n\
    pg_dump \"$@\" 2>/dev/null | head -c 20000\n";

#[test]
fn a_pg_dump_that_dies_leaves_no_backup() {
    for (end, words) in [("kill -9 $$", "signal 9"), ("echo 'pg_dump: error: no room' >&2; exit 1", "no room")] {
        let rental = Rental::new().unwrap();
        fs::write(rental.place.path("pg_dump"), format!("{DYING}{end}\n")).unwrap();
        rental.run("chmod +x pg_dump").unwrap().succeeded().unwrap();
        let line = "VB_PG_DUMP=$PWD/pg_dump vb-export dump | vb-compress | vb-put"
            .replace("vb-export", "DATABASE_URL=$SOURCE vb-export");
        let run = rental.place.shell(&line).env("SOURCE", rental.source.url());
        let store = rental.place.path("backups");
        let run = run.env("VB_STORE", format!("file://{}", store.display())).run().unwrap().exited(6).unwrap();
        let failed = run.event("vb-export", "failed").unwrap();
        assert!(failed["message"].as_str().unwrap().contains(words), "{run}");
        assert_eq!(failed["exit_code"], 6);
        assert!(!store.exists() || fs::read_dir(&store).unwrap().next().is_none(), "{run}");
    }
}

#[test]
fn a_table_that_stays_locked_ends_the_dump_and_one_that_goes_does_not() {
    let rental = Rental::new().unwrap();
    let mut other = rental.source.client().unwrap();
    other.batch_execute("BEGIN; DROP TABLE no_rows").unwrap();
    for form in ["", "--format parquet"] {
        let line = format!("vb-export dump {form} --lock-wait 1s -o dump");
        let run = rental.run(&line).unwrap();
        assert!([6, 8].contains(&run.exit_code()) && !rental.place.path("dump").exists(), "{run}");
    }
    let line = "vb-export dump --format parquet --lock-wait 60s --status status | vb-import";
    let waiting = rental.shell(line).deadline(Duration::from_secs(110));
    let status = rental.place.path("status");
    let run = std::thread::spawn(move || waiting.run());
    let warned = || Ok(fs::read_to_string(&status).is_ok_and(|lines| lines.contains("trying again")).then_some(()));
    until("the export waits for the table", warned).unwrap();
    other.batch_execute("COMMIT").unwrap();
    run.join().unwrap().unwrap().succeeded().unwrap();
    let gone = rental.target.client().unwrap().query_one("SELECT to_regclass('no_rows') IS NULL", &[]).unwrap();
    assert!(gone.get::<_, bool>(0));
}

#[test]
fn only_an_empty_database_is_restored_into() {
    let rental = Rental::new().unwrap();
    rental.run("vb-export dump --format parquet -o tar; vb-export dump -o custom").unwrap().succeeded().unwrap();
    rental.target.client().unwrap().batch_execute("CREATE VIEW here AS SELECT 1").unwrap();
    for line in ["vb-import tar", "vb-import tar --jobs 2", "vb-import custom", "vb-import tar --force"] {
        let run = rental.run(line).unwrap().exited(5).unwrap();
        assert!(run.stderr_text().contains("public.here"), "{run}");
    }
    rental.run("vb-import custom --force").unwrap().succeeded().unwrap();
}

#[test]
fn what_is_cut_off_damaged_or_unproven_is_not_restored() {
    let rental = Rental::new().unwrap();
    rental.run("vb-export dump --format parquet -o tar; vb-export dump -o custom").unwrap().succeeded().unwrap();
    let whole = fs::read(rental.place.path("tar")).unwrap();
    for cut in [600, whole.len() / 2, whole.len() - 1024] {
        fs::write(rental.place.path("cut"), &whole[..cut]).unwrap();
        rental.run("vb-import cut").unwrap().exited(6).unwrap();
    }
    let mut damaged = whole.clone();
    let place = whole.windows(4).position(|bytes| bytes == b"PAR1").unwrap() + 100;
    damaged[place] ^= 1;
    fs::write(rental.place.path("damaged"), &damaged).unwrap();
    rental.run("vb-import damaged").unwrap().exited(6).unwrap();
    // Nobody vouches for what cat passes on, and nothing in it shows its end.
    rental.run("cat custom | vb-import").unwrap().exited(6).unwrap();
    rental.run("head -c 100000 custom >short; vb-import short").unwrap().exited(1).unwrap();
    let rows = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(rental.target.client().unwrap().query_one(rows, &[]).unwrap().get::<_, i64>(0), 0);
}

#[test]
fn rows_that_are_not_what_they_were_are_not_restored() {
    let rental = Rental::new().unwrap();
    rental.run("vb-export dump --format parquet --row-hash -o tar").unwrap().succeeded().unwrap();
    falsify(&rental.place.path("tar")).unwrap();
    let run = rental.run("vb-import tar").unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("Nothing was changed"), "{run}");
    let run = rental.run("vb-import tar --jobs 2").unwrap();
    assert_eq!(run.exit_code(), 6, "{run}");
    assert!(run.stderr_text().contains("not what they were") && run.stderr_text().contains("incomplete"), "{run}");
}

/// Makes the list of members say another hash of the films.
pub(crate) fn falsify(tar: &Path) -> Result<()> {
    let mut bytes = fs::read(tar)?;
    let find = |bytes: &[u8], text: &str, from: usize| {
        let place = bytes[from..].windows(text.len()).position(|window| window == text.as_bytes());
        place.map(|place| from + place).with_context(|| format!("{text} is not there"))
    };
    let list = find(&bytes, "\"members\"", 0)?;
    let film = find(&bytes, "tables/public.film.parquet", list)?;
    let sum = find(&bytes, "\"sum\": \"", film)? + "\"sum\": \"".len() + 3;
    bytes[sum] = if bytes[sum] == b'7' { b'8' } else { b'7' };
    Ok(fs::write(tar, bytes)?)
}

#[test]
fn options_for_tables_are_refused() {
    let rental = Rental::new().unwrap();
    for line in [
        "vb-export dump --where 'a > 1' -o x",
        "vb-export dump --format csv -o x",
        "vb-export dump --row-hash -o x",
        "vb-export table film --format custom -o x",
        "vb-export dump --format parquet -o tar && vb-import tar --table film",
        "vb-import tar --verify-only",
    ] {
        rental.run(line).unwrap().exited(2).unwrap();
    }
}
