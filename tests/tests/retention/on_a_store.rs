//! Plans, pins, limits and litter on a store on disk.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};
use vb_tests::command::{Command, Run};
use vb_tests::place::Place;

struct Stock {
    place: Place,
}

fn id(day: u32) -> String {
    format!("w_202601{day:02}_031500")
}

/// The object whose one byte is an `x`.
fn object(key: &str) -> Value {
    let sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    json!({"key": key, "size_bytes": 1, "sha256": sha256, "md5": "9dd4e461268c8034f5c8564e155c67a6", "crc32": "8cdc1683"})
}

impl Stock {
    /// Nine daily backups of the set `w`; the fifth to the seventh are a chain.
    fn new() -> Result<Self> {
        let stock = Self { place: Place::new()? };
        fs::create_dir_all(stock.place.path("backups/w"))?;
        for day in 1..=9 {
            stock.add(day, (6..=7).contains(&day).then(|| day - 1))?;
        }
        Ok(stock)
    }

    fn add(&self, day: u32, base: Option<u32>) -> Result<()> {
        let (id, at) = (id(day), |day: u32| format!("2026-01-{day:02}T03:15:00Z"));
        let key = format!("w/{id}.txt");
        let manifest = json!({
            "format": 1, "id": id, "set": "w", "kind": if base.is_some() { "incremental" } else { "full" },
            "base": base.map(self::id), "created_at": at(day), "source": {"type": "stream", "name": "standard input"},
            "since": base.map(at), "until": at(day), "records": 1, "proof": "sealed", "complete": true,
            "objects": [object(&key)],
        });
        fs::write(self.place.path("backups").join(key), "x")?;
        Ok(fs::write(self.path(&format!("{id}_metadata.json")), manifest.to_string())?)
    }

    /// A backup of the set `v` that stands on one of `w`, as older versions made them.
    fn add_across(&self, day: u32, base: u32) -> Result<()> {
        let id = self::id(day).replace("w_", "v_");
        let key = format!("v/{id}.txt");
        let manifest = json!({
            "format": 1, "id": id, "set": "v", "kind": "incremental", "base": self::id(base),
            "created_at": format!("2026-01-{day:02}T03:15:00Z"), "source": {"type": "stream", "name": "standard input"},
            "since": format!("2026-01-{base:02}T03:15:00Z"), "until": format!("2026-01-{day:02}T03:15:00Z"), "proof": "sealed",
            "complete": true, "objects": [object(&key)],
        });
        fs::create_dir_all(self.place.path("backups/v"))?;
        fs::write(self.place.path("backups").join(key), "x")?;
        Ok(fs::write(self.place.path(format!("backups/v/{id}_metadata.json")), manifest.to_string())?)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.place.path("backups/w").join(name)
    }

    fn shell(&self, line: &str) -> Command {
        self.place.shell(line)
    }

    fn run(&self, line: &str) -> Result<Run> {
        self.shell(line).run()
    }

    /// The days of the backups that are listed.
    fn days(&self) -> Result<Vec<u32>> {
        let run = self.run("vb-ls --ids")?.succeeded()?;
        Ok(run.stdout_text().lines().filter_map(|id| id.get(8..10)?.parse().ok()).collect())
    }

    fn files(&self) -> Result<usize> {
        Ok(fs::read_dir(self.place.path("backups/w"))?.count())
    }
}

#[test]
fn a_plan_is_made_without_a_store_and_carried_out_once() {
    let stock = Stock::new().unwrap();
    stock.run("vb-ls | vb-prune --plan --keep-last 3 > plan.json").unwrap().succeeded().unwrap();
    assert_eq!(stock.days().unwrap().len(), 9, "a plan does nothing");
    let dry = stock.run("vb-prune --apply plan.json --dry-run").unwrap().succeeded().unwrap();
    assert_eq!((&dry.event("vb-prune", "done").unwrap()["removed"], stock.days().unwrap().len()), (&json!(4), 9));
    let run = stock.run("vb-prune --apply plan.json").unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-prune", "done").unwrap()["kept"], 5);
    assert_eq!((stock.days().unwrap(), stock.files().unwrap()), (vec![5, 6, 7, 8, 9], 10));
    let again = stock.run("vb-prune --apply plan.json").unwrap().exited(5).unwrap();
    assert!(again.stderr_text().contains("9 backups then, 5 now"), "{}", again.stderr_text());
    let done = stock.run("vb-prune --plan --store file://./backups --keep-last 3").unwrap().succeeded().unwrap();
    let plan: Value = serde_json::from_str(done.stdout_text()).unwrap();
    assert_eq!(plan["remove"], json!([]), "the second time nothing goes");
}

#[test]
fn a_plan_is_refused_when_the_listing_or_the_plan_has_changed() {
    let stock = Stock::new().unwrap();
    let plan = "vb-prune --plan --store file://./backups --keep-last 3";
    for change in ["vb-prune --pin w_20260101_031500", "echo x | vb-put --unproven --set w"] {
        stock.run(&format!("{plan} > plan.json && {change}")).unwrap().succeeded().unwrap();
        let before = stock.files().unwrap();
        stock.run("vb-prune --apply plan.json").unwrap().exited(5).unwrap();
        assert_eq!(stock.files().unwrap(), before);
    }
    stock
        .run(&format!("{plan} | sed '0,/w_2026010[1-9]/s//w_20260109/' | vb-prune --apply -"))
        .unwrap()
        .exited(6)
        .unwrap();
    stock.run(&format!("{plan} | head -c 300 | vb-prune --apply -")).unwrap().exited(6).unwrap();
}

