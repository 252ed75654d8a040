"""Measure the dashboard's pages against the bare SQL that they need, in the same run.

    python benchmarks/dashboard.py URL                  # makes 10,000 consumers x 730 days first
    python benchmarks/dashboard.py URL --keep           # with what is there

URL is a database of the benchmark's own: ALL ITS SNAPSHOTS ARE DELETED. The snapshots are made
up by set-based SQL, stored as backfills (a month at a time, by consumer) and then daily runs
store them. A real server answers over HTTP; the bare statements run in one open session. Both take
turns; medians and their ratios are printed.
"""

# ruff: noqa: E501

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from consumer_analytics.engine import schema
from consumer_analytics.engine.database import Connection, connected
from consumer_analytics.settings import Settings

UNTIL = dt.date(2026, 11, 1)
#: Of the last so many days the snapshots were written by daily runs, day by day.
LIVE_DAYS = 60
CHUNK_DAYS = 30

CONSUMERS = """
insert into consumers (consumer_id, name, status, created_at)
select
    md5('consumer ' || n)::uuid,
    (array['Beacon', 'Cobalt', 'Delta', 'Ember', 'Fjord', 'Grove', 'Harbour', 'Alder'])[n %% 8 + 1]
        || ' ' || (array['Bank', 'Pay', 'Shop', 'Energy', 'Travel'])[n %% 5 + 1] || ' ' || n,
    'ACTIVE',
    %(begin)s::timestamptz + interval '1 day' * (case when n %% 200 > 0 then -1 else n %% %(days)s end)
from generate_series(1, %(consumers)s) as n
"""
#: Sizes are skewed (a few large consumers, many small ones), and grow with time.
SNAPSHOTS = """
insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json, created_at)
select
    consumer_id,
    at,
    concat(
        '{"etl_job": "consumer_analytics_daily", "snapshot_source": "', %(source)s::text,
        '", "total_customers": ', customers,
        ', "active_customers": ', customers * 6 / 10,
        ', "inactive_customers": ', customers * 2 / 10,
        ', "customers_by_status": {"ACTIVE": ', customers * 6 / 10,
        ', "INACTIVE": ', customers * 2 / 10,
        ', "BLOCKED": ', customers - customers * 6 / 10 - customers * 2 / 10,
        '}, "avg_customer_lifetime_days": ', round(age / 2.0, 2),
        ', "total_events": ', customers * age * 12 / 10 * 12,
        ', "events_by_type": {', (
            select string_agg(format('"event_type_%%s": %%s', kind, customers * age * 12 / 10), ', ')
            from generate_series(1, 12) as kind
        ),
        '}, "incremental_stats": {"window_start": "', at - interval '1 day',
        '", "window_end": "', at, '", "new_customers_in_window": 1, "new_events_in_window": 40}}'
    )::jsonb,
    at + interval '2 seconds'
from (
    select
        consumer_id,
        at,
        extract(day from at - created_at)::bigint + 1 as age,
        (10 + 40000 / (10 + rank)) * (200 + extract(day from at - created_at)::bigint) / 300 as customers
    from (select *, row_number() over (order by created_at, consumer_id) as rank from consumers) as known
    cross join generate_series(%(first)s::timestamptz, %(last)s::timestamptz, interval '1 day') as at
    where created_at < at
) as figures
order by {order}
"""
WHOLE = """
insert into consumer_analytics (snapshot_timestamp, metrics_json, created_at)
select
    snapshot_timestamp,
    jsonb_build_object(
        'snapshot_type', 'GLOBAL',
        'etl_job', 'consumer_analytics_daily',
        'snapshot_source', min(metrics_json ->> 'snapshot_source'),
        'consumers_in_system', count(*),
        'total_customers_all_consumers', sum((metrics_json ->> 'total_customers')::bigint),
        'active_customers_all_consumers', sum((metrics_json ->> 'active_customers')::bigint),
        'inactive_customers_all_consumers', sum((metrics_json ->> 'inactive_customers')::bigint),
        'customers_by_status_all_consumers', jsonb_build_object(
            'ACTIVE', sum((metrics_json ->> 'active_customers')::bigint)
        ),
        'system_wide_active_ratio', 0.6,
        'total_events_all_consumers', sum((metrics_json ->> 'total_events')::bigint),
        'events_by_type_all_consumers', (
            select jsonb_object_agg('event_type_' || kind, (sum((metrics_json ->> 'total_events')::bigint) / 12)::bigint)
            from generate_series(1, 12) as kind
        ),
        'unattributed_events', 0,
        'unattributed_customers', 0
    ),
    snapshot_timestamp + interval '2 seconds'
from consumer_analytics
where consumer_id is not null and snapshot_timestamp between %(first)s and %(last)s
group by snapshot_timestamp
"""
RUNS = """
insert into consumer_analytics_internal.runs
    (run_key, snapshot_source, state, requested_at, reached_at, named, opened_at, finished_at, summary)
select
    'benchmark:' || at, 'airflow_etl', case when extract(day from at) = 13 then 'failed' else 'success' end,
    at, at, true, at + interval '1 second', at + interval '3 seconds',
    '{"seconds": {"lock": 0, "extract_customers": 0.2, "extract_events": 0.3, "fold": 0.2, "render": 0.4, "write": 0.6, "finish": 0.1}}'
from generate_series(%(begin)s::timestamptz, %(end)s::timestamptz, interval '1 day') as at
"""


