//! What makes the next dump full, and what is no chain.

use std::fs;

use anyhow::Result;

use crate::increment::Increments;
use crate::same_text_in_any_order;

fn ids(increments: &Increments) -> Result<Vec<String>> {
    let run = increments.rental.run("vb-ls --ids")?.succeeded()?;
    Ok(run.stdout_text().lines().map(str::to_owned).collect())
}

/// Three dumps, each on the one before.
fn chain() -> Result<(Increments, Vec<String>)> {
    let increments = Increments::new()?;
    increments.full("")?;
    increments.execute("INSERT INTO parent VALUES (100, 'first')")?;
    increments.increment("")?;
    increments.execute("INSERT INTO parent VALUES (101, 'second')")?;
    increments.increment("")?;
    let ids = ids(&increments)?;
    Ok((increments, ids))
}

fn is_empty(increments: &Increments) -> Result<bool> {
    let query = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    Ok(increments.rental.target.client()?.query_one(query, &[])?.get::<_, i64>(0) == 0)
}

#[test]
fn a_chain_with_a_hole_is_refused_before_anything_is_touched() {
    let (increments, ids) = chain().unwrap();
    let set = ids[0].rsplitn(3, '_').last().unwrap().to_owned();
    increments.rental.run("vb-get --latest --chain | tar -x").unwrap().succeeded().unwrap();
    // Without the middle one, and without the first.
    for missing in &ids[..2] {
        let line = format!("tar -cf cut.tar --exclude='{missing}*' {set}");
        increments.rental.run(&line).unwrap().succeeded().unwrap();
        let run = increments.rental.run("vb-import cut.tar").unwrap().exited(6).unwrap();
        assert!(run.stderr_text().contains("has a hole"), "{run}");
    }
    // An increment alone.
    let line = format!("vb-get {} | vb-compress -d | vb-import", ids[2]);
    let run = increments.rental.run(&line).unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains(&format!("it stands on {}", ids[1])), "{run}");
    // And in the store: neither restored nor continued.
    fs::remove_file(increments.rental.place.path(format!("backups/{set}/{}_metadata.json", ids[1]))).unwrap();
    let run = increments.rental.run("vb-get --latest --chain | vb-import").unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("has a hole"), "{run}");
    assert!(is_empty(&increments).unwrap());
    let run = increments.rental.run("vb-ls --mark mark").unwrap().succeeded().unwrap();
    assert!(run.stderr_text().contains("cannot be continued"), "{run}");
    let reason = increments.full("").unwrap();
    assert!(reason.contains("digests of the keys are gone"), "the mark is the first one's again: {reason}");
}

#[test]
fn what_changes_on_the_way_is_found() {
    let (increments, ids) = chain().unwrap();
    let set = ids[0].rsplitn(3, '_').last().unwrap().to_owned();
    // The rows of another link, under a manifest that says so: no digest is wrong but that in the archive itself.
    let unpack = format!(
        "vb-get --latest --chain | tar -x && gunzip -c {set}/{0}.tar.gz >inner.tar && mkdir inner && tar -xf inner.tar -C inner && \
         sed -i 's/\"base\": \"[^\"]*\"/\"base\": \"{1}\"/' inner/dump.json && tar -cf inner.tar -C inner dump.json schema-before.sql \
         tables/public.parent.parquet sequences.json schema-after.sql manifest.json && gzip -c inner.tar >{set}/{0}.tar.gz && \
         python3 -c \"import json, hashlib; name = '{set}/{0}_metadata.json'; data = open('{set}/{0}.tar.gz', 'rb').read(); \
         m = json.load(open(name)); m['objects'][0].update(size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()); \
         json.dump(m, open(name, 'w'))\" && tar -cf false.tar {set}",
        ids[2], ids[0]
    );
    increments.rental.run(&unpack).unwrap().succeeded().unwrap();
    let run = increments.rental.run("vb-import false.tar").unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains(&format!("it stands on {}, and {} came before it", ids[0], ids[1])), "{run}");
    assert!(is_empty(&increments).unwrap(), "{run}");
}

#[test]
fn a_dump_that_cannot_be_continued_is_full_and_says_why() {
    let increments = Increments::new().unwrap();
    assert_eq!(increments.full("").unwrap(), "");
    let (mark, keys) = (increments.rental.place.path("mark"), increments.rental.place.path("mark.keys"));
    let the_file = || fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    fs::write(the_file(), "other bytes").unwrap();
    assert!(increments.full("").unwrap().contains("are damaged"));
    fs::remove_dir_all(&keys).unwrap();
    assert!(increments.full("").unwrap().contains("are gone"));
    assert_eq!(increments.full("--full").unwrap(), "");
    let kept = fs::read_to_string(&mark).unwrap();
    for (from, to, reason) in [
        ("\"source\":\"rental", "\"source\":\"other", "was not of this database"),
        ("\"system_identifier\":\"", "\"system_identifier\":\"1", "another server"),
        ("\"timeline\":1", "\"timeline\":2", "promoted or restored"),
        ("\"until_xid\":", "\"until_xid\":9", "behind the last export's"),
        ("\"by\":\"xmin\"", "\"by\":\"updated_at\"", "went by updated_at"),
    ] {
        assert!(kept.contains(from), "{from} in {kept}");
        fs::write(&mark, kept.replace(from, to)).unwrap();
        let run = increments.rental.run("vb-export dump --format parquet --since @mark --dry-run").unwrap();
        let done = run.succeeded().unwrap().event("vb-export", "done").unwrap();
        assert!(done["reason"].as_str().unwrap().contains(reason), "{done}");
        assert_eq!(done["kind"], "full");
    }
    fs::write(&mark, &kept).unwrap();
    increments.execute("INSERT INTO parent VALUES (100, 'first')").unwrap();
    increments.increment("").unwrap();
    increments.is_restored().unwrap();
}

/// A copy of a database has its tables' numbers, and other rows.
#[test]
fn a_database_that_was_made_anew_is_dumped_in_full() {
    let increments = Increments::new().unwrap();
    let name = increments.rental.source.variables()["PGDATABASE"].clone();
    let elsewhere = |sql: &str| increments.rental.target.client().unwrap().batch_execute(sql).unwrap();
    elsewhere(&format!("CREATE DATABASE {name}_copy TEMPLATE {name}"));
    increments.execute("DELETE FROM parent").unwrap();
    increments.full("").unwrap();
    elsewhere(&format!("DROP DATABASE {name}"));
    elsewhere(&format!("ALTER DATABASE {name}_copy RENAME TO {name}"));
    assert!(increments.full("").unwrap().contains("made anew"));
    increments.execute("UPDATE parent SET note = 'x'").unwrap();
    increments.increment("").unwrap();
    increments.is_restored().unwrap();
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let increments = Increments::new().unwrap();
    for options in [
        "--since @mark",
        "--format parquet --since 2026-11-21",
        "--format parquet --deletes",
        "--format parquet --by xmin",
        "--format parquet --since @mark --by updated_at",
        "--format parquet --since @mark --until 2026-11-21",
    ] {
        increments.rental.run(&format!("vb-export dump {options} -o x")).unwrap().exited(2).unwrap();
    }
    let line = "vb-export dump --format parquet --since @mark --by xmin --deletes -o x && vb-import x";
    increments.rental.run(line).unwrap().succeeded().unwrap();
    same_text_in_any_order(&increments.rental.source, &increments.rental.target).unwrap();
}
