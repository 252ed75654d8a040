"""Measure a backfill against the least that PostgreSQL could do, in the same run.

    python benchmarks/backfill.py URL                       # simulates 5 M events into URL first
    python benchmarks/backfill.py URL --event-types 500     # the same with very many types
    python benchmarks/backfill.py URL --keep-sources        # with what the sources hold

URL is a database of the benchmark's own: ALL ITS SNAPSHOTS ARE DELETED. What runs have counted
stays, so that a range can be measured from cold and with its history taken in. Two floors, each in
one session: an aggregate scan of the range's events by consumer, type and day, and a plain
INSERT … SELECT of the finished rows, in the unique index's order, into a table with the same
indexes. Floors and backfill take turns; medians and the ratios of the rounds are printed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

from consumer_analytics import backfill
from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.fields import Secret
from consumer_analytics.ingest import simulate
from consumer_analytics.settings import Settings

UNTIL = dt.date(2026, 1, 1)

AGGREGATE = """
select count(*), sum(n)
from (
    select consumer_id, event_type, created_at::date, count(*) as n
    from customer_events
    where created_at >= %s::timestamptz and created_at < %s::timestamptz
    group by 1, 2, 3
) as counted
"""
INSERT = """
insert into benchmark_floor (consumer_id, snapshot_timestamp, metrics_json)
select consumer_id, snapshot_timestamp, metrics_json
from benchmark_finished
"""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long it took, and what it answered."""
    started = time.monotonic()
    answer = work()
    return time.monotonic() - started, answer


def one_round(
    settings: Settings, start: dt.date, end: dt.date, interval: str
) -> tuple[dict[str, float], backfill.BackfillResult]:
    """Backfill into an empty table, then take both floors with the same rows."""
    request = backfill.request_of(start, end, interval)
    with connected(settings, "benchmark") as connection:
        connection.execute("truncate consumer_analytics, consumer_analytics_revisions")
        connection.execute("checkpoint")
        ours, done = timed(lambda: backfill.backfill(connection, settings, request))
        aggregate, _ = timed(lambda: connection.execute(AGGREGATE, [start, end]).fetchall())
        insert = finished_rows_inserted(connection)
    floor = aggregate + insert
    return {
        "aggregate": aggregate,
        "insert": insert,
        "floor": floor,
        "ours": ours,
        "ratio": ours / floor,
    }, done


def finished_rows_inserted(connection: Connection) -> float:
    """Return how long it takes to insert the snapshots that there are, and nothing else."""
    connection.execute(
        "drop table if exists benchmark_floor, benchmark_finished;"
        "create unlogged table benchmark_finished as "
        "select consumer_id, snapshot_timestamp, metrics_json from consumer_analytics "
        "order by consumer_id, snapshot_timestamp;"
        "create table benchmark_floor (like consumer_analytics including all);"
        "checkpoint"
    )
    took, _ = timed(lambda: connection.execute(INSERT))
    connection.execute("drop table benchmark_floor, benchmark_finished")
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--consumers", type=int, default=1_000)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--event-types", type=int, default=12)
    parser.add_argument("--days", type=int, default=365, help="how many of the last days to fill")
    parser.add_argument("--interval", default="daily")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep-sources", action="store_true")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()

    settings = Settings(database_url=Secret(wanted.url))
    schema.migrate(settings)
    if not wanted.keep_sources:
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
    start = UNTIL - dt.timedelta(days=wanted.days)
    rounds: list[dict[str, float]] = []
    results: list[backfill.BackfillResult] = []
    for number in range(wanted.rounds):
        found, result = one_round(settings, start, UNTIL, wanted.interval)
        rounds.append(found)
        results.append(result)
        if not wanted.json:
            told = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
            print(f"round {number + 1}: {told}")
    done = results[-1]
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if wanted.json:
        print(
            json.dumps(
                {
                    "rounds": rounds,
                    "medians": medians,
                    "seconds": done.seconds,
                    "snapshots": done.snapshots_written,
                    "process_mb": memory,
                }
            )
        )
        return
    print(f"\n{done.periods} periods, {done.snapshots_written:,} snapshots")
    print("medians: " + ", ".join(f"{name} {value:.2f}" for name, value in medians.items()))
    print(
        f"ratio of the rounds: {min(one['ratio'] for one in rounds):.2f} to "
        f"{max(one['ratio'] for one in rounds):.2f}; process {memory} MB"
    )
    print(
        "where the last one's session time went: "
        + ", ".join(f"{step} {took}" for step, took in done.seconds.items())
    )


if __name__ == "__main__":
    main()
