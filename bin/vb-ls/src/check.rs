//! `--assert`: a condition on each set, whose failure is this command's.

use crate::newest;
use crate::stats::{self, SetStats};
use serde_json::json;
use vb_core::assertion::{Assertion, Failure, Known};
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_pipe::Session;

use crate::inventory::Backup;

/// Judges every set.
///
/// # Errors
/// A failure that names the first set and clause, and says how many more; also if there is nothing to judge.
pub(crate) fn all(
    session: &Session,
    chosen: &[&Backup],
    assertion: &Assertion,
    now: Instant,
    wanted_set: Option<&str>,
    place: &str,
) -> Result<()> {
    let sets = stats::of(chosen);
    // What is not all there, or from a clock that was ahead, would let every condition hold for ever.
    let counted: Vec<&Backup> =
        chosen.iter().filter(|backup| backup.incomplete.is_none() && !newest::is_ahead(backup, now)).copied().collect();
    let counted = stats::of(&counted);
    if sets.is_empty() {
        let set = wanted_set.map(|set| format!(" of {set}")).unwrap_or_default();
        return Err(Error::failure(format!("there is no backup{set} in {place}, so nothing can hold")));
    }
    let mut reasons = Vec::new();
    for set in sets.iter().filter(|set| !counted.iter().any(|counted| counted.set == set.set)) {
        let count = set.backups.len();
        let why = format!("none of its {count} backups counts: they are incomplete, or dated in the future");
        session.event(
            "assertion",
            &json!({ "set": set.set, "id": "", "holds": false, "failures": [{ "clause": "", "actual": why }] }),
        )?;
        reasons.push(format!("{}: {why}", set.set));
    }
    for set in &counted {
        let (id, failures) = judge(set, assertion, now);
        let clauses: Vec<_> =
            failures.iter().map(|failure| json!({ "clause": failure.clause, "actual": failure.actual })).collect();
        let holds = failures.is_empty();
        session.event("assertion", &json!({ "set": set.set, "id": id, "holds": holds, "failures": clauses }))?;
        if !holds {
            let words: Vec<String> = failures.iter().map(ToString::to_string).collect();
            reasons.push(format!("{}: {} ({id})", set.set, words.join("; ")));
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::failure(reasons.join(", and "))) }
}

fn judge<'all>(set: &SetStats<'all>, assertion: &Assertion, now: Instant) -> (&'all str, Vec<Failure>) {
    let Some(newest) = set.newest() else { return ("", Vec::new()) };
    let row = &newest.entry.row;
    let known = Known {
        age: now - row.created_at,
        level: newest.level,
        count: set.backups.len() as u64,
        bytes: row.size_bytes(),
        records: row.records,
        growth_percent: set.growth_percent(),
    };
    (&row.id, assertion.failures(&known))
}
