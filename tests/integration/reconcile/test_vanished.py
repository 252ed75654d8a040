"""What has vanished stays counted: judged once, alike by every command, and listed.

Days are of January 2026; all events are of one consumer unless a test says otherwise.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from consumer_analytics.etl import capture, run, vanished
from consumer_analytics.reconcile import audit, sweep

A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)


def on(day: int, hour: float = 0) -> dt.datetime:
    return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day - 1, hours=hour)


def put(database: Any, kind: str, at: dt.datetime, n: int = 1, consumer: Any = A) -> None:
    for _ in range(n):
        database.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "values (gen_random_uuid(), %s, %s, %s)",
            [consumer, kind, at],
        )


def go(database: Any, at: dt.datetime) -> dict[str, Any]:
    with database.connect("run", writes_sources=False) as connection:
        return run.run(connection, database.settings, at=at).as_json()


def swept(database: Any, **options: Any) -> sweep.SweepResult:
    with database.connect("sweep", writes_sources=False) as connection:
        return sweep.sweep(connection, database.settings, **options)


def reset(database: Any) -> None:
    database.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")


def events(database: Any, at: dt.datetime, consumer: Any = A) -> dict[str, int]:
    """Return the events by type that the snapshot of an instant tells."""
    (row,) = database.rows(
        "select metrics_json -> 'events_by_type' from consumer_analytics "
        "where consumer_id = %s and snapshot_timestamp = %s",
        [consumer, at],
    )
    return dict(row[0])


def noted(database: Any) -> list[tuple[Any, ...]]:
    return list(
        database.rows(
            "select event_type, since, until, n from consumer_analytics_internal.vanished_events "
            "order by since, consumer_id, event_type"
        )
    )


def clean(database: Any) -> None:
    """Hold the counts to what the source has and what is noted."""
    with database.connect("audit") as connection:
        found = audit.audit(connection, database.settings)
        assert found.listed == []
        assert vanished.total(connection) == sum(n for *_, n in noted(database))


# -- the faults that were found, each with its right value ----------------------


def test_a_late_row_after_a_purge_counts_beside_what_had_gone(database: Any) -> None:
    for day in (5, 8, 12):
        put(database, "login", on(day, 4))
        put(database, "pay", on(day, 16))
    for at in (on(6), on(12, 18), on(14)):
        go(database, at)
    database.execute("delete from customer_events where created_at < %s", [on(12, 12)])
    assert swept(database).events_noted == 5
    put(database, "login", on(12, 20))
    found = swept(database)
    assert (found.events_found, found.events_noted, found.events_vanished) == (1, 0, 0)
    assert events(database, on(14)) == {"login": 4, "pay": 3}
    assert events(database, on(12, 18)) == {"login": 3, "pay": 3}
    go(database, on(15))
    assert events(database, on(15)) == {"login": 4, "pay": 3}
    clean(database)
    # The day is cut where it was reported.
    assert [one for one in noted(database) if one[1] >= on(12)] == [
        ("login", on(12), on(12, 18), 1)
    ]


@pytest.mark.both_versions
def test_retention_by_type_takes_nothing_until_it_is_accepted(database: Any, cli: Any) -> None:
    for day in range(1, 21):
        put(database, "login", on(day, 4), 2)
        put(database, "pay", on(day, 16))
        go(database, on(day + 1))
    database.execute(
        "delete from customer_events where event_type = 'login' and created_at < %s", [on(11)]
    )
    reset(database)
    summary = go(database, on(22))
    assert summary["corrections"]["noted"] == summary["noted_as_vanished"] == 20
    assert summary["corrections"]["vanished"] == 0
    assert summary["snapshots_restated"] == 0
    assert events(database, on(22)) == {"login": 40, "pay": 20}
    clean(database)
    told = cli("vanished", "--json").json
    assert (told["notes"], told["events"]) == (10, 20)
    assert told["listed"][0]["noted_by"].startswith("run ")
    found = cli("sweep", "--accept-purged", "--json").json
    assert (found["events_taken_off"], found["noted_as_vanished"]) == (20, 0)
    assert events(database, on(22)) == {"login": 20, "pay": 20}
    assert events(database, on(5)) == {"pay": 4}
    clean(database)
    # What was said before is kept.
    (kept,) = database.rows(
        "select metrics_json -> 'events_by_type' from consumer_analytics_as_reported "
        "where consumer_id = %s and snapshot_timestamp = %s",
        [A, on(5)],
    )
    assert kept[0] == {"login": 8, "pay": 4}


def test_a_stray_old_row_does_not_make_emptied_days_seem_whole(database: Any) -> None:
    put(database, "login", dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    for day in range(1, 41):
        put(database, "login", on(day, 4))
    for day in (10, 20, 41):
        go(database, on(day))
    database.execute(
        "delete from customer_events where created_at < %s and created_at > '1971-01-01'", [on(11)]
    )
    reset(database)
    assert go(database, on(42))["corrections"]["noted"] == 10
    assert [events(database, on(day)) for day in (10, 20, 42)] == [
        {"login": 10},
        {"login": 20},
        {"login": 41},
    ]
    clean(database)


@pytest.mark.parametrize("looked", [True, False])
def test_a_purge_inside_the_first_day_takes_nothing(database: Any, looked: bool) -> None:
    for hour in range(24):
        put(database, "login", on(1, hour))
    go(database, on(2))
    database.execute("delete from customer_events where created_at < %s", [on(1, 10)])
    put(database, "login", on(2, 1))
    if looked:
        # The oldest row is another one: no more is needed to see it.
        assert go(database, on(3))["corrections"]["noted"] == 10
        clean(database)
    reset(database)
    go(database, on(4))
    assert events(database, on(2)) == {"login": 24}
    assert events(database, on(4)) == {"login": 25}
    clean(database)


@pytest.mark.parametrize("captured", [True, False])
def test_a_truncated_table_stays_counted_until_it_is_accepted(
    database: Any, cli: Any, captured: bool
) -> None:
    if captured:
        with database.connect() as connection:
            capture.enable(connection, database.settings)
    for day in range(1, 5):
        put(database, "login", on(day, 4))
        go(database, on(day + 1))
    database.execute("truncate customer_events")
    assert go(database, on(6))["corrections"]["noted"] == 4
    assert events(database, on(6)) == {"login": 4}
    assert events(database, on(3)) == {"login": 2}
    clean(database)
    reset(database)
    go(database, on(7))
    put(database, "login", on(7, 3))
    go(database, on(8))
    assert events(database, on(8)) == {"login": 5}
    clean(database)
    assert cli("sweep", "--accept-purged").exit_code == 0
    assert events(database, on(8)) == {"login": 1}
    clean(database)


def test_an_instant_that_can_no_longer_be_told_is_refused_with_its_reason(
    database: Any, cli: Any
) -> None:
    for day in range(1, 5):
        put(database, "login", on(day, 4), 2)
    put(database, "customer_creation", on(1, 5))
    for day in (2, 6):
        go(database, on(day))
    database.execute("delete from customer_events where created_at < %s", [on(3, 12)])
    go(database, on(7))
    # Before a lifecycle event that has vanished; and in the midst of a day that has.
    for at in (on(1, 3), on(2, 12)):
        told = cli("run", "--as-of", at.isoformat(), "--json").json
        assert told["not_recountable"] == [at.isoformat()]
        assert (told["window_end"], told["snapshots_written"]) == (None, 0)
        assert "have vanished" in cli("run", "--as-of", at.isoformat()).stderr
    # Others are written.
    assert go(database, on(4))["snapshots_written"] == 2
    assert events(database, on(4)) == {"login": 6, "customer_creation": 1}
    clean(database)
