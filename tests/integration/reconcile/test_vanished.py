"""What has vanished stays counted: judged once, alike by every command, and listed.

Days are of January 2026; all events are of one consumer unless a test says otherwise.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from tests.support import lanes, oracle
from tests.support.checks import figures, wrong_snapshots

from consumer_analytics import backfill
from consumer_analytics.etl import capture, run, vanished
from consumer_analytics.operations import snapshots
from consumer_analytics.operations.doctor.findings import Context, Finding, Verdict
from consumer_analytics.operations.doctor.sources import losses
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.sql import query

A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)

PUT = (
    "insert into customer_events (event_id, consumer_id, event_type, created_at) "
    "values (gen_random_uuid(), %s, %s, %s)"
)


def on(day: int, hour: float = 0) -> dt.datetime:
    return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day - 1, hours=hour)


def put(database: Any, kind: str, at: dt.datetime, n: int = 1, consumer: Any = A) -> None:
    with database.connect() as connection:
        for _ in range(n):
            connection.execute(PUT, [consumer, kind, at])


def go(database: Any, at: dt.datetime) -> dict[str, Any]:
    with database.session("run") as connection:
        return run.run(connection, database.settings, at=at).as_json()


def swept(database: Any, **options: Any) -> sweep.SweepResult:
    with database.session("sweep") as connection:
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
    with database.session("audit") as connection:
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


@pytest.mark.parametrize("other", [7, 3], ids=["the oldest", "not the oldest"])
def test_as_many_that_go_before_and_after_an_instant_of_their_day_are_all_noted(
    database: Any, other: int
) -> None:
    for hour in (4, 20):
        put(database, "login", on(5, hour))
    put(database, "pay", on(other, 3))
    for at in (on(5, 12), on(8)):
        go(database, at)
    database.execute("delete from customer_events where event_type = 'login'")
    assert swept(database).events_noted == 2
    assert [(since, until, n) for _, since, until, n in noted(database)] == [
        (on(5), on(5, 12), 1),
        (on(5, 12), on(6), 1),
    ]
    go(database, on(9))
    assert events(database, on(9)) == {"login": 2, "pay": 1}
    clean(database)


def test_an_audit_is_clean_where_it_is_the_first_to_miss_a_single_row(database: Any) -> None:
    put(database, "login", on(5, 4), 2)
    go(database, on(6))
    database.execute("delete from customer_events where ctid = '(0,1)'")
    clean(database)
    assert [n for *_, n in noted(database)] == [1]
    assert events(database, on(6)) == {"login": 2}


def test_what_vanishes_between_an_audit_and_its_repair_stays_counted(database: Any) -> None:
    put(database, "login", on(5, 4), 2)
    put(database, "pay", on(5, 5))
    go(database, on(6))
    database.execute(
        "update consumer_analytics_internal.event_days set n = n + 7 where event_type = 'login'"
    )
    with database.session("audit") as connection:
        found = audit.audit(connection, database.settings)
        assert found.listed != []
        database.execute("delete from customer_events where event_type = 'pay'")
        audit.repair(connection, database.settings, found)
    assert [(kind, n) for kind, *_, n in noted(database)] == [("pay", 1)]
    assert events(database, on(6)) == {"login": 2, "pay": 1}
    clean(database)


@pytest.mark.parametrize("table", ["event_days", "event_totals"])
def test_what_somebody_added_to_the_counts_of_a_purged_day_has_not_vanished(
    database: Any, table: str
) -> None:
    """The oldest row is another one since: that is no reason to believe what was added."""
    put(database, "login", on(5, 4), 2)
    put(database, "pay", on(6, 5))
    go(database, on(8))
    database.execute(
        f"update consumer_analytics_internal.{table} set n = n + 7 where event_type = 'login'"
    )
    database.execute("delete from customer_events where event_type = 'login'")
    with database.session("audit") as connection:
        found = audit.audit(connection, database.settings)
        audit.repair(connection, database.settings, found)
    assert [n for *_, n in noted(database)] == [2]
    assert events(database, on(8)) == {"login": 2, "pay": 1}
    clean(database)


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
    assert "20 events stay counted" in cli("status").stdout
    assert cli("status", "--json").json["noted_as_vanished"] == 20
    assert "noted      20 events as vanished, in all" in cli("run", "--as-of", "2026-01-22").stdout
    told = cli("vanished", "--json").json
    assert (told["notes"], told["events"]) == (10, 20)
    assert told["listed"][0]["noted_by"].startswith("run ")
    told = cli("sweep", "--accept-purged", "--type", "pay").stdout
    assert "taken off  0 events: `consumer-analytics vanished` lists what is noted\n" in told
    found = cli("sweep", "--accept-purged", "--json").json
    assert (found["events_taken_off"], found["noted_as_vanished"]) == (20, 0)
    assert events(database, on(22)) == {"login": 20, "pay": 20}
    assert events(database, on(5)) == {"pay": 4}
    clean(database)
    # A type that nobody has is refused, and so is none that was there once.
    for option in ("--accept-purged", "--restored"):
        refused = cli("sweep", option, "--type", "pay", "--type", "logon")
        assert refused.exit_code == 2
        assert refused.stderr.splitlines()[-1] == (
            "error: event type 'logon' is unknown: no snapshot tells of it, and nothing of it is "
            "noted as vanished; `consumer-analytics vanished` lists what is"
        )
    put(database, "once", on(22))
    go(database, on(23))
    database.execute("delete from customer_events where event_type = 'once'")
    for taken_off in (1, 0):
        found = cli("sweep", "--accept-purged", "--type", "once", "--json")
        assert found.json["events_taken_off"] == taken_off
    # What was said before is kept.
    (kept,) = database.rows(
        "select metrics_json -> 'events_by_type' from consumer_analytics_as_reported "
        "where consumer_id = %s and snapshot_timestamp = %s",
        [A, on(5)],
    )
    assert kept[0] == {"login": 8, "pay": 4}


@pytest.mark.long
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


@pytest.mark.parametrize("looked", lanes.first(1, [True, False]))
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


@pytest.mark.parametrize("captured", lanes.first(1, [True, False]))
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


def written(database: Any, at: dt.datetime) -> bool:
    """Run as of an instant; tell whether its snapshot is there, or else named."""
    told = go(database, at)
    is_there: bool = told["snapshots_written"] > 0
    assert told["not_recountable"] == ([] if is_there else [at.isoformat()])
    return is_there


def window_by_hand(database: Any) -> None:
    database.execute("update etl_job_watermarks set last_processed_timestamp = %s", [on(5, 16)])
    go(database, on(9))


def kept(_database: Any, _at: dt.datetime) -> None:
    pass


def thinned(database: Any, at: dt.datetime) -> None:
    with database.connect("thinning", writes_sources=False) as connection:
        connection.execute(query("operations/thinning/snapshots-remove"), {"instants": [at]})


def taken_back(database: Any, at: dt.datetime) -> None:
    with database.connect("snapshots remove", writes_sources=False) as connection:
        chosen = snapshots.Selection((at,))
        snapshots.remove(connection, database.settings, chosen, who="tester", reason="a mistake")


#: On which side of the window's bound a row is gone: its hour, the note, and what is refused.
SIDES = {
    "in the window": (20, (on(5, 16), on(6)), (13, 14, 16, 18, 22)),
    "before it": (14, (on(5, 12), on(5, 16)), (13, 15, 16, 17, 22)),
}


@pytest.mark.parametrize(
    ("then", "side"), lanes.each_once([kept, thinned, taken_back], list(SIDES), every=3)
)
def test_a_windows_bound_ends_no_stretch(database: Any, then: Any, side: str) -> None:
    gone, part, refused = SIDES[side]
    for hour in (4, 14, 20):
        put(database, "login", on(5, hour))
    for at in (on(5, 12), on(8)):
        go(database, at)
    # A watermark set by hand: nothing was reported at 16:00.
    window_by_hand(database)
    database.execute("delete from customer_events where created_at = %s", [on(5, gone)])
    assert swept(database).events_noted == 1
    assert [(since, until) for _, since, until, _ in noted(database)] == [part]
    # What was reported when it was noted bounds the stretch, also where that is gone since.
    then(database, on(5, 12))
    for hour in refused:
        assert not written(database, on(5, hour)), hour
    for at in (on(5, 8), on(5), on(6), on(6, 3)):
        assert written(database, at), at
    clean(database)


@pytest.mark.parametrize("then", lanes.first(1, [thinned, taken_back]))
def test_what_is_gone_before_a_loss_is_noted_ends_no_stretch(database: Any, then: Any) -> None:
    for hour in (4, 20):
        put(database, "login", on(5, hour))
    for at in (on(5, 12), on(8)):
        go(database, at)
    # The window after it still begins there.
    then(database, on(5, 12))
    database.execute("delete from customer_events where created_at = %s", [on(5, 20)])
    assert swept(database).events_noted == 1
    for hour in (8, 12, 16):
        assert not written(database, on(5, hour)), hour
    assert written(database, on(6))
    clean(database)


# -- other ways to lose rows ---------------------------------------------------


def daily(database: Any, days: int = 20, *, captured: bool = False) -> None:
    """Let two consumers and nobody have events every day, each day reported."""

    def fill() -> None:
        with (
            database.connect() as application,
            database.connect("run", writes_sources=False) as session,
        ):
            if captured:
                capture.enable(application, database.settings)
            for day in range(1, days + 1):
                for hour in (2, 14):
                    for kind, consumer in (("login", A), ("login", B), ("pay", None)):
                        application.execute(PUT, [consumer, kind, on(day, hour)])
                run.run(session, database.settings, at=on(day + 1))

    database.prepared((daily, days, captured), fill)


LOSSES = {
    "by tenant": ("consumer_id = '00000000-0000-0000-0000-00000000000b'", 24),
    "by hour": ("extract(hour from created_at at time zone 'UTC') < 12", 36),
    "by type": ("event_type = 'pay'", 24),
    "all": ("true", 72),
}


@pytest.mark.parametrize(
    ("loss", "seen_by"), lanes.each_once(LOSSES, ["reset", "sweep", "audit", "repair"], every=4)
)
def test_whatever_is_lost_stays_counted_whoever_sees_it_first(
    database: Any, cli: Any, loss: str, seen_by: str
) -> None:
    which, n = LOSSES[loss]
    daily(database)
    with database.connect() as connection:
        reported = figures(connection)
    database.execute(f"delete from customer_events where created_at < '2026-01-13' and {which}")
    if seen_by == "reset":
        reset(database)
        assert go(database, on(21, 1))["corrections"]["noted"] == n
    elif seen_by == "sweep":
        assert swept(database, since=on(1).date()).events_noted == n
    else:
        told = cli("audit", *(["--repair"] if seen_by == "repair" else []), "--json")
        assert told.exit_code == 0
        assert told.json["events_vanished"] == n
    clean(database)
    # Judged once: whatever comes then finds nothing.
    reset(database)
    assert go(database, on(22))["corrections"] == {
        "from": None,
        "found": 0,
        "vanished": 0,
        "noted": 0,
        "came_back": 0,
    }
    with database.connect() as connection:
        assert reported.items() <= figures(connection).items()
    assert swept(database, accepted=vanished.EVERYTHING).events_taken_off == n
    clean(database)
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []


def test_what_a_command_takes_out_of_days_that_hold_rows_before_is_corrected(
    database: Any,
) -> None:
    daily(database)
    database.execute(
        "delete from customer_events where consumer_id = %s and created_at = %s", [A, on(18, 14)]
    )
    # As old as the days that are swept, and one day older.
    database.execute(
        "delete from customer_events where consumer_id = %s and created_at in (%s, %s)",
        [A, on(14, 14), on(13, 14)],
    )
    found = swept(database, since=on(1).date())
    assert (found.events_vanished, found.events_noted) == (2, 1)
    assert events(database, on(21)) == {"login": 38}
    assert noted(database) == [("login", on(13), on(14), 1)]
    assert {(one.day, one.vanished) for one in found.differences} == {
        ("2026-01-13", 1),
        ("2026-01-14", 0),
        ("2026-01-18", 0),
    }
    clean(database)


def test_a_day_that_has_as_many_rows_as_were_counted_was_changed(database: Any) -> None:
    daily(database)
    database.execute(
        "update customer_events set event_type = 'other' "
        "where consumer_id = %s and created_at < %s",
        [A, on(2)],
    )
    # One more of nobody makes up for one that is gone.
    database.execute(
        "delete from customer_events where consumer_id = %s and created_at = %s", [B, on(3, 2)]
    )
    put(database, "pay", on(3, 5), consumer=None)
    reset(database)
    corrections = go(database, on(22))["corrections"]
    assert (corrections["found"], corrections["vanished"], corrections["noted"]) == (3, 3, 0)
    assert events(database, on(2)) == {"other": 2}
    clean(database)
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []


def test_of_a_loss_and_late_rows_between_two_looks_the_larger_stands(database: Any) -> None:
    for day in (1, 2, 3):
        put(database, "login", on(day, 4), 4)
    go(database, on(5))
    database.execute("delete from customer_events where created_at < %s", [on(3)])
    put(database, "login", on(1, 5), 3)
    put(database, "login", on(2, 5), 6)
    assert swept(database, since=on(1).date()).events_noted == 1
    # Of the first day four were counted, of the second six are held.
    assert events(database, on(5)) == {"login": 4 + 6 + 4}
    clean(database)


@pytest.mark.long
def test_events_before_the_calendar_vanish_like_others(database: Any, cli: Any) -> None:
    for at in ("-infinity", "0044-03-15 00:00:00+00 BC", "2026-01-02"):
        database.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "values (gen_random_uuid(), %s, 'login', %s)",
            [A, at],
        )
    go(database, on(4))
    assert go(database, on(5))["noted_as_vanished"] == 0
    database.execute("delete from customer_events where created_at < '2026-01-01'")
    assert go(database, on(6))["corrections"]["noted"] == 2
    assert events(database, on(6)) == {"login": 3}
    told = cli("vanished", "--json").json["listed"]
    assert [one["since"] for one in told] == ["-infinity", "0044-03-15 00:00:00+00 BC"]
    clean(database)
    # And come back.
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'login', '-infinity')",
        [A],
    )
    assert cli("sweep", "--since", "0001-01-01", "--json").json["events_came_back"] == 1
    assert events(database, on(6)) == {"login": 4}
    assert cli("sweep", "--restored").exit_code == 0
    assert events(database, on(6)) == {"login": 3}
    assert cli("sweep", "--accept-purged").exit_code == 0
    assert events(database, on(6)) == {"login": 2}
    clean(database)


# -- what comes back, what is accepted ----------------------------------------


def doctor(database: Any) -> Finding:
    with database.connect("doctor") as connection:
        return losses(Context(database.settings, connection))


@pytest.mark.parametrize("counted_first", lanes.first(1, [True, False]))
def test_rows_that_are_restored_count_once_where_somebody_says_so(
    database: Any, cli: Any, counted_first: bool
) -> None:
    daily(database, 6)
    kept = database.rows("select * from customer_events where created_at < '2026-01-04'")
    database.execute("delete from customer_events where created_at < '2026-01-04'")
    go(database, on(8))
    with database.connect() as connection:
        reported = figures(connection)
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into customer_events values (%s, %s, %s, %s, %s, %s)",
                [(*row[:4], "{}", row[5]) for row in kept],
            )
    assert doctor(database).verdict is Verdict.OK
    if counted_first:
        found = swept(database, since=on(1).date())
        assert found.events_came_back == len(kept) == 18
        assert events(database, on(8)) == {"login": 12 + 6}
        assert doctor(database).verdict is Verdict.WARNING
        clean(database)
    found = cli("sweep", "--restored", "--json").json
    assert (found["events_taken_off"], found["noted_as_vanished"]) == (18, 0)
    clean(database)
    with database.connect() as connection:
        assert figures(connection) == reported
        assert wrong_snapshots(connection) == []


def test_what_is_accepted_or_restored_can_be_chosen(database: Any, cli: Any) -> None:
    daily(database, 6)
    database.execute("delete from customer_events where created_at < '2026-01-05'")
    go(database, on(8))
    assert cli("vanished", "--json").json["events"] == 24
    assert cli("vanished", "--consumer", str(A), "--json").json["events"] == 8
    assert cli("vanished", "--consumer", "(none)", "--type", "pay", "--json").json["events"] == 8
    told = cli("vanished", "--since", "2026-01-02", "--until", "2026-01-03", "--json").json
    assert told["events"] == 12
    assert (
        "12 events stay counted"
        in cli("vanished", "--since", "2026-01-02", "--until", "2026-01-03", "--limit", "1").stdout
    )

    def accepted(*options: str) -> int:
        taken: int = cli("sweep", "--accept-purged", *options, "--json").json["events_taken_off"]
        return taken

    assert accepted("--day", "2026-01-02", "--consumer", str(A)) == 2
    assert events(database, on(8)) == {"login": 10}
    assert events(database, on(2)) == {"login": 2}
    assert events(database, on(3)) == {"login": 2}
    assert accepted("--type", "pay", "--consumer", "(none)") == 8
    put(database, "login", on(1, 2), 2, consumer=B)
    put(database, "login", on(3, 2), 2, consumer=B)
    restored = cli("sweep", "--restored", "--day", "2026-01-03", "--json").json
    assert (restored["events_came_back"], restored["events_taken_off"]) == (4, 2)
    assert events(database, on(8), B) == {"login": 14}
    clean(database)
    assert accepted() == 24 - 2 - 8 - 2
    clean(database)
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("sweep", "--accept-purged", "--restored"), "not both"),
        (("sweep", "--day", "2026-01-01", "--type", "login"), "give one of the two"),
        (("sweep", "--day", "2026-01-01", "--days", "3"), "not both"),
        (("sweep", "--accept-purged", "--day", "yesterday"), "not a date"),
        (("sweep", "--accept-purged", "--consumer", "me"), "a UUID"),
        (("sweep", "--accept-purged", "--consumer", str(uuid.UUID(int=9))), "9 is unknown: it is"),
        (("sweep", "--restored", "--consumer", str(uuid.UUID(int=9))), "9 is unknown: it is"),
        (("sweep", "--accept-purged", "--type", ""), "--type is empty; give a type, or '(none)'"),
        (("vanished", "--type", " "), "--type is empty; give a type, or '(none)'"),
        (("vanished", "--since", "2026-01-02", "--until", "2026-01-01"), "lies before"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Any, options: tuple[str, ...], said: str) -> None:
    refused = cli(*options)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in refused.stderr


# -- customers that can no longer be told ---------------------------------------


def birth(database: Any, number: int, consumer: Any, at: dt.datetime, then: str = "ACTIVE") -> None:
    customer = uuid.UUID(int=1000 + number)
    database.execute(
        "insert into customers values (%s, %s, %s, %s, %s)", [customer, consumer, then, at, at]
    )
    database.execute(
        "insert into customer_events values (gen_random_uuid(), %s, %s, 'customer_creation', "
        """'{"status": "ACTIVE"}', %s)""",
        [customer, consumer, at],
    )


def becomes(database: Any, number: int, consumer: Any, at: dt.datetime, status: str) -> None:
    customer = uuid.UUID(int=1000 + number)
    database.execute(
        "insert into customer_events values (gen_random_uuid(), %s, %s, 'customer_status_change', "
        "jsonb_build_object('old_status', (select status from customers where customer_id = %s), "
        "'new_status', %s::text), %s)",
        [customer, consumer, customer, status, at],
    )
    database.execute("update customers set status = %s where customer_id = %s", [status, customer])


@pytest.mark.both_versions
def test_customers_stay_as_reported_where_what_happened_to_them_has_vanished(
    database: Any, cli: Any
) -> None:
    birth(database, 1, A, on(1, 5))
    birth(database, 2, B, on(1, 6))
    put(database, "login", on(4, 4), 2)
    for at in (on(2), on(5)):
        go(database, at)
    becomes(database, 1, A, on(5, 3), "BLOCKED")
    becomes(database, 2, B, on(8, 3), "INACTIVE")
    for at in (on(6), on(10)):
        go(database, at)
    with database.connect() as connection:
        reported = figures(connection)
        # What told that A's customer was active once is gone.
        connection.execute("delete from customer_events where created_at < %s", [on(7)])
        put(database, "login", on(3, 4), 1)
        found = swept(database, since=on(1).date())
        assert (found.events_noted, found.events_came_back) == (5, 0)
        assert found.snapshots_with_other_customers == 0
        mine = oracle.stored(connection, on(5))[str(A)]
        assert mine["customers_by_status"] == {"ACTIVE": 1}
        assert mine["events_by_type"] == {"customer_creation": 1, "login": 3}
        whole = oracle.stored(connection, on(5))[None]
        assert whole["customers_by_status_all_consumers"] == {"ACTIVE": 2}
        assert whole["system_wide_active_ratio"] == 1
        assert whole["total_events_all_consumers"] == 5
        clean(database)
        # After it all can be told, and B's whole past.
        database.execute("update customers set status = 'BLOCKED' where status <> 'BLOCKED'")
        swept(database, since=on(1).date())
        assert oracle.stored(connection, on(10))[str(B)]["customers_by_status"] == {"BLOCKED": 1}
        for at in (on(2), on(5)):
            assert json.loads(figures(connection)[(B, at)]) == json.loads(reported[(B, at)])
        # An instant that was never reported is not written, others are.
        told = cli("backfill", "--start-date", "2026-01-02", "--end-date", "2026-01-10", "--json")
        assert told.json["not_recountable"] == [on(day).isoformat() for day in (3, 4)]
        assert told.json["periods"] == 6
        assert "left out" in told.stderr
        clean(database)
        # And all is told anew where somebody says that it never was.
        swept(database, accepted=vanished.EVERYTHING)
        assert oracle.stored(connection, on(5))[str(A)]["customers_by_status"] == {"BLOCKED": 1}
        assert wrong_snapshots(connection) == []


@pytest.mark.long
def test_a_backfill_in_another_zone_takes_nothing_from_days_that_have_lost_rows(
    new_database: Any,
) -> None:
    database = new_database(timezone="Asia/Kolkata")
    daily(database, 16)
    with database.connect("backfill", writes_sources=False) as connection:
        request = backfill.request_of("2026-01-02", "2026-01-08", "daily", who="a test")
        done = backfill.backfill(connection, database.settings, request)
        assert done.periods == 6
        reported = figures(connection)
    database.execute(
        "delete from customer_events where event_type = 'login' and created_at < '2026-01-05' "
        "and created_at <> '2026-01-01 02:00+00'"
    )
    with database.connect("backfill", writes_sources=False) as connection:
        done = backfill.backfill(connection, database.settings, request)
        assert (done.snapshots_restated, done.snapshots_written) == (0, 0)
        assert figures(connection) == reported
        # Where a day is cut, what has vanished is noted on both sides.
        assert ("login", on(2), on(2, 18.5), 2) in noted(database)
        assert ("login", on(2), on(3), 2) not in noted(database)
    clean(database)


# -- with capture ---------------------------------------------------------------


@pytest.mark.both_versions
def test_with_capture_the_next_run_notes_what_went_and_corrects_what_changed(
    database: Any,
) -> None:
    daily(database, captured=True)
    with database.connect() as connection:
        reported = figures(connection)
    # Of days that no sweep looks at, and in one of them both.
    database.execute(
        "delete from customer_events where created_at in (%s, %s)", [on(2, 2), on(9, 1)]
    )
    database.execute(
        "update customer_events set event_type = 'renamed' "
        "where consumer_id = %s and created_at = %s",
        [A, on(2, 14)],
    )
    database.execute(
        "update customer_events set created_at = %s where consumer_id = %s and created_at = %s",
        [on(5, 3), B, on(4, 14)],
    )
    corrections = go(database, on(22))["corrections"]
    assert (corrections["noted"], corrections["vanished"], corrections["found"]) == (3, 2, 2)
    assert events(database, on(22)) == {"login": 39, "renamed": 1}
    assert events(database, on(3)) == {"login": 3, "renamed": 1}
    assert events(database, on(5), B) == {"login": 7}
    assert events(database, on(6), B) == {"login": 10}
    clean(database)
    # What a change is not for is as it was.
    with database.connect() as connection:
        assert figures(connection)[(A, on(2))] == reported[(A, on(2))]
    # Notes of changes are not kept: a later loss of the same kind is one.
    assert database.rows("select count(*) from consumer_analytics_internal.changed_events") == [
        (0,)
    ]
    database.execute("delete from customer_events where created_at = %s", [on(2, 14)])
    assert go(database, on(23))["corrections"]["noted"] == 3
    clean(database)


def test_an_ordinary_run_reads_no_more_than_the_oldest_row(database: Any) -> None:
    daily(database, 3)
    with database.connect() as connection:
        # As a run leaves it: nothing to judge, and no row touched.
        before = connection.execute(
            "select ctid, xmin, oldest_seen from consumer_analytics_internal.state"
        ).fetchall()
        assert not vanished.needs_look(connection, database.settings)
        assert vanished.look(connection, database.settings, "a test") == vanished.Judged()
        assert (
            before
            == connection.execute(
                "select ctid, xmin, oldest_seen from consumer_analytics_internal.state"
            ).fetchall()
        )
    assert before[0][2] == on(1, 2)


def test_a_life_without_a_consumer_outlives_its_deletion(database: Any) -> None:
    """Snapshots tell of such events without their types: the day of one that vanished is sure."""
    for kind, at in (("customer_creation", on(1, 9)), ("customer_deletion", on(2, 5))):
        database.execute(
            "insert into customer_events (event_id, customer_id, event_type, created_at) "
            "values (gen_random_uuid(), '00000000-0000-0000-0000-00000000000c', %s, %s)",
            [kind, at],
        )
    put(database, "login", on(2, 1), 4, consumer=None)
    put(database, "login", on(2, 10), consumer=None)

    def there() -> list[Any]:
        return [
            n
            for (n,) in database.rows(
                "select metrics_json -> 'unattributed_customers' from consumer_analytics "
                "where consumer_id is null order by snapshot_timestamp"
            )
        ]

    for hour in (0, 3, 4, 12, 24):
        go(database, on(2, hour))
    assert there() == [1, 1, 1, 0, 0]
    database.execute("delete from customer_events where created_at < %s", [on(3)])
    swept(database, since=on(1).date())
    go(database, on(4))
    assert there() == [1, 1, 1, 0, 0, 0]
    clean(database)


def of_customer(database: Any, kind: str, at: dt.datetime, consumer: Any) -> None:
    database.execute(
        "insert into customer_events values "
        "(gen_random_uuid(), '00000000-0000-0000-0000-00000000000c', %s, %s, "
        """'{"status": "ACTIVE"}', %s)""",
        [consumer, kind, at],
    )


def customers(database: Any, consumer: Any) -> list[int]:
    """Return how many customers each snapshot gives a consumer, in the order of time."""
    rows = database.rows(
        "select metrics_json -> 'total_customers' from consumer_analytics "
        "where consumer_id = %s order by snapshot_timestamp",
        [consumer],
    )
    return [n for (n,) in rows]


def test_a_birth_that_another_consumers_event_told_outlives_it(database: Any) -> None:
    of_customer(database, "login", on(1, 3), B)
    of_customer(database, "customer_deletion", on(2, 5), A)
    for at in (on(2), on(3)):
        go(database, at)
    assert customers(database, A) == [1, 0]
    database.execute("delete from customer_events where created_at < %s", [on(2)])
    swept(database, since=on(1).date())
    assert customers(database, A) == [1, 0]
    assert noted(database) == [("login", on(1), on(2), 1)]
    clean(database)


@pytest.mark.parametrize(
    "look", lanes.first(1, [reset, lambda database: swept(database, since=on(1).date())])
)
def test_whoever_only_an_event_told_of_is_there_once_it_has_vanished(
    database: Any, look: Any
) -> None:
    """A row without a time, whose customer's earliest event is what it goes by."""
    database.execute("alter table customers alter created_at drop not null")
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values ('00000000-0000-0000-0000-00000000000c', %s, 'ACTIVE', null)",
        [A],
    )
    of_customer(database, "login", on(1, 3), A)
    of_customer(database, "login", on(3, 3), A)
    for day in (2, 3, 4):
        go(database, on(day))
    assert customers(database, A) == [1, 1, 1]
    database.execute("delete from customer_events where created_at < %s", [on(2)])
    look(database)
    go(database, on(5))
    assert customers(database, A) == [1, 1, 1, 1]
    assert noted(database) == [("login", on(1), on(2), 1)]
    clean(database)


