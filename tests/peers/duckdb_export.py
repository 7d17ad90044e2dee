"""DuckDB with its postgres extension: duckdb_export.py TABLE FILE. Two connections, as it chooses itself on two cores."""

import glob
import os
import sys

import duckdb
import duckdb_extension_postgres_scanner

table, file = sys.argv[1:]
folder = os.path.dirname(duckdb_extension_postgres_scanner.__file__)
(extension,) = glob.glob(f"{folder}/extensions/*/postgres_scanner.duckdb_extension")
database = duckdb.connect()
database.execute(f"LOAD '{extension}'")
database.execute(f"ATTACH '{os.environ['DATABASE_URL']}' AS source (TYPE postgres, READ_ONLY)")
database.execute(f"COPY (SELECT * FROM source.public.{table}) TO '{file}' (FORMAT parquet)")
