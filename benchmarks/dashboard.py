"""Measure the dashboard's pages against the bare SQL that they need, in the same run.

    python benchmarks/dashboard.py URL                  # makes 10,000 consumers x 730 days first
    python benchmarks/dashboard.py URL --keep           # with what is there

URL is a database of the benchmark's own: ALL ITS SNAPSHOTS ARE DELETED. The snapshots are made
up by set-based SQL, stored as backfills (a month at a time, by consumer) and then daily runs
store them. A real server answers over HTTP; the bare statements run in one open session of plain
psycopg. Both take turns; medians and their ratios are printed.
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
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.fields import Secret
from consumer_analytics.settings import Settings

UNTIL = dt.date(2026, 11, 1)
#: Of the last so many days the snapshots were written by daily runs, day by day.
LIVE_DAYS = 60
CHUNK_DAYS = 30
#: Rounds that are not counted: psycopg prepares a statement that it has seen five times.
_WARMING = 6

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
    '{"seconds": {"lock": 0, "extract_customers": 0.2, "extract_events": 0.3, "fold": 0.2, "write": 1.0, "finish": 0.1}}'
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
#
# What somebody would type who wants the figures of a page: nobody knows beforehand which
# snapshots there are, so that is asked as well; figures are taken out of a document where a page
# shows few of them. Nothing is asked twice.

BOUNDS = (
    "select min(snapshot_timestamp), max(snapshot_timestamp) from consumer_analytics where {whose}"
)
REVISED = "exists (select from consumer_analytics_revisions as old where old.analytics_id = snapshot.analytics_id)"
ROW = (
    f"select snapshot_timestamp, metrics_json, {REVISED} from consumer_analytics as snapshot "
    "where {whose} and snapshot_timestamp <= %s order by snapshot_timestamp desc limit 1"
)
ROWS = (
    f"select snapshot_timestamp, metrics_json, {REVISED} from consumer_analytics as snapshot "
    "where {whose} and snapshot_timestamp = any(%s) order by snapshot_timestamp"
)
INSTANTS = (
    "select snapshot_timestamp from consumer_analytics where {whose} "
    "and snapshot_timestamp between %s and %s order by snapshot_timestamp"
)
WHO = "select name, status, created_at from consumers where consumer_id = %s"
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
FIGURES = """
select
    consumer_id,
    name,
    snapshot_timestamp,
    (metrics_json ->> 'total_customers')::bigint,
    (metrics_json ->> 'active_customers')::bigint,
    (metrics_json ->> 'inactive_customers')::bigint,
    (metrics_json ->> 'total_events')::bigint
from consumer_analytics
join consumers using (consumer_id)
where consumer_id = any(%s) and snapshot_timestamp = any(%s)
"""
CUSTOMERS = (
    "select consumer_id, (metrics_json ->> 'total_customers')::bigint from consumer_analytics "
    "where consumer_id = any(%s) and snapshot_timestamp = any(%s)"
)
NAMES = "select consumer_id, name from consumers where consumer_id = any(%s)"
COMPARED = """
select
    consumer_id,
    snapshot_timestamp,
    (metrics_json ->> 'total_customers')::bigint,
    (metrics_json ->> 'active_customers')::bigint,
    (metrics_json ->> 'total_events')::bigint
