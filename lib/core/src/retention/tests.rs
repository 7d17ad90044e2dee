//! Single rules and the reasons that they give.

use super::*;
use crate::fact::Level;
use crate::label::{Kind, Source};
use crate::time::Instant;
use chrono::TimeDelta;

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn full(text: &str) -> Backup {
    let mut backup = Backup::new(&crate::chain::tests::backup(1, None), &[]);
    backup.created_at = at(text);
    backup.until = Some(backup.created_at);
    backup.id = crate::naming::id("w", backup.created_at);
    backup
}

/// Every backup as `+id: reasons` or `-id: reasons`, without the set's name.
fn judged(backups: &[Backup], policy: &Policy, now: &str) -> Vec<String> {
    let verdicts = plan(backups, policy, at(now)).unwrap();
    let words = |reasons: &[Reason]| reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let line = |one: &Verdict| {
        format!("{}{}: {}", if one.keeps { '+' } else { '-' }, one.backup.id, words(&one.reasons)).replace("w_2026", "")
    };
    verdicts.iter().map(line).collect()
}

fn kept(backups: &[Backup], rules: Vec<Rule>, now: &str) -> usize {
    plan(backups, &Policy::of(rules), at(now)).unwrap().iter().filter(|one| one.keeps).count()
}

fn newest(of_each: Period, most: usize) -> Rule {
    Rule::Newest { of_each, most }
}

#[test]
fn what_came_into_the_set_from_elsewhere_takes_nothings_place() {
    let of = |day: u32, change: &dyn Fn(&mut Source)| {
        let mut manifest = crate::chain::tests::backup(day, None);
        change(&mut manifest.source);
        Backup::new(&manifest, &[])
    };
    let elsewhere: [&dyn Fn(&mut Source); 4] = [
        &|source| source.part = true,
        &|source| source.database = Some("crm".to_owned()),
        &|source| source.name = "public.v".to_owned(),
        &|source| (source.source_type, source.name) = ("stream".to_owned(), "standard input".to_owned()),
    ];
    for other in elsewhere {
        let all = [of(1, &|_| ()), of(2, &|_| ()), of(3, other), of(4, other)];
        let policy = Policy::of(vec![newest(Period::Day, 1)]);
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let verdicts = plan(&all, &policy, now).unwrap();
        let mut kept: Vec<&str> = verdicts.iter().filter(|one| one.keeps).map(|one| one.backup.id.as_str()).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["w_20261121_020000", "w_20261121_040000"]);
    }
}

#[test]
fn thirty_daily_keeps_the_newest_of_thirty_days() {
    let days: Vec<Backup> = (0..40)
        .flat_map(|day| [0, 12].map(|hours| at("2026-11-20T03:00:00Z") - TimeDelta::hours(day * 24 + hours)))
        .map(|at| full(&crate::time::seconds(at)))
        .collect();
    assert_eq!(kept(&days, vec![newest(Period::Day, 30)], "2026-11-21T00:00:00Z"), 30);
    assert_eq!(kept(&days, vec![newest(Period::Day, UNLIMITED)], "2026-11-21T00:00:00Z"), 41);
}

#[test]
fn months_without_a_backup_use_up_nothing() {
    let all = ["2026-11-20T00:00:00Z", "2026-08-20T00:00:00Z", "2025-01-20T00:00:00Z"].map(full);
    assert_eq!(kept(&all, vec![newest(Period::Month, 3)], "2026-11-21T00:00:00Z"), 3);
}

#[test]
fn every_backup_has_its_reasons() {
    let mut all = [
        "2027-01-01T00:00:00Z",
        "2026-11-20T12:00:00Z",
        "2026-11-20T00:00:00Z",
        "2026-11-19T00:00:00Z",
        "2026-10-01T00:00:00Z",
    ]
    .map(full);
    all[4].tags.push("monthly".to_owned());
    let mut policy = Policy::of(vec![newest(Period::Day, 1), Rule::Tagged(vec!["monthly".to_owned()])]);
    assert_eq!(
        judged(&all, &policy, "2026-11-21T00:00:00Z"),
        [
            "+w_20270101_000000: dated in the future",
            "+1120_120000: daily 1",
            "-1120_000000: daily: a newer day is kept; no tag monthly",
            "-1119_000000: daily: a newer day is kept; no tag monthly",
            "+1001_000000: tag monthly",
        ]
    );
    policy.rules = vec![newest(Period::Day, 2), Rule::NotOlder(Age::days(1))];
    all[1].damaged = true;
    all[4].pinned = true;
    assert_eq!(
        judged(&all, &policy, "2026-11-21T00:00:00Z")[1..],
        [
            "+1120_120000: daily; not older than 1d; counts for nothing: found damaged",
            "+1120_000000: daily 1; not older than 1d",
            "+1119_000000: daily 2; not older than 1d",
            "+1001_000000: pinned",
        ]
    );
}

