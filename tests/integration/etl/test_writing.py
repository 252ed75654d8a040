"""What a run writes and changes of what is there, statement by statement, on a few rows each."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import MINUS_INFINITY, Connection
from consumer_analytics.etl import extract, job_state, watermark
from consumer_analytics.mapping import PLAIN
from consumer_analytics.sql import query

DAY = dt.timedelta(days=1)
ONE_MICROSECOND = dt.timedelta(microseconds=1)
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
FIRST, SECOND = BEGIN + 2 * DAY, BEGIN + 4 * DAY
A, B, C = (uuid.UUID(int=number) for number in (1, 2, 3))


def put(trial: Connection, consumer: uuid.UUID | None, at: dt.datetime, **figures: Any) -> int:
    """Put a row of a snapshot, and return its number."""
    row = trial.execute(
        "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json, created_at)"
        " values (%s, %s, %s, %s) returning analytics_id",
        [consumer, at, Jsonb(figures), at],
    ).fetchone()
    assert row is not None
    return int(row[0])


def kept(trial: Connection) -> dict[Any, Any]:
    """Return the snapshots: what each row says."""
    rows = trial.execute(
        "select consumer_id, snapshot_timestamp, metrics_json from consumer_analytics"
    ).fetchall()
    return {(consumer, at): figures for consumer, at, figures in rows}


def revisions(trial: Connection) -> list[Any]:
    """Return what was reported before: of what, since when, and what it said."""
    return trial.execute(
        "select consumer_id, snapshot_timestamp, reported_from, metrics_json, reason "
        "from consumer_analytics_revisions order by revision_id"
    ).fetchall()


# -- snapshots --------------------------------------------------------------------------


@pytest.fixture
def rendered(trial: Connection) -> Any:
    """Return a function that puts a row of a snapshot as it is to be written."""
    trial.execute(
        "create temporary table rendered_snapshots "
        "(consumer_id uuid, snapshot_timestamp timestamptz, metrics_json jsonb)"
    )

    def render(consumer: uuid.UUID | None, at: dt.datetime, **figures: Any) -> None:
        trial.execute(
            "insert into rendered_snapshots values (%s, %s, %s)", [consumer, at, Jsonb(figures)]
        )

    return render


def stats(start: str, new: int) -> dict[str, Any]:
    return {"incremental_stats": {"window_start": start, "new_events_in_window": new}}


def written(trial: Connection, at: dt.datetime, start: dt.datetime, source: str) -> None:
    """Note that a snapshot was written whole."""
    trial.execute(
        "insert into consumer_analytics_internal.written_snapshots "
        "(snapshot_timestamp, is_whole, window_start, snapshot_source) values (%s, true, %s, %s)",
        [at, start, source],
    )


def restated(trial: Connection) -> int:
    return trial.execute(query("shared/snapshots-restate"), {"reason": "why"}).rowcount


def test_rows_whose_figures_stand_are_not_touched(trial: Connection, rendered: Any) -> None:
    for consumer in (A, None):
        put(trial, consumer, FIRST, total=1, **stats("x", 1), snapshot_source="cli_etl")
        # By another way, and for another window.
        rendered(consumer, FIRST, total=1, **stats("y", 2), snapshot_source="cli_backfill")
    # The same in all.
    put(trial, C, FIRST, total=1, **stats("x", 1))
    rendered(C, FIRST, total=1, **stats("x", 1))
    # Of another consumer, and at another instant.
    put(trial, B, FIRST, total=5)
    rendered(A, SECOND, total=9)
    rendered(None, SECOND, total=9)
    assert restated(trial) == 0
    assert revisions(trial) == []


@pytest.mark.parametrize("consumer", [A, None])
def test_a_row_whose_figures_have_changed_says_what_is_true_and_what_it_said_is_kept(
    trial: Connection, rendered: Any, consumer: uuid.UUID | None
) -> None:
    # Other rows, which stay: of the other sort, of another instant.
    put(trial, B if consumer is None else None, FIRST, total=1)
    put(trial, consumer, SECOND, total=1)
    before = {"total": 1, **stats("x", 1), "snapshot_source": "airflow_etl", "etl_job": "old"}
    put(trial, consumer, FIRST, **before)
    rendered(consumer, FIRST, total=2, **stats("x", 3), snapshot_source="cli_etl", etl_job="new")
    rest = {key: row for key, row in kept(trial).items() if key != (consumer, FIRST)}
    assert restated(trial) == 1
    # Who wrote it is who wrote it first.
    now = {"total": 2, **stats("x", 3), "snapshot_source": "airflow_etl", "etl_job": "old"}
    assert kept(trial) == {**rest, (consumer, FIRST): now}
    assert revisions(trial) == [(consumer, FIRST, FIRST, before, "why")]


def test_what_is_new_in_a_window_is_compared_where_it_is_the_same_window(
    trial: Connection, rendered: Any
) -> None:
    put(trial, A, FIRST, total=1, **stats("x", 1))
    put(trial, B, FIRST, total=1, **stats("x", 1))
    put(trial, C, FIRST, total=1, **stats("x", 1))
    rendered(A, FIRST, total=1, **stats("x", 2))
    rendered(B, FIRST, total=1, **stats("y", 2))
    # The window stays that of the run that wrote it.
    rendered(C, FIRST, total=2, **stats("y", 2), snapshot_source="cli_etl", etl_job="new")
    assert restated(trial) == 2
    assert {consumer: figures for (consumer, _), figures in kept(trial).items()} == {
        A: {"total": 1, **stats("x", 2), "snapshot_source": None, "etl_job": None},
        B: {"total": 1, **stats("x", 1)},
        # A row that names no writer is given the one that corrects it.
        C: {"total": 2, **stats("x", 1), "snapshot_source": "cli_etl", "etl_job": "new"},
    }


def test_a_row_restated_twice_was_reported_from_the_first_time_on(
    trial: Connection, rendered: Any
) -> None:
    number = put(trial, A, FIRST, total=1)
    other = put(trial, A, SECOND, total=1)
    for of, until in ((number, SECOND), (number, SECOND - DAY), (other, SECOND + DAY)):
        trial.execute(
            "insert into consumer_analytics_revisions (analytics_id, consumer_id, "
            "snapshot_timestamp, metrics_json, reported_from, reported_until, reason) "
            "values (%s, %s, %s, '{}', %s, %s, 'before')",
            [of, A, FIRST, FIRST, until],
        )
    rendered(A, FIRST, total=2)
    assert restated(trial) == 1
    assert revisions(trial)[-1] == (A, FIRST, SECOND, {"total": 1}, "why")


def test_snapshots_that_are_not_there_yet_are_inserted(trial: Connection, rendered: Any) -> None:
    put(trial, None, FIRST, snapshot_source="airflow_backfill", etl_job="old")
    put(trial, A, FIRST, total=1)
    # One that was backfilled by itself, at an instant without a snapshot.
    put(trial, A, SECOND, total=1)
    # One that has a row at another instant.
    put(trial, B, BEGIN, total=1)
    new = {"snapshot_source": "cli_etl", "etl_job": "new", **stats(BEGIN.isoformat(), 0)}
    for consumer in (A, B, None):
        for at in (FIRST, SECOND):
            rendered(consumer, at, total=2, **new)
    written(trial, FIRST, BEGIN, "airflow_backfill")
    assert trial.execute(query("shared/snapshots-insert")).fetchone() == (3,)
    old = {"snapshot_source": "airflow_backfill", "etl_job": "new"}
    assert kept(trial) == {
        (None, FIRST): {**old, "etl_job": "old"},
        (A, FIRST): {"total": 1},
        (A, SECOND): {"total": 1},
        (B, BEGIN): {"total": 1},
        # A row that joins a snapshot later has the snapshot's provenance.
        (B, FIRST): {"total": 2, **new, **old},
        (B, SECOND): {"total": 2, **new},
        (None, SECOND): {"total": 2, **new},
    }


def test_a_row_that_joins_a_snapshot_without_provenance_has_its_own(
    trial: Connection, rendered: Any
) -> None:
    put(trial, None, FIRST)
    put(trial, None, SECOND, snapshot_source="edited")
    # As it was when it was written, whatever the row says now.
    written(trial, SECOND, FIRST, "cli_etl")
    for at in (FIRST, SECOND):
        rendered(B, at, snapshot_source="x", etl_job="y", **stats(FIRST.isoformat(), 0))
    trial.execute(query("shared/snapshots-insert"))
    window = stats(FIRST.isoformat(), 0)
    assert kept(trial)[(B, FIRST)] == {"snapshot_source": "x", "etl_job": "y", **window}
    assert kept(trial)[(B, SECOND)] == {"snapshot_source": "cli_etl", "etl_job": "y", **window}


def test_rows_that_had_no_part_in_a_snapshot_are_withdrawn_and_kept(
    trial: Connection, rendered: Any
) -> None:
    third = SECOND + DAY
    for at in (BEGIN, FIRST, SECOND):
        put(trial, None, at)
        put(trial, B, at, total=1)
    # Not written whole: rows of a chosen consumer alone.
    put(trial, B, third, total=1)
    put(trial, A, FIRST, total=1)
    # At an instant that is not written now.
    put(trial, A, SECOND, total=1)
    put(trial, C, SECOND, total=1)
    rendered(A, FIRST)
    rendered(B, SECOND)
    rendered(A, BEGIN)
    values = {"snapshots": [FIRST, third], "reason": "why"}
    assert trial.execute(query("shared/snapshots-withdraw"), values).rowcount == 1
    assert {key for key in kept(trial) if key[0] is not None} == {
        (B, BEGIN),
        (B, SECOND),
        (B, third),
        (A, FIRST),
        (A, SECOND),
        (C, SECOND),
    }
    assert revisions(trial) == [(B, FIRST, FIRST, {"total": 1}, "why")]
    assert (
        trial.execute(query("shared/snapshots-withdraw"), {**values, "snapshots": [BEGIN]}).rowcount
        == 1
    )


def test_whether_there_are_snapshots_that_runs_have_not_come_to(trial: Connection) -> None:
    put(trial, None, FIRST)
    put(trial, A, SECOND)

    def passed(**changes: Any) -> bool:
        values = {"known": FIRST - DAY, "until": SECOND, "snapshots": [BEGIN], **changes}
        row = trial.execute(query("etl/apply/snapshots-passed"), values).fetchone()
        assert row is not None
        return bool(row[0])

    assert passed()
    assert passed(until=FIRST)
    assert not passed(until=FIRST - ONE_MICROSECOND)
    assert not passed(known=FIRST)
    # One that is written now.
    assert not passed(snapshots=[BEGIN, FIRST])
    there = query("shared/snapshots-are-there")
    for instants, expected in (([FIRST, BEGIN], True), ([SECOND], False)):
        assert trial.execute(there, {"snapshots": instants}).fetchone() == (expected,)


#: Of windows, as it was noted; whatever a row says now. One that nobody has written has none.
STARTS = [BEGIN, BEGIN + dt.timedelta(seconds=0.5), BEGIN - DAY, None]


def test_snapshots_that_the_counts_have_outgrown(trial: Connection) -> None:
    for number, start in enumerate(STARTS):
        put(trial, A, FIRST + number * DAY, **stats("2000-01-01T00:00:00+00:00", 0))
        put(trial, None, FIRST + number * DAY, **stats("2025-99-99", 0))
        if start is not None:
            written(trial, FIRST + number * DAY, start, "cli_etl")
    instants = [FIRST + number * DAY for number in range(4)]
    every = list(zip(instants, STARTS, strict=True))

    def outgrown(**changes: Any) -> list[Any]:
        values = {
            "after": BEGIN,
            "until": BEGIN + 9 * DAY,
            "limit": 9,
            **changes,
        }
        return trial.execute(query("etl/restate/snapshots-outgrown"), values).fetchall()

    assert outgrown() == every
    assert outgrown(limit=2) == every[:2]
    assert outgrown(after=FIRST) == every[1:]
    assert outgrown(until=instants[1]) == every[:2]
    windows = query("etl/windows/noted")
    asked = {"snapshots": [*reversed(instants), BEGIN]}
    assert trial.execute(windows, asked).fetchall() == [(BEGIN, None), *every]


# -- counts -----------------------------------------------------------------------------


def table(trial: Connection, name: str) -> list[Any]:
    return trial.execute(
        f"select * from consumer_analytics_internal.{name} order by 1, 2, 3"
    ).fetchall()


def day(number: int) -> dt.date:
    return (BEGIN + number * DAY).date()


@pytest.fixture
def changes(trial: Connection) -> Any:
    """Return a function that puts what a run has found to change in the counts."""
    trial.execute(
        "create temporary table event_changes "
        "(consumer_id uuid, day date, event_type text, n bigint)"
    )

    def change(consumer: uuid.UUID | None, number: int, kind: str, n: int) -> None:
        trial.execute(
            "insert into event_changes values (%s, %s, %s, %s)", [consumer, day(number), kind, n]
        )

    return change


def known(trial: Connection, consumer: uuid.UUID | None, number: int, kind: str, n: int) -> None:
    trial.execute(
        "insert into consumer_analytics_internal.event_days (day, consumer_id, event_type, n) "
        "values (%s, %s, %s, %s)",
        [day(number), consumer, kind, n],
    )


def folded(trial: Connection, *, advances: bool = True, recount: str = "{}") -> Any:
    return trial.execute(
        query("etl/apply/events-fold"),
        {
            "unseen_from": day(5),
            "processed_day": day(4),
            "recount": recount,
            "advances": advances,
        },
    ).fetchone()


def test_what_a_run_found_is_added_to_the_counts_by_day(trial: Connection, changes: Any) -> None:
    known(trial, A, 4, "login", 3)
    known(trial, None, 4, "login", 2)
    changes(A, 4, "login", 1)
    changes(None, 4, "login", 2)
    changes(B, 4, "login", 5)
    changes(A, 5, "login", 7)
    # Nothing of that corrects what was counted: the day that is going on, and a new one.
    assert folded(trial) == (None, 0, 0, True)
    assert table(trial, "event_days") == [
        (day(4), A, "login", 4),
        (day(4), B, "login", 5),
        (day(4), None, "login", 4),
        (day(5), A, "login", 7),
    ]


def test_what_corrects_earlier_runs_is_told(trial: Connection, changes: Any) -> None:
    for number in range(5):
        known(trial, A, number, "login", 9)
    changes(A, 3, "login", 2)
    assert folded(trial) == (day(3), 2, 0, False)
    changes(A, 2, "login", -4)
    assert folded(trial) == (day(2), 2, 4, True)
    trial.execute("delete from event_changes")
    # Of the day that was being counted: fewer; more, where it was counted anew.
    changes(A, 4, "login", -1)
    assert folded(trial) == (day(4), 0, 1, False)
    trial.execute("delete from event_changes")
    changes(A, 4, "login", 1)
    assert folded(trial) == (None, 0, 0, False)
    assert folded(trial, advances=False) == (None, 1, 0, False)
    again = f"{{[{day(4)},{day(5)})}}"
    assert folded(trial, recount=again) == (day(4), 0, 0, False)
    assert folded(trial, recount=f"{{[{day(3)},{day(4)})}}") == (None, 0, 0, False)
    trial.execute("delete from event_changes")
    # A day after that corrects nothing, however it was counted.
    changes(A, 5, "login", 1)
    assert folded(trial, advances=False, recount=f"{{[{day(4)},{day(6)})}}") == (None, 0, 0, False)


def test_what_a_sweep_found_is_changed_but_for_what_is_noted_now(trial: Connection) -> None:
    trial.execute(
        "create temporary table differing_events "
        "(consumer_id uuid, day date, event_type text, counted bigint, known bigint); "
        "create temporary table event_placed "
        "(consumer_id uuid, since timestamptz, event_type text, n bigint, sign int)"
    )
    for consumer, kind, counted, count in ((A, "login", 2, 5), (None, "login", 1, 3)):
        trial.execute(
            "insert into differing_events values (%s, %s, %s, %s, %s)",
            [consumer, day(0), kind, counted, count],
        )
    # As many went before and after an instant of the day; what came back is counted anyway.
    for consumer, hours, sign in ((A, 0, 1), (A, 12, 1), (A, 18, -1), (None, 0, 1)):
        trial.execute(
            "insert into event_placed values (%s, %s, 'login', 1, %s)",
            [consumer, BEGIN + dt.timedelta(hours=hours), sign],
        )
    trial.execute(
        query("etl/apply/events-differing", newly_noted=query("etl/apply/events-noted")).as_string()
    )
    rows = trial.execute("select consumer_id, n from pg_temp.event_changes order by 1 nulls last")
    assert rows.fetchall() == [(A, -1), (None, -1)]


def test_nothing_that_was_found_changes_nothing(trial: Connection, changes: Any) -> None:
    del changes
    assert folded(trial) == (None, 0, 0, False)


@pytest.mark.parametrize("days", ["of-a-day", "of-days"])
def test_totals_are_added_up(trial: Connection, changes: Any, days: str) -> None:
    for consumer, kind in ((A, "login"), (A, "pay"), (B, "login"), (None, "login")):
        trial.execute(
            "insert into consumer_analytics_internal.event_totals values (%s, %s, 10)",
            [consumer, kind],
        )
    changes(A, 1, "login", 2)
    changes(C, 1, "pay", 4)
    changes(None, 1, "login", 5)
    changes(None, 2, "login", 1)
    changes(None, 1, "pay", 1)
    more = 0
    if days == "of-days":
        changes(A, 2, "login", 3)
        more = 3
    found = query(f"etl/apply/events-changes-{days}")
    trial.execute(query("etl/apply/events-fold-totals", changes=found))
    trial.execute(query("etl/apply/events-fold-stray"))
    assert trial.execute(
        "select consumer_id, event_type, n from consumer_analytics_internal.event_totals "
        "order by 1, 2"
    ).fetchall() == [
        (A, "login", 12 + more),
        (A, "pay", 10),
        (B, "login", 10),
        (C, "pay", 4),
        (None, "login", 16),
        (None, "pay", 1),
    ]


def test_counts_that_have_come_to_nothing_are_forgotten(trial: Connection) -> None:
    known(trial, A, 1, "login", 0)
    known(trial, A, 1, "pay", 1)
    for kind, n in (("login", 0), ("pay", 1)):
        trial.execute(
            "insert into consumer_analytics_internal.event_totals values (%s, %s, %s)", [A, kind, n]
        )
    trial.execute(query("etl/events-forget-zeros"))
    assert [row[2] for row in table(trial, "event_days")] == ["pay"]
    totals = trial.execute("select event_type from consumer_analytics_internal.event_totals")
    assert totals.fetchall() == [("pay",)]


def extracted(trial: Connection, *rows: tuple[Any, ...]) -> None:
    trial.execute(
        "create temporary table extracted_events "
        "(consumer_id uuid, day date, slot int, event_type text, n bigint)"
    )
    for consumer, number, slot, kind, n in rows:
        trial.execute(
            "insert into extracted_events values (%s, %s, %s, %s, %s)",
            [consumer, day(number), slot, kind, n],
        )


def test_what_is_counted_again_is_compared_with_what_was_known(trial: Connection) -> None:
    # As it was, in two slots of as many each; other counts; gone; new; of days not counted.
    extracted(
        trial,
        (A, 1, 0, "login", 2),
        (A, 1, 1, "login", 2),
        (None, 1, 1, "login", 5),
        (A, 2, 1, "pay", 1),
        (B, 2, 1, "login", 1),
    )
    known(trial, A, 1, "login", 4)
    known(trial, None, 1, "login", 3)
    known(trial, A, 2, "pay", 3)
    known(trial, A, 2, "login", 2)
    known(trial, A, 0, "login", 9)
    known(trial, A, 3, "login", 9)
    trial.execute(
        query("etl/apply/events-changes", extracted_events=extract.OWN.events),
        {"recount": f"{{[{day(1)},{day(3)})}}"},
    )
    found = trial.execute("select * from event_changes order by day, consumer_id, event_type")
    assert found.fetchall() == [
        (None, day(1), "login", 2),
        (A, day(2), "login", -2),
        (A, day(2), "pay", -2),
        (B, day(2), "login", 1),
    ]


def test_events_by_slot_are_those_extracted_and_those_of_days_that_were_not(
    trial: Connection,
) -> None:
    # Before the window; of the first slot, by type no more; of a later one.
    extracted(
        trial,
        (A, 1, 0, "login", 9),
        (A, 1, 1, "login", 2),
        (A, 1, 1, "pay", 2),
        (None, 3, 2, "login", 4),
    )
    # Too early; from the first instant that is asked for on; counted again; at the last bound.
    for number, n in ((0, 9), (2, 5), (3, 9), (4, 7)):
        known(trial, None, number, "login", n)
    trial.execute(
        query("etl/apply/events-slots", extracted_events=extract.OWN.events),
        {
            "bounds": [BEGIN, FIRST, SECOND],
            "start_day": day(2),
            "recount": f"{{[{day(1)},{day(2)}),[{day(3)},{day(4)})}}",
        },
    )
    slots = trial.execute("select * from event_slots order by consumer_id, slot, event_type")
    assert slots.fetchall() == [
        (A, 1, None, 4),
        (None, 2, "login", 9),
        (None, 3, "login", 7),
    ]


# -- state ------------------------------------------------------------------------------


def state(trial: Connection) -> Any:
    return trial.execute(
        "select processed_through, oldest_seen, restate_after, version "
        "from consumer_analytics_internal.state"
    ).fetchone()


def advanced(trial: Connection, **changes: Any) -> Any:
    values = {
        "until": FIRST,
        "corrected_from": None,
        "after": None,
        "customers_after": None,
        "customers_of": None,
        "touched": False,
        **changes,
    }
    trial.execute(query("etl/apply/state-advance"), values)
    return state(trial)


def test_the_version_grows_with_every_change_of_the_counts_alone(trial: Connection) -> None:
    (*_, version) = advanced(trial)
    assert advanced(trial) == (FIRST, None, None, version)
    assert advanced(trial, touched=True) == (FIRST, None, None, version + 1)
    assert advanced(trial) == (FIRST, None, None, version + 1)
    assert advanced(trial, until=SECOND) == (SECOND, None, None, version + 2)
    # The earliest instant after which snapshots say less than the counts.
    assert advanced(trial, until=SECOND, after=FIRST) == (SECOND, None, FIRST, version + 3)
    assert advanced(trial, until=SECOND, after=SECOND) == (SECOND, None, FIRST, version + 4)
    assert advanced(trial, until=SECOND, after=BEGIN) == (SECOND, None, BEGIN, version + 5)


def test_snapshots_are_looked_at_again_from_the_earliest_instant_on(trial: Connection) -> None:
    for after, earliest in ((SECOND, SECOND), (FIRST, FIRST), (SECOND, FIRST)):
        trial.execute(query("shared/state-restate-after"), {"after": after})
        row = trial.execute(query("shared/state-restate-from")).fetchone()
        assert row == (earliest,)
    # As far as they have been looked at.
    trial.execute(query("etl/restate/state-restated"), {"after": SECOND})
    assert state(trial)[2] == SECOND
    trial.execute(query("etl/restate/state-restated"), {"after": None})
    assert state(trial)[2] is None


def test_customers_are_looked_at_again_from_the_earliest_instant_on_of_whoever_waits(
    trial: Connection,
) -> None:
    def waiting(**changes: Any) -> Any:
        advanced(trial, **changes)
        return trial.execute(
            "select customers_after, (select array_agg(one order by one) "
            "from unnest(customers_of) as one), customers_until "
            "from consumer_analytics_internal.state"
        ).fetchone()

    assert waiting() == (None, None, None)
    assert waiting(until=SECOND, customers_after=BEGIN, customers_of=[A]) == (BEGIN, [A], FIRST)
    # Nobody comes to wait.
    assert waiting(until=SECOND + DAY) == (BEGIN, [A], FIRST)
    assert waiting(customers_after=FIRST, customers_of=[B, A]) == (BEGIN, [A, B], SECOND + DAY)
    # All of them; then some would be too few.
    assert waiting(customers_after=FIRST)[:2] == (BEGIN, None)
    assert waiting(customers_after=FIRST, customers_of=[C])[:2] == (BEGIN, None)


def test_of_what_capture_noted_the_earliest_day_counts(trial: Connection) -> None:
    through = job_state.read(trial).processed_through
    assert through == MINUS_INFINITY
    trial.execute(
        "update consumer_analytics_internal.state set processed_through = %s", [BEGIN + 9 * DAY]
    )
    for number, restates, customers in (
        (1, False, False),
        (2, True, False),
        (3, False, True),
        (4, True, True),
        # The run that comes to it reads it anyway.
        (10, True, True),
    ):
        trial.execute(
            "insert into consumer_analytics_internal.touched_days (day, restates, customers) "
            "values (%s, %s, %s)",
            [day(number), restates, customers],
        )
    found = job_state.read(trial)
    assert found.touched_notes == 4
    assert (found.restates_from, found.customers_from) == (day(2), day(3))


def test_notes_of_days_before_the_mark_are_settled(trial: Connection) -> None:
    for number in (0, 1, 2):
        trial.execute(
            "insert into consumer_analytics_internal.touched_days (day) values (%s)", [day(number)]
        )
    trial.execute(query("etl/apply/days-settle"), {"processed_through": BEGIN + DAY})
    left = trial.execute("select day from consumer_analytics_internal.touched_days order by 1")
    assert left.fetchall() == [(day(1),), (day(2),)]


def test_a_watermark_that_is_moved_is_told_from_where_and_by_whom(trial: Connection) -> None:
    watermark.move(trial, SECOND, who="one", reason="first")
    assert watermark.move(trial, FIRST, who="another", reason="then") == (SECOND, FIRST)
    moved = watermark.read(trial)
    assert moved.last_processed_timestamp == FIRST
    assert moved.metadata["moved_from"] == SECOND.isoformat()
    latest, before = watermark.moves(trial)
    assert (latest.reason, latest.before, latest.after) == ("then", SECOND, FIRST)
    assert (before.reason, before.after) == ("first", SECOND)
    assert latest.who.startswith("another ")


def test_a_window_begins_at_the_last_snapshot_before_it_even_if_that_was_thinned(
    trial: Connection,
) -> None:
    def previous(before: dt.datetime) -> Any:
        row = trial.execute(query("etl/plan/snapshots-previous"), {"before": before}).fetchone()
        assert row is not None
        return row[0]

    assert previous(SECOND) is None
    put(trial, None, BEGIN)
    put(trial, A, FIRST + DAY / 2)
    assert previous(SECOND) == BEGIN
    assert previous(BEGIN) is None
    for at in (FIRST, FIRST - ONE_MICROSECOND):
        trial.execute(
            "insert into consumer_analytics_internal.thinned_snapshots values (%s, 1)", [at]
        )
    assert previous(SECOND) == FIRST
    assert previous(FIRST) == FIRST - ONE_MICROSECOND
    assert previous(FIRST - ONE_MICROSECOND) == BEGIN
    put(trial, None, FIRST + DAY)
    assert previous(SECOND) == FIRST + DAY


def test_snapshots_that_runs_were_held_back_from_are_owed_from_before_an_instant(
    trial: Connection,
) -> None:
    for at in (SECOND, BEGIN, FIRST):
        trial.execute(
            "insert into consumer_analytics_internal.owed_snapshots values (%s, '', '')", [at]
        )
    owed = trial.execute(query("etl/plan/snapshots-owed"), {"until": SECOND}).fetchall()
    assert owed == [(BEGIN,), (FIRST,)]


def test_consumers_that_are_mentioned_and_not_registered(trial: Connection) -> None:
    trial.execute("insert into consumers (consumer_id) values (%s)", [A])
    mentioned = sql.SQL("(values ({}::uuid), ({}), ({}), ({}), (null))").format(C, A, B, C)
    parts = {"rendered": sql.SQL("(select column1 as consumer_id from {} as v)").format(mentioned)}
    row = trial.execute(query("etl/apply/rows-unknown-consumers", PLAIN, **parts)).fetchone()
    assert row == ([str(B), str(C)],)
