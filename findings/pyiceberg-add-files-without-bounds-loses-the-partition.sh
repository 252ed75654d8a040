#!/usr/bin/env bash
# pyiceberg 0.12.0: `Table.add_files` to a table that is partitioned by a column whose metrics mode
# keeps no bounds (`write.metadata.metrics.default` or `…metrics.column.NAME` = `counts` or `none`).
#
# The partition's value is taken from the file's bounds. Where none are kept the file is added with the
# partition NULL, without an error. A scan of all of the table has its rows; one with a filter on the
# column prunes the file by its partition and has none of them. With `truncate(16)`, the default,
# both have them.
#
# Seen, for each mode: the partition of the file, rows of the whole scan, rows where a = 'x'.
#   truncate(16) x 2 2
#   counts None 2 0
#   none None 2 0
# Fails if that changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" --quiet --disable-pip-version-check install \
    'pyiceberg[sql-sqlite]==0.12.0' pyarrow==25.0.0 2>"$folder/pip.log" \
    || { cat "$folder/pip.log" >&2; exit 2; }

cat >"$folder/try.py" <<'PY'
import sys
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.memory import InMemoryCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import NestedField, StringType

warnings.simplefilter("ignore")
folder = sys.argv[1]
catalog = InMemoryCatalog("c", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")
for place, mode in enumerate(["truncate(16)", "counts", "none"]):
    table = catalog.create_table(
        f"n.t{place}",
        schema=Schema(NestedField(1, "a", StringType(), required=False)),
        partition_spec=PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "a")),
        properties={"write.metadata.metrics.default": mode},
    )
    file = f"{folder}/{place}.parquet"
    pq.write_table(pa.table({"a": ["x", "x"]}), file)
    table.add_files([file])
    partition = table.inspect.files().to_pylist()[0]["partition"]["a"]
    found = table.scan(row_filter="a = 'x'").to_arrow().num_rows
    print(mode, partition, table.scan().to_arrow().num_rows, found)
PY
"$folder/env/bin/python" "$folder/try.py" "$folder" >"$folder/seen"
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
truncate(16) x 2 2
counts None 2 0
none None 2 0
SEEN