@pytest.mark.long
def test_a_row_that_came_back_under_its_old_time_tells_nothing_of_the_life_before(
    database: Any,
) -> None:
    """Nor when it goes again, and capture sees what it said."""
    row = "('00000000-0000-0000-0000-00000000000c', %s, 'ACTIVE', %s)"
    put(database, "login", on(1, 1))
    of_customer(database, "login", on(2, 5), A)
    of_customer(database, "customer_deletion", on(3, 5), A)
    for day in (2, 3, 4):
        go(database, on(day))
    assert customers(database, A) == [0, 1, 0]
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    of_customer(database, "customer_creation", on(4, 5), A)
    database.execute(
        f"insert into customers (customer_id, consumer_id, status, created_at) values {row}",
        [A, on(1, 5)],
    )
    go(database, on(5))
    of_customer(database, "customer_deletion", on(5, 5), A)
    database.execute("delete from customers")
    go(database, on(6))
    swept(database, since=on(1).date())
    assert customers(database, A) == [0, 1, 0, 1, 0]
    clean(database)


# -- customers whose rows are all gone, with no event that tells why ----------------


@pytest.mark.parametrize("how", lanes.first(1, ["delete from customers", "truncate customers"]))
def test_customers_who_are_all_gone_stay_in_the_past_until_that_is_accepted(
    database: Any, how: str
) -> None:
    for consumer in (A, B):
        database.execute(
            "insert into consumers (consumer_id, name, created_at) values (%s, 'one', %s)",
            [consumer, on(1)],
        )
        database.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            "values (gen_random_uuid(), %s, 'ACTIVE', %s)",
            [consumer, on(2)],
        )

    def told() -> list[tuple[Any, ...]]:
        return list(
            database.rows(
                "select consumer_id, metrics_json -> 'total_customers', "
                "metrics_json -> 'total_customers_all_consumers' from consumer_analytics "
                "where snapshot_timestamp = %s order by consumer_id nulls last",
                [on(3)],
            )
        )

    there = [(A, 1, None), (B, 1, None), (None, None, 2)]
    for day in (3, 4):
        go(database, on(day))
    assert told() == there
    database.execute(how)
    swept(database, since=on(1).date())
    go(database, on(3))
    with database.connect() as connection:
        request = backfill.request_of("2026-01-02", "2026-01-04", "daily", who="a test")
        done = backfill.backfill(connection, database.settings, request)
    assert done.snapshots_restated == 0
    assert told() == there
    clean(database)
    # Other things that are accepted are not this.
    put(database, "login", on(4))
    go(database, on(5))
    swept(database, accepted=vanished.Choice(types=("login",)))
    assert told() == there
    swept(database, accepted=vanished.Choice(consumers=(str(B),)))
    assert told() == [(A, 1, None), (B, 0, None), (None, None, 1)]
    clean(database)
    swept(database, accepted=vanished.EVERYTHING)
    assert told() == [(A, 0, None), (B, 0, None), (None, None, 0)]
    clean(database)


