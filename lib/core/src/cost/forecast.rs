//! What a set will cost in the next year: the rhythm and the sizes of its last backups go on, and the policy removes what
//! it no longer wants, day by day, by the very function that vb-prune asks.

use super::{Amount, Class, DAYS_A_MONTH, early_removal, monthly, storing};
use crate::label::Kind;
use crate::manifest::Manifest;
use crate::time::Instant;
use crate::{Result, naming};
use chrono::TimeDelta;
use std::collections::HashSet;

/// As many of the last backups show the rhythm.
const PATTERN: usize = 32;
const DAYS: i64 = 365;
/// More backups than this in a year are a mistake of somebody's clock.
const MOST_NEW: usize = 100_000;

/// A year from now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Forecast {
    /// Storage in all of the year.
    pub storage: f64,
    /// Writing the new backups.
    pub requests: f64,
    /// What the class's minimum duration costs where the policy removes earlier.
    pub early_removals: f64,
    /// New backups.
    pub backups: usize,
    /// What is there at its end.
    pub kept: usize,
    /// And its bytes.
    pub kept_bytes: u64,
}

impl Forecast {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.storage + self.requests + self.early_removals
    }
}

/// Says which of these backups, by their ids, a policy would remove at this time.
pub type Removes<'policy> = dyn FnMut(&[Manifest], Instant) -> Result<HashSet<String>> + 'policy;

/// The year of one set, whose backups are given; none if there are not two of them to show a rhythm.
///
/// # Errors
/// Those of `removes`.
pub fn year(set: &[Manifest], removes: &mut Removes<'_>, class: &Class, now: Instant) -> Result<Option<Forecast>> {
    let mut kept: Vec<Manifest> = set.iter().filter(|manifest| manifest.created_at <= now).cloned().collect();
    kept.sort_by_key(|manifest| manifest.created_at);
    let mut coming = continuation(&kept, now).into_iter().peekable();
    if coming.peek().is_none() {
        return Ok(None);
    }
    let mut forecast = Forecast::default();
    for day in 1..=DAYS {
        let today = now + TimeDelta::days(day);
        while let Some(new) = coming.next_if(|manifest| manifest.created_at <= today) {
            forecast.requests += storing(class, amount(&new));
            forecast.backups += 1;
            kept.push(new);
        }
        let going = removes(&kept, today)?;
        forecast.early_removals += remove(&mut kept, &going, class, today);
        let month: f64 = kept.iter().map(|manifest| monthly(class, amount(manifest))).sum();
        forecast.storage += month / DAYS_A_MONTH;
    }
    forecast.kept = kept.len();
    forecast.kept_bytes = kept.iter().map(Manifest::size_bytes).sum();
    Ok(Some(forecast))
}

/// Takes these away; returns what leaving so early costs.
fn remove(kept: &mut Vec<Manifest>, going: &HashSet<String>, class: &Class, today: Instant) -> f64 {
    let mut fees = 0.0;
    kept.retain(|manifest| {
        let goes = going.contains(&manifest.id);
        if goes {
            #[allow(clippy::cast_precision_loss)] // an estimate
            let age_days = (today - manifest.created_at).num_hours() as f64 / 24.0;
            fees += early_removal(class, amount(manifest), age_days);
        }
        !goes
    });
    fees
}

fn amount(manifest: &Manifest) -> Amount {
    Amount::of_backup(manifest.size_bytes(), manifest.objects.len())
}

/// The last backups again and again, at the distances that they had, for a year.
fn continuation(set: &[Manifest], now: Instant) -> Vec<Manifest> {
    let pattern = &set[set.len().saturating_sub(PATTERN)..];
    let [_, .., last] = pattern else { return Vec::new() };
    let shortest = TimeDelta::seconds(1);
    let steps: Vec<TimeDelta> =
        pattern.windows(2).map(|two| (two[1].created_at - two[0].created_at).max(shortest)).collect();
    let end = now + TimeDelta::days(DAYS);
    let (mut at, mut base) = (last.created_at.max(now - steps[0]), last.id.clone());
    let mut coming = Vec::new();
    for (step, template) in steps.iter().zip(&pattern[1..]).cycle() {
        at += *step;
        if at > end || coming.len() >= MOST_NEW {
            break;
        }
        let id = naming::id(&template.set, at);
        let incremental = template.kind == Kind::Incremental;
        let own_base = incremental.then(|| std::mem::replace(&mut base, id.clone()));
        base.clone_from(&id);
        coming.push(Manifest { id, created_at: at, base: own_base, ..template.clone() });
    }
    coming
}
