//! Retention: what a policy keeps and what it no longer wants. A pure function of the backups, the policy and the time.
//!
//! The rules are those that restic's users know: each backup that is the newest of its day (week, month, …) is kept until
//! the policy's number of days is used up. Days without a backup use up nothing. On top of that: a base lives as long as
//! what stands on it, a backup from the future is kept and uses up nothing, and a set never loses its last backup.

use crate::manifest::Manifest;
use crate::time::Instant;
use crate::{Error, Result};
use chrono::{Datelike, TimeDelta, Timelike};
use std::collections::{BTreeMap, HashMap};

/// How many of each to keep. All zero and none is no policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// The newest, whenever they were made.
    pub last: usize,
    /// One an hour.
    pub hourly: usize,
    /// One a day.
    pub daily: usize,
    /// One an ISO week.
    pub weekly: usize,
    /// One a month.
    pub monthly: usize,
    /// One a year.
    pub yearly: usize,
    /// Everything younger than this.
    pub within: Option<TimeDelta>,
}

/// What happens to one backup, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The backup's id.
    pub id: String,
    /// The rules that keep it; none: it goes.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Whether the backup stays.
    #[must_use]
    pub fn keeps(&self) -> bool {
        !self.reasons.is_empty()
    }
}

type Period = fn(Instant) -> (i32, u32);