ALONE = [(1, 1.5), (1, 3.5), (1, 6.5)]
BESIDE = [(2, 1.23), (2, 3.23), (1, 6.5)]
#: Its birth is the first event that is left.
LATER = [(1, 1.5), (2, 2.23), (1, 6.5)]
#: What tells of the end of the life alone, and what tells of its course.
END = [("customer_creation", 2), ("login", 4), ("customer_deletion", 6)]
COURSE = [*END, ("customer_status_change", 5)]


@pytest.mark.parametrize(
    ("events_told", "until", "then"),
    lanes.first(1, [(END, 3, BESIDE), (COURSE, 3, LATER), (END, 7, ALONE), (COURSE, 7, ALONE)]),
    ids=["its creation", "and a change is left", "its deletion too", "all, of one who changed"],
)
def test_a_remembered_birth_stays_where_the_event_that_told_it_is_accepted(
    database: Any, events_told: list[tuple[str, int]], until: int, then: list[tuple[int, float]]
) -> None:
    """Unless the source tells of the life's course; of whom nothing is left, nothing is counted."""
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (gen_random_uuid(), %s, 'ACTIVE', %s)",
        [A, on(1, 12)],
    )
    who = uuid.UUID(int=7)
    said = '{"status": "ACTIVE", "old_status": "ACTIVE", "new_status": "ACTIVE"}'
    for kind, day in events_told:
        database.execute(
            "insert into customer_events "
            "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
            f"values (gen_random_uuid(), %s, %s, %s, '{said}', %s)",
            [who, A, kind, on(day, 1)],
        )

    def told() -> list[tuple[int, float | None]]:
        return [
            (figures["total_customers"], figures["avg_customer_lifetime_days"])
            for (figures,) in database.rows(
                "select metrics_json from consumer_analytics where consumer_id = %s "
                "and snapshot_timestamp <= %s order by snapshot_timestamp",
                [A, on(8)],
            )
        ]

    for day in (3, 5, 8):
        go(database, on(day))
    assert told() == BESIDE
    database.execute("delete from customer_events where created_at < %s", [on(until)])
    go(database, on(9))
    assert told() == BESIDE
    clean(database)
    swept(database, accepted=vanished.EVERYTHING)
    assert told() == then
    clean(database)
    # Whoever computes them again.
    reset(database)
    go(database, on(10))
    swept(database, since=on(1).date())
    assert told() == then
    clean(database)


