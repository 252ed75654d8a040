"""What was written is noted with it: each instant, its window, whose rows, and a digest."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from tests.integration.reconcile.test_sweep import BEGIN, DAY, END, go, history, swept

from consumer_analytics import backfill
from consumer_analytics.operations import thinning

#: What each instant's note must say, from the rows themselves.
TRUTH = """
select
    snapshot_timestamp,
    sum(
        jsonb_hash_extended(
            coalesce(metrics_json -> 'incremental_stats', 'null'),
            jsonb_hash_extended(
                coalesce(metrics_json -> 'avg_customer_lifetime_days', 'null'),
                jsonb_hash_extended(
                    coalesce(
                        metrics_json -> 'customers_by_status',
                        metrics_json -> 'unattributed_customers',
                        'null'
                    ),
                    coalesce(uuid_hash_extended(consumer_id, 0), 1)
                )
            )
        )
    )
from consumer_analytics
group by 1 order by 1
"""
NOTED = (
    "select snapshot_timestamp, digest "
    "from consumer_analytics_internal.written_snapshots order by 1"
)
REVISIONS = """
select snapshot_timestamp, count(*), sum(hash_record_extended((analytics_id, consumer_id,
    snapshot_timestamp, metrics_json::text, reported_from, reported_until, reason), 0))
from consumer_analytics_revisions group by 1 order by 1
"""
NOTED_REVISIONS = (
    "select snapshot_timestamp, revisions, revisions_digest "
    "from consumer_analytics_internal.written_snapshots where revisions > 0 order by 1"
)
#: Rows whose document says another window or provenance than what was noted of them.
CLAIMS = """
select row.snapshot_timestamp, row.consumer_id
from consumer_analytics as row
left join consumer_analytics_internal.written_snapshots as whole using (snapshot_timestamp)
left join consumer_analytics_internal.written_apart as apart
    on apart.snapshot_timestamp = row.snapshot_timestamp and row.consumer_id = any(apart.consumers)
where (
    (metrics_json #>> '{incremental_stats,window_start}')::timestamptz,
    metrics_json ->> 'snapshot_source'
) is distinct from (
    coalesce(apart.window_start, whole.window_start),
    coalesce(apart.snapshot_source, whole.snapshot_source)
)
"""


def require_noted(database: Any) -> None:
    """Hold the notes to the rows."""
    assert database.rows(TRUTH) == database.rows(NOTED)
    assert database.rows(REVISIONS) == database.rows(NOTED_REVISIONS)
    assert database.rows(CLAIMS) == []


def fill(database: Any, interval: str, consumers: list[str] | None = None) -> None:
    with database.connect("backfill", writes_sources=False) as connection:
        request = backfill.request_of("2025-03-01", "2025-03-10", interval, consumers=consumers)
        backfill.backfill(connection, database.settings, request)


def whole(database: Any) -> list[bool]:
    return [
        row[0]
        for row in database.rows(
            "select is_whole from consumer_analytics_internal.written_snapshots "
            "order by snapshot_timestamp"
        )
    ]


def test_whatever_writes_notes_it(database: Any) -> None:
    rng = history(database)
    require_noted(database)
    runs = len(whole(database))
    assert all(whole(database))
    fill(database, "daily")
    require_noted(database)
    assert len(whole(database)) >= runs
    # Late rows: restated, with revisions; a consumer's first row, a consumer that is corrected.
    consumer = database.rows("select consumer_id from consumers order by created_at limit 1")[0][0]
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at, updated_at) "
        "select gen_random_uuid(), %s, 'ACTIVE', %s, %s from generate_series(1, 3)",
        [consumer, BEGIN + DAY, BEGIN + DAY],
    )
    database.execute("update consumers set created_at = %s", [END - DAY])
    swept(database, since=BEGIN.date())
    assert database.rows("select count(*) from consumer_analytics_revisions")[0][0] > 0
    require_noted(database)
    database.execute("delete from consumers")
    database.execute("delete from customers where consumer_id = %s", [consumer])
    swept(database, since=BEGIN.date())
    fill(database, "daily")
    require_noted(database)
    go(database, END + DAY * rng.choice([1, 2]))
    require_noted(database)


def test_rows_of_chosen_consumers_are_noted_apart(database: Any) -> None:
    history(database, snapshots=1)
    consumers = [str(row[0]) for row in database.rows("select consumer_id from consumers")]
    assert whole(database) == [True]
    fill(database, "daily", consumers[:1])
    assert sum(whole(database)) == 1
    require_noted(database)
    fill(database, "daily", consumers[:2])
    require_noted(database)
    fill(database, "weekly")
    require_noted(database)
    fill(database, "daily")
    require_noted(database)
    assert all(whole(database))
    rows = database.rows(
        "select count(*) from consumer_analytics_internal.written_apart "
        "where snapshot_timestamp = '2025-03-08'"
    )
    # There the week is the window of the snapshot, the day that of the rows that came first.
    assert rows == [(1,)]


@pytest.mark.both_versions
def test_what_maintenance_thins_is_written_no_more(database: Any) -> None:
    history(database)
    fill(database, "daily")
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), consumer_id, 'login', %s from consumers",
        [BEGIN + dt.timedelta(hours=1)],
    )
    swept(database, since=BEGIN.date())
    before = len(whole(database))
    settings = database.settings.replaced({database.settings.tiers[0].setting: 30})
    with database.connect("maintenance", writes_sources=False) as connection:
        thinning.thin(connection, settings)
    assert len(whole(database)) < before
    require_noted(database)
