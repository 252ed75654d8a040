"""Every figure of a snapshot equals a slow, obviously right recount."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from tests.support import lanes, oracle
from tests.support.history import random_history

from consumer_analytics.etl import run

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)
STEP = dt.timedelta(minutes=37)


def go(database: Any, at: dt.datetime | None = None, **options: Any) -> dict[str, Any]:
    """Run the ETL as the command line does."""
    with database.session("run") as connection:
        return run.run(connection, database.settings, at=at, **options).as_json()


def instants(rng: random.Random, count: int) -> list[dt.datetime]:
    """Instants that fall on rows, on midnights and between both."""
    found: set[dt.datetime] = set()
    while len(found) < count:
        at = BEGIN + STEP * rng.randrange(int((END - BEGIN) / STEP) + 3)
        found.add(
            rng.choice(
                [
                    at,
                    at,
                    at + dt.timedelta(microseconds=1),
                    at.replace(hour=0, minute=0) + dt.timedelta(days=1),
                ]
            )
        )
    return list(found)


@pytest.mark.parametrize("seed", lanes.first(1, range(12)))
@pytest.mark.both_versions(each_change=True)
def test_random_instants_in_any_order_equal_a_recount(database: Any, seed: int) -> None:
    rng = random.Random(seed)
    with database.connect() as connection:
        random_history(connection, rng, BEGIN, END)
        sources = oracle.Sources(connection)
        for at in instants(rng, 8):
            summary = go(database, at)
            window = dt.datetime.fromisoformat(summary["window_start"])
            assert oracle.stored(connection, at) == oracle.snapshot(sources, at, window), at


@pytest.mark.parametrize("seed", lanes.first(1, range(4)))
def test_resets_rewinds_and_fast_forwards_change_no_total(database: Any, seed: int) -> None:
    rng = random.Random(100 + seed)
    with database.connect() as connection:
        random_history(connection, rng, BEGIN, END)
        sources = oracle.Sources(connection)
        for at in instants(rng, 8):
            target = rng.choice(
                ["1970-01-01", "2025-03-04 05:00", "2031-01-01", "-infinity", "2025-03-02"]
            )
            connection.execute(
                "update etl_job_watermarks set last_processed_timestamp = %s, "
                "last_run_status = 'pending', metadata_json = '{}'",
                [target],
            )
            go(database, at)
            assert oracle.without_window(oracle.stored(connection, at)) == oracle.without_window(
                oracle.snapshot(sources, at)
            ), (target, at)
        # However it was tossed about, what it knows is what the source holds.
        go(database)
        total = connection.execute(
            "select sum(n) from consumer_analytics_internal.event_totals"
        ).fetchone()
        assert total == (len(sources.events),)


def test_a_run_hours_late_writes_the_snapshot_of_its_instant(database: Any) -> None:
    midnight = BEGIN + dt.timedelta(days=4)
    with database.connect() as connection:
        random_history(connection, random.Random(7), BEGIN, END)
        then = oracle.snapshot(oracle.Sources(connection), midnight)
        go(database, END)
        go(database, midnight)
        assert oracle.without_window(oracle.stored(connection, midnight)) == oracle.without_window(
            then
        )


def test_a_run_on_empty_tables_says_that_it_read_none(database: Any) -> None:
    summary = go(database, BEGIN)
    assert {summary[key] for key in ("rows_read", "new_events", "new_customers")} == {0}


def test_a_second_run_at_the_same_instant_touches_no_row(database: Any) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(3), BEGIN, END)
        at = BEGIN + dt.timedelta(days=5, hours=3)
        go(database, at)
        state = (
            "select analytics_id, ctid, xmin, metrics_json::text from consumer_analytics order by 1"
        )
        before = connection.execute(state).fetchall()
        summary = go(database, at)
        assert connection.execute(state).fetchall() == before
        assert before
        assert summary["snapshots_written"] == summary["snapshots_restated"] == 0


@pytest.mark.parametrize("column_type", ["timestamp", "timestamptz"])
def test_time_columns_may_be_with_or_without_zone(database: Any, column_type: str) -> None:
    rng = random.Random(11)
    with database.connect() as connection:
        random_history(connection, rng, BEGIN, END)
        for table in ("consumers", "customers", "customer_events"):
            connection.execute(f"alter table {table} alter column created_at type {column_type}")
        sources = oracle.Sources(connection)
        for at in instants(rng, 4):
            summary = go(database, at)
            window = dt.datetime.fromisoformat(summary["window_start"])
            assert oracle.stored(connection, at) == oracle.snapshot(sources, at, window)


@pytest.mark.parametrize("most_columns", [0, 1])
def test_types_and_statuses_beyond_the_columns_are_counted_alike(
    database: Any, monkeypatch: pytest.MonkeyPatch, most_columns: int
) -> None:
    monkeypatch.setattr("consumer_analytics.etl.shape.MOST_COLUMNS", most_columns)
    rng = random.Random(50 + most_columns)
    with database.connect() as connection:
        random_history(connection, rng, BEGIN, END)
        sources = oracle.Sources(connection)
        for at in instants(rng, 6):
            summary = go(database, at)
            window = dt.datetime.fromisoformat(summary["window_start"])
            assert oracle.stored(connection, at) == oracle.snapshot(sources, at, window), at