STRANGER = uuid.UUID(int=0xC)


def of_stranger(database: Any, at: dt.datetime) -> None:
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (gen_random_uuid(), %s, 'ACTIVE', %s)",
        [STRANGER, at],
    )


def of_another(database: Any, at: dt.datetime) -> None:
    """Put a customer of A's, with the event that tells that it came from nobody."""
    database.execute(
        "insert into customer_events "
        "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
        "values (gen_random_uuid(), gen_random_uuid(), %s, 'customer_creation', '{}', %s)",
        [A, at],
    )
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "select customer_id, consumer_id, 'ACTIVE', created_at from customer_events as told "
        "where event_type = 'customer_creation' and not exists ("
        "select from customers where customers.customer_id = told.customer_id)"
    )


def audits(database: Any) -> None:
    with database.session("audit") as connection:
        audit.repair(connection, database.settings, audit.audit(connection, database.settings))


def backfills(database: Any) -> None:
    with database.connect() as connection:
        request = backfill.request_of("2026-01-02", "2026-01-05", "daily", who="a test")
        assert backfill.backfill(connection, database.settings, request).snapshots_restated == 0


def counts_again(database: Any) -> None:
    reset(database)
    go(database, on(6))


LOOKS: dict[str, Any] = {
    "sweep": lambda database: swept(database, since=on(1).date()),
    "repair": audits,
    "reset": counts_again,
    "run": lambda database: go(database, on(3)),
    "backfill": backfills,
}


