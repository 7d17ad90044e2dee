//! What must hold for every history and every policy, tried on simulated years of backups, failures and changes of mind.

use super::*;
use crate::fact::Level;
use crate::label::Kind;
use crate::time::Instant;
use chrono::TimeDelta;
use std::collections::HashSet;
use vb_tests::chance::Chance;

/// Histories with their policies.
const ROUNDS: u64 = 1000;

fn now() -> Instant {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn backup(set: &str, at: Instant, base: Option<&Backup>) -> Backup {
    Backup {
        id: crate::naming::id(set, at),
        set: set.into(),
        source: Default::default(),
        kind: if base.is_some() { Kind::Incremental } else { Kind::Full },
        base: base.map(|base| base.id.clone()),
        created_at: at,
        since: base.and_then(|base| base.until),
        until: Some(at),
        schema_sha256: None,
        position: None,
        tags: Vec::new(),
        level: Level::Listed,
        damaged: false,
        incomplete: None,
        pinned: false,
        size_bytes: 1,
    }
}

/// Some years of a set, with incrementals, pins, verifications, damage, a wrong clock and a hole here and there.
fn years(chance: &mut Chance, set: &str) -> Vec<Backup> {
    let (mut all, mut at) = (Vec::<Backup>::new(), now());
    let count = 1 + chance.below(120);
    let step = [1, 8, 30, 24 * 5, 24 * 40][chance.below(5)] * 3600;
    for _ in 0..count {
        at -= TimeDelta::seconds(1 + i64::try_from(chance.below(step)).unwrap());
    }
    let incrementals = chance.below(4);
    for _ in 0..count {
        at += TimeDelta::seconds(1 + i64::try_from(chance.below(step + step / 50)).unwrap());
        let base = all.last().filter(|_| chance.below(4) < incrementals).cloned();
        let mut next = backup(set, at, base.as_ref());
        next.level = Level::ALL[chance.below(5)];
        next.damaged = chance.one_in(12);
        next.incomplete = chance.one_in(20).then(|| "its object is not there".to_owned());
        next.pinned = chance.one_in(30);
        next.tags.extend(chance.one_in(6).then(|| "monthly".to_owned()));
        all.push(next);
    }
    if chance.one_in(4) {
        all.remove(chance.below(all.len()));
    }
    all
}

fn policy(chance: &mut Chance) -> Policy {
    let mut rules = Vec::new();
    for of_each in Period::ALL {
        if chance.one_in(3) {
            rules.push(Rule::Newest { of_each, most: 1 + chance.below(12) });
        }
        if chance.one_in(12) {
            rules.push(Rule::NewestWithin { of_each, age: Age::days(1 + chance.below(400) as u32) });
        }
    }
    if chance.one_in(6) {
        rules.push(Rule::Within(Age::days(1 + chance.below(60) as u32)));
    }
    if chance.one_in(6) {
        rules.extend([Rule::NotOlder(Age::days(30)), Rule::Last(5)]);
    }
    if chance.one_in(6) {
        rules.push(Rule::Tagged(vec!["monthly".to_owned()]));
    }
    if rules.is_empty() || chance.one_in(3) {
        rules.push(Rule::Last(1 + chance.below(9)));
    }
    let mut policy = Policy::of(rules);
    policy.require_level = if chance.one_in(2) { Level::Listed } else { Level::ALL[chance.below(5)] };
    policy.group_by = if chance.one_in(3) { GroupBy::SetAndKind } else { GroupBy::Set };
    policy.kind = [None, None, None, Some(Kind::Full), Some(Kind::Incremental)][chance.below(5)];
    policy
}

/// Calls `check` with each history, its policy and the ids that stay; policies that are refused keep everything.
fn each_year(check: impl Fn(&[Backup], &Policy, &HashSet<&str>)) {
    for seed in 0..ROUNDS {
        let mut chance = Chance::new(seed);
        let mut all = years(&mut chance, "w");
        all.extend(years(&mut chance, "v"));
        let policy = policy(&mut chance);
        if let Ok(verdicts) = plan(&all, &policy, now()) {
            assert_eq!(verdicts.len(), all.len(), "seed {seed}");
            assert!(verdicts.iter().all(|verdict| !verdict.reasons.is_empty()), "seed {seed}");
            let kept = verdicts.iter().filter(|verdict| verdict.keeps).map(|verdict| verdict.backup.id.as_str());
            check(&all, &policy, &kept.collect());
        }
    }
}

/// Whether it and everything below it is there, sound and verified: written down apart from the code that is tested.
fn is_good(all: &[Backup], one: &Backup, level: Level) -> bool {
    let sound = !one.damaged && one.incomplete.is_none() && one.level >= level;
    let base = || all.iter().find(|other| Some(&other.id) == one.base.as_ref());
    sound && (one.kind == Kind::Full || base().is_some_and(|base| is_good(all, base, level)))
}

#[test]
fn the_newest_good_backup_of_each_set_is_never_removed() {
    each_year(|all, policy, kept| {
        for set in ["v", "w"] {
            let good = all.iter().filter(|one| &*one.set == set && is_good(all, one, policy.require_level));
            let newest = good.filter(|one| one.created_at <= now()).max_by_key(|one| one.created_at);
            assert!(newest.is_none_or(|newest| kept.contains(newest.id.as_str())), "{newest:?} {policy:?}");
        }
    });
}

#[test]
fn no_kept_backup_loses_its_base() {
    each_year(|all, _, kept| {
        let ids: HashSet<&str> = all.iter().map(|one| one.id.as_str()).collect();
        for one in all.iter().filter(|one| kept.contains(one.id.as_str())) {
            let base = one.base.as_deref().filter(|base| ids.contains(base));
            assert!(base.is_none_or(|base| kept.contains(base)), "{} lost {base:?}", one.id);
        }
    });
}

#[test]
fn a_policy_applied_twice_removes_nothing_the_second_time() {
    each_year(|all, policy, kept| {
        let left: Vec<Backup> = all.iter().filter(|one| kept.contains(one.id.as_str())).cloned().collect();
        let second = plan(&left, policy, now()).unwrap();
        let goes: Vec<&str> = second.iter().filter(|one| !one.keeps).map(|one| one.backup.id.as_str()).collect();
        assert_eq!(goes, [""; 0], "{policy:?}");
    });
}

#[test]
fn pins_and_the_future_stay() {
    each_year(|all, _, kept| {
        for one in all.iter().filter(|one| one.pinned || one.created_at > now()) {
            assert!(kept.contains(one.id.as_str()), "{one:?}");
        }
    });
}

#[test]
fn a_backup_that_is_not_good_is_never_the_reason_to_remove_another() {
    each_year(|all, policy, kept| {
        let level = policy.require_level;
        let judged = |one: &&Backup| policy.kind.is_none_or(|kind| one.kind == kind);
        let good: Vec<Backup> = all.iter().filter(|one| is_good(all, one, level)).cloned().collect();
        let Ok(without) = plan(&good, policy, now()) else { return };
        let kept_without = without.iter().filter(|verdict| verdict.keeps).map(|verdict| verdict.backup);
        for one in kept_without.filter(judged) {
            assert!(kept.contains(one.id.as_str()), "{} goes because of bad ones: {policy:?}", one.id);
        }
    });
}

#[test]
fn a_month_of_failures_and_wrong_clocks_removes_nothing_good() {
    each_year(|all, policy, kept| {
        let mut later: Vec<Backup> = all.iter().filter(|one| kept.contains(one.id.as_str())).cloned().collect();
        let month = now() + TimeDelta::days(31);
        for day in 1..=30 {
            let at = now() + TimeDelta::days(day);
            let mut bad = backup(if day % 2 == 0 { "v" } else { "w" }, at, None);
            bad.damaged = true;
            later.push(bad);
            later.push(backup("w", month + TimeDelta::days(day), None));
        }
        let Ok(verdicts) = plan(&later, policy, month) else { return };
        for verdict in verdicts.iter().filter(|verdict| kept.contains(verdict.backup.id.as_str())) {
            let was_future = verdict.backup.created_at > now();
            // What was dated after the first run has become past by now, and counts like any other.
            let newly_past = all.iter().any(|one| one.created_at > now() && one.set == verdict.backup.set);
            assert!(verdict.keeps || was_future || newly_past, "{verdict:?} {policy:?}");
        }
    });
}
