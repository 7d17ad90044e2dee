//! Several connections, and several processes, that export one table as it was at one instant.

use anyhow::Result;
use vb_tests::command::Command;
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};
use vb_tests::weather;

/// More than two of the pieces that a connection reads at a time.
const ROWS: i64 = 100_000;

struct Source {
    place: Place,
    database: Database,
}

impl Source {
    fn with_rows(rows: i64) -> Result<Self> {
        let database = Postgres::shared()?.create_database("parallel")?;
        weather::create(&database, rows)?;
        // Pages enough for several pieces, without more rows.
        let widen =
            "ALTER TABLE verification_scores ADD note text; UPDATE verification_scores SET note = repeat('x', 900)";
        database.client()?.batch_execute(widen)?;
        Ok(Self { place: Place::new()?, database })
    }

    fn line(&self, line: &str) -> Command {
        self.place.shell(line).env("DATABASE_URL", self.database.url())
    }

    /// Whether two tables have the same rows.
    fn is_same(&self, left: &str, right: &str) -> Result<bool> {
        let query = format!(
            "SELECT (SELECT count(*) FROM {left}) = (SELECT count(*) FROM {right}) AND NOT EXISTS \
             (SELECT l::text FROM {left} l EXCEPT ALL SELECT r::text FROM {right} r)"
        );
        Ok(self.database.client()?.query_one(&query, &[])?.get(0))
    }
}

#[test]
fn several_connections_export_the_same_rows_in_the_same_order() {
    let source = Source::with_rows(ROWS).unwrap();
    source
        .line("vb-export --jobs 1 -o one.parquet && vb-export --jobs 3 --row-hash -o three.parquet")
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    let dry = source.line("vb-export --jobs 3 --dry-run").run().unwrap().succeeded().unwrap();
    let pieces = dry.event("vb-export", "done").unwrap()["copy"].as_array().map(Vec::len);
    assert!(pieces >= Some(3), "{dry}");
    let read = "import duckdb, sys; [print(*row) for row in \
        duckdb.sql(f'SELECT id, station, forecast, skill FROM {sys.argv[1]!r}').fetchall()]";
    let rows = |file: &str| source.line(&format!("python3 -c \"{read}\" {file}")).run().unwrap().succeeded().unwrap();
    assert_eq!(rows("one.parquet").stdout_text(), rows("three.parquet").stdout_text());
    let restored = source.line("vb-import --table restored three.parquet").run().unwrap().succeeded().unwrap();
    assert_eq!(restored.event("vb-import", "done").unwrap()["identical"], true, "{restored}");
    assert!(source.is_same("verification_scores", "restored").unwrap());
}

#[test]
fn partitions_and_children_are_read_side_by_side() {
    let database = Postgres::shared().unwrap().create_database("parts").unwrap();
    let sql = "CREATE TABLE parted (id int, pad text) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (50000) PARTITION BY HASH (id);
        CREATE TABLE low_0 PARTITION OF low FOR VALUES WITH (modulus 2, remainder 0);
        CREATE TABLE low_1 PARTITION OF low FOR VALUES WITH (modulus 2, remainder 1);
        CREATE TABLE high (pad text, id int); ALTER TABLE parted ATTACH PARTITION high DEFAULT;
        INSERT INTO parted SELECT n, repeat('y', 500) FROM generate_series(1, 100000) n;
        CREATE TABLE parent (id int); CREATE TABLE child (more text) INHERITS (parent);
        INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 'x'); CREATE VIEW seen AS SELECT * FROM parent;
        CREATE MATERIALIZED VIEW kept AS SELECT * FROM parted; CREATE TABLE empty (id int)";
    database.client().unwrap().batch_execute(sql).unwrap();
    let source = Source { place: Place::new().unwrap(), database };
    for (table, rows) in [("parted", 100_000), ("parent", 2), ("seen", 2), ("kept", 100_000), ("empty", 0)] {
        let line = format!("vb-export table {table} -j 2 --row-hash | vb-import --table {table}_again");
        let run = source.line(&line).run().unwrap().succeeded().unwrap();
        let done = run.event("vb-import", "done").unwrap();
        assert_eq!((&done["records_restored"], &done["identical"]), (&rows.into(), &true.into()), "{table}: {run}");
        assert!(source.is_same(table, &format!("{table}_again")).unwrap(), "{table}");
    }
}