@pytest.mark.parametrize(
    ("speaks", "look"),
    lanes.each_once(["nothing", "a later event", "a row that goes", "others"], LOOKS, every=2),
)
def test_those_of_one_who_is_not_registered_stay_as_well(
    database: Any, speaks: str, look: str
) -> None:
    """Where nothing speaks for a consumer any more, the row that was reported does."""
    if speaks == "a row that goes":
        database.execute(
            "insert into consumers (consumer_id, name, created_at) values (%s, 'one', %s)",
            [STRANGER, on(1)],
        )
    if speaks == "a later event":
        put(database, "login", on(4, 3), consumer=STRANGER)
    of_stranger(database, on(2))
    of_another(database, on(2))
    for day in (3, 4, 5):
        go(database, on(day))
    if speaks == "a row that goes":
        database.execute("delete from consumers")
    database.execute("delete from customers where consumer_id = %s", [STRANGER])
    if speaks == "others":
        # What else is restated takes nothing of it.
        of_another(database, on(2))
        swept(database, since=on(1).date())
    LOOKS[look](database)
    assert customers(database, STRANGER) == (
        [1, 1, 1, 0] if look == "reset" and speaks == "a later event" else [1, 1, 1]
    )
    assert customers(database, A)[0] == (2 if speaks == "others" else 1)
    clean(database)
    swept(database, accepted=vanished.Choice(consumers=(str(STRANGER),)))
    assert 1 not in customers(database, STRANGER)
    clean(database)