def fill(connection: Connection, consumers: int, days: int) -> None:
    """Make up the snapshots of so many consumers over so many days."""
    begin = UNTIL - dt.timedelta(days=days)
    connection.execute(
        "truncate consumer_analytics, consumer_analytics_revisions, consumers restart identity"
    )
    connection.execute("truncate consumer_analytics_internal.runs")
    connection.execute(CONSUMERS, {"begin": begin, "days": days, "consumers": consumers})
    connection.execute(RUNS, {"begin": begin, "end": UNTIL})
    started = time.monotonic()
    first = begin + dt.timedelta(days=1)
    while first <= UNTIL:
        is_live = first > UNTIL - dt.timedelta(days=LIVE_DAYS)
        length = 1 if is_live else CHUNK_DAYS
        last = min(first + dt.timedelta(days=length - 1), UNTIL)
        if not is_live:
            last = min(last, UNTIL - dt.timedelta(days=LIVE_DAYS))
        values = {
            "first": first,
            "last": last,
            "source": "airflow_etl" if is_live else "airflow_backfill",
        }
        connection.execute(
            SNAPSHOTS.replace("{order}", "at, consumer_id" if is_live else "consumer_id, at"),
            values,
        )
        connection.execute(WHOLE, values)
        print(f"made up to {last}: {time.monotonic() - started:.0f} s", flush=True)
        first = last + dt.timedelta(days=1)
    connection.execute(
        "update etl_job_watermarks set last_processed_timestamp = %s, last_run_status = 'success', "
        "last_run_at = clock_timestamp()",
        [UNTIL],
    )
    connection.execute("vacuum analyze consumer_analytics")
    connection.execute("analyze consumers, consumer_analytics_internal.runs")


# -- the bare statements ---------------------------------------------------------