from consumer_analytics
where consumer_id = any(%s) and snapshot_timestamp = any(%s)
order by 1, 2
"""
RUNS_OF = "consumer_analytics_internal.runs"
WATERMARK = "select * from etl_job_watermarks where job_name = 'consumer_analytics_daily'"
LATEST = "select max(snapshot_timestamp) from consumer_analytics where consumer_id is null"
FIRST_RUN = f"select min(opened_at) from {RUNS_OF}"
RECENT_RUNS = f"select run_key, state, opened_at, finished_at, summary from {RUNS_OF} order by opened_at desc limit 30"
FAILED_RUNS = (
    "select run_key, snapshot_source, opened_at, finished_at, requested_at, summary "
    f"from {RUNS_OF} where state = 'failed' and opened_at between %s and %s order by opened_at desc limit 30"
)
#: The last one of each four days, 183 points, with where the one before it had come to.
REACHED = f"""
select distinct on (extract(epoch from opened_at)::bigint / 345600) finished_at, reached_at, before
from (
    select *, lag(reached_at) over (order by opened_at) as before
    from {RUNS_OF}
    where state = 'success' and opened_at between %s and %s
) as run
order by extract(epoch from opened_at)::bigint / 345600, opened_at desc
"""
BACKFILLS = "select * from consumer_analytics_internal.backfills order by backfill_id desc limit 20"
INCIDENTS = "select * from consumer_analytics_internal.incidents order by incident_id desc limit 20"
AIRFLOW = "select to_regclass('airflow.dag_run')"
UNREACHED_RUN = f"select * from {RUNS_OF} where requested_at > %s order by opened_at desc limit 1"
LAST_RUN = f"select * from {RUNS_OF} where state in ('success', 'failed') order by finished_at desc limit 1"
FAILED_DAY = f"select count(*) from {RUNS_OF} where state = 'failed' and finished_at > now() - interval '1 day'"
PENDING = "select count(*) from customer_events where created_at >= %s and created_at < %s"
SYSTEM = "consumer_id is null"

Bare = list[tuple[str, tuple[Any, ...]]]


class Platform:
    """What is in the database, and the bare statements that each page needs of it."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
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

    def bounds(self, consumer: Any = None) -> Bare:
        """Return what tells which snapshot is the latest."""
        return [(BOUNDS.format(whose=_whose(consumer)), ())]

    def tiles(self, consumer: Any, days: int) -> Bare:
        """Return what tiles read: the latest snapshot, and two periods before it."""
        row = ROW.format(whose=_whose(consumer))
        return [(row, (at,)) for at in (self.last, self.back(days), self.back(2 * days))]

    def chart(self, consumer: Any, days: int, points: int = 200) -> Bare:
        """Return what a chart reads: which snapshots there are, and as many as it shows."""
        whose = _whose(consumer)
        return [
            (INSTANTS.format(whose=whose), (self.back(days), self.last)),
            (ROWS.format(whose=whose), (self.spread(days, points),)),
        ]

    def table(self, order: Bare, days: int, size: int = 50) -> Bare:
        """Return what a page of the consumers' table reads."""
        ids = self.top[:size]
        return [
            *self.bounds(),
            *order,
            (COUNT, (self.last,)),
            (FIGURES, (ids, [self.last, self.back(days)])),
            (INSTANTS.format(whose=SYSTEM), (self.back(days), self.last)),
            (CUSTOMERS, (ids, self.spread(days, 30))),
        ]

    def compared(self, whom: list[Any], days: int) -> Bare:
        """Return what a comparison reads."""
        return [
            *self.bounds(),
            (NAMES, (whom,)),
            (INSTANTS.format(whose=SYSTEM), (self.back(days), self.last)),
            (COMPARED, (whom, self.spread(days, 200))),
        ]

    def fresh(self) -> Bare:
        """Return what the API reads for freshness over all there is."""
        ever = (self.instants[0], dt.datetime.now(dt.UTC))
        return [
            (WATERMARK, ()),
            (LATEST, ()),
            (FIRST_RUN, ()),
            (AIRFLOW, ()),
            (RECENT_RUNS, ()),
            (FAILED_RUNS, ever),
            (REACHED, ever),
            (BACKFILLS, ()),
        ]

    def health(self) -> Bare:
        """Return what the four measures are made of, of a job that is behind."""
        now = dt.datetime.now(dt.UTC)
        return [
            (UNREACHED_RUN, (self.last,)),
            (LAST_RUN, ()),
            (FAILED_DAY, ()),
            (PENDING, (self.last, now - dt.timedelta(hours=12))),
            (PENDING, (self.last, now)),
        ]

    def pages(self) -> dict[str, Bare]:
        """Return each address, and the least that it has to read."""
        top, other = self.top[0], self.middle
        month, ever = 30, len(self.instants)
        compared = self.compared([top, other], ever)
        plain = self.table([(TOP, (self.last, 50))], month)
        return {
            "api/v1/system": [*self.bounds(), *self.tiles(None, month)],
            "api/v1/system/series?range=30d": [*self.bounds(), *self.chart(None, month)],
            "api/v1/system/series?range=all": [*self.bounds(), *self.chart(None, ever)],
            f"api/v1/consumers/{other}/series?range=all": [
                *self.bounds(other),
                *self.chart(other, ever),
            ],
            "api/v1/consumers": plain,
            "api/v1/consumers?sort=change": self.table(
                [(TOP_CHANGE, (self.last, self.back(month), 50))], month
            ),
            "api/v1/consumers?search=bank": self.table([(SEARCH, (self.last, 50))], month),
            "api/v1/consumers?size=200&range=all": self.table([(TOP, (self.last, 200))], ever, 200),
            f"api/v1/compare?range=all&consumer={top}&consumer={other}": compared,
            "api/v1/freshness?range=all": self.fresh(),
            "api/v1/freshness/health": [(WATERMARK, ()), (AIRFLOW, ()), *self.health()],
            "": [*self.bounds(), *self.tiles(None, month), *self.chart(None, month)],
            "?range=all": [*self.bounds(), *self.tiles(None, ever), *self.chart(None, ever)],
            "consumers": plain,
            "consumers?range=all": self.table([(TOP, (self.last, 50))], ever),
            f"consumers/{other}?range=all": [
                (WHO, (other,)),
                *self.bounds(other),
                *self.tiles(other, ever),
                *self.chart(other, ever),
            ],
            f"compare?range=all&consumer={top}&consumer={other}": compared,
            "freshness?range=all": [*self.fresh(), *self.health(), (INCIDENTS, ())],
        }