@pytest.mark.parametrize("statuses", lanes.first(1, [1, 60]))
@pytest.mark.parametrize("look", lanes.first(1, LOOKS))
def test_one_who_is_not_registered_has_its_row_for_a_life_that_is_over(
    database: Any, look: str, statuses: int
) -> None:
    """No event names it, and none of its customers is left: only what capture saw tells."""
    of_another(database, on(1))
    for status in range(statuses):
        database.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            "values (gen_random_uuid(), %s, %s, %s)",
            [A, f"status {status}", on(1)],
        )
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    of_stranger(database, on(2))
    go(database, on(3))
    database.execute(
        "insert into customer_events "
        "(event_id, customer_id, event_type, payload_json, created_at) "
        "select gen_random_uuid(), customer_id, 'customer_deletion', '{}', %s from customers "
        "where consumer_id = %s",
        [on(3, 5), STRANGER],
    )
    database.execute("delete from customers where consumer_id = %s", [STRANGER])
    ((told,),) = database.rows(
        "select count(*) from consumer_analytics_internal.figures_at(%s, %s)", [on(4), [STRANGER]]
    )
    go(database, on(4))
    go(database, on(5))
    assert told == 1
    assert customers(database, STRANGER) == [1, 0, 0]
    clean(database)
    kept = database.rows("select count(*) from consumer_analytics_revisions")
    LOOKS[look](database)
    assert customers(database, STRANGER)[:3] == [1, 0, 0]
    assert database.rows("select count(*) from consumer_analytics_revisions") == kept
    ((told,),) = database.rows(
        "select count(*) from consumer_analytics_internal.figures_at(%s, %s)", [on(9), [STRANGER]]
    )
    assert told == 1
    clean(database)


