//! Which backups count: those that can be restored, chain and all, as far as the facts tell.

use super::backup::Backup;
use crate::chain::{self, Misfit};
use crate::fact::Level;
use crate::label::Kind;
use std::collections::HashMap;
use std::fmt;

/// What a backup is worth to a policy. Only a good one uses up a rule or is the reason to remove another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'all> {
    /// It counts.
    Good,
    /// It was found damaged.
    Damaged,
    /// What it consists of is not all there, and what is not.
    Incomplete(&'all str),
    /// It was not verified as far as the policy demands.
    Unverified(Level),
    /// It is incremental and nothing says on what it stands.
    Baseless,
    /// What it stands on is not there.
    BaseMissing(&'all str),
    /// It does not continue what it stands on, so that no restore takes the two together.
    Misfit(&'all str, Misfit<'all>),
    /// What it stands on, directly or further down, counts for nothing itself.
    BaseUnsound(&'all str),
}

impl fmt::Display for Standing<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => formatter.write_str("good"),
            Self::Damaged => formatter.write_str("found damaged"),
            Self::Incomplete(what) => write!(formatter, "incomplete: {what}"),
            Self::Unverified(level) => write!(formatter, "verified only to {level}"),
            Self::Baseless => formatter.write_str("incremental, and it does not name what it stands on"),
            Self::BaseMissing(base) => write!(formatter, "{base}, on which it stands, is not there"),
            Self::Misfit(base, why) => write!(formatter, "{base}, on which it stands, {why}"),
            Self::BaseUnsound(base) => write!(formatter, "{base}, on which it stands, counts for nothing"),
        }
    }
}

/// The place of each backup in the listing, by its id.
pub(super) type Places<'all> = HashMap<&'all str, usize>;

/// What each backup is worth.
pub(super) fn of_each<'all>(backups: &'all [Backup], places: &Places<'all>, required: Level) -> Vec<Standing<'all>> {
    let mut known: Vec<Option<Standing>> = vec![None; backups.len()];
    for start in 0..backups.len() {
        // Down to the first that is known, or that has nothing below it; then up again. A circle ends at its beginning.
        let mut path = vec![start];
        while let Some(next) = path.last().and_then(|top| base_place(&backups[*top], places))
            && known[next].is_none()
            && path.len() <= backups.len()
        {
            path.push(next);
        }
        while let Some(top) = path.pop() {
            if known[top].is_none() {
                known[top] = Some(of_one(backups, top, places, &known, required));
            }
        }
    }
    known.into_iter().map(|standing| standing.unwrap_or(Standing::Baseless)).collect()
}

fn base_place(backup: &Backup, places: &Places) -> Option<usize> {
    places.get(backup.base.as_deref().filter(|_| backup.kind == Kind::Incremental)?).copied()
}

fn of_one<'all>(
    backups: &'all [Backup],
    place: usize,
    places: &Places,
    known: &[Option<Standing<'all>>],
    required: Level,
) -> Standing<'all> {
    let backup = &backups[place];
    if backup.damaged {
        return Standing::Damaged;
    }
    if let Some(what) = &backup.incomplete {
        return Standing::Incomplete(what);
    }
    if backup.level < required {
        return Standing::Unverified(backup.level);
    }
    if backup.kind == Kind::Full {
        return Standing::Good;
    }
    let Some(base) = backup.base.as_deref() else { return Standing::Baseless };
    let Some(below) = places.get(base) else { return Standing::BaseMissing(base) };
    if let Err(why) = chain::follows(&backups[*below], backup) {
        return Standing::Misfit(base, why);
    }
    match known[*below] {
        Some(Standing::Good) => Standing::Good,
        _ => Standing::BaseUnsound(base),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<Backup> {
        let one = |hour: u32, base: Option<u32>| Backup::new(&crate::chain::tests::backup(hour, base), &[]);
        vec![one(3, Some(2)), one(1, None), one(2, Some(1)), one(4, None)]
    }

    fn standings(backups: &[Backup], required: Level) -> Vec<Standing<'_>> {
        let places = backups.iter().enumerate().map(|(place, backup)| (backup.id.as_str(), place)).collect();
        of_each(backups, &places, required)
    }

    #[test]
    fn a_chain_is_as_good_as_its_worst_link() {
        let mut all = chain();
        assert_eq!(standings(&all, Level::Listed), [Standing::Good; 4]);
        all[1].damaged = true;
        let (first, second) = ("w_20261121_010000", "w_20261121_020000");
        assert_eq!(
            standings(&all, Level::Listed),
            [Standing::BaseUnsound(second), Standing::Damaged, Standing::BaseUnsound(first), Standing::Good]
        );
        all.remove(1);
        assert_eq!(standings(&all, Level::Listed)[..2], [Standing::BaseUnsound(second), Standing::BaseMissing(first)]);
    }

    #[test]
    fn what_is_not_all_there_is_not_good_nor_is_what_stands_on_it() {
        let mut all = chain();
        all[1].incomplete = Some("w/w_20261121_010000.parquet is not there".to_owned());
        let found = standings(&all, Level::Listed);
        assert_eq!(found[1].to_string(), "incomplete: w/w_20261121_010000.parquet is not there");
        assert_eq!(found[2], Standing::BaseUnsound("w_20261121_010000"));
        assert_eq!(found[3], Standing::Good);
    }

    #[test]
    fn a_chain_that_no_restore_takes_is_not_good() {
        use crate::position::Reach;
        let by = |by: &str, since_xid, until_xid| {
            Some(std::sync::Arc::new(Reach { by: by.into(), since_xid, until_xid, timeline: None }))
        };
        let first = "w_20261121_010000";
        let mut all = chain();
        all[2].schema_sha256 = Some("b".into());
        all[1].schema_sha256 = Some("a".into());
        assert_eq!(standings(&all, Level::Listed)[2], Standing::Misfit(first, Misfit::Columns));
        let mut all = chain();
        (all[1].position, all[2].position) = (by("xmin", None, Some(7)), by("xmin", Some(8), Some(9)));
        assert_eq!(standings(&all, Level::Listed)[2], Standing::Misfit(first, Misfit::Gap));
        // Transactions alone prove it too.
        all[1].position = by("xmin", None, Some(8));
        (all[1].until, all[2].since) = (None, None);
        assert_eq!(standings(&all, Level::Listed)[2], Standing::Good);
    }

    #[test]
    fn what_is_not_verified_far_enough_counts_for_nothing() {
        let mut all = chain();
        all.iter_mut().take(2).for_each(|backup| backup.level = Level::Restored);
        let found = standings(&all, Level::Decoded);
        assert_eq!(found[1], Standing::Good);
        assert_eq!(found[0], Standing::BaseUnsound("w_20261121_020000"));
        assert_eq!(found[3], Standing::Unverified(Level::Listed));
    }

    #[test]
    fn gaps_circles_and_nameless_bases_are_not_good() {
        let mut all = chain();
        all[0].since = Some("2026-11-21T02:00:01Z".parse().unwrap());
        assert_eq!(standings(&all, Level::Listed)[0], Standing::Misfit("w_20261121_020000", Misfit::Gap));
        all[2].base = Some(all[2].id.clone());
        assert_ne!(standings(&all, Level::Listed)[2], Standing::Good);
        all[2].base = None;
        assert_eq!(standings(&all, Level::Listed)[2], Standing::Baseless);
    }
}
