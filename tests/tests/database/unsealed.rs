//! Increments of a database whose seal is lost on the way: the archive itself says what it is.

use crate::increment::Increments;

const WAYS: [&str; 6] = [
    "-o d.tar && vb-put --mark mark d.tar",
    "| cat | vb-put --mark mark --set rental",
    "| cat | vb-compress | vb-put --mark mark --set rental",
    "-o d.tar && vb-compress d.tar | vb-put --mark mark",
    "| gzip | vb-put --mark mark --set rental",
    "| cat | vb-compress >d.gz && vb-put --mark mark d.gz",
];

#[test]
fn an_increment_of_a_database_is_one_however_it_comes() {
    let increments = Increments::alone().unwrap();
    increments.full("--set rental").unwrap();
    for way in WAYS {
        increments.execute("INSERT INTO film (title, language_id) VALUES ('one more', 1)").unwrap();
        let line = format!("vb-export dump --format parquet --since @mark --set rental {way}");
        let run = increments.rental.run(&line).unwrap().succeeded().unwrap();
        let done = run.event("vb-put", "done").unwrap();
        assert_eq!((&done["kind"], &done["set"]), (&"incremental".into(), &"rental".into()), "{way}: {run}");
        assert_eq!(done["records"], 1, "{way}: {run}");
    }
    increments.is_restored().unwrap();
}