@pytest.mark.parametrize("look", lanes.first(1, ["sweep", "repair"]))
def test_one_who_is_not_registered_and_whose_customers_moved_has_no_past(
    database: Any, look: str
) -> None:
    of_stranger(database, on(2))
    for day in (3, 4):
        go(database, on(day))
    database.execute("update customers set consumer_id = %s", [A])
    LOOKS[look](database)
    assert customers(database, STRANGER) == []
    assert customers(database, A) == [1, 1]
    clean(database)


@pytest.mark.long
def test_a_row_for_being_registered_follows_also_where_customers_can_no_longer_be_told(
    database: Any,
) -> None:
    """A creation of after the snapshot has vanished: nothing of it is in the row."""
    put(database, "login", on(1, 3), consumer=B)
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'one', %s)", [A, on(1)]
    )
    go(database, on(3))
    of_another(database, on(3, 9))
    go(database, on(5))
    database.execute("delete from customer_events where event_type = 'customer_creation'")
    swept(database, since=on(1).date())
    clean(database)
    database.execute("delete from consumers")
    swept(database, since=on(1).date())
    assert customers(database, A) == [1]
    clean(database)
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'one', %s)", [A, on(2)]
    )
    swept(database, since=on(1).date())
    assert customers(database, A) == [0, 1]
    clean(database)


