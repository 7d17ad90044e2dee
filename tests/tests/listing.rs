//! `vb-ls` from outside: several stores, conditions, costs, and a cache that is never believed about what exists.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;
use vb_tests::command::Run;
use vb_tests::made_store::{Made, write_many};
use vb_tests::place::Place;
use vb_tests::servers::S3Server;

const SIZE: u64 = 10 << 30;

fn full<'text>(set: &'text str, created_at: &'text str) -> Made<'text> {
    Made { set, created_at, base: None, size_bytes: SIZE }
}

/// Ten nights of `w` in the store `backups`, the first one full; a time long gone, so that every run sees the same.
fn ten_nights() -> Result<Place> {
    let place = Place::new()?;
    let mut base: Option<String> = None;
    for night in 1..=10 {
        let created_at = format!("2025-11-{night:02}T03:15:00Z");
        let made = Made { base: base.as_deref(), ..full("w", &created_at) };
        made.write(&place.path("backups"))?;
        base = Some(made.id());
    }
    Ok(place)
}

fn run(place: &Place, line: &str) -> Result<Run> {
    place.shell(line).run()
}

fn lines(run: &Run, event: &str) -> Result<Vec<Value>> {
    Ok(run.status_lines()?.into_iter().filter(|line| line["event"] == event).collect())
}

#[test]
fn one_store_lacks_what_the_other_has() {
    let place = Place::new().unwrap();
    let (one, other) = (place.path("one"), place.path("other"));
    for made in [full("w", "2026-11-01T00:00:00Z"), full("w", "2026-11-02T00:00:00Z")] {
        made.write(&one).unwrap();
    }
    full("w", "2026-11-01T00:00:00Z").write(&other).unwrap();
    full("w", "2026-11-03T00:00:00Z").write(&other).unwrap();
    Made { size_bytes: 5, ..full("w", "2026-11-02T00:00:00Z") }.write(&other).unwrap();
    let listed = run(&place, "vb-ls --store file://./one --store file://./other").unwrap().succeeded().unwrap();
    let seen: Vec<(Value, Value, Value)> = lines(&listed, "backup")
        .unwrap()
        .into_iter()
        .map(|line| (line["stores"].clone(), line["missing_from"].clone(), line["differs_in"].clone()))
        .collect();
    let (one, other) = ("file://./one", "file://./other");
    assert_eq!(
        seen,
        [
            ([one, other][..].into(), Value::Array(vec![]), Value::Null),
            ([one][..].into(), Value::Array(vec![]), [other][..].into()),
            ([other][..].into(), [one][..].into(), Value::Null),
        ]
    );
    assert_eq!(listed.event("vb-ls", "done").unwrap()["not_everywhere"], 2);
    // The variable names several too, and a sort of store leaves some out.
    let listed =
        place.shell("vb-ls --local").env("VB_STORE", "file://./one file://./other s3://nowhere").run().unwrap();
    assert_eq!(listed.succeeded().unwrap().event("vb-ls", "done").unwrap()["count"], 3);
    run(&place, "vb-ls --cloud --store file://./one").unwrap().exited(2).unwrap();
}

