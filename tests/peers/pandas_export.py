"""pandas and SQLAlchemy, 100,000 rows at a time: pandas_export.py TABLE FILE."""

import os
import sys

import pandas
import pyarrow
import pyarrow.parquet
import sqlalchemy

table, file = sys.argv[1:]
engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1))
writer = None
with engine.connect().execution_options(stream_results=True) as connection:
    for frame in pandas.read_sql(f"SELECT * FROM {table}", connection, chunksize=100_000):
        for column in frame.columns[frame.dtypes == object]:
            if isinstance(frame[column].dropna().iloc[0], (dict, list)):
                frame[column] = frame[column].map(str)
        rows = pyarrow.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pyarrow.parquet.ParquetWriter(file, rows.schema)
        writer.write_table(rows.cast(writer.schema))
if writer:
    writer.close()
