//! Whether an export may continue the last one, or must be full: the decision, and the reason that the status line gives.

use crate::label::{DATABASE, Source};
use crate::mark::Mark;
use crate::position::Position;
use crate::storage::{MOST_PARTS, Storage};

/// How many transactions may lie between two exports by `xmin`. Rows carry the lower 32 bits of their transaction's number; up
/// to half of their range there is no doubt which of two is the later, and some are left for those that begin meanwhile.
pub const MOST_XIDS: u64 = 2_000_000_000;

/// What is there now.
#[derive(Debug, Clone, Copy)]
pub struct Present<'export> {
    /// Where it would be exported from.
    pub source: &'export Source,
    /// The digest of its columns.
    pub schema_sha256: &'export str,
    /// Where the export would leave off.
    pub position: &'export Position,
    /// The first transaction that the snapshot cannot see because it had not begun (`pg_snapshot_xmax`).
    pub next_xid: u64,
    /// Whether rows that are gone are found by their keys.
    pub deletes: bool,
}

/// The parts of the table that must be exported whole, by their oids, since they are new or rewritten; all other rows only if
/// they are new.
///
/// # Errors
/// Why the export must be full.
pub fn of(mark: &Mark, present: &Present<'_>) -> Result<Vec<u32>, String> {
    same_course(mark, present)?;
    let now = present.position;
    match (mark.position.as_ref().map(|then| &then.storage), &now.storage) {
        (Some(Some(was)), Some(is)) => whole_parts(was, is, present.deletes),
        (_, None) => Err(format!("the table has more than {MOST_PARTS} parts")),
        (None, Some(_)) if !now.is_by_xmin() => Ok(Vec::new()),
        (_, Some(_)) => Err("the last export did not note where the rows lie".to_owned()),
    }
}

/// Whether it is the source of the last export, on the same course, and not too far from there. Where its rows lie is not asked.
///
/// # Errors
/// Why the export must be full.
pub fn same_course(mark: &Mark, present: &Present<'_>) -> Result<(), String> {
    same_source(mark, present)?;
    let now = present.position;
    let Some(then) = &mark.position else {
        return match now.is_by_xmin() {
            true => Err("the last export did not note its transactions".to_owned()),
            false => Ok(()),
        };
    };
    if then.by != now.by {
        return Err(format!("the last export went by {}, this one goes by {}", then.by, now.by));
    }
    if let (Some(was), Some(is)) = (then.timeline, now.timeline)
        && was != is
    {
        return Err(format!(
            "the server was promoted or restored since the last export (its timeline was {was} and is {is})"
        ));
    }
    if differs(then.started, now.started) {
        return Err("the server was started anew since the last export, perhaps from a copy of its files".to_owned());
    }
    if differs(then.database_oid, now.database_oid) {
        return Err("the database was made anew since the last export".to_owned());
    }
    if differs(then.shape.as_deref(), now.shape.as_deref()) {
        return Err("the table's columns have changed, or what its values name".to_owned());
    }
    if now.is_by_xmin() { near_enough(then.until_xid, present.next_xid) } else { Ok(()) }
}

/// What both know, and is not the same.
fn differs<T: PartialEq>(was: Option<T>, is: Option<T>) -> bool {
    matches!((was, is), (Some(was), Some(is)) if was != is)
}

fn same_source(mark: &Mark, present: &Present<'_>) -> Result<(), String> {
    let differs = |was: &Option<String>, is: Option<&str>| differs(was.as_deref(), is);
    let source = present.source;
    let reason = if differs(&mark.source, Some(&source.name)) && source.source_type == DATABASE {
        "the last export was not of this database"
    } else if differs(&mark.source, Some(&source.name)) {
        "the last export was of another table"
    } else if differs(&mark.system_identifier, source.system_identifier.as_deref()) {
        "the last export was from another server"
    } else if differs(&mark.database, source.database.as_deref()) {
        "the last export was from another database"
    } else if differs(&mark.schema_sha256, Some(present.schema_sha256)) {
        "the table's columns have changed"
    } else {
        return Ok(());
    };
    Err(reason.to_owned())
}

/// The transactions since the last export must be countable.
fn near_enough(then: Option<u64>, next: u64) -> Result<(), String> {
    let Some(then) = then else { return Err("the last export did not note its transactions".to_owned()) };
    let passed = next.checked_sub(then).ok_or_else(|| {
        format!(
            "the server's transactions ({next}) are behind the last export's ({then}): it was restored or made anew"
        )
    })?;
    if passed > MOST_XIDS {
        return Err(format!("{passed} transactions have passed since the last export: their numbers may come round"));
    }
    Ok(())
}