#[test]
fn a_store_says_in_which_class_the_data_is() {
    let place = Place::new().unwrap();
    let bucket = S3Server::moto().unwrap().create_bucket("class").unwrap();
    let on_s3 = |line: &str| place.shell(line).envs(bucket.variables());
    let put = |set: &str| format!("echo a,b | vb-put --set {set} --unproven");
    on_s3(&put("cool")).env("VB_STORAGE_CLASS", "STANDARD_IA").run().unwrap().succeeded().unwrap();
    on_s3(&put("warm")).run().unwrap().succeeded().unwrap();
    run(&place, &put("disk")).unwrap().succeeded().unwrap();
    let class = |run: Run| run.succeeded().unwrap().event("vb-ls", "backup").unwrap()["storage_class"].clone();
    assert_eq!(class(on_s3("vb-ls --set cool").run().unwrap()), "STANDARD_IA");
    assert_eq!(class(on_s3("vb-ls --set warm").run().unwrap()), "STANDARD");
    assert_eq!(class(run(&place, "vb-ls --set disk").unwrap()), Value::Null);

    let prices = r#"{"as_of":"2026-01-01","currency":"USD","classes":[
        {"scheme":"s3","name":"STANDARD","gb_month":1e9,"writes_1000":0,"reads_1000":0,"retrieval_gb":0,"egress_gb":0,"minimum_days":0},
        {"scheme":"s3","name":"STANDARD_IA","gb_month":1e8,"writes_1000":0,"reads_1000":0,"retrieval_gb":0,"egress_gb":0,"minimum_days":0}]}"#;
    fs::write(place.path("prices.json"), prices).unwrap();
    let month = |options: &str| {
        let listed = on_s3(&format!("vb-ls --cost --prices prices.json {options}")).run().unwrap().succeeded().unwrap();
        let costs = lines(&listed, "cost").unwrap();
        ["cool", "warm"]
            .map(|set| costs.iter().find(|cost| cost["set"] == set).unwrap()["dollars_month"].as_f64().unwrap())
    };
    let [cool, warm] = month("");
    assert!(warm > 0.0 && (warm / cool - 10.0).abs() < 0.01, "{warm} and {cool}");
    let [cool, warm] = month("--class STANDARD");
    assert!((warm / cool - 1.0).abs() < 0.01, "{warm} and {cool}");
}

#[test]
fn a_condition_is_a_switch() {
    let place = ten_nights().unwrap();
    let holds = "count==10 && bytes==10GiB && records>10000 && growth<1% && (age>300d || level>=4)";
    run(&place, &format!("vb-ls --assert '{holds}'")).unwrap().succeeded().unwrap();
    for (condition, reason) in [
        ("age<26h", "w: age<26h fails: age is "),
        ("level>=2 && count>=7", "w: level>=2 fails: level is 0 (w_20251110_031500)"),
        ("count>=11 || bytes<1MB", "count>=11 fails: count is 10; bytes<1MB fails: bytes is 10737418240"),
    ] {
        let failed = run(&place, &format!("vb-ls --assert '{condition}'")).unwrap().exited(1).unwrap();
        let message = failed.event("vb-ls", "failed").unwrap()["message"].to_string();
        assert!(message.contains(reason), "{condition}: {message}");
        assert_eq!(lines(&failed, "assertion").unwrap()[0]["holds"], false);
    }
    // A set that is gone is the failure that such a switch is for.
    run(&place, "vb-ls --set x --assert 'count>=0'").unwrap().exited(1).unwrap();
    run(&place, "vb-ls --assert 'age<'").unwrap().exited(2).unwrap();
    run(&place, "vb-ls --since 2025-11-05 --until 2025-11-07 --assert 'count==2'").unwrap().succeeded().unwrap();
}

#[test]
fn what_a_set_costs() {
    let place = ten_nights().unwrap();
    let prices = r#"{"as_of":"2026-01-01","currency":"USD","classes":[
        {"scheme":"file","name":"DISK","gb_month":0.5,"writes_1000":0,"reads_1000":0,"retrieval_gb":0.1,"egress_gb":0.4,"minimum_days":0},
        {"scheme":"file","name":"TAPE","gb_month":0.1,"writes_1000":0,"reads_1000":0,"retrieval_gb":0.1,"egress_gb":0.4,"minimum_days":90}]}"#;
    fs::write(place.path("prices.json"), prices).unwrap();
    let listed = place.shell("vb-ls --cost --prices prices.json").env("BACKUP_RETENTION_DAYS", "7").run().unwrap();
    let listed = listed.succeeded().unwrap();
    let cost = lines(&listed, "cost").unwrap().remove(0);
    let number = |value: &Value| value.as_f64().unwrap();
    assert!((number(&cost["dollars_month"]) - 50.0).abs() < 0.01, "{cost}");
    // The newest stands on the other nine.
    assert!((number(&cost["restore_dollars"]) - 50.0).abs() < 0.01, "{cost}");
    assert_eq!((&cost["class"], &cost["year"]["policy"]), (&"DISK".into(), &"a retention of 7 daily".into()), "{cost}");
    assert!(number(&cost["year"]["dollars"]) > 0.0, "{cost}");
    assert_eq!(cost["suggestion"]["class"], "TAPE", "{cost}");
    assert!((number(&cost["suggestion"]["saving_dollars_month"]) - 40.0).abs() < 0.01, "{cost}");
    assert_eq!(lines(&listed, "backup").unwrap()[0]["dollars_month"], 5.0);

    run(&place, "vb-ls --cost --class WARM --prices prices.json").unwrap().exited(2).unwrap();
    run(&place, "vb-ls --cost --prices nowhere.json").unwrap().exited(4).unwrap();
    // A disk of one's own has no price.
    let free = run(&place, "vb-ls --cost").unwrap().succeeded().unwrap();
    assert!(lines(&free, "cost").unwrap().is_empty() && free.stderr_text().contains("counts as free"), "{free}");
}

