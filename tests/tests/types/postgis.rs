//! Geometries and geographies of PostGIS: EWKB in the file, identical after the restore, the extension made where it is missing.

use anyhow::{Result, ensure};
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};

/// Kinds, dimensions and reference systems, among them a shape with nothing in it and a point at no place.
const PLACES: &str = "CREATE EXTENSION postgis;
    CREATE TABLE places (id int PRIMARY KEY, shape geometry, point geometry(PointZM, 4326), spot geography);
    CREATE INDEX ON places USING gist (shape);
    INSERT INTO places VALUES
        (1, 'POINT(1.1 -2.2)', 'SRID=4326;POINT ZM (1 2 3 4)', 'POINT(8.54 47.37)'),
        (2, 'SRID=3857;MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 2,1 1)))', NULL, 'SRID=4326;LINESTRING(0 0,179.9 -89.9)'),
        (3, 'GEOMETRYCOLLECTION EMPTY', 'SRID=4326;POINT ZM EMPTY', NULL),
        (4, 'CIRCULARSTRING(0 0,1 1,2 0)', NULL, 'MULTIPOINT((1 2),(3 4))'),
        (5, ST_MakePoint('NaN', 'Infinity'), NULL, NULL),
        (6, NULL, NULL, NULL),
        (7, ST_Buffer('POINT(0 0)', 1.0 / 3, 64), NULL, NULL)";

struct Map {
    place: Place,
    source: Database,
    target: Database,
}

impl Map {
    fn new() -> Result<Self> {
        let server = Postgres::shared()?;
        let (source, target) = (server.create_database("map_source")?, server.create_database("map_target")?);
        source.client()?.batch_execute(PLACES)?;
        Ok(Self { place: Place::new()?, source, target })
    }

    /// The rows as the server sends them, in hexadecimal.
    fn rows(database: &Database) -> Result<Vec<String>> {
        let query = "SELECT concat_ws(' ', id, encode(geometry_send(shape), 'hex'), encode(geometry_send(point), 'hex'), \
             encode(geography_send(spot), 'hex')) FROM places ORDER BY id";
        Ok(database.client()?.query(query, &[])?.iter().map(|row| row.get(0)).collect())
    }

    fn is_the_same(&self) -> Result<()> {
        let (was, is) = (Self::rows(&self.source)?, Self::rows(&self.target)?);
        ensure!(was == is && was.len() == 7, "{was:#?}\n{is:#?}");
        Ok(())
    }

    /// `vb-export … | vb-import` from one to the other.
    fn run(&self, line: &str) -> Result<vb_tests::command::Run> {
        self.place.shell(line).env("SOURCE", self.source.url()).env("TARGET", self.target.url()).run()?.succeeded()
    }
}

#[test]
fn shapes_come_back_identical() -> Result<()> {
    let map = Map::new()?;
    let line = "DATABASE_URL=$SOURCE vb-export table places --row-hash -o places.parquet >&2 && DATABASE_URL=$TARGET vb-import places.parquet";
    let done = map.run(line)?.event("vb-import", "done")?;
    ensure!(done["identical"] == true && done["schema"] == "dump", "{done}");
    map.is_the_same()?;
    // What DuckDB reads is what PostGIS calls EWKB.
    let python =
        "import duckdb; print(duckdb.sql(\"SELECT hex(shape) FROM 'places.parquet' WHERE id = 2\").fetchone()[0])";
    let read = map.place.shell("python3 -c \"$READ\"").env("READ", python).run()?.succeeded()?;
    let row = map.source.client()?.query_one("SELECT encode(ST_AsEWKB(shape), 'hex') FROM places WHERE id = 2", &[])?;
    let expected: String = row.get(0);
    ensure!(read.stdout_text().trim().to_lowercase() == expected, "{read}");
    Ok(())
}

/// `spatial_ref_sys` belongs to the extension, which fills it; only what users add is theirs to dump.
#[test]
fn a_database_with_the_extension_comes_back() -> Result<()> {
    let map = Map::new()?;
    let own = "INSERT INTO spatial_ref_sys (srid, auth_name, srtext) VALUES (990001, 'own', 'LOCAL_CS[\"own\"]')";
    map.source.client()?.batch_execute(own)?;
    let line = "DATABASE_URL=$SOURCE vb-export dump --format parquet --row-hash | DATABASE_URL=$TARGET vb-import";
    let done = map.run(line)?.event("vb-import", "done")?;
    ensure!(done["identical"] == true, "{done}");
    map.is_the_same()?;
    let count = |database: &Database| -> Result<(i64, i64)> {
        let query = "SELECT count(*), count(*) FILTER (WHERE srid = 990001) FROM spatial_ref_sys";
        let row = database.client()?.query_one(query, &[])?;
        Ok((row.get(0), row.get(1)))
    };
    let (was, is) = (count(&map.source)?, count(&map.target)?);
    ensure!(was == is && was.1 == 1, "{was:?} {is:?}");
    Ok(())
}
