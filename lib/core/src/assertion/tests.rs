//! Conditions hold or say which clause does not; what is none is refused where it goes wrong.

use super::*;

const KNOWN: Known = Known {
    age: TimeDelta::hours(31),
    level: Level::Stored,
    count: 7,
    bytes: 2_000_000_000,
    records: None,
    growth_percent: -60.0,
};

fn failing(text: &str) -> Vec<String> {
    let failures = Assertion::parse(text).unwrap().failures(&KNOWN);
    failures.iter().map(ToString::to_string).collect()
}

#[test]
fn what_holds_says_nothing() {
    for text in [
        "age<2d",
        "age <= 31h && age >= 31h && age==1860m",
        "level>=1&&level>=L1",
        "count == 7 && count != 8",
        "bytes > 1GiB && bytes<2.1GB",
        "age<1h || count>=7",
        "(age<1h || level>=1) && (count>=7)",
        "growth<50% && growth >= -60",
        // && binds closer.
        "count>=7 || age<1h && level>=4",
    ] {
        assert_eq!(failing(text), [""; 0], "{text}");
    }
}

#[test]
fn the_failing_clause_is_named_with_what_is_so() {
    assert_eq!(failing("age<26h && level>=1"), ["age<26h fails: age is 31 h"]);
    assert_eq!(
        failing("age<26h && level >= 2 && count>=7"),
        ["age<26h fails: age is 31 h", "level >= 2 fails: level is 1"]
    );
    assert_eq!(failing("age<1h || count>7"), ["age<1h fails: age is 31 h", "count>7 fails: count is 7"]);
    assert_eq!(failing("growth>-50%"), ["growth>-50% fails: growth is -60%"]);
    assert_eq!(failing("bytes>=10GB"), ["bytes>=10GB fails: bytes is 2000000000"]);
    // What nobody counted is neither much nor little.
    assert_eq!(
        failing("records>=0 || records!=5"),
        ["records>=0 fails: records is unknown", "records!=5 fails: records is unknown"]
    );
}

#[test]
fn what_is_no_condition_is_refused_at_its_place() {
    for (text, place, word) in [
        ("", 1, "is no field"),
        ("ages<1h", 1, "is no field"),
        ("age", 4, "comparison"),
        ("age<", 5, "is no age"),
        ("age<26", 5, "is no age"),
        ("age<26x", 5, "is no age"),
        ("age<inf", 5, "is no age"),
        ("age<-1h", 5, "is no age"),
        ("level>=5", 8, "is no level"),
        ("level>=1.5", 8, "is no level"),
        ("count>=7GB", 8, "is no number"),
        ("age<1h count>1", 8, "&& or ||"),
        ("age<1h &&", 10, "is no field"),
        ("(age<1h", 8, "a ) is missing"),
        ("age<1h)", 7, "&& or ||"),
    ] {
        let error = Assertion::parse(text).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
        let message = error.to_string();
        assert!(message.contains(&format!("at character {place}:")) && message.contains(word), "{text}: {message}");
    }
    assert!(Assertion::parse(&"(".repeat(100_000)).is_err());
}
