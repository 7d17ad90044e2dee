//! What an increment has of each table, and why it has all of one.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::increment::Increments;

/// Tables that can be continued; then what happens to them.
const TABLES: &str = "
    CREATE TYPE colour AS ENUM ('red', 'green');
    CREATE TYPE shade AS ENUM ('dark');
    CREATE TYPE pair AS (a integer, b integer);
    CREATE TABLE as_it_was (id integer PRIMARY KEY, note text);
    CREATE TABLE changed (id integer PRIMARY KEY, note text);
    CREATE TABLE emptied (id integer PRIMARY KEY, note text);
    CREATE TABLE rewritten (id integer PRIMARY KEY, note text);
    CREATE TABLE made_again (id integer PRIMARY KEY, note text);
    CREATE TABLE renamed (id integer PRIMARY KEY, note text);
    CREATE TABLE column_again (id integer PRIMARY KEY, note text);
    CREATE TABLE widened (id integer PRIMARY KEY, note varchar(9));
    CREATE TABLE no_more_generated (id integer PRIMARY KEY, note text GENERATED ALWAYS AS (id::text) STORED);
    CREATE TABLE coloured (id integer PRIMARY KEY, note colour);
    CREATE TABLE shaded (id integer PRIMARY KEY, note shade[]);
    CREATE TABLE paired (id integer PRIMARY KEY, note pair[]);
    CREATE TABLE without_key (id integer, note text);
    CREATE TABLE quiet_without_key (id integer, note text);
    CREATE TABLE other_key (id integer PRIMARY KEY, note text NOT NULL UNIQUE);
    CREATE TABLE key_of_range (id int4range PRIMARY KEY, note text);
    CREATE TABLE key_of_many (id text, note colour, at numeric, PRIMARY KEY (note, id, at));
    INSERT INTO key_of_range SELECT int4range(n, n + 1), n FROM generate_series(1, 50) n;
    INSERT INTO key_of_many SELECT 'Größe ' || n, 'red', n / 4.0 FROM generate_series(1, 500) n;
    INSERT INTO paired SELECT n, ARRAY[(n, n)::pair] FROM generate_series(1, 50) n;
    INSERT INTO shaded SELECT n, '[0:1]={dark,dark}' FROM generate_series(1, 50) n;
    INSERT INTO coloured SELECT n, 'green' FROM generate_series(1, 50) n;
    INSERT INTO no_more_generated SELECT n FROM generate_series(1, 50) n;
    DO $$ DECLARE name text; BEGIN
      FOREACH name IN ARRAY ARRAY['as_it_was', 'changed', 'emptied', 'rewritten', 'made_again', 'renamed', 'column_again', 'widened',
        'without_key', 'quiet_without_key', 'other_key'] LOOP
        EXECUTE format('INSERT INTO %I SELECT n, n FROM generate_series(1, 500) n', name);
      END LOOP; END $$";

const CHANGES: &str = "
    UPDATE changed SET note = 'x' WHERE id < 5;
    DELETE FROM changed WHERE id > 490;
    TRUNCATE emptied;
    CLUSTER rewritten USING rewritten_pkey;
    DROP TABLE made_again; CREATE TABLE made_again (id integer PRIMARY KEY, note text); INSERT INTO made_again VALUES (1, 'new');
    ALTER TABLE renamed RENAME TO with_another_name;
    ALTER TABLE column_again DROP COLUMN note; ALTER TABLE column_again ADD COLUMN note text;
    ALTER TABLE widened ALTER COLUMN note TYPE text;
    ALTER TABLE no_more_generated ALTER COLUMN note DROP EXPRESSION;
    ALTER TYPE colour RENAME VALUE 'green' TO 'grün';
    ALTER TYPE shade RENAME TO tint;
    ALTER TYPE pair DROP ATTRIBUTE b; ALTER TYPE pair ADD ATTRIBUTE b integer;
    DELETE FROM without_key WHERE id = 7;
    ALTER TABLE other_key DROP CONSTRAINT other_key_pkey, ADD COLUMN key integer GENERATED ALWAYS AS IDENTITY;
    DELETE FROM key_of_range WHERE note = '7';
    DELETE FROM key_of_many WHERE at = 7;
    UPDATE key_of_many SET at = at + 0.00 WHERE at = 8;
    UPDATE key_of_many SET note = 'grün' WHERE at = 9";

/// What is carried of each table, by the manifest in the newest dump.
fn carried(increments: &Increments) -> Result<BTreeMap<String, String>> {
    increments.rental.run("vb-get --latest | tar -xz -O manifest.json >manifest")?.succeeded()?;
    let manifest: Value = serde_json::from_slice(&std::fs::read(increments.rental.place.path("manifest"))?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |table: &Value| (text(&table["name"]), format!("{} {}", text(&table["carried"]), text(&table["reason"])));
    Ok(manifest["tables"].as_array().into_iter().flatten().map(of).collect())
}

#[test]
fn what_cannot_be_continued_is_carried_whole_and_nothing_else() {
    let increments = Increments::alone().unwrap();
    increments.execute(TABLES).unwrap();
    increments.full("").unwrap();
    increments.execute(CHANGES).unwrap();
    increments.increment("").unwrap();
    let now = carried(&increments).unwrap();
    for (table, expected) in [
        ("as_it_was", "nothing "),
        ("film", "nothing "),
        ("changed", "changes "),
        ("emptied", "whole it was rewritten"),
        ("rewritten", "whole it was rewritten"),
        ("made_again", "whole it is new"),
        ("with_another_name", "whole its name, its columns"),
        ("column_again", "whole its name, its columns"),
        ("widened", "whole its name, its columns"),
        ("no_more_generated", "whole its name, its columns"),
        ("coloured", "whole its name, its columns"),
        ("shaded", "whole its name, its columns"),
        ("paired", "whole its name, its columns"),
        ("without_key", "whole it has changed, and no key"),
        ("quiet_without_key", "nothing "),
        ("other_key", "whole "),
        ("key_of_range", "whole it has changed, and no key"),
        ("key_of_many", "whole its name, its columns"),
    ] {
        let found = now.get(table).map(String::as_str).unwrap_or_default();
        assert!(found.starts_with(expected), "{table}: {found:?}");
    }
    // What was whole is continued from there.
    increments
        .execute(
            "UPDATE emptied SET note = 'x'; INSERT INTO emptied VALUES (1); DELETE FROM column_again WHERE id < 9;
             INSERT INTO made_again VALUES (2); DELETE FROM coloured WHERE id = 3;
             UPDATE shaded SET note = '{dark}' WHERE id = 7; UPDATE paired SET note = NULL WHERE id = 3;
             DELETE FROM key_of_many WHERE at = 10 OR note = 'grün'; UPDATE key_of_many SET at = 0.5 WHERE at = 11",
        )
        .unwrap();
    increments.increment("").unwrap();
    let now = carried(&increments).unwrap();
    for table in ["emptied", "column_again", "made_again", "coloured", "shaded", "paired", "key_of_many"] {
        assert_eq!(now[table], "changes ", "{table}");
    }
    assert_eq!(now["with_another_name"], "nothing ");
    increments.is_restored().unwrap();
}