def unattributed(database: Any) -> list[int]:
    """Return what the snapshots tell of events without a consumer, in the order of time."""
    return [
        n
        for (n,) in database.rows(
            "select metrics_json -> 'unattributed_events' from consumer_analytics "
            "where consumer_id is null order by snapshot_timestamp"
        )
    ]


@pytest.mark.parametrize(
    "restored",
    lanes.first(
        0,
        [
            pytest.param((0, 1), id="both"),
            pytest.param((0,), id="first"),
            pytest.param((1,), id="second"),
        ],
        long=1,
    ),
)
def test_an_unattributed_event_that_is_restored_counts_once_whatever_its_types_note_is_under(
    database: Any, restored: tuple[int, ...]
) -> None:
    """Snapshots tell no types of such events: which of them went of which stretch nobody knows."""
    rows = (("pay", on(2, 6)), ("login", on(2, 15)))
    for kind, at in rows:
        put(database, kind, at, 2, consumer=None)
    for at in (on(2), on(2, 14), on(3)):
        go(database, at)
    reported = unattributed(database)
    assert reported == [0, 2, 4]
    database.execute("delete from customer_events")
    assert swept(database, since=on(1).date()).events_noted == 4
    for which in restored:
        put(database, *rows[which], consumer=None)
    assert swept(database, since=on(1).date()).events_came_back == len(restored)
    notes = noted(database)
    for column, of_each in ((0, ["login", "pay"]), (1, [on(2), on(2, 14)])):
        for one in of_each:
            assert sum(note[3] for note in notes if note[column] == one) == 2
    clean(database)
    assert swept(database, restored=vanished.EVERYTHING).events_taken_off == len(restored)
    assert unattributed(database) == reported
    clean(database)


@pytest.mark.long
def test_a_late_customer_beside_a_loss_that_nobody_has_noted_moves_nothing_before_it(
    database: Any,
) -> None:
    """Where capture names whose customers came late, theirs alone are counted: the loss is one."""
    put(database, "login", on(1))
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (%s, %s, 'BLOCKED', %s)",
        [uuid.UUID(int=7), A, on(2, 1)],
    )
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    for day in (3, 4):
        go(database, on(day))
    database.execute(
        "insert into customer_events "
        "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
        "values (gen_random_uuid(), %s, %s, 'customer_deletion', '{\"status\": \"BLOCKED\"}', %s)",
        [uuid.UUID(int=7), A, on(5, 5)],
    )
    database.execute("delete from customers where customer_id = %s", [uuid.UUID(int=7)])
    go(database, on(6))
    # As where a partition is dropped: no trigger sees it.
    deleting = "trigger consumer_analytics_capture_delete"
    database.execute(
        f"alter table customer_events disable {deleting}; "
        "delete from customer_events where event_type = 'customer_deletion'; "
        f"alter table customer_events enable always {deleting}"
    )
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (%s, %s, 'ACTIVE', %s)",
        [uuid.UUID(int=8), A, on(3, 1)],
    )
    go(database, on(8))
    assert customers(database, A) == [1, 1, 1, 1]
    (frozen,) = database.rows(
        "select array_agg(metrics_json -> 'customers_by_status' order by snapshot_timestamp) "
        "from consumer_analytics where consumer_id = %s",
        [A],
    )
    assert frozen[0] == [{"BLOCKED": 1}] * 2 + [{"ACTIVE": 1}] * 2
    clean(database)