#[test]
fn pins_stay_with_all_that_they_stand_on() {
    let stock = Stock::new().unwrap();
    let run = stock.run("vb-prune --pin w_20260106_031500").unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-prune", "done").unwrap()["changed"], 1);
    stock.run("vb-prune --pin w_20260106_031500").unwrap().succeeded().unwrap();
    stock.run("vb-prune --pin w_20260131_031500").unwrap().exited(4).unwrap();
    stock.run("vb-prune --keep-last 1").unwrap().succeeded().unwrap();
    assert_eq!(stock.days().unwrap(), [5, 6, 9]);
    stock.run("vb-prune --unpin w_20260106_031500").unwrap().succeeded().unwrap();
    let run = stock.run("vb-prune --keep-last 1").unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-prune", "remove").unwrap()["reasons"], json!(["last: a newer one is kept"]));
    assert_eq!((stock.days().unwrap(), stock.files().unwrap()), (vec![9], 2));
}

#[test]
fn damage_and_missing_verification_count_for_nothing() {
    let stock = Stock::new().unwrap();
    let verified =
        |day: u32| fs::write(stock.path(&format!("{}_verified_2_20260201_000000.json", id(day))), "{}").unwrap();
    fs::write(stock.path(&format!("{}_damaged_2_20260201_000000.json", id(9))), "{}").unwrap();
    [2, 3].into_iter().for_each(verified);
    stock.run("vb-prune --keep-last 1 --require-level 2").unwrap().succeeded().unwrap();
    assert_eq!(stock.days().unwrap(), [3, 4, 5, 6, 7, 8, 9]);
    stock.run("vb-prune --keep-last 1").unwrap().succeeded().unwrap();
    assert_eq!(stock.days().unwrap(), [8, 9]);
}

#[test]
fn what_another_set_stands_on_stays_when_one_set_is_pruned() {
    let stock = Stock::new().unwrap();
    stock.add_across(10, 2).unwrap();
    let run = stock.run("vb-prune --set w --keep-last 1").unwrap().succeeded().unwrap();
    let done = run.event("vb-prune", "done").unwrap();
    assert_eq!((&done["kept"], &done["removed"]), (&json!(2), &json!(7)), "{done}");
    assert_eq!(stock.days().unwrap(), [2, 9, 10]);
    let kept: Vec<Value> = run.status_lines().unwrap().into_iter().filter(|line| line["event"] == "keep").collect();
    assert_eq!(kept[1]["reasons"], json!(["base of v_20260110_031500"]));
    // A plan of that set says the same, and is carried out.
    let plan =
        "vb-prune --plan --store file://./backups --set w --keep-last 1 > plan.json && vb-prune --apply plan.json";
    let done = stock.run(plan).unwrap().succeeded().unwrap().event("vb-prune", "done").unwrap();
    assert_eq!((&done["kept"], &done["removed"]), (&json!(2), &json!(0)), "{done}");
    let copy = "vb-copy --set v --from file://./backups --to file://./other";
    let done = stock.run(copy).unwrap().succeeded().unwrap().event("vb-copy", "done").unwrap();
    assert_eq!(done["copied"], 2, "what it stands on comes too: {done}");
    let chain = stock.run("vb-ls --store file://./other --chain v_20260110_031500").unwrap().succeeded().unwrap();
    assert_eq!(chain.event("vb-ls", "done").unwrap()["count"], 2);
}

#[test]
fn above_the_limit_nothing_goes() {
    let stock = Stock::new().unwrap();
    let run = stock.run("vb-prune --keep-last 3 --max-delete 3").unwrap().exited(1).unwrap();
    assert!(run.stderr_text().contains("4 backups would go, and --max-delete allows 3"), "{}", run.stderr_text());
    assert_eq!(stock.days().unwrap().len(), 9);
    stock.run("vb-prune --keep-last 3 --max-delete 4").unwrap().succeeded().unwrap();
}

#[test]
fn litter_is_swept_once_it_is_a_day_old() {
    let stock = Stock::new().unwrap();
    let line = "for day in 20 21; do echo x > backups/w/w_202601${day}_031500.txt; done; echo x > backups/w/.vb-1.tmp;
        touch -d '2 days ago' backups/w/w_20260120_031500.txt backups/w/.vb-1.tmp; vb-prune --keep-last 99";
    let done = stock.run(line).unwrap().succeeded().unwrap().event("vb-prune", "done").unwrap();
    assert_eq!((&done["swept"], &done["removed"], stock.files().unwrap()), (&json!(2), &json!(0), 19), "{done}");
}

#[test]
fn tags_keep_and_travel_with_the_backup() {
    let stock = Stock::new().unwrap();
    let put = "echo x | vb-put --unproven --set w --tag monthly,before-migration";
    stock.run(put).unwrap().succeeded().unwrap();
    stock.run("vb-prune --keep-tag monthly,before-migration --set w").unwrap().succeeded().unwrap();
    assert_eq!(stock.days().unwrap().len(), 1);
    stock.run("echo x | vb-put --unproven --set v --tag ''").unwrap().exited(2).unwrap();
}
