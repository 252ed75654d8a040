#!/usr/bin/env bash
# Sail (pysail) 0.7.2: a NULL in the column that Parquet is partitioned by is written as a folder with an
# empty value (`a=`), and comes back as the empty text.
#
# Spark writes such rows below `a=__HIVE_DEFAULT_PARTITION__` and reads that name as NULL. What Sail
# writes it reads back with '' in place of NULL, without an error, so that `a is null` finds no row any
# more; and the folder that Spark's name stands for has that name as its value.
#
# Seen, of two rows that are written with NULL and 'x', then of a folder with Spark's name:
#   written: a= a=x
#   read back: '' is null: False; 'x' is null: False
#   Spark's name: '__HIVE_DEFAULT_PARTITION__' is null: False
# Fails if that changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" --quiet --disable-pip-version-check install \
    pysail==0.7.2 pyspark-client==4.2.0 pyarrow==26.0.1 pandas==2.3.3 2>"$folder/pip.log" \
    || { cat "$folder/pip.log" >&2; exit 2; }

cat >"$folder/try.py" <<'PY'
import os
import sys
import warnings

warnings.simplefilter("ignore")

import pyarrow as pa
import pyarrow.parquet as pq
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

folder = sys.argv[1]
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
port = server.listening_address[1]
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()


def told(path):
    spark.read.parquet(path).createOrReplaceTempView("read")
    rows = spark.sql("select a, a is null from read order by n").collect()
    return "; ".join(f"{value!r} is null: {missing}" for value, missing in rows)


written = f"{folder}/written"
rows = spark.sql("select 1 n, cast(null as string) a union all select 2, 'x'")
rows.write.partitionBy("a").parquet(written)
print("written:", *sorted(name for name in os.listdir(written) if "=" in name))
print("read back:", told(written))

marked = f"{folder}/marked"
os.makedirs(f"{marked}/a=__HIVE_DEFAULT_PARTITION__")
pq.write_table(pa.table({"n": [1]}), f"{marked}/a=__HIVE_DEFAULT_PARTITION__/one.parquet")
print("Spark's name:", told(marked))
sys.stdout.flush()
# The server's threads would outlive the answer.
os._exit(0)
PY
"$folder/env/bin/python" "$folder/try.py" "$folder" >"$folder/seen" 2>"$folder/err" \
    || { cat "$folder/err" >&2; exit 2; }
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
written: a= a=x
read back: '' is null: False; 'x' is null: False
Spark's name: '__HIVE_DEFAULT_PARTITION__' is null: False
SEEN
