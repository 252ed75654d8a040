#!/usr/bin/env bash
# Sail (pysail) 0.7.2, asked over Spark Connect: the day and the hour of an instant that Parquet has are
# those of the zone that the file's Arrow schema names, not those of the session.
#
# A TIMESTAMP of Spark (TIMESTAMP_LTZ) is an instant, and its fields are seen in
# `spark.sql.session.timeZone`. Sail takes Arrow's timestamps with any zone for that type, the zone being
# mere metadata (lakehq/sail#438); its schema calls the column `timestamp`, and `unix_micros` is the same
# of each file. One instant, 2026-01-31 23:30 UTC, in three files that differ in nothing but the zone of
# `timestamp("us", tz=...)`, has two dates all the same, in any session; the same instant as a literal
# has its session's. Nothing is refused or warned of. Who groups by day has to write files with the
# session's zone, or reckon days from `unix_micros`.
#
# Seen, session, file's zone, type, date, hour, same instant, date of a literal:
#   UTC UTC timestamp 2026-01-31 23 True 2026-01-31
#   UTC Asia/Tokyo timestamp 2026-02-01 8 True 2026-01-31
#   UTC America/New_York timestamp 2026-01-31 18 True 2026-01-31
#   Asia/Tokyo UTC timestamp 2026-01-31 23 True 2026-02-01
#   Asia/Tokyo Asia/Tokyo timestamp 2026-02-01 8 True 2026-02-01
#   Asia/Tokyo America/New_York timestamp 2026-01-31 18 True 2026-02-01
# Fails if that changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" --quiet --disable-pip-version-check install \
    pysail==0.7.2 pyspark-client==4.2.0 pyarrow==26.0.1 pandas==2.3.3 2>"$folder/pip.log" \
    || { cat "$folder/pip.log" >&2; exit 2; }

cat >"$folder/try.py" <<'PY'
import datetime as dt
import os
import sys
import warnings

warnings.simplefilter("ignore")

import pyarrow as pa
import pyarrow.parquet as pq
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

folder = sys.argv[1]
zones = ["UTC", "Asia/Tokyo", "America/New_York"]
instant = dt.datetime(2026, 1, 31, 23, 30, tzinfo=dt.timezone.utc)
micros = int(instant.timestamp()) * 1_000_000
for place, zone in enumerate(zones):
    column = pa.array([instant], pa.timestamp("us", tz=zone))
    pq.write_table(pa.table({"at": column}), f"{folder}/{place}.parquet")

server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
port = server.listening_address[1]
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
for session in zones[:2]:
    spark.conf.set("spark.sql.session.timeZone", session)
    for place, zone in enumerate(zones):
        file = spark.read.parquet(f"{folder}/{place}.parquet")
        file.createOrReplaceTempView("file")
        day, hour, same, literal = spark.sql(
            "select cast(cast(at as date) as string), hour(at), unix_micros(at), "
            "cast(cast(timestamp'2026-01-31 23:30:00Z' as date) as string) from file"
        ).collect()[0]
        kind = file.schema["at"].dataType.simpleString()
        print(session, zone, kind, day, hour, same == micros, literal)
sys.stdout.flush()
# The server's threads would outlive the answer.
os._exit(0)
PY
"$folder/env/bin/python" "$folder/try.py" "$folder" >"$folder/seen" 2>"$folder/err" \
    || { cat "$folder/err" >&2; exit 2; }
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
UTC UTC timestamp 2026-01-31 23 True 2026-01-31
UTC Asia/Tokyo timestamp 2026-02-01 8 True 2026-01-31
UTC America/New_York timestamp 2026-01-31 18 True 2026-01-31
Asia/Tokyo UTC timestamp 2026-01-31 23 True 2026-02-01
Asia/Tokyo Asia/Tokyo timestamp 2026-02-01 8 True 2026-02-01
Asia/Tokyo America/New_York timestamp 2026-01-31 18 True 2026-02-01
SEEN
