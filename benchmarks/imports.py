"""Files: what it costs to import them, and again where all is there already."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.measure import Measured, Worker
from benchmarks.results import ENGINE, FLOOR, Work
from benchmarks.server import Database, History, Server

_TABLES = ("consumers", "customers", "customer_events")
_CHUNK = 64 * 1024
AGAIN = "all there already"


def _write(database: Database, folder: Path) -> None:
    with database.connect() as connection:
        for table in _TABLES:
            statement = sql.SQL("copy {} to stdout (format csv, header)").format(
                sql.Identifier(table)
            )
            with (
                (folder / f"{table}.csv").open("wb") as file,
                connection.cursor().copy(statement) as copy,
            ):
                for chunk in copy:
                    file.write(chunk)


def _floor(connection: psycopg.Connection[Any], folder: Path) -> Measured:
    """COPY into unlogged tables, then insert into tables with the real ones' indexes."""
    copied = inserted = 0.0
    for table in _TABLES:
        names = {
            "real": sql.Identifier(table),
            "stage": sql.Identifier(f"floor_stage_{table}"),
            "target": sql.Identifier(f"floor_{table}"),
        }

        def execute(statement: str, names: dict[str, sql.Identifier] = names) -> None:
            connection.execute(sql.SQL(statement).format(**names))

        execute("create unlogged table {stage} (like {real})")
        execute("create table {target} (like {real} including all)")
        began = time.perf_counter()
        with (
            (folder / f"{table}.csv").open("rb") as file,
            connection.cursor().copy(
                sql.SQL("copy {stage} from stdin (format csv, header)").format(**names)
            ) as copy,
        ):
            while chunk := file.read(_CHUNK):
                copy.write(chunk)
        copied += time.perf_counter() - began
        began = time.perf_counter()
        execute("insert into {target} select * from {stage}")
        inserted += time.perf_counter() - began
        execute("drop table {stage}, {target}")
    return Measured(copied + inserted, detail={"copy": copied, "insert": inserted})


def measure(work: Work, server: Server, source: History, rounds: int) -> None:
    """Measure an import into empty tables, and the same files once more."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with server.history(source) as database:
            _write(database, folder)
        for number in range(1, 1 + rounds):
            with server.empty(source) as database:
                with database.connect() as connection:
                    floor = _floor(connection, folder)
                    connection.execute("checkpoint")
                with Worker(database) as worker:
                    for variant in ("", AGAIN):
                        work.add(FLOOR, number, floor, variant=variant)
                        done = worker("import", folder=name)
                        work.add(ENGINE, number, done, variant=variant)
    first, again = work.row(ENGINE), work.row(ENGINE, AGAIN)
    if first is not None and again is not None:
        work.facts["again / first"] = f"{again.median / first.median:.2f}"
