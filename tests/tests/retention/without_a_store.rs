//! `vb-ls | vb-prune --plan`: only the lines count, and only a whole listing does.

use anyhow::Result;
use serde_json::{Value, json};
use vb_tests::command::Run;
use vb_tests::place::Place;

fn line(day: u32, more: &Value) -> Value {
    let created_at = format!("2026-01-{day:02}T03:15:00Z");
    let mut line = json!({
        "event": "backup", "id": format!("w_202601{day:02}_031500"), "set": "w", "kind": "full", "created_at": created_at,
    });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn plan(lines: &[Value], policy: &str) -> Result<Run> {
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    text.push_str(&format!("{}\n", json!({"event": "done", "count": lines.len()})));
    Place::new()?.command("vb-prune")?.arg("--plan").args(policy.split_whitespace()).stdin(text).run()
}

fn removed(lines: &[Value], policy: &str) -> Vec<String> {
    let run = plan(lines, policy).unwrap().succeeded().unwrap();
    let plan: Value = serde_json::from_str(run.stdout_text()).unwrap();
    plan["remove"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()[8..10].to_owned()).collect()
}

fn days(days: std::ops::RangeInclusive<u32>) -> Vec<Value> {
    days.map(|day| line(day, &json!({}))).collect()
}

#[test]
fn days_and_a_floor() {
    assert_eq!(removed(&days(1..=9), "--older-than 3d --keep-at-least 2"), ["05", "04", "03", "02", "01"]);
    assert_eq!(removed(&days(1..=9), "--older-than 3d --keep-at-least 6"), ["03", "02", "01"]);
}

#[test]
fn where_vb_differs_from_restic_on_purpose() {
    let mut lines = days(1..=4);
    let mut future = line(31, &json!({}));
    future["created_at"] = json!("2999-01-31T03:15:00Z");
    lines.push(future);
    assert_eq!(removed(&lines, "--keep-last 1"), ["03", "02", "01"], "the future uses up nothing and stays");
    lines[3]["damaged"] = json!(true);
    assert_eq!(removed(&lines, "--keep-last 1"), ["02", "01"], "damage uses up nothing");
    lines[1]["pinned"] = json!(true);
    assert_eq!(removed(&lines, "--keep-last 1"), ["01"], "a pin stays");
    assert_eq!(removed(&lines, "--keep-last 1 --require-level 2"), [""; 0], "nothing is good, so nothing goes");
    let run = plan(&days(1..=4), "--keep-tag monthly").unwrap().exited(2).unwrap();
    assert!(run.stderr_text().contains("no rule of the policy keeps anything of w"), "{}", run.stderr_text());
}

#[test]
fn every_decision_has_its_reason() {
    let run = plan(&days(1..=3), "--keep-daily 2").unwrap().succeeded().unwrap();
    let plan: Value = serde_json::from_str(run.stdout_text()).unwrap();
    assert_eq!(plan["keep"][1], json!({"id": "w_20260102_031500", "size_bytes": 0, "reasons": ["daily 2"]}));
    assert_eq!(plan["remove"][0]["reasons"], json!(["daily: 2 newer days are kept"]));
    assert_eq!(plan["listing"]["backups"], 3);
}

#[test]
fn a_listing_that_ends_early_decides_nothing() {
    let place = Place::new().unwrap();
    let text = format!("{}\n", line(1, &json!({})));
    let run = place.command("vb-prune").unwrap().args(["--plan", "--keep-last", "1"]).stdin(text).run().unwrap();
    assert_eq!(run.exited(6).unwrap().stdout_text(), "");
}
