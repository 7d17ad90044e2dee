//! The plan: what becomes of each backup, and why.

use super::backup::Backup;
use super::policy::Policy;
use super::reason::Reason;
use super::standing::{self, Places, Standing};
use crate::time::Instant;
use crate::{Error, Result};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happens to one backup, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'all> {
    /// The backup.
    pub backup: &'all Backup,
    /// Whether it stays.
    pub keeps: bool,
    /// What keeps it, or what every rule has against it. Never empty.
    pub reasons: Reasons<'all>,
}

/// A hundred thousand backups that go one after the other go for few reasons, which they share.
pub type Reasons<'all> = Arc<[Reason<'all>]>;

/// What is known of one backup so far.
#[derive(Debug, Clone, Default)]
struct Decision<'all> {
    keep: Vec<Reason<'all>>,
    /// Of every rule, if none keeps it.
    against: Option<Reasons<'all>>,
}

/// Judges every backup of the sets that the policy covers: set after set, the newest first. The others must be known all the same, since
/// what they stand on stays. Backups that are found there when a plan has been carried out are
/// all kept by the same policy.
///
/// # Errors
/// A usage error if the policy is empty, or if of some set its rules keep nothing and something would go.
pub fn plan<'all>(backups: &'all [Backup], policy: &'all Policy, now: Instant) -> Result<Vec<Verdict<'all>>> {
    policy.refuse_empty()?;
    let places: Places = backups.iter().enumerate().map(|(place, backup)| (backup.id.as_str(), place)).collect();
    let standings = standing::of_each(backups, &places, policy.require_level);
    let (groups, others): (Vec<_>, Vec<_>) = groups(backups, policy)
        .into_iter()
        .partition(|group| group.iter().all(|place| policy.covers(&backups[*place])));
    let mut decisions = vec![Decision::default(); backups.len()];
    others.iter().flatten().for_each(|place| decisions[*place].keep(Reason::OtherSet));
    let mut bare = Vec::new();
    for group in &groups {
        if !judge(group, backups, &standings, policy, now, &mut decisions) {
            bare.push(group);
        }
    }
    keep_bases(backups, &places, &mut decisions);
    for group in bare {
        refuse_bare(group, backups, &decisions)?;
    }
    Ok(groups
        .into_iter()
        .flatten()
        .map(|place| verdict(&backups[place], standings[place], &mut decisions[place]))
        .collect())
}

/// The places of each history's backups, the newest first.
fn groups(backups: &[Backup], policy: &Policy) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (place, backup) in backups.iter().enumerate() {
        groups.entry(policy.group(backup)).or_default().push(place);
    }
    let newest_first = |mut group: Vec<usize>| {
        group.sort_by_key(|place| Reverse((backups[*place].created_at, backups[*place].id.as_str())));
        group
    };
    groups.into_values().map(newest_first).collect()
}

/// Judges one history. Tells whether a rule keeps anything good of it, or there is nothing to judge.
fn judge<'all>(
    group: &[usize],
    backups: &'all [Backup],
    standings: &[Standing<'all>],
    policy: &'all Policy,
    now: Instant,
    decisions: &mut [Decision<'all>],
) -> bool {
    let mut past = Vec::with_capacity(group.len());
    for &place in group {
        let (backup, decision) = (&backups[place], &mut decisions[place]);
        if backup.pinned {
            decision.keep(Reason::Pinned);
        }
        match policy.kind.filter(|kind| *kind != backup.kind) {
            Some(kind) => decision.keep(Reason::NotJudged(kind)),
            None if backup.created_at > now => decision.keep(Reason::Future),
            None => past.push(place),
        }
    }
    let is_good = |place: &usize| standings[*place] == Standing::Good;
    let Some(newest_good) = past.iter().position(is_good) else {
        past.iter().for_each(|place| decisions[*place].keep(Reason::NothingGood));
        return true;
    };
    let newest_good_at = backups[past[newest_good]].created_at;
    let rules = policy.rules.iter().filter(|rule| !rule.is_empty());
    let mut judges: Vec<_> = rules.map(|rule| rule.judge(newest_good_at)).collect();
    let (mut any, mut last) = (false, Reasons::default());
    for place in &past {
        let (good, decision) = (is_good(place), &mut decisions[*place]);
        let opinions = judges.iter_mut().map(|judge| judge(&backups[*place], good));
        let (keep, against): (Vec<_>, Vec<_>) = opinions.partition(|(keeps, _)| *keeps);
        any |= good && !keep.is_empty();
        keep.into_iter().for_each(|(_, reason)| decision.keep(reason));
        if !against.iter().map(|(_, reason)| reason).eq(last.iter()) {
            last = against.into_iter().map(|(_, reason)| reason).collect();
        }
        decision.against = Some(last.clone());
    }
    past.iter().take(newest_good).for_each(|place| decisions[*place].keep_anyhow(Reason::NotYetGood));
    decisions[past[newest_good]].keep_anyhow(Reason::NewestGood);
    any
}

impl<'all> Decision<'all> {
    fn keeps(&self) -> bool {
        !self.keep.is_empty()
    }

    /// Most have one reason; left to itself, a vector would make room for four, a hundred thousand times.
    fn keep(&mut self, reason: Reason<'all>) {
        self.keep.reserve_exact(1);
        self.keep.push(reason);
    }

    fn keep_anyhow(&mut self, reason: Reason<'all>) {
        if !self.keeps() {
            self.keep(reason);
        }
    }
}

/// Walks from every kept backup to the full one it stands on.
fn keep_bases<'all>(backups: &'all [Backup], places: &Places<'all>, decisions: &mut [Decision<'all>]) {
    for start in 0..backups.len() {
        let mut place = start;
        while decisions[place].keeps() {
            let Some(base) = backups[place].base.as_deref().and_then(|base| places.get(base)) else { break };
            if decisions[*base].keeps() {
                break;
            }
            decisions[*base].keep(Reason::BaseOf(&backups[place].id));
            place = *base;
        }
    }
}

/// Only the floor would be left of such a history: that is a mistake in the policy, not a wish.
fn refuse_bare(group: &[usize], backups: &[Backup], decisions: &[Decision]) -> Result<()> {
    let Some(goes) = group.iter().find(|place| !decisions[**place].keeps()) else { return Ok(()) };
    let set = &backups[*goes].set;
    Err(Error::usage(format!("no rule of the policy keeps anything of {set}, so nothing was removed")).with_hint(
        "Add a rule that keeps something of every set, such as --keep-last 1, or name other sets with --set.",
    ))
}

fn verdict<'all>(backup: &'all Backup, standing: Standing<'all>, decision: &mut Decision<'all>) -> Verdict<'all> {
    let Decision { keep, against } = std::mem::take(decision);
    let keeps = !keep.is_empty();
    let mut reasons = if keeps { keep.into() } else { against.unwrap_or_default() };
    if standing != Standing::Good {
        reasons = reasons.iter().cloned().chain([Reason::Standing(Box::new(standing))]).collect();
    }
    Verdict { backup, keeps, reasons }
}