ROW = "select metrics_json from consumer_analytics where {whose} and snapshot_timestamp = %s"
ROWS = "select snapshot_timestamp, metrics_json from consumer_analytics where {whose} and snapshot_timestamp = any(%s)"
INSTANTS = (
    "select snapshot_timestamp from consumer_analytics where consumer_id is null "
    "and snapshot_timestamp between %s and %s order by snapshot_timestamp"
)
TOP = (
    "select consumer_id, (metrics_json ->> 'total_customers')::bigint from consumer_analytics "
    "where snapshot_timestamp = %s and consumer_id is not null order by 2 desc, 1 limit %s"
)
TOP_CHANGE = """
select consumer_id, (now.metrics_json ->> 'total_customers')::bigint - (old.metrics_json ->> 'total_customers')::bigint
from consumer_analytics as now
join consumer_analytics as old using (consumer_id)
where now.snapshot_timestamp = %s and old.snapshot_timestamp = %s and consumer_id is not null
order by 2 desc, 1
limit %s
"""
SEARCH = """
select consumer_id, (metrics_json ->> 'total_customers')::bigint
from consumer_analytics
join consumers using (consumer_id)
where snapshot_timestamp = %s and name ilike '%%bank%%'
order by 2 desc, 1
limit %s
"""
COUNT = "select count(*) from consumer_analytics where snapshot_timestamp = %s and consumer_id is not null"
FIGURES = (
    "select consumer_id, name, metrics_json from consumer_analytics join consumers using (consumer_id) "
    "where consumer_id = any(%s) and snapshot_timestamp = any(%s)"
)
CUSTOMERS = (
    "select consumer_id, (metrics_json ->> 'total_customers')::bigint from consumer_analytics "
    "where consumer_id = any(%s) and snapshot_timestamp = any(%s)"
)
RECENT_RUNS = "select * from consumer_analytics_internal.runs order by opened_at desc limit 30"
ALL_RUNS = "select opened_at, finished_at, reached_at from consumer_analytics_internal.runs where opened_at > %s"

Bare = list[tuple[str, tuple[Any, ...]]]


