"""Record what a build computes, for the tests of later ones. See README.md beside this file.

    PYTHONPATH=. BUILD/.venv/bin/python -m tests.data.recorded.record [BINARIES]

Run in a checkout of the tests, by the Python of the build that is recorded. It starts a server of
its own from PostgreSQL's programs in BINARIES, /usr/lib/postgresql/15/bin where none are named:
of the oldest version that is supported, so that every later one reads the dump.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
from tests.data.recorded import history
from tests.support import unfold

HISTORY = history.FOLDER / "history.jsonl.xz"
YEAR = history.FOLDER / "year.sql.xz"
_OLDEST = Path("/usr/lib/postgresql/15/bin")


def _compressed(data: bytes) -> bytes:
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


def record_sources(url: str) -> None:
    """Let the simulator make the history's rows, and keep them."""
    product = history.Product(url)
    product("migrate")
    product("simulate", *history.SIMULATED)
    for table, path in history.SOURCES.items():
        with product.session.cursor().copy(history.copy_out(table)) as copy:
            path.write_bytes(_compressed(b"".join(bytes(chunk) for chunk in copy)))


def record_history(url: str) -> None:
    """Tell the history, and keep what each chapter changed."""
    history.Product(url)("migrate")
    HISTORY.write_bytes(_compressed("".join(f"{line}\n" for line in history.tell(url)).encode()))


def live_a_year(url: str) -> None:
    """Fill a database with a year, as one that has been in operation has it."""
    product = history.Product(url)
    product("migrate")
    product(
        *("simulate", "--consumers", "12", "--customers", "900", "--events", "12000"),
        *("--days", "365", "--until", "2025-11-01T00:00:00Z", "--seed", "365"),
    )
    unfold.stage(product.session)
    product.unfold("2025-10-15T00:00:00Z")
    product("backfill", "--start-date", "2024-11-01", "--end-date", "2025-10-14")
    product(
        *("backfill", "--start-date", "2025-06-02", "--end-date", "2025-09-01"),
        *("--interval", "weekly"),
        timezone="Europe/Berlin",
    )
    product("run", "--as-of", "2025-10-15T00:00:00Z")
    product.run_at(*(f"2025-10-{day}T00:00:00Z" for day in range(16, 21)))
    # Rows come late, and are swept up.
    product.write(
        "insert into customer_events select md5(consumer_id::text)::uuid, null, consumer_id, "
        "'login', '{}', '2025-10-17 06:00Z' from consumers",
    )
    product("sweep")
    product("capture", "enable")
    product.run_at(*(f"2025-10-{day}T{hour}:00:00Z" for day in (21, 22) for hour in ("00", "12")))
    product.write(
        "insert into customer_events select md5('noted ' || consumer_id)::uuid, null, consumer_id, "
        "'refund', '{}', '2025-03-03 03:03Z' from consumers",
        "insert into customer_events values (md5('nobody')::uuid, null, null, null, '{}', "
        "'2025-10-22 13:00Z')",
    )
    product.run_at(*(f"2025-10-{day}T00:00:00Z" for day in range(23, 32)))
    product("alerts", "check")
    product("maintenance", keep_snapshots_days="30", keep_daily_snapshots_days="200")
    product.run_at("2025-11-01T00:00:00Z")
    product("watermark", "set", "2025-10-20", "--yes")
    product("run", "--as-of", "2025-11-01T00:00:00Z")
    product("alerts", "check")
    product("audit")
    product.write("drop schema unfolding cascade")


def record_year(url: str, binaries: Path) -> None:
    """Dump a database with a year of data."""
    live_a_year(url)
    dump = subprocess.run(
        [binaries / "pg_dump", "--no-owner", "--no-privileges", f"--dbname={url}"],
        check=True,
        capture_output=True,
    ).stdout
    # Commands of psql that came with a security release; older ones do not know them.
    lines = [
        line for line in dump.split(b"\n") if not line.startswith((b"\\restrict", b"\\unrestrict"))
    ]
    YEAR.write_bytes(_compressed(b"\n".join(lines)))


def main(binaries: Path) -> None:
    """Record everything on a server that is removed afterwards."""
    from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres

    folder = Path(tempfile.mkdtemp(prefix="ca-record-"))
    server = EmbeddedPostgres(folder, binaries=binaries, options={"fsync": "off"})
    server.start()
    try:
        for name, record in (
            ("sources", record_sources),
            ("history", record_history),
            ("year", lambda url: record_year(url, binaries)),
        ):
            admin = server.conninfo(SUPERUSER, "postgres")
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(f"create database {name}".encode())
            record(server.conninfo(SUPERUSER, name))
            print(name, flush=True)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for path in (*history.SOURCES.values(), HISTORY, YEAR):
        print(f"{path.stat().st_size:>9,}  {os.path.relpath(path)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else _OLDEST)
