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
import datetime as dt
import time

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
    %(begin)s::timestamptz + interval '1 day' * (case when n %% 10 < 7 then -1 else n %% %(days)s end)
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
            select jsonb_object_agg('event_type_' || kind, sum((metrics_json ->> 'total_events')::bigint) / 12)
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


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--consumers", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--keep", action="store_true", help="measure with what is there")
    wanted = parser.parse_args()
    settings = Settings(database_url=SecretStr(wanted.url))  # type: ignore[call-arg]
    schema.migrate(settings)
    if not wanted.keep:
        with connected(settings, "benchmark", writes_sources=True) as connection:
            fill(connection, wanted.consumers, wanted.days)


if __name__ == "__main__":
    main()