class Platform:
    """What is in the database, and the bare statements that each page needs of it."""

    def __init__(self, connection: Connection) -> None:
        """Look up what the statements name."""
        self.instants = [
            at
            for (at,) in connection.execute(
                "select snapshot_timestamp from consumer_analytics where consumer_id is null "
                "order by snapshot_timestamp"
            )
        ]
        self.last = self.instants[-1]
        top = connection.execute(TOP, (self.last, 200)).fetchall()
        self.top = [row[0] for row in top]
        self.middle = self.top[len(self.top) // 2]

    def back(self, days: int) -> Any:
        """Return the instant so many days before the last one, or the first of all."""
        return max(self.last - dt.timedelta(days=days), self.instants[0])

    def spread(self, days: int, points: int) -> list[Any]:
        """Return at most so many instants of the last days."""
        found = [at for at in self.instants if at >= self.back(days)]
        step = max(1, -(-len(found) // points))
        return found[::-step][::-1]

    def series(self, consumer: Any, days: int, points: int) -> Bare:
        """Return what a page with tiles and charts reads."""
        whose = "consumer_id is null" if consumer is None else f"consumer_id = '{consumer}'"
        return [
            *(
                (ROW.format(whose=whose), (at,))
                for at in (self.last, self.back(days), self.back(2 * days))
            ),
            (ROWS.format(whose=whose), (self.spread(days, points),)),
        ]

    def table(self, order: Bare, days: int, size: int = 50) -> Bare:
        """Return what a page of the consumers' table reads."""
        ids = self.top[:size]
        return [
            *order,
            (COUNT, (self.last,)),
            (FIGURES, (ids, [self.last, self.back(days)])),
            (INSTANTS, (self.back(days), self.last)),
            (CUSTOMERS, (ids, self.spread(days, 30))),
        ]

    def pages(self) -> dict[str, Bare]:
        """Return each address, and the least that it has to read."""
        top, other = self.top[0], self.middle
        month, ever = 30, len(self.instants)
        compared: Bare = [
            (INSTANTS, (self.back(ever), self.last)),
            (FIGURES, ([top, other], self.spread(ever, 200))),
        ]
        fresh: Bare = [(RECENT_RUNS, ()), (ALL_RUNS, (self.back(ever),))]
        plain = self.table([(TOP, (self.last, 50))], month)
        return {
            "api/v1/system": self.series(None, month, 1)[:3],
            "api/v1/system/series?range=30d": self.series(None, month, 200)[3:],
            "api/v1/system/series?range=all": self.series(None, ever, 200)[3:],
            f"api/v1/consumers/{other}/series?range=all": self.series(other, ever, 200)[3:],
            "api/v1/consumers": plain,
            "api/v1/consumers?sort=change": self.table(
                [(TOP_CHANGE, (self.last, self.back(month), 50))], month
            ),
            "api/v1/consumers?search=bank": self.table([(SEARCH, (self.last, 50))], month),
            "api/v1/consumers?size=200&range=all": self.table([(TOP, (self.last, 200))], ever, 200),
            f"api/v1/compare?range=all&consumer={top}&consumer={other}": compared,
            "api/v1/freshness?range=all": fresh,
            "": self.series(None, month, 200),
            "?range=all": self.series(None, ever, 200),
            "consumers": plain,
            "consumers?range=all": self.table([(TOP, (self.last, 50))], ever),
            f"consumers/{other}?range=all": self.series(other, ever, 200),
            f"compare?range=all&consumer={top}&consumer={other}": compared,
            "freshness?range=all": fresh,
        }


# -- measuring ----------------------------------------------------------------------


@contextlib.contextmanager
def served(url: str) -> Iterator[str]:
    """Serve the dashboard as its users do; yield its address."""
    command = Path(sys.executable).with_name("consumer-analytics")
    environment = {**os.environ, "CONSUMER_ANALYTICS_DATABASE_URL": url}
    with subprocess.Popen(
        [str(command), "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield (process.stdout or sys.stdin).readline().split()[-1]
        finally:
            process.terminate()


def milliseconds(work: Callable[[], Any]) -> float:
    """Return how long it took."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def measure(connection: Connection, url: str, rounds: int) -> None:
    """Print a row for each page: bare SQL, answer, ratio, size."""
    platform = Platform(connection)
    (rows, size) = connection.execute(
        "select count(*), pg_size_pretty(pg_total_relation_size('consumer_analytics')) "
        "from consumer_analytics"
    ).fetchone() or (0, "")
    print(f"{rows:,} snapshots, {size}; medians of {rounds} rounds, ms; size as sent, kB")
    print(f"{'page':58} {'bare':>7} {'answer':>7} {'ratio':>6} {'first':>7} {'kB':>5}")
    with served(url) as address, httpx.Client(base_url=address, timeout=60) as client:
        for page, bare in platform.pages().items():
            first = milliseconds(partial(client.get, page))
            least, answers = [], []
            kilobytes = 0.0

            def run(bare: Bare = bare) -> None:
                for statement, values in bare:
                    connection.execute(statement, values).fetchall()

            def ask(page: str = page) -> None:
                nonlocal kilobytes
                answer = client.get(page)
                answer.raise_for_status()
                kilobytes = answer.num_bytes_downloaded / 1000

            for _ in range(rounds):
                least.append(milliseconds(run))
                answers.append(milliseconds(ask))
            low, high = statistics.median(least), statistics.median(answers)
            shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", page) or "(the system's page)"
            print(
                f"{shown:58} {low:7.1f} {high:7.1f} {high / low:6.1f} {first:7.1f} {kilobytes:5.1f}",
                flush=True,
            )


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--consumers", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--keep", action="store_true", help="measure with what is there")
    parser.add_argument("--rounds", type=int, default=11)
    wanted = parser.parse_args()
    settings = Settings(database_url=SecretStr(wanted.url))  # type: ignore[call-arg]
    schema.migrate(settings)
    if not wanted.keep:
        with connected(settings, "benchmark", writes_sources=True) as connection:
            fill(connection, wanted.consumers, wanted.days)
    with connected(settings, "benchmark") as connection:
        measure(connection, wanted.url, wanted.rounds)


if __name__ == "__main__":
    main()
