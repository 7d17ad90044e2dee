"""What a Parquet file holds of a column of hard_values.sql: compare.py COLUMN FILE. Exit status 1 if it is not the server's.

Times are compared as the integers that they are, since Python's own types end at the year 9999; the largest and the smallest
integer count as infinity.
"""

import decimal
import json
import os
import struct
import sys

import psycopg2
import pyarrow
import pyarrow.parquet

INTEGERS = {"at": "round(extract(epoch FROM at) * 1000000)::bigint", "day": "day - '1970-01-01'"}
BOUNDS = {"at": 2**63 - 1, "day": 2**31 - 1}


def as_integer(column, text):
    """The server's words for a count since 1970, or an infinity."""
    most = BOUNDS[column]
    return {"infinity": most, "-infinity": -most}.get(text) or int(text)


def interval(value):
    """Months, days and microseconds of Parquet's own form, which counts milliseconds, or of Arrow's."""
    if isinstance(value, bytes):
        months, days, milliseconds = struct.unpack("<iii", value)
        return months, days, milliseconds * 1000
    return (value.months, value.days, value.nanoseconds // 1000) if hasattr(value, "nanoseconds") else value


def same(column, shown, value):
    if column in INTEGERS:
        wanted = as_integer(column, shown)
        return value == wanted or (abs(wanted) == BOUNDS[column] and value == -BOUNDS[column] - 1)
    if isinstance(value, str):
        return shown == value or (column == "amount" and shown.lower() == value.lower())
    if column == "amount":
        return not isinstance(value, float) and str(value) != "None" and decimal.Decimal(shown).compare_total(value) == 0
    if column == "took":
        return interval(value) == tuple(int(part) for part in shown.split())
    return shown == json.dumps(value).replace("[", "{").replace("]", "}").replace(" ", "")


column, file = sys.argv[1:]
with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
    cursor.execute("SET timezone = 'UTC'")
    shown = f"{column}::text"
    if column in INTEGERS:
        shown = f"CASE WHEN isfinite({column}) THEN ({INTEGERS[column]})::text ELSE {column}::text END"
    if column == "took":
        months = "(extract(year FROM took) * 12 + extract(month FROM took))::int"
        microseconds = "extract(hour FROM took)::int * 3600000000::bigint + (extract(minute FROM took)::int * 60000000) + extract(microseconds FROM took)::int"
        shown = f"concat_ws(' ', {months}, extract(day FROM took)::int, {microseconds})"
    cursor.execute(f"SELECT {shown} FROM hard_values ORDER BY id")
    wanted = [row[0] for row in cursor.fetchall()]
table = pyarrow.parquet.read_table(file).sort_by("id")
values = table["value"].combine_chunks()
if pyarrow.types.is_date32(values.type):
    values = values.view(pyarrow.int32())
elif pyarrow.types.is_timestamp(values.type):
    values = values.view(pyarrow.int64()) if values.type.unit == "us" else values.cast(pyarrow.timestamp("us"), safe=False).view(pyarrow.int64())
found = values.to_pylist()
right = len(found) == len(wanted) and all(same(column, was, value) for was, value in zip(wanted, found))
sys.exit(0 if right else f"{column}: {wanted} became {found}")
