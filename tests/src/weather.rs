//! The example table of the tests, the demo and the bench: `verification_scores`, from `tests/fixtures/weather.sql`.

use anyhow::{Context, Result};

use crate::servers::Database;

/// Makes the table with `rows` rows, the same ones each time; returns their number.
///
/// # Errors
/// When the database cannot be reached, or has the table already.
pub fn create(database: &Database, rows: i64) -> Result<i64> {
    let mut client = database.client()?;
    client.batch_execute(include_str!("../fixtures/weather.sql")).context("creating verification_scores")?;
    let made =
        client.query_one("SELECT fill_verification_scores($1)", &[&rows]).context("filling verification_scores")?;
    Ok(made.get(0))
}

/// A digest of all rows, to compare a table with its restored copy (the copy's rows may lie in any order).
///
/// # Errors
/// When the database cannot be reached, or has no such table.
pub fn digest(database: &Database, table: &str) -> Result<String> {
    let query =
        format!("SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY id)), '') FROM {table} AS t");
    Ok(database.client()?.query_one(&query, &[]).with_context(|| format!("reading {table}"))?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::Postgres;

    #[test]
    fn the_rows_are_the_same_each_time() {
        let server = Postgres::shared().unwrap();
        let (one, other) = (server.create_database("weather").unwrap(), server.create_database("weather").unwrap());
        assert_eq!(create(&one, 3000).unwrap(), 3000);
        create(&other, 3000).unwrap();
        let digests = [&one, &other].map(|database| digest(database, "verification_scores").unwrap());
        assert!(digests[0].starts_with("3000 "), "{}", digests[0]);
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn the_rows_have_nulls_and_an_update_is_dated() {
        let database = Postgres::shared().unwrap().create_database("weather").unwrap();
        create(&database, 3000).unwrap();
        let mut client = database.client().unwrap();
        let counts = "SELECT count(*) - count(observed), count(*) - count(details), count(DISTINCT station) FROM verification_scores";
        let row = client.query_one(counts, &[]).unwrap();
        assert!(row.get::<_, i64>(0) > 0 && row.get::<_, i64>(1) > 0);
        assert_eq!(row.get::<_, i64>(2), 300);
        client.batch_execute("UPDATE verification_scores SET forecast = 0 WHERE id = 7").unwrap();
        let dated = "SELECT count(*) FROM verification_scores WHERE updated_at > now() - interval '1 hour' AND created_at < updated_at";
        assert_eq!(client.query_one(dated, &[]).unwrap().get::<_, i64>(0), 1);
    }
}