/// Rows come, go and change while the shards are read one after the other; together they are the table as it was when the
/// snapshot was taken.
#[test]
fn shards_in_gnu_parallel_are_one_instant_of_the_table() {
    let source = Source::with_rows(ROWS).unwrap();
    source
        .database
        .client()
        .unwrap()
        .batch_execute("CREATE TABLE before AS SELECT * FROM verification_scores")
        .unwrap();
    let change = "psql -q \"$DATABASE_URL\" -c \"DELETE FROM verification_scores WHERE id % 9 = {}\" \
        -c \"UPDATE verification_scores SET note = {} WHERE id % 7 = {}\"";
    let line = format!(
        "vb-export snapshot -- parallel --jobs 2 '{change} && vb-export --shard {{}}/4 -o {{}}.parquet' ::: 1 2 3 4"
    );
    source.line(&line).run().unwrap().succeeded().unwrap();
    let restore = "for shard in 1 2 3 4; do vb-import --mode insert --table after $shard.parquet || exit; done";
    let run = source.line(restore).run().unwrap().succeeded().unwrap();
    assert!(source.is_same("before", "after").unwrap(), "{run}");
    assert!(!source.is_same("verification_scores", "after").unwrap(), "nothing was changed meanwhile");
}

#[test]
fn schedulers_number_the_shards() {
    let source = Source::with_rows(1000).unwrap();
    let slurm = "SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_ID=1 vb-export --shard auto";
    let line = format!(
        "vb-export snapshot -- sh -c '{slurm} | vb-put; JOB_COMPLETION_INDEX=0 vb-export --shard auto/2 | vb-put'"
    );
    let run = source.line(&line).run().unwrap().succeeded().unwrap();
    let listed = source.line("vb-ls --json 2>/dev/null || vb-ls").run().unwrap().succeeded().unwrap();
    for set in ["verification-1of2", "verification-2of2"] {
        assert!(listed.stdout_text().contains(&format!("\"set\":\"{set}\"")), "{set}: {listed}\n{run}");
    }
}

#[test]
fn a_shard_without_a_held_table_is_refused() {
    let source = Source::with_rows(10).unwrap();
    source
        .database
        .client()
        .unwrap()
        .batch_execute("CREATE TABLE other (id int); CREATE VIEW seen AS SELECT 1 AS one")
        .unwrap();
    let line = |line: &str| source.line(line).run().unwrap();
    let free = line("vb-export --shard 1/2").exited(2).unwrap();
    assert!(free.stderr_text().contains("nothing keeps public.verification_scores as it is"), "{free}");
    let wrong = line("vb-export snapshot other -- vb-export --shard 1/2").exited(1).unwrap();
    assert!(wrong.stderr_text().contains("vb-export snapshot public.verification_scores"), "{wrong}");
    let view = line("vb-export snapshot seen -- vb-export table seen --shard 1/2").exited(1).unwrap();
    assert!(view.stderr_text().contains("public.seen has no pages to share out"), "{view}");
    line("vb-export --shard 3/2").exited(2).unwrap();
    line("vb-export --shard auto").exited(2).unwrap();
    line("vb-export --jobs 0").exited(2).unwrap();
    line("vb-export --snapshot 00000003-0000001B-1").exited(2).unwrap();
}

#[test]
fn a_snapshot_that_has_ended_is_named() {
    let source = Source::with_rows(10).unwrap();
    let token =
        source.line("vb-export snapshot --hold 1s").run().unwrap().succeeded().unwrap().stdout_text().to_owned();
    let run = source.line(&format!("vb-export --snapshot {}", token.trim())).run().unwrap().exited(4).unwrap();
    assert!(run.stderr_text().contains("joining the snapshot"), "{run}");
}

#[test]
fn a_restore_that_is_not_identical_is_rolled_back() {
    let source = Source::with_rows(1000).unwrap();
    let spoil =
        "CREATE TABLE spoiled (LIKE verification_scores); CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF new.id = 500 THEN new.forecast := new.forecast + 0.5; END IF; RETURN new; END';
        CREATE TRIGGER spoil BEFORE INSERT ON spoiled FOR EACH ROW EXECUTE FUNCTION spoil()";
    source.database.client().unwrap().batch_execute(spoil).unwrap();
    let run = source.line("vb-export --row-hash | vb-import --table spoiled").run().unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("the rows are not what they were"), "{run}");
    let rows: i64 = source.database.client().unwrap().query_one("SELECT count(*) FROM spoiled", &[]).unwrap().get(0);
    assert_eq!(rows, 0);
}
