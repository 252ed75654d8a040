"""Measure a backfill from the archive against the least that could be done, in the same run.

    python benchmarks/lake.py URL /srv/lake          # simulates 5 M events, archives, purges
    python benchmarks/lake.py URL /srv/lake --keep   # with what is archived already
    python benchmarks/lake.py URL /srv/lake --keep --spark sc://127.0.0.1:15002

URL is a database of the benchmark's own: ALL ITS SNAPSHOTS ARE DELETED. The days are those of a
zone that cuts each UTC day in two: for days of UTC no file would be read. Two floors: DuckDB's own
aggregate of all files by consumer, type and the zone's day, and a plain INSERT … SELECT of the
finished rows. Beside them our own counts alone, and, if it is asked for, the same by a Spark
Connect server. All take turns.
"""

from __future__ import annotations

import argparse
import datetime as dt
import resource
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.backfill import UNTIL, finished_rows_inserted, timed
from consumer_analytics import backfill
from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.etl import run
from consumer_analytics.fields import Secret
from consumer_analytics.ingest import simulate
from consumer_analytics.lake import engine, folder, manifest
from consumer_analytics.operations.archive import archive
from consumer_analytics.settings import Settings

ZONE = "Europe/Berlin"
#: Whole days of UTC before the zone's first and last one, which the sweeps no longer recount.
OPEN = dt.timedelta(days=10)
EPOCH = dt.date(1970, 1, 1).toordinal()
AGGREGATE = """
select count(*), sum(n)
from (
    select consumer_id, event_type, date_trunc('day', timezone('{zone}', created_at)), count(*) as n
    from read_parquet([{files}])
    group by all
)
"""


def prepare(settings: Settings, wanted: argparse.Namespace) -> None:
    """Fill the sources, count them, archive them, and purge what is archived."""
    plan = simulate.SimulationPlan(
        dt.datetime.combine(UNTIL, dt.time(), dt.UTC),
        consumers=wanted.consumers,
        customers=wanted.customers,
        events=wanted.events,
        event_types=wanted.event_types,
        days=365,
    )
    with connected(settings, "benchmark", writes_sources=True) as connection:
        simulate.simulate(connection, settings, plan)
        connection.execute("vacuum analyze consumers, customers, customer_events")
    with connected(settings, "benchmark") as connection:
        counted, _ = timed(lambda: run.run(connection, settings, at=plan.until))
        filed, done = timed(lambda: archive(connection, settings, UNTIL - OPEN))
        print(
            f"run {counted:.1f} s; archive {filed:.1f} s: {done.rows:,} rows, "
            f"{done.bytes / done.rows:.1f} bytes each, {done.rows / filed:,.0f} a second"
        )
        # As autovacuum has by the time that anybody backfills; a server of a benchmark's has none.
        connection.execute("analyze")
    with connected(settings, "benchmark", writes_sources=True) as connection:
        connection.execute("delete from customer_events where created_at < %s", [done.first_day])
        connection.execute("vacuum analyze customer_events")


def filled(settings: Settings, start: dt.date, end: dt.date) -> tuple[float, Any]:
    """Backfill into an empty table; return how long it took, and what it answered."""
    with connected(settings, "benchmark") as connection:
        connection.execute("truncate consumer_analytics, consumer_analytics_revisions")
        connection.execute("checkpoint")
        request = backfill.request_of(start, end, "daily")
        return timed(lambda: backfill.backfill(connection, settings, request))


def aggregated(paths: list[str]) -> float:
    """Return how long DuckDB takes for the counts, with what it takes by itself."""
    files = ", ".join(f"'{path}'" for path in paths)
    with duckdb.connect() as session:
        statement = AGGREGATE.format(zone=ZONE, files=files)
        took, _ = timed(lambda: session.execute(statement).fetchall())
        return took


def counted(
    settings: Settings, listed: list[folder.ArchivedFile], cuts: list[int], types: list[str]
) -> float:
    """Return how long our own counts take, as a backfill asks for them, until the last is here."""
    days = [one.day.toordinal() - EPOCH for one in listed]
    columns = [(kind, place) for place, kind in enumerate(types, 1)]

    def ask() -> int:
        with engine.opened(settings, listed) as files:
            answer = files.slots(days, cuts, columns)
            return sum(sum(batch.column("events").to_pylist()) for batch in answer.batches)

    took, rows = timed(ask)
    if rows != sum(one.rows for one in listed):
        raise SystemExit(f"{rows:,} rows were counted, and that is wrong")
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--consumers", type=int, default=1_000)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--event-types", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spark", help="a Spark Connect server that takes part")
    parser.add_argument("--keep", action="store_true")
    wanted = parser.parse_args()

    lake = Settings(
        database_url=Secret(wanted.url),
        lake_url=wanted.folder.resolve().as_uri(),
        timezone=ZONE,
    )
    schema.migrate(lake)
    if not wanted.keep:
        prepare(lake, wanted)
    with connected(lake, "benchmark") as connection:
        listed = manifest.files(connection)
        totals = "select distinct event_type from consumer_analytics_internal.event_totals"
        types = [kind for (kind,) in connection.execute(totals)]
    start, end = UNTIL - dt.timedelta(days=364), UNTIL - OPEN
    paths = folder.checked(lake, listed)
    midnights = [
        int(dt.datetime.combine(one.day, dt.time(22), dt.UTC).timestamp()) * 1_000_000
        for one in listed
    ]
    works: dict[str, Callable[[Connection | None], float]] = {
        "aggregate": lambda _: aggregated(paths),
        "counts": lambda _: counted(lake, listed, midnights, types),
        "ours": lambda _: filled(lake, start, end)[0],
        "insert": lambda session: finished_rows_inserted(session) if session else 0.0,
    }
    if wanted.spark:
        by_spark = lake.replaced({"spark_remote": Secret(wanted.spark)})
        works["counts by Spark"] = lambda _: counted(by_spark, listed, midnights, types)
        works["ours by Spark"] = lambda _: filled(by_spark, start, end)[0]
    rounds: list[dict[str, float]] = []
    for number in range(wanted.rounds):
        with connected(lake, "benchmark") as connection:
            found = {name: work(connection) for name, work in works.items()}
        found["ratio"] = found["ours"] / (found["aggregate"] + found["insert"])
        rounds.append(found)
        told = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
        print(f"round {number + 1}: {told}", flush=True)
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print("medians: " + ", ".join(f"{name} {value:.2f}" for name, value in medians.items()))
    print(f"{sum(one.rows for one in listed):,} events in {len(listed)} files; process {memory} MB")


if __name__ == "__main__":
    main()
