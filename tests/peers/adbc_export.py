"""ADBC and pyarrow, batch by batch: adbc_export.py TABLE FILE."""

import os
import sys

import adbc_driver_postgresql.dbapi
import pyarrow.parquet

table, file = sys.argv[1:]
with adbc_driver_postgresql.dbapi.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
    cursor.execute(f"SELECT * FROM {table}")
    batches = cursor.fetch_record_batch()
    with pyarrow.parquet.ParquetWriter(file, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