#[test]
fn unverified_backups_displace_nothing_and_may_become_good() {
    let mut all =
        ["2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z", "2026-11-18T00:00:00Z", "2026-11-17T00:00:00Z"].map(full);
    all[2].level = Level::Decoded;
    let policy = Policy { require_level: Level::Decoded, ..Policy::of(vec![Rule::Last(1)]) };
    let plan = judged(&all, &policy, "2026-11-21T00:00:00Z");
    assert_eq!(plan[0], "+1120_000000: last; counts for nothing: verified only to L0");
    assert_eq!(
        plan[2..],
        ["+1118_000000: last 1", "-1117_000000: last: a newer one is kept; counts for nothing: verified only to L0"]
    );
}

#[test]
fn kinds_may_be_judged_alone() {
    let one = |hour: u32, base: Option<u32>| Backup::new(&crate::chain::tests::backup(hour, base), &[]);
    let all = [one(1, None), one(2, Some(1)), one(3, Some(2)), one(4, None), one(5, None)];
    let goes = |policy: &Policy| {
        let verdicts = plan(&all, policy, at("2026-11-22T00:00:00Z")).unwrap();
        verdicts.iter().filter(|one| !one.keeps).map(|one| one.backup.id[11..13].to_owned()).collect::<Vec<_>>()
    };
    let mut policy = Policy::of(vec![Rule::Last(1)]);
    assert_eq!(goes(&policy), ["04", "03", "02", "01"]);
    policy.kind = Some(Kind::Full);
    assert_eq!(goes(&policy), ["04"], "the first full one carries incrementals that are not judged");
    policy.kind = Some(Kind::Incremental);
    assert_eq!(goes(&policy), [""; 0]);
    (policy.kind, policy.group_by) = (None, GroupBy::SetAndKind);
    assert_eq!(goes(&policy), ["04"]);
}

#[test]
fn what_another_set_stands_on_stays_and_only_the_chosen_set_is_judged() {
    let of = |set: &str, hour: u32, base: Option<u32>| {
        let mut one = Backup::new(&crate::chain::tests::backup(hour, base), &[]);
        (one.set, one.id) = (set.into(), one.id.replace("w_", &format!("{set}_")));
        one.base = one.base.map(|base| base.replace("w_", "weekly_"));
        one
    };
    let all = [
        of("weekly", 1, None),
        of("weekly", 2, None),
        of("weekly", 3, None),
        of("daily", 4, Some(2)),
        of("daily", 5, None),
    ];
    let policy = Policy { set: Some("weekly".to_owned()), ..Policy::of(vec![Rule::Last(1)]) };
    let found = judged(&all, &policy, "2026-11-22T00:00:00Z");
    assert_eq!(
        found.iter().map(|line| line.replace("weekly_2026", "")).collect::<Vec<_>>(),
        [
            "+1121_030000: last 1",
            "+1121_020000: base of daily_20261121_040000",
            "-1121_010000: last: a newer one is kept"
        ]
    );
}

#[test]
fn policies_that_keep_nothing_are_refused() {
    let all = ["2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z"].map(full);
    for rules in [vec![], vec![Rule::Last(0)], vec![Rule::Tagged(vec!["x".to_owned()])]] {
        let error = plan(&all, &Policy::of(rules), at("2026-11-21T00:00:00Z")).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
    }
    let lonely = [full("2026-11-20T00:00:00Z")];
    assert_eq!(kept(&lonely, vec![Rule::Tagged(vec!["x".to_owned()])], "2026-11-21T00:00:00Z"), 1);
}
