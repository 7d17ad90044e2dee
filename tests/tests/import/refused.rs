//! What `vb-import` refuses although it could be done: it would leave less than there was.

use anyhow::Result;

use crate::{NOTES, Pair};

#[test]
fn an_incremental_backup_alone_is_no_table() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    let export = "vb-export table notes --since 2026-11-02";
    let run = pair.run(&format!("{export} | vb-import"))?.exited(5)?;
    assert!(run.stderr_text().contains("this backup is incremental"), "{run}");
    for way in
        ["| cat | vb-import", "| vb-compress | cat | vb-compress -d | cat | vb-import", "-o part && vb-import part"]
    {
        let run = pair.run(&format!("{export} {way}"))?.exited(5)?;
        assert!(run.stderr_text().contains("this backup is incremental"), "{run}");
    }
    pair.run(&format!("{export} | vb-import --mode insert"))?.succeeded()?;
    let run = pair.run(&format!("{export} | vb-import --mode replace"))?.exited(5)?;
    assert!(run.stderr_text().contains("would hold only what changed"), "{run}");
    Ok(())
}

#[test]
fn options_of_a_database_are_refused_for_a_table() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.run("vb-export table notes -o notes.parquet && vb-import notes.parquet")?.succeeded()?;
    pair.target.client()?.batch_execute("UPDATE notes SET body = 'live'")?;
    for options in ["--swap --verify-only", "--swap --disconnect", "--force", "--no-owner"] {
        let run = pair.run(&format!("vb-import {options} notes.parquet"))?.exited(2)?;
        assert!(run.stderr_text().contains("are for a whole database, and a table has come"), "{run}");
    }
    assert_eq!(pair.target_rows("SELECT DISTINCT body FROM notes")?, ["(live)"]);
    Ok(())
}

#[test]
fn the_rows_of_a_part_are_not_replaced_where_a_key_points_at_them() -> Result<()> {
    let pair = Pair::new("CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF whole FOR VALUES FROM (0) TO (9);
        INSERT INTO whole VALUES (1), (2)")?;
    pair.run("vb-export table low -o low.parquet && vb-export table whole -o whole.parquet")?.succeeded()?;
    let tables = "CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF whole FOR VALUES FROM (0) TO (9);
        INSERT INTO whole VALUES (1), (2)";
    for (target, file) in [("whole", "low.parquet"), ("low", "whole.parquet"), ("low", "low.parquet")] {
        pair.set_target(&format!(
            "DROP TABLE IF EXISTS pointing, whole; {tables}; CREATE TABLE pointing (id int REFERENCES {target} ON DELETE CASCADE); INSERT INTO pointing VALUES (1)"
        ))?;
        let run = pair.run(&format!("vb-import --mode replace {file}"))?.exited(5)?;
        assert!(run.stderr_text().contains("of pointing points at its rows"), "{run}");
        assert_eq!(pair.target_rows("SELECT * FROM pointing")?, ["(1)"]);
    }
    Ok(())
}