#[test]
fn the_cache_is_used_but_not_believed() {
    let place = ten_nights().unwrap();
    let count = |line: &str| -> Result<(Value, bool)> {
        let listed = run(&place, line)?.succeeded()?;
        Ok((listed.event("vb-ls", "done")?["count"].clone(), listed.stderr_text().contains(", 0 manifests read")))
    };
    assert_eq!(count("vb-ls -v").unwrap(), (10.into(), false));
    assert_eq!(count("vb-ls -v").unwrap(), (10.into(), true));
    let folder = "\"$VB_CACHE_DIR\"/manifests";
    assert_eq!(count(&format!("test -n \"$(ls {folder})\" && vb-ls -v")).unwrap(), (10.into(), true));
    assert_eq!(count("VB_CACHE_DIR=elsewhere vb-ls -v").unwrap(), (10.into(), false));
    assert!(place.path("elsewhere/manifests").is_dir());
    fs::remove_file(place.path("backups/w/w_20251105_031500_metadata.json")).unwrap();
    assert_eq!(count("vb-ls -v").unwrap(), (9.into(), true));
    let damage = format!("for file in {folder}/*; do printf nonsense >\"$file\"; done; vb-ls -v");
    assert_eq!(count(&damage).unwrap(), (9.into(), false));
    assert_eq!(count("vb-ls -v").unwrap(), (9.into(), true));
    // A cache that cannot be written is no failure.
    assert_eq!(count("VB_CACHE_DIR=/dev/null/x vb-ls -v").unwrap(), (9.into(), false));
}

#[test]
fn a_thousand_backups_with_and_without_the_cache_are_the_same() {
    let place = Place::new().unwrap();
    for number in 0..1000_u32 {
        let created_at = format!("2026-{:02}-{:02}T{:02}:00:00Z", number / 480 + 1, number / 24 % 20 + 1, number % 24);
        full("w", &created_at).write(&place.path("backups")).unwrap();
    }
    let fields = |run: Run| -> Result<Vec<Value>> {
        let strip = |mut line: Value| {
            let line_fields = line.as_object_mut().context("a line is no object")?;
            ["at", "age_seconds"].iter().for_each(|name| drop(line_fields.remove(*name)));
            Ok(line)
        };
        lines(&run.succeeded()?, "backup")?.into_iter().map(strip).collect()
    };
    let cold = fields(run(&place, "vb-ls").unwrap()).unwrap();
    let warm = fields(run(&place, "vb-ls").unwrap()).unwrap();
    assert_eq!((cold.len(), cold == warm), (1000, true));
}

/// A hundred thousand take less than 100 MB (`tests/examples/large_store.rs` makes them): a fifth of them a fifth of that, beside
/// what a command takes for itself and, the first time, for the threads that read manifests.
#[test]
fn many_backups_take_little_memory() {
    const PEAK: &str = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); \
                        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let place = Place::new().unwrap();
    write_many(&place.path("backups"), 20_000).unwrap();
    for (line, own_kib) in [("vb-ls", 15_000), ("vb-ls", 10_000), ("vb-prune --preset gfs --dry-run", 10_000)] {
        let measured = run(&place, &format!("python3 -c '{PEAK}' {line}")).unwrap().succeeded().unwrap();
        let kib: u64 = measured.stdout_text().trim().parse().unwrap();
        assert!(kib < 20_000 + own_kib, "{line} took {kib} KiB");
    }
}