/// A new part may hold rows that are older than the last export. One that was rewritten may have lost rows, and one that is gone has
/// lost all of them: nobody sees that but by the keys.
fn whole_parts(was: &Storage, is: &Storage, deletes: bool) -> Result<Vec<u32>, String> {
    if was.has_lost(is) && !deletes {
        return Err("a part of the table is gone".to_owned());
    }
    let mut whole: Vec<u32> = was.added(is).collect();
    let rewritten: Vec<u32> = was.rewritten(is).collect();
    if !rewritten.is_empty() && !deletes {
        return Err("the table was rewritten or truncated".to_owned());
    }
    whole.extend(rewritten);
    if was.parts() > 0 && !whole.is_empty() && whole.len() == is.parts() {
        return Err("the table was rewritten or truncated".to_owned());
    }
    whole.sort_unstable();
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::XMIN;

    fn storage(parts: &[(u32, u32)]) -> Option<Storage> {
        Storage::of(parts.iter().copied())
    }

    fn position(by: &str) -> Position {
        let storage = storage(&[(1, 1), (2, 2)]);
        Position {
            by: by.to_owned(),
            until_xid: Some(5000),
            timeline: Some(1),
            started: Some(7),
            database_oid: Some(5),
            shape: words("a"),
            storage,
            ..Position::default()
        }
    }

    fn words(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn mark(by: &str) -> Mark {
        Mark {
            source: words("public.t"),
            system_identifier: words("7"),
            database: words("shop"),
            schema_sha256: words("ab"),
            position: Some(position(by)),
            ..Mark::of_time("2026-11-21T03:15:00Z".parse().unwrap())
        }
    }

    /// What is decided where `change` happened since.
    fn decide(
        by: &str,
        deletes: bool,
        change: impl FnOnce(&mut Mark, &mut Source, &mut Position, &mut u64),
    ) -> Result<Vec<u32>, String> {
        let (mut mark, mut position, mut next_xid) = (mark(by), position(by), 6000);
        let name = "public.t".to_owned();
        let mut source = Source { name, system_identifier: words("7"), database: words("shop"), ..Source::default() };
        position.until_xid = (by == XMIN).then_some(5900);
        change(&mut mark, &mut source, &mut position, &mut next_xid);
        of(&mark, &Present { source: &source, schema_sha256: "ab", position: &position, next_xid, deletes })
    }

    #[test]
    fn where_nothing_has_changed_it_continues() {
        for by in [XMIN, "updated_at"] {
            assert_eq!(decide(by, false, |_, _, _, _| {}), Ok(vec![]));
            // Nobody who was not allowed to ask for it knows another server.
            assert_eq!(decide(by, false, |_, source, _, _| source.system_identifier = None), Ok(vec![]));
        }
        assert_eq!(decide("updated_at", false, |mark, _, _, _| mark.position = None), Ok(vec![]), "an older mark");
    }

    #[test]
    fn what_has_changed_makes_it_full() {
        type Change = fn(&mut Mark, &mut Source, &mut Position, &mut u64);
        let cases: [(&str, Change, &str); 17] = [
            (XMIN, |_, source, _, _| source.name = "public.u".into(), "another table"),
            (XMIN, |_, source, _, _| source.system_identifier = Some("8".into()), "another server"),
            ("updated_at", |_, source, _, _| source.database = Some("test".into()), "another database"),
            (XMIN, |mark, _, _, _| mark.schema_sha256 = Some("cd".into()), "columns have changed"),
            (XMIN, |mark, _, _, _| mark.position = None, "did not note its transactions"),
            (XMIN, |mark, _, _, _| mark.position = Some(position("updated_at")), "went by updated_at"),
            ("updated_at", |_, _, position, _| position.timeline = Some(2), "its timeline was 1 and is 2"),
            (XMIN, |_, _, _, next| *next = 4999, "are behind"),
            (XMIN, |_, _, _, next| *next = 5001 + MOST_XIDS, "2000000001 transactions"),
            (XMIN, |_, _, position, _| position.storage = None, "more than 4096 parts"),
            (XMIN, |_, _, position, _| position.storage = storage(&[(1, 1), (2, 3)]), "rewritten or truncated"),
            ("updated_at", |_, _, position, _| position.storage = storage(&[(1, 1)]), "is gone"),
            ("updated_at", |_, _, position, _| position.storage = storage(&[(1, 1), (2, 3)]), "rewritten or truncated"),
            ("updated_at", |_, _, position, _| position.storage = None, "more than 4096 parts"),
            (XMIN, |_, _, position, _| position.started = Some(8), "started anew"),
            ("updated_at", |_, _, position, _| position.database_oid = Some(6), "database was made anew"),
            (XMIN, |_, _, position, _| position.shape = words("b"), "columns have changed"),
        ];
        for (by, change, reason) in cases {
            let refusal = decide(by, false, change).unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
        }
    }

    #[test]
    fn a_part_that_is_new_or_rewritten_is_exported_whole() {
        let attached = |_: &mut Mark, _: &mut Source, position: &mut Position, _: &mut u64| {
            position.storage = storage(&[(1, 1), (2, 2), (9, 9)]);
        };
        assert_eq!(decide("updated_at", false, attached), Ok(vec![9]));
        assert_eq!(decide(XMIN, false, attached), Ok(vec![9]));
        let rewritten = |_: &mut Mark, _: &mut Source, position: &mut Position, _: &mut u64| {
            position.storage = storage(&[(1, 10), (2, 2)]);
        };
        assert_eq!(decide("updated_at", true, rewritten), Ok(vec![1]));
        assert_eq!(decide(XMIN, true, rewritten), Ok(vec![1]));
        assert!(decide(XMIN, false, rewritten).is_err());
        let replaced = |_: &mut Mark, _: &mut Source, position: &mut Position, _: &mut u64| {
            position.storage = storage(&[(1, 10), (2, 20)]);
        };
        assert!(decide(XMIN, true, replaced).is_err(), "that is all of it");
    }
}
