"""ConnectorX with two partitions: connectorx_export.py TABLE FILE. It cannot read an enum, so that each column that is one is cast."""

import os
import sys

import connectorx
import psycopg2
import pyarrow.parquet

table, file = sys.argv[1:]
url = os.environ["DATABASE_URL"]
with psycopg2.connect(url) as connection, connection.cursor() as cursor:
    cursor.execute(
        "SELECT attname, typtype FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (table,),
    )
    columns = ", ".join(f"{name}::text AS {name}" if kind == "e" else name for name, kind in cursor.fetchall())
rows = connectorx.read_sql(
    url, f"SELECT {columns} FROM {table}", return_type="arrow", protocol="binary", partition_on="id", partition_num=2
)
pyarrow.parquet.write_table(rows, file)
