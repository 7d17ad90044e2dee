//! Into a table of another name, into one that has rows, and what stands in the way there.

use super::{ALL, CHANGES, NOTES, SWAP, chain, restore, restored, set_target, target};
use anyhow::Result;
use vb_tests::pair::Pair;

#[test]
fn into_another_name_beside_the_first() -> Result<()> {
    let pair = chain(NOTES, &CHANGES)?;
    restored(&pair, "")?;
    let done = restored(&pair, "--table scratch.copy")?;
    assert_eq!((&done["table"], &done["created"]), (&"scratch.copy".into(), &true.into()));
    let source = Pair::rows(&pair.source, ALL)?;
    assert_eq!((target(&pair, "SELECT * FROM scratch.copy")?, target(&pair, ALL)?), (source.clone(), source));
    Ok(())
}

#[test]
fn from_its_description_alone() -> Result<()> {
    let pair = chain(NOTES, &CHANGES)?;
    assert_eq!(restored(&pair, "--schema description")?["schema"], "description");
    pair.same(ALL)
}

/// The full backup's rows, some of them changed, some gone, and one that the source never had.
fn with_rows(changes: &[&str], more: &str) -> Result<Pair> {
    let pair = chain(NOTES, changes)?;
    pair.run("vb-get --latest --kind full | vb-compress -d | vb-import")?.succeeded()?;
    set_target(
        &pair,
        "UPDATE notes SET body = 'mine' WHERE id = 50; DELETE FROM notes WHERE id BETWEEN 60 AND 65;
        INSERT INTO notes (id, name, body, updated_at) VALUES (900, 'mine', 'mine', now())",
    )?;
    set_target(&pair, more)?;
    Ok(pair)
}

fn same_but_mine(pair: &Pair) -> Result<()> {
    assert_eq!(target(pair, "SELECT * FROM notes WHERE id < 900")?, Pair::rows(&pair.source, ALL)?);
    assert_eq!(target(pair, "SELECT name FROM notes WHERE id >= 900")?, ["(mine)"]);
    Ok(())
}

#[test]
fn into_the_table_with_rows() -> Result<()> {
    let pair = with_rows(&CHANGES[..2], "")?;
    let done = restored(&pair, "--disable-triggers")?;
    assert_eq!((&done["mode"], &done["records_restored"]), (&"upsert".into(), &101.into()));
    same_but_mine(&pair)?;
    let done = restored(&pair, "--mode replace")?;
    assert_eq!((&done["mode"], &done["records_restored"]), (&"replace".into(), &101.into()));
    pair.same(ALL)
}

#[test]
fn insert_meets_the_rows_that_are_there() -> Result<()> {
    let pair = with_rows(&CHANGES, "")?;
    let before = target(&pair, ALL)?;
    restore(&pair, "--mode insert")?.exited(5)?;
    assert_eq!(target(&pair, ALL)?, before);
    set_target(&pair, "TRUNCATE notes")?;
    assert_eq!(restored(&pair, "--mode insert")?["created"], false);
    pair.same(ALL)
}

/// Updated one after the other they would meet each other's names, with a foreign key at them they cannot simply go.
#[test]
fn rows_trade_unique_values() -> Result<()> {
    let child = "CREATE TABLE child (note bigint REFERENCES notes); INSERT INTO child SELECT id FROM notes";
    for more in ["", child] {
        let pair = with_rows(&[CHANGES[0], SWAP], more)?;
        set_target(&pair, "DELETE FROM notes WHERE id = 900 AND to_regclass('child') IS NULL")?;
        restored(&pair, "--disable-triggers")?;
        assert_eq!(target(&pair, "SELECT * FROM notes WHERE id < 900")?, Pair::rows(&pair.source, ALL)?, "{more}");
        if !more.is_empty() {
            assert_eq!(target(&pair, "SELECT * FROM child")?.len(), 95);
        }
    }
    Ok(())
}

#[test]
fn a_foreign_key_that_acts_is_never_set_off() -> Result<()> {
    let child =
        "CREATE TABLE child (note bigint REFERENCES notes ON DELETE CASCADE); INSERT INTO child SELECT id FROM notes";
    let pair = with_rows(&CHANGES[..2], child)?;
    restored(&pair, "--disable-triggers")?;
    same_but_mine(&pair)?;
    assert_eq!(target(&pair, "SELECT * FROM child")?.len(), 95);
    let run = restore(&pair, "--mode replace")?.exited(5)?;
    assert!(run.stderr_text().contains("child_note_fkey"), "{run}");
    // Only by deleting could these trade their names.
    let pair = with_rows(&[CHANGES[0], SWAP], child)?;
    let before = target(&pair, ALL)?;
    let run = restore(&pair, "--disable-triggers")?.exited(5)?;
    assert!(run.stderr_text().contains("notes_name_key"), "{run}");
    assert_eq!((target(&pair, ALL)?, target(&pair, "SELECT * FROM child")?.len()), (before, 95));
    Ok(())
}

#[test]
fn columns_of_the_tables_own_keep_their_values() -> Result<()> {
    let pair =
        with_rows(&CHANGES[..2], "ALTER TABLE notes ADD own text DEFAULT 'default'; UPDATE notes SET own = 'kept'")?;
    restored(&pair, "--disable-triggers")?;
    let own = target(&pair, "SELECT own, count(*) FROM notes GROUP BY 1")?;
    // 101 rows of the source, of which one is new and six were missing, and one of the table's own.
    assert_eq!(own, ["(default,7)", "(kept,95)"]);
    Ok(())
}
