//! What is easily lost of a database: a statement that only reads like another one, the quiet that a restore needs, and what belongs to
//! the database itself.

use anyhow::Result;
use vb_tests::servers::Database;

use crate::Rental;
use crate::swap::Accident;

fn text(database: &Database, query: &str) -> Result<String> {
    Ok(database.client()?.query_one(query, &[])?.get(0))
}

#[test]
fn words_about_an_owner_are_not_yet_a_statement_about_one() {
    let rental = Rental::new().unwrap();
    let words = "CREATE TABLE parted (a text) PARTITION BY LIST (a);
        CREATE TABLE part PARTITION OF parted FOR VALUES IN ('change OWNER TO bob'); INSERT INTO parted VALUES ('change OWNER TO bob');
        CREATE VIEW seen AS SELECT a FROM parted; ALTER VIEW seen ALTER a SET DEFAULT 'x OWNER TO y'";
    rental.source.client().unwrap().batch_execute(words).unwrap();
    rental
        .run("vb-export dump --format parquet -o tables && vb-import --no-owner tables")
        .unwrap()
        .succeeded()
        .unwrap();
    let default = "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'seen'::regclass";
    for query in ["SELECT string_agg(a, ',') FROM parted", default] {
        assert_eq!(text(&rental.target, query).unwrap(), text(&rental.source, query).unwrap(), "{query}");
    }
}

/// They are made when all else is there, so that they see nothing of the restore.
#[test]
fn event_triggers_do_not_hear_of_the_restore() {
    let rental = Rental::new().unwrap();
    let heard = "CREATE TABLE heard (tag text); CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int REFERENCES a);
        CREATE MATERIALIZED VIEW ab AS SELECT id FROM a;
        CREATE FUNCTION hear() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.heard VALUES (tg_tag); END $$;
        CREATE EVENT TRIGGER hear ON ddl_command_end EXECUTE FUNCTION hear(); COMMENT ON EVENT TRIGGER hear IS 'hears';
        ALTER EVENT TRIGGER hear ENABLE ALWAYS";
    rental.source.client().unwrap().batch_execute(heard).unwrap();
    rental.source.client().unwrap().batch_execute("TRUNCATE heard").unwrap();
    for jobs in [1, 2] {
        let target = rental.source.beside(&format!("{}_{jobs}", rental.target.variables()["PGDATABASE"]));
        rental
            .target
            .client()
            .unwrap()
            .batch_execute(&format!("CREATE DATABASE {}", target.variables()["PGDATABASE"]))
            .unwrap();
        let line = format!("vb-export dump --format parquet -o tables{jobs} && vb-import --jobs {jobs} tables{jobs}");
        rental.shell(&line).env("TARGET", target.url()).run().unwrap().succeeded().unwrap();
        assert_eq!(text(&target, "SELECT COALESCE(string_agg(tag, ','), '') FROM heard").unwrap(), "");
        let state = "SELECT evtenabled::text || obj_description(oid) FROM pg_event_trigger WHERE evtname = 'hear'";
        assert_eq!(text(&target, state).unwrap(), "Ahears");
        let drop = format!("DROP DATABASE {}", target.variables()["PGDATABASE"]);
        rental.target.client().unwrap().batch_execute(&drop).unwrap();
    }
}

#[test]
fn who_granted_and_that_it_is_a_template_stays_with_the_database() {
    let accident = Accident::new().unwrap();
    let (live, name) = (&accident.rental.source, &accident.name);
    let own = format!(
        "GRANT CREATE ON DATABASE {name} TO rental_reader WITH GRANT OPTION; SET ROLE rental_reader;
         GRANT CREATE ON DATABASE {name} TO pg_monitor; RESET ROLE; ALTER DATABASE {name} IS_TEMPLATE true"
    );
    live.client().unwrap().batch_execute(&own).unwrap();
    let query = "SELECT datistemplate || ' ' || array(SELECT unnest(datacl)::text ORDER BY 1)::text FROM pg_database WHERE datname = current_database()";
    let before = text(live, query).unwrap();
    assert!(before.contains("pg_monitor=C/rental_reader"), "{before}");
    let run = accident.restore("--force");
    let after = text(live, query);
    // A template cannot be dropped.
    let all = format!(
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT datname FROM pg_database WHERE starts_with(datname, '{name}') LOOP \
         EXECUTE format('ALTER DATABASE %I IS_TEMPLATE false', name); END LOOP; END $$"
    );
    live.client().unwrap().batch_execute(&all).unwrap();
    run.unwrap().succeeded().unwrap();
    assert_eq!(after.unwrap(), before);
}
