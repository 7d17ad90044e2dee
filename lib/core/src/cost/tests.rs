//! Prices times amounts, and a year that is simulated.

use super::*;
use crate::chain::tests::backup;
use crate::cost::forecast::year;
use crate::manifest::Manifest;
use crate::time::Instant;
use chrono::TimeDelta;
use std::collections::HashSet;

const HUNDRED_GB: Amount = Amount { size_bytes: 100 << 30, objects: 2 };

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() < 0.005 * right.abs().max(0.01)
}

fn now() -> Instant {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// One a day, the newest last night, each of this size; every seventh is full.
fn nights(count: i64, size_bytes: u64, fulls: i64) -> Vec<Manifest> {
    let night = |day: i64| {
        let at = now() - TimeDelta::hours(9) - TimeDelta::days(count - 1 - day);
        let mut manifest = backup(1, (day % fulls > 0).then_some(0));
        manifest.created_at = at;
        manifest.id = crate::naming::id("w", at);
        manifest.base = (day % fulls > 0).then(|| crate::naming::id("w", at - TimeDelta::days(1)));
        manifest.objects[0].size_bytes = size_bytes;
        manifest
    };
    (0..count).map(night).collect()
}

#[test]
fn the_built_in_prices_are_whole() {
    let prices = Prices::built_in().unwrap();
    for (scheme, count) in [("s3", 6), ("az", 4), ("gs", 4)] {
        let classes: Vec<&Class> = prices.classes.iter().filter(|class| class.scheme == scheme).collect();
        assert_eq!(classes.len(), count, "{scheme}");
        // The first is the default: no minimum, no retrieval fee, and dearer to keep than any other.
        assert_eq!((classes[0].minimum_days, classes[0].retrieval_gb.to_bits()), (0, 0));
        assert!(classes.iter().all(|class| class.gb_month <= classes[0].gb_month), "{scheme}");
    }
    assert!(!prices.sources.is_empty() && prices.as_of.len() == 10);
}

#[test]
fn a_month_a_removal_and_a_restore() {
    let prices = Prices::built_in().unwrap();
    let standard = prices.class("s3", None).unwrap().unwrap();
    let infrequent = prices.class("s3", Some("standard_ia")).unwrap().unwrap();
    assert!(near(monthly(standard, HUNDRED_GB), 2.30));
    assert!(near(monthly(infrequent, HUNDRED_GB), 1.25));
    // 131,072 bytes are paid for, whatever the object has.
    assert!(
        monthly(infrequent, Amount { size_bytes: 10, objects: 2 })
            > 100.0 * monthly(standard, Amount { size_bytes: 10, objects: 2 })
    );
    assert!(near(restore(standard, HUNDRED_GB), 9.01));
    assert!(near(restore(infrequent, HUNDRED_GB), 10.03));
    assert!(near(early_removal(infrequent, HUNDRED_GB, 0.0), 1.25 * 30.0 / 30.4375));
    assert!(
        early_removal(infrequent, HUNDRED_GB, 31.0).abs() < 1e-9
            && early_removal(standard, HUNDRED_GB, 0.0).abs() < 1e-9
    );
}

#[test]
fn what_has_no_price_costs_nothing_and_what_nobody_knows_is_refused() {
    let prices = Prices::built_in().unwrap();
    assert_eq!(prices.class("file", None).unwrap(), None);
    let error = prices.class("gs", Some("warm")).unwrap_err();
    assert!(error.hint().unwrap().contains("NEARLINE"), "{error}");
    for text in [
        "",
        "{}",
        r#"{"as_of":"2026-01-01","currency":"USD","classes":[{"scheme":"s3","name":"X","gb_month":-1,"writes_1000":0,"reads_1000":0,"retrieval_gb":0,"egress_gb":0}]}"#,
    ] {
        assert_eq!(Prices::parse(text, "x").unwrap_err().kind(), crate::ErrorKind::Usage);
    }
}

#[test]
fn only_what_is_old_should_move_and_only_where_that_pays() {
    let prices = Prices::built_in().unwrap();
    let standard = prices.class("s3", None).unwrap().unwrap();
    let offer = suggest(&prices, standard, &[(10, HUNDRED_GB), (31, HUNDRED_GB), (400, HUNDRED_GB)]).unwrap();
    assert_eq!((offer.class.name.as_str(), offer.amount.size_bytes), ("GLACIER_IR", 200 << 30));
    assert!(near(offer.saving_month, 2.0 * (2.30 - 0.40)));
    assert_eq!(suggest(&prices, standard, &[(10, HUNDRED_GB)]), None);
    let small = Amount { size_bytes: 2000, objects: 2 };
    assert_eq!(suggest(&prices, standard, &[(100, small), (200, small)]), None);
    let coldest = prices.class("s3", Some("DEEP_ARCHIVE")).unwrap().unwrap();
    assert_eq!(suggest(&prices, coldest, &[(100, HUNDRED_GB)]), None);
}

/// A policy that keeps the last so many, and what they stand on.
fn keep_last(count: usize) -> impl FnMut(&[Manifest], Instant) -> Result<HashSet<String>> {
    move |all: &[Manifest], _| {
        let mut kept: Vec<&Manifest> = all.iter().rev().take(count).collect();
        while let Some(base) = kept.last().and_then(|oldest| oldest.base.as_deref())
            && let Some(found) = all.iter().find(|manifest| manifest.id == base)
        {
            kept.push(found);
        }
        let kept: HashSet<&str> = kept.iter().map(|manifest| manifest.id.as_str()).collect();
        Ok(all.iter().map(|manifest| manifest.id.clone()).filter(|id| !kept.contains(id.as_str())).collect())
    }
}

#[test]
fn a_year_under_a_policy() {
    let prices = Prices::built_in().unwrap();
    let standard = prices.class("s3", None).unwrap().unwrap();
    let forecast = year(&nights(40, 1 << 30, 1), &mut keep_last(30), standard, now()).unwrap().unwrap();
    assert_eq!((forecast.backups, forecast.kept), (365, 30));
    // Thirty of a GB all the year.
    assert!(near(forecast.storage, 30.0 * 0.023 * 12.0), "{forecast:?}");
    assert!(forecast.early_removals.abs() < 1e-9);

    let infrequent = prices.class("s3", Some("STANDARD_IA")).unwrap().unwrap();
    let forecast = year(&nights(40, 1 << 30, 1), &mut keep_last(7), infrequent, now()).unwrap().unwrap();
    // Each is removed a week old and paid for a month.
    assert!(forecast.early_removals > 365.0 * 0.0125 * 20.0 / 30.5, "{forecast:?}");

    let everything = year(&nights(40, 1 << 30, 7), &mut keep_last(usize::MAX), standard, now()).unwrap().unwrap();
    assert_eq!((everything.kept, everything.kept_bytes), (405, 405 << 30));
    assert!(near(everything.storage, (40.0 + 365.0 / 2.0) * 0.023 * 12.0), "{everything:?}");
    assert_eq!(year(&nights(1, 1 << 30, 1), &mut keep_last(1), standard, now()).unwrap(), None);
}

#[test]
fn chains_go_on_in_the_forecast() {
    let prices = Prices::built_in().unwrap();
    let standard = prices.class("s3", None).unwrap().unwrap();
    let forecast = year(&nights(36, 1 << 30, 7), &mut keep_last(5), standard, now()).unwrap().unwrap();
    // The five of the last days, and the chain that the first of them stands on.
    assert!((5..=12).contains(&forecast.kept), "{forecast:?}");
}
