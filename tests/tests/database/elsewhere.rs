//! A server that lacks what the source had: roles, a tablespace; and a database with a locale of its own.

use anyhow::Result;
use postgres::Client;
use vb_tests::servers::{Database, Postgres};

use crate::Rental;

/// A name that no other test uses, from that of the database.
fn own_name(what: &str, database: &Database) -> String {
    format!("{what}_{}", database.variables()["PGDATABASE"])
}

fn text(client: &mut Client, query: &str) -> Result<String> {
    Ok(client.query_one(query, &[])?.get(0))
}

#[test]
fn roles_that_are_missing_can_be_left_out() {
    let rental = Rental::new().unwrap();
    let role = own_name("owner", &rental.source);
    let mut source = rental.source.client().unwrap();
    let own = format!(
        "CREATE ROLE {role}; ALTER TABLE film OWNER TO {role}; GRANT SELECT ON sales.reservation TO {role}; \
         SELECT lo_from_bytea(4711, 'owned'); ALTER LARGE OBJECT 4711 OWNER TO {role}"
    );
    source.batch_execute(&own).unwrap();
    rental
        .run("vb-export dump --format parquet --row-hash -o tables && vb-export dump -o custom")
        .unwrap()
        .succeeded()
        .unwrap();
    source
        .batch_execute(&format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
    let me = text(&mut source, "SELECT current_user::text").unwrap();
    for (file, code) in [("tables", 2), ("custom", 1)] {
        let target = Postgres::shared().unwrap().create_database("without_roles").unwrap();
        let import = |options: &str| {
            rental.shell(&format!("vb-import {options} {file}")).env("TARGET", target.url()).run().unwrap()
        };
        let refused = import("").exited(code).unwrap();
        let said = refused.stderr_text();
        assert!(said.contains(&role) && said.contains("--no-owner"), "{refused}");
        let run = import("--no-owner").succeeded().unwrap();
        let mut target = target.client().unwrap();
        let owners =
            "SELECT string_agg(DISTINCT tableowner::text, ',') FROM pg_tables WHERE schemaname IN ('public', 'sales')";
        assert_eq!(text(&mut target, owners).unwrap(), me, "{run}");
        let granted = "SELECT count(*)::text FROM pg_class WHERE relacl::text LIKE '%owner%'";
        assert_eq!(text(&mut target, granted).unwrap(), "0");
        assert_eq!(text(&mut target, "SELECT convert_from(lo_get(4711), 'UTF8')").unwrap(), "owned");
    }
}

#[test]
fn a_tablespace_that_is_missing_is_named() {
    let rental = Rental::new().unwrap();
    let space = own_name("space", &rental.source);
    let mut source = rental.source.client().unwrap();
    let make = [
        "SET allow_in_place_tablespaces = on",
        &format!("CREATE TABLESPACE {space} LOCATION ''"),
        &format!("ALTER TABLE film SET TABLESPACE {space}"),
    ];
    make.iter().for_each(|statement| source.batch_execute(statement).unwrap());
    rental.run("vb-export dump --format parquet --row-hash -o tables").unwrap().succeeded().unwrap();
    source.batch_execute("ALTER TABLE film SET TABLESPACE pg_default").unwrap();
    source.batch_execute(&format!("DROP TABLESPACE {space}")).unwrap();
    let run = rental.run("vb-import tables").unwrap().succeeded().unwrap();
    assert!(run.stderr_text().contains(&format!("the tablespace {space} is not here")), "{run}");
    assert_eq!(run.event("vb-import", "done").unwrap()["identical"], true, "{run}");
    crate::same_text(&rental.source, &rental.target).unwrap();
}

#[test]
fn a_database_keeps_its_locale_when_it_is_swapped_in() {
    let rental = Rental::new().unwrap();
    let name = own_name("icu", &rental.source);
    let mut server = rental.source.client().unwrap();
    let make = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk'"
    );
    server.batch_execute(&make).unwrap();
    let live = rental.source.beside(&name);
    // In a phone book, Ä stands with Ae, before Af.
    let fill = "CREATE TABLE names (name text PRIMARY KEY); INSERT INTO names VALUES ('Afra'), ('Ärni'), ('Anton')";
    live.client().unwrap().batch_execute(fill).unwrap();
    let line = "export DATABASE_URL=$LIVE; vb=vb-; ${vb}export dump --format parquet --row-hash -o tables && ${vb}import --swap tables";
    let run = rental.shell(line).env("LIVE", live.url()).run().unwrap().succeeded().unwrap();
    let done = run.event("vb-import", "done").unwrap();
    assert_eq!(done["identical"], true, "{run}");
    let query = "SELECT datlocprovider::text || ' ' || (SELECT string_agg(name, ' ' ORDER BY name) FROM names) FROM pg_database WHERE datname = current_database()";
    assert_eq!(text(&mut live.client().unwrap(), query).unwrap(), "i Ärni Afra Anton");
    let comment = "SELECT COALESCE(shobj_description(oid, 'pg_database'), 'none') FROM pg_database WHERE datname = current_database()";
    assert_eq!(text(&mut live.client().unwrap(), comment).unwrap(), "none");
    for database in [name.as_str(), done["kept_as"].as_str().unwrap()] {
        server.batch_execute(&format!("DROP DATABASE {database}")).unwrap();
    }
}