impl Policy {
    fn rules(&self) -> [(usize, &'static str, Period); 5] {
        [
            (self.hourly, "hourly", |at| (at.num_days_from_ce(), at.hour())),
            (self.daily, "daily", |at| (at.num_days_from_ce(), 0)),
            (self.weekly, "weekly", |at| (at.iso_week().year(), at.iso_week().week())),
            (self.monthly, "monthly", |at| (at.year(), at.month())),
            (self.yearly, "yearly", |at| (at.year(), 0)),
        ]
    }

    /// Whether it would keep nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Judges every backup, newest first within its set. Sets are judged apart.
///
/// # Errors
/// A usage error if the policy is empty.
pub fn plan(manifests: &[Manifest], policy: &Policy, now: Instant) -> Result<Vec<Verdict>> {
    if policy.is_empty() {
        return Err(Error::usage("the policy keeps nothing")
            .with_hint("Say what to keep, for example --keep-daily 30; nothing was removed."));
    }
    let mut sets: BTreeMap<&str, Vec<&Manifest>> = BTreeMap::new();
    for manifest in manifests {
        sets.entry(&manifest.set).or_default().push(manifest);
    }
    Ok(sets.into_values().flat_map(|set| plan_set(set, policy, now)).collect())
}

fn plan_set(mut set: Vec<&Manifest>, policy: &Policy, now: Instant) -> Vec<Verdict> {
    set.sort_by(|left, right| (right.created_at, &right.id).cmp(&(left.created_at, &left.id)));
    let mut verdicts: Vec<Verdict> =
        set.iter().map(|manifest| Verdict { id: manifest.id.clone(), reasons: Vec::new() }).collect();
    let (future, past): (Vec<usize>, Vec<usize>) = (0..set.len()).partition(|index| set[*index].created_at > now);
    for index in future {
        verdicts[index].reasons.push("dated in the future".to_owned());
    }
    keep_newest(&past, policy.last, &mut verdicts);
    for (most, name, period) in policy.rules() {
        keep_periods(&set, &past, (most, name, period), &mut verdicts);
    }
    for index in &past {
        if policy.within.is_some_and(|within| now - set[*index].created_at <= within) {
            verdicts[*index].reasons.push("within".to_owned());
        }
    }
    if let Some(newest) = past.first().filter(|newest| verdicts[**newest].reasons.is_empty()) {
        verdicts[*newest].reasons.push("the newest of its set".to_owned());
    }
    keep_bases(&set, &mut verdicts);
    verdicts
}

fn keep_newest(past: &[usize], most: usize, verdicts: &mut [Verdict]) {
    for (count, index) in past.iter().take(most).enumerate() {
        verdicts[*index].reasons.push(format!("last {}", count + 1));
    }
}

fn keep_periods(set: &[&Manifest], past: &[usize], rule: (usize, &str, Period), verdicts: &mut [Verdict]) {
    let (most, name, period) = rule;
    let (mut kept, mut previous) = (0, None);
    for index in past {
        let this = period(set[*index].created_at);
        if kept < most && previous != Some(this) {
            kept += 1;
            verdicts[*index].reasons.push(format!("{name} {kept}"));
        }
        previous = Some(this);
    }
}

/// Walks from every kept backup to the full one it stands on.
fn keep_bases(set: &[&Manifest], verdicts: &mut [Verdict]) {
    let places: HashMap<&str, usize> = set.iter().enumerate().map(|(index, one)| (one.id.as_str(), index)).collect();
    for start in 0..set.len() {
        let mut index = start;
        while verdicts[index].keeps() {
            let Some(base) = set[index].base.as_deref().and_then(|base| places.get(base)) else { break };
            if verdicts[*base].keeps() {
                break;
            }
            verdicts[*base].reasons.push(format!("base of {}", set[index].id));
            index = *base;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tests::backup;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn full(text: &str) -> Manifest {
        let mut manifest = backup(1, None);
        manifest.created_at = at(text);
        manifest.id = crate::naming::id("w", manifest.created_at);
        manifest
    }

    fn kept(manifests: &[Manifest], policy: Policy, now: &str) -> Vec<String> {
        let plan = plan(manifests, &policy, at(now)).unwrap();
        plan.into_iter().filter(Verdict::keeps).map(|verdict| verdict.id).collect()
    }

    #[test]
    fn thirty_daily_keeps_the_newest_of_thirty_days() {
        let days: Vec<Manifest> = (0..40)
            .flat_map(|day| [0, 12].map(|hours| at("2026-11-20T03:00:00Z") - TimeDelta::hours(day * 24 + hours)))
            .map(|at| full(&crate::time::seconds(at)))
            .collect();
        let policy = Policy { daily: 30, ..Policy::default() };
        let kept = kept(&days, policy, "2026-11-21T00:00:00Z");
        assert_eq!(kept.len(), 30);
        assert_eq!(kept[0], "w_20261120_030000");
    }

    #[test]
    fn months_without_a_backup_use_up_nothing() {
        let all = ["2026-11-20T00:00:00Z", "2026-08-20T00:00:00Z", "2025-01-20T00:00:00Z"].map(full);
        let policy = Policy { monthly: 3, ..Policy::default() };
        assert_eq!(kept(&all, policy, "2026-11-21T00:00:00Z").len(), 3);
    }

    #[test]
    fn no_kept_incremental_loses_its_base() {
        let all = [backup(1, None), backup(2, Some(1)), backup(3, Some(2)), backup(4, None)];
        let policy = Policy { last: 2, ..Policy::default() };
        let kept = kept(&all, policy, "2026-11-22T00:00:00Z");
        assert_eq!(kept.len(), 4);
    }

    #[test]
    fn the_newest_stays_whatever_the_policy_and_the_future_uses_up_nothing() {
        let all = ["2030-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"].map(full);
        let within = Policy { within: Some(TimeDelta::days(1)), ..Policy::default() };
        assert_eq!(kept(&all, within, "2026-11-21T00:00:00Z"), ["w_20300101_000000", "w_20260102_000000"]);
        let last = Policy { last: 1, ..Policy::default() };
        assert_eq!(kept(&all, last, "2026-11-21T00:00:00Z"), ["w_20300101_000000", "w_20260102_000000"]);
    }

    #[test]
    fn an_empty_policy_is_refused() {
        let error = plan(&[], &Policy::default(), at("2026-11-21T00:00:00Z")).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
    }
}