def _whose(consumer: Any) -> str:
    return SYSTEM if consumer is None else f"consumer_id = '{consumer}'"


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


class Asking:
    """A client that does next to nothing itself: what it waits for is the server."""

    def __init__(self, address: str) -> None:
        """Open the one connection that all requests go through, as a browser's do."""
        there = urlsplit(address)
        self._connection = HTTPConnection(there.hostname or "", there.port, timeout=60)

    def get(self, page: str) -> int:
        """Read a page; return its bytes, as sent."""
        self._connection.request("GET", f"/{page}", headers={"Accept-Encoding": "gzip"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"/{page} answers {answer.status}: {body[:200]!r}")
        return len(body)


def measure(url: str, rounds: int) -> None:
    """Print a row for each page: bare SQL, answer, ratio, size."""
    # Psycopg as it comes: what our own sessions set is no part of bare SQL.
    with psycopg.connect(url, autocommit=True) as connection, served(url) as address:
        platform = Platform(connection)
        (rows, size) = connection.execute(
            "select count(*), pg_size_pretty(pg_total_relation_size('consumer_analytics')) "
            "from consumer_analytics"
        ).fetchone() or (0, "")
        print(f"{rows:,} snapshots, {size}; medians of {rounds} rounds, ms; size as sent, kB")
        print(f"{'page':58} {'bare':>7} {'answer':>7} {'ratio':>6} {'first':>7} {'kB':>5}")
        client = Asking(address)
        for page, bare in platform.pages().items():
            first = milliseconds(partial(client.get, page))
            least, answers = [], []
            kilobytes = 0.0

            def run(bare: Bare = bare) -> None:
                for statement, values in bare:
                    connection.execute(statement, values).fetchall()

            def ask(page: str = page) -> None:
                nonlocal kilobytes
                kilobytes = client.get(page) / 1000

            for _ in range(_WARMING + rounds):
                least.append(milliseconds(run))
                answers.append(milliseconds(ask))
            low, high = (statistics.median(taken[_WARMING:]) for taken in (least, answers))
            shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", page) or "(the system's page)"
            print(
                f"{shown:58} {low:7.2f} {high:7.2f} {high / low:6.2f} {first:7.1f} {kilobytes:5.1f}",
                flush=True,
            )


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--consumers", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--keep", action="store_true", help="measure with what is there")
    parser.add_argument("--rounds", type=int, default=41)
    wanted = parser.parse_args()
    settings = Settings(database_url=Secret(wanted.url))
    schema.migrate(settings)
    if not wanted.keep:
        with connected(settings, "benchmark", writes_sources=True) as connection:
            fill(connection, wanted.consumers, wanted.days)
    measure(wanted.url, wanted.rounds)


if __name__ == "__main__":
    main()
