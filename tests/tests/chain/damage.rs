//! Chains that are not whole, and streams that are not what they should be: exit code 6, and nothing is changed.

use super::{ALL, CHANGES, NOTES, backup, chain, ids, set_target, target};
use anyhow::{Context, Result};
use std::fs;
use vb_tests::pair::Pair;

/// A table with one row, which must still be there.
fn kept() -> Result<Pair> {
    let pair = chain(NOTES, &CHANGES)?;
    set_target(&pair, "CREATE TABLE notes AS SELECT 7::bigint AS id")?;
    pair.run("vb-get --latest --chain -o chain.tar")?.succeeded()?;
    Ok(pair)
}

fn refused(pair: &Pair, line: &str, words: &str) -> Result<()> {
    let run = pair.run(line)?.exited(6).context(line.to_owned())?;
    assert!(run.stderr_text().contains(words), "{line}: {run}");
    assert_eq!(target(pair, ALL)?, ["(7)"], "{line}");
    Ok(())
}

#[test]
fn a_hole() -> Result<()> {
    let pair = kept()?;
    let ids = ids(&pair)?;
    let without = |name: &str| {
        let repack = "rm -rf other && mkdir other && vb-get --latest --chain | tar -x -C other";
        pair.run(&format!("{repack} && rm other/notes/{name} && tar -c -C other notes >chain.tar"))?.succeeded()
    };
    without(&format!("{}_metadata.json", ids[2]))?;
    refused(&pair, "vb-import chain.tar", "hole")?;
    refused(&pair, "cat chain.tar | vb-import --dry-run", &ids[2])?;
    without(&format!("{}.parquet.gz", ids[1]))?;
    refused(&pair, "vb-import chain.tar", "it is not in the archive")?;
    pair.run(&format!("rm backups/notes/{}_metadata.json", ids[0]))?.succeeded()?;
    refused(&pair, "vb-get --latest --chain | vb-import", "hole")
}

#[test]
fn cut_off_anywhere() -> Result<()> {
    let pair = kept()?;
    let length = fs::metadata(pair.place.path("chain.tar"))?.len();
    for cut in [600, 3000, length / 2, length - 1024, length - 513] {
        refused(&pair, &format!("head -c {cut} chain.tar | vb-import"), "reading standard input")?;
        refused(&pair, &format!("head -c {cut} chain.tar >cut.tar; vb-import cut.tar"), "reading cut.tar")?;
    }
    refused(&pair, "vb-get --latest --chain | head -c 3000 | vb-import", "")
}

#[test]
fn one_wrong_byte_anywhere() -> Result<()> {
    let pair = kept()?;
    let whole = fs::read(pair.place.path("chain.tar"))?;
    let step = whole.len() / 40;
    for place in (0..40).map(|number| number * step + 7) {
        // Padding and the header's unused fields mean nothing.
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        fs::write(pair.place.path("damaged.tar"), &damaged)?;
        let run = pair.run("vb-import --mode replace --table other damaged.tar")?;
        match run.exit_code() {
            0 => {
                let query = "SELECT id, name, body, marks, doc, updated_at FROM other";
                assert_eq!(target(&pair, query)?, Pair::rows(&pair.source, ALL)?, "byte {place}");
            }
            code => assert!([2, 4, 6].contains(&code), "byte {place}: {run}"),
        }
        set_target(&pair, "DROP TABLE IF EXISTS other")?;
    }
    Ok(())
}

#[test]
fn a_member_that_is_not_what_its_manifest_says() -> Result<()> {
    let pair = kept()?;
    let ids = ids(&pair)?;
    // A whole gzip with its seal, of the same table, but another day's.
    let swap = format!(
        "mkdir other && tar -xf chain.tar -C other && cp other/notes/{}.parquet.gz other/notes/{}.parquet.gz",
        ids[1], ids[2]
    );
    pair.run(&format!("{swap} && tar -c -C other notes >chain.tar"))?.succeeded()?;
    refused(&pair, "vb-import chain.tar", &ids[2])
}

#[test]
fn a_backup_of_another_table_smuggled_in() -> Result<()> {
    let pair = kept()?;
    let ids = ids(&pair)?;
    pair.source.client()?.batch_execute("CREATE TABLE strange AS SELECT 1 AS id, now() AS updated_at")?;
    let strange = "vb-export table strange | vb-compress | vb-put --set notes";
    pair.run(strange)?.succeeded()?;
    refused(&pair, "tar -c -C backups notes | vb-import", "public.strange")?;
    // The same as an increment of the chain, down to its manifest.
    let newest = super::ids(&pair)?.pop().context("no backup")?;
    let manifest = pair.place.path(format!("backups/notes/{newest}_metadata.json"));
    let mut forged: serde_json::Value = serde_json::from_slice(&fs::read(&manifest)?)?;
    let base = pair.place.path(format!("backups/notes/{}_metadata.json", ids[3]));
    let base: serde_json::Value = serde_json::from_slice(&fs::read(base)?)?;
    forged["kind"] = "incremental".into();
    forged["base"] = base["id"].clone();
    forged["since"] = base["until"].clone();
    fs::write(&manifest, forged.to_string())?;
    refused(&pair, "tar -c -C backups notes | vb-import", "public.strange")?;
    for field in ["source", "schema_sha256"] {
        forged[field] = base[field].clone();
    }
    fs::write(&manifest, forged.to_string())?;
    refused(&pair, "tar -c -C backups notes | vb-import", "same table")
}

/// The reader has taken a first part, and then the writer is killed.
#[test]
fn a_killed_pipe() -> Result<()> {
    let pair = kept()?;
    pair.source.client()?.batch_execute(
        "INSERT INTO notes (name, body) SELECT 'n' || n, md5(n::text) FROM generate_series(101, 100000) n",
    )?;
    backup(&pair)?;
    let line =
        "( vb-get --latest --chain & pid=$!; until grep -q '^wchar: [0-9]\\{5,\\}' /proc/$pid/io; do sleep 0.01; done
        kill -9 $pid; wait; : >killed ) | ( until [ -e killed ]; do sleep 0.01; done; vb-import )";
    refused(&pair, line, "died after")?;
    assert_eq!(fs::read_dir(pair.place.run_dir())?.count(), 0);
    Ok(())
}

#[test]
fn other_archives_are_told_apart() -> Result<()> {
    let pair = kept()?;
    let run = pair.run("tar -c mark | vb-import")?.exited(2)?;
    assert!(run.stderr_text().contains("not one of backups"), "{run}");
    Ok(())
}
