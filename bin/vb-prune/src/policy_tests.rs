//! Options and variables, and the policies that they make.

use super::*;
use clap::Parser;
use vb_core::ErrorKind;
use vb_core::retention::UNLIMITED;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    keep: KeepArguments,
}

fn environment(values: &[(&str, &str)]) -> Environment {
    Environment::new(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn options(line: &str) -> std::result::Result<KeepArguments, clap::Error> {
    let words = std::iter::once("vb-prune").chain(line.split_whitespace());
    Options::try_parse_from(words).map(|options| options.keep)
}

fn rules(line: &str) -> Vec<Rule> {
    options(line).unwrap().policy(&environment(&[]), None).unwrap().rules
}

fn newest(of_each: Period, most: usize) -> Rule {
    Rule::Newest { of_each, most }
}

#[test]
fn options_go_before_variables_and_do_not_mix() {
    let variables = environment(&[("BACKUP_RETENTION_DAYS", "30"), ("BACKUP_RETENTION_MONTHS", "12")]);
    let policy = options("--require-level 2").unwrap().policy(&variables, None).unwrap();
    assert_eq!(policy.rules, [newest(Period::Day, 30), newest(Period::Month, 12)]);
    assert_eq!(policy.require_level, Level::Decoded);
    let policy = options("--keep-weekly 4 --keep-within 2d").unwrap().policy(&variables, None).unwrap();
    assert_eq!(policy.rules, [newest(Period::Week, 4), Rule::Within(Age::days(2))]);
}

#[test]
fn presets_are_a_beginning() {
    assert_eq!(rules("--preset daily-30"), [newest(Period::Day, 30)]);
    let gfs = [newest(Period::Day, 14), newest(Period::Week, 4), newest(Period::Month, 12)];
    assert_eq!(rules("--preset gfs --keep-daily 14"), gfs);
}

#[test]
fn every_rule_has_its_option() {
    let tags = |tags: &[&str]| Rule::Tagged(tags.iter().map(|tag| (*tag).to_owned()).collect());
    assert_eq!(rules("--keep-tag a,b --keep-tag c"), [tags(&["a", "b"]), tags(&["c"])]);
    assert_eq!(rules("--older-than 30d --keep-at-least 5"), [Rule::Last(5), Rule::NotOlder(Age::days(30))]);
    let within = Rule::NewestWithin { of_each: Period::Week, age: Age::days(365) };
    assert_eq!(rules("--keep-within-weekly 365d --keep-yearly unlimited"), [newest(Period::Year, UNLIMITED), within]);
    let policy =
        options("--keep-last 1 --kind full --group-by set,kind").unwrap().policy(&environment(&[]), None).unwrap();
    assert_eq!((policy.kind, policy.group_by), (Some(Kind::Full), GroupBy::SetAndKind));
}

#[test]
fn no_policy_is_refused_and_so_is_half_of_one() {
    for variables in [&[][..], &[("BACKUP_RETENTION_DAYS", "thirty")]] {
        let error = options("--kind full").unwrap().policy(&environment(variables), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    for bad in
        ["--keep-within 30", "--keep-last -1", "--keep-at-least 3", "--require-level 5", "--group-by host", "--kind x"]
    {
        assert!(options(bad).is_err(), "{bad}");
    }
}
