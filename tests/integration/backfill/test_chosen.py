"""Rows of chosen consumers without a whole snapshot: whatever restates snapshots does them."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import Database
from tests.integration.backfill.test_backfill import BEGIN, DAY, END, check, fill, live
from tests.support import lanes, oracle
from tests.support.history import random_history

from consumer_analytics.db.connection import connected
from consumer_analytics.etl import capture
from consumer_analytics.reconcile import audit as auditing
from consumer_analytics.reconcile import sweep


def chosen_of(database: Database, days: int = 8) -> str:
    """Make a history, and rows of one consumer alone for each of its days."""
    with database.connect() as connection:
        random_history(connection, random.Random(41), BEGIN, END)
    (consumer,) = database.rows(
        "select consumer_id::text from customer_events where consumer_id in "
        "(select consumer_id from consumers) group by 1 order by count(*) desc, 1 limit 1"
    )[0]
    fill(
        database,
        f"{BEGIN:%Y-%m-%d}",
        f"{BEGIN + days * DAY:%Y-%m-%d}",
        consumers=[consumer],
    )
    return str(consumer)


def late(database: Database, consumer: str, at: dt.datetime) -> None:
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'login', %s)",
        [consumer, at],
    )


def born_late(database: Database, consumer: str, at: dt.datetime) -> None:
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (gen_random_uuid(), %s, 'ACTIVE', %s)",
        [consumer, at],
    )


def swept(database: Database, **days: Any) -> int:
    with connected(database.settings, "sweep") as connection:
        return sweep.sweep(connection, database.settings, **days).snapshots_restated


def require_right(database: Database, consumer: str) -> None:
    """Hold the consumer's rows to a recount; the audit agrees, and nobody else has any there."""
    with database.connect() as connection:
        sources = oracle.Sources(connection)
        rows = connection.execute(
            "select snapshot_timestamp, (metrics_json #>> '{incremental_stats,window_start}')"
            "::timestamptz from consumer_analytics "
            "where consumer_id = %s and snapshot_timestamp <= %s order by 1",
            [consumer, END],
        ).fetchall()
        for at, start in rows:
            stored = oracle.stored(connection, at)
            assert stored[consumer] == oracle.snapshot(sources, at, start)[consumer], at
            assert set(stored) == {consumer} or None in stored, at
    with connected(database.settings, "audit") as connection:
        audited = auditing.audit(connection, database.settings)
    assert audited.clean, audited.as_json()["first_differences"]


LATE: dict[str, Callable[[Database, str], None]] = {
    "an event": lambda on, consumer: late(on, consumer, BEGIN + 2.5 * DAY),
    "a customer": lambda on, consumer: born_late(on, consumer, BEGIN + 2.5 * DAY),
}
SWEEPS: dict[str, dict[str, Any]] = {
    "all days": {"since": BEGIN.date()},
    "the day": {"dates": [(BEGIN + 2 * DAY).date()]},
}


@pytest.mark.parametrize(("what", "days"), lanes.each_once(LATE, SWEEPS))
def test_a_sweep_restates_rows_that_stand_alone(database: Database, what: str, days: str) -> None:
    consumer = chosen_of(database)
    live(database, END + DAY)
    LATE[what](database, consumer)
    # Six days that end after it; the run's snapshot for the consumer, and for the whole system.
    assert swept(database, **SWEEPS[days]) == 6 + 2
    require_right(database, consumer)
    assert swept(database, **SWEEPS[days]) == 0
    assert database.rows("select count(*) from consumer_analytics_revisions") == [(8,)]


@pytest.mark.parametrize("what", lanes.first(1, LATE))
def test_a_run_restates_one_thing_that_capture_saw(database: Database, what: str) -> None:
    consumer = chosen_of(database)
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    live(database, END + DAY)
    LATE[what](database, consumer)
    live(database, END + 2 * DAY)
    require_right(database, consumer)


def test_a_run_restates_what_capture_saw(database: Database) -> None:
    consumer = chosen_of(database)
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    live(database, END + DAY)
    late(database, consumer, BEGIN + 2.5 * DAY)
    born_late(database, consumer, BEGIN + 4.5 * DAY)
    live(database, END + 2 * DAY)
    require_right(database, consumer)


def test_a_run_that_comes_to_them_looks_at_them(database: Database) -> None:
    """They were written from rows that no run had counted; some have come since."""
    consumer = chosen_of(database)
    late(database, consumer, BEGIN + 2.5 * DAY)
    live(database, END + DAY)
    require_right(database, consumer)


def test_a_consumer_that_has_no_part_any_more_goes(database: Database) -> None:
    chosen_of(database)
    other = database.rows("select gen_random_uuid()::text")[0][0]
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'trial', %s)",
        [other, BEGIN],
    )
    fill(database, "2025-03-01", "2025-03-09", consumers=[other])
    live(database, END + DAY)
    of_other = "select count(*) from consumer_analytics where consumer_id = %s"
    assert database.rows(of_other, [other]) == [(9,)]
    database.execute("delete from consumers where consumer_id = %s", [other])
    swept(database, since=BEGIN.date())
    assert database.rows(of_other, [other]) == [(0,)]
    assert database.rows(
        "select count(*) from consumer_analytics_revisions where consumer_id = %s", [other]
    ) == [(9,)]
    with connected(database.settings, "audit") as connection:
        audited = auditing.audit(connection, database.settings)
    assert audited.clean, audited.as_json()["first_differences"]


@pytest.mark.parametrize(
    ("of", "ran"), lanes.each_once(["all", "a chosen one"], ["a run", "no run"], every=2)
)
def test_what_is_new_in_another_window_is_restated(database: Database, of: str, ran: str) -> None:
    """A row keeps the window that it was written for, whichever windows a backfill has later."""
    with database.connect() as connection:
        random_history(connection, random.Random(43), BEGIN, END)
    (consumer,) = database.rows("select min(consumer_id::text) from consumers")[0]
    whose = {} if of == "all" else {"consumers": [consumer]}
    fill(database, "2025-03-01", "2025-03-09", "weekly", **whose)
    if ran == "a run":
        live(database, END)
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'login', %s)",
        [consumer, BEGIN + 2.5 * DAY],
    )
    if ran == "a run":
        swept(database, since=BEGIN.date())
    fill(database, "2025-03-01", "2025-03-09", "daily")
    with database.connect() as connection:
        sources = oracle.Sources(connection)
        for at, of_whom, start in connection.execute(
            "select snapshot_timestamp, consumer_id::text, "
            "(metrics_json #>> '{incremental_stats,window_start}')::timestamptz "
            "from consumer_analytics"
        ).fetchall():
            right = oracle.snapshot(sources, at, start)[of_whom]
            assert oracle.stored(connection, at)[of_whom] == right, (at, of_whom)
    with connected(database.settings, "audit") as session:
        audited = auditing.audit(session, database.settings)
    assert audited.clean, audited.as_json()["first_differences"]


def registered_earlier(database: Database, consumer: str, _: dt.datetime) -> None:
    database.execute(
        "update consumers set created_at = %s where consumer_id = %s", [BEGIN, consumer]
    )


@pytest.mark.parametrize(
    ("what", "ran"),
    lanes.each_once(
        [
            pytest.param(born_late, id="a customer"),
            pytest.param(registered_earlier, id="a consumer's time"),
        ],
        ["runs", "a backfill"],
        every=2,
    ),
)
def test_a_whole_snapshot_is_summed_again_with_its_chosen_rows(
    database: Database, what: Callable[[Database, str, dt.datetime], None], ran: str
) -> None:
    """Also where no run has come to it yet: nobody else would see that its sum is another."""
    consumer = "00000000-0000-0000-0000-00000000000a"
    with database.connect() as connection:
        random_history(connection, random.Random(44), BEGIN, END)
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'new', %s)",
        [consumer, BEGIN + 4 * DAY],
    )
    if ran == "runs":
        for number in range(1, 9):
            live(database, BEGIN + number * DAY)
    else:
        fill(database, "2025-03-01", "2025-03-09")
    what(database, consumer, BEGIN + 2.5 * DAY)
    fill(database, "2025-03-01", "2025-03-09", consumers=[consumer])
    check(database, [BEGIN + number * DAY for number in range(1, 9)])
    with connected(database.settings, "audit") as connection:
        audited = auditing.audit(connection, database.settings)
    assert audited.clean, audited.as_json()["first_differences"]
    assert fill(database, "2025-03-01", "2025-03-09", consumers=[consumer]).snapshots_restated == 0


def registered_later(database: Database, consumer: str) -> None:
    database.execute(
        "update consumers set created_at = %s where consumer_id = %s", [BEGIN + 6 * DAY, consumer]
    )


@pytest.mark.parametrize(
    ("of", "ran"), lanes.each_once(["all", "a chosen one"], ["runs", "no run"], every=2)
)
def test_a_row_without_a_part_goes(database: Database, of: str, ran: str) -> None:
    """As a sweep withdraws it, a revision kept; whether it stands alone or in a whole snapshot."""
    consumer = "00000000-0000-0000-0000-0000000000aa"
    with database.connect() as connection:
        random_history(connection, random.Random(45), BEGIN, END)
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'new', %s)",
        [consumer, BEGIN],
    )
    if of == "all" and ran == "runs":
        for number in range(1, 9):
            live(database, BEGIN + number * DAY)
    else:
        whose: dict[str, Any] = {} if of == "all" else {"consumers": [consumer]}
        fill(database, "2025-03-01", "2025-03-09", **whose)
        if ran == "runs":
            live(database, END)
    registered_later(database, consumer)
    backfilled = fill(database, "2025-03-01", "2025-03-07", consumers=[consumer])
    there = database.rows(
        "select snapshot_timestamp from consumer_analytics where consumer_id = %s "
        "and snapshot_timestamp < %s",
        [consumer, BEGIN + 6.5 * DAY],
    )
    assert there == []
    kept = database.rows(
        "select count(*) from consumer_analytics_revisions where consumer_id = %s", [consumer]
    )
    assert kept == [(6,)]
    assert backfilled.snapshots_restated == (12 if of == "all" else 6)
    if of == "all":
        check(database, [BEGIN + number * DAY for number in range(1, 9)])
    with connected(database.settings, "audit") as session:
        audited = auditing.audit(session, database.settings)
    assert audited.clean, audited.as_json()["first_differences"]
    again = fill(database, "2025-03-01", "2025-03-07", consumers=[consumer])
    assert again.snapshots_restated == again.snapshots_written == 0


@pytest.mark.parametrize(
    ("of", "ran"), lanes.each_once(["all", "a chosen one"], ["runs", "no run"], every=2)
)
def test_the_past_of_one_whose_customers_are_all_gone_stays(
    database: Database, of: str, ran: str
) -> None:
    """Nothing is rendered of it before it registered, and no event tells why its customer went."""
    consumer = "00000000-0000-0000-0000-0000000000aa"
    with database.connect() as connection:
        random_history(connection, random.Random(46), BEGIN, END)
    born_late(database, consumer, BEGIN + DAY / 2)
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'new', %s)",
        [consumer, BEGIN + 6 * DAY],
    )
    whose: dict[str, Any] = {} if of == "all" else {"consumers": [consumer]}
    fill(database, "2025-03-01", "2025-03-08", **whose)
    if ran == "runs":
        live(database, END)
    database.execute("delete from customers where consumer_id = %s", [consumer])
    done = fill(database, "2025-03-01", "2025-03-07", consumers=[consumer])
    assert done.snapshots_restated == done.snapshots_written == 0
    assert database.rows(
        "select count(*), sum((metrics_json ->> 'total_customers')::int) from consumer_analytics "
        "where consumer_id = %s and snapshot_timestamp < %s",
        [consumer, BEGIN + 6.5 * DAY],
    ) == [(6, 6)]


#: A row's own window: its interval, where its backfill begins, and when its customer was born.
OWN_WINDOWS = {
    "shorter": ("daily", "2025-03-09", BEGIN + DAY / 2),
    "longer": ("weekly", "2025-03-03", BEGIN + 4.5 * DAY),
}


@pytest.mark.parametrize(
    ("own", "order", "registered"),
    lanes.first(
        2,
        [
            ("shorter", "chosen first", 6),
            ("longer", "chosen first", 30),
            ("shorter", "whole first", 30),
            ("longer", "chosen first", 6),
            ("shorter", "chosen first", 30),
            *(("longer", "whole first", day) for day in (6, 30)),
            ("shorter", "whole first", 6),
        ],
    ),
)
def test_what_is_held_in_another_window_is_new_in_none_of_the_whole(
    database: Database, own: str, order: str, registered: int
) -> None:
    """What is held of it says nothing of the whole system's window; sweep, restating and audit."""
    interval, start, born = OWN_WINDOWS[own]
    consumer = "00000000-0000-0000-0000-0000000000aa"
    last = END + DAY
    with database.connect() as connection:
        random_history(connection, random.Random(46), BEGIN, END)
    born_late(database, consumer, born)
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'new', %s)",
        [consumer, BEGIN + registered * DAY],
    )
    steps: list[Callable[[], Any]] = [
        lambda: fill(database, start, "2025-03-10", interval, consumers=[consumer]),
        lambda: live(database, last),
    ]
    if interval == "weekly":
        live(database, END - DAY)
    for step in steps if order == "chosen first" else reversed(steps):
        step()
    new_before = new_in_all(database, last)
    database.execute("delete from customers where consumer_id = %s", [consumer])
    swept(database)
    assert told_customers(database, consumer, last) == [(1,)]
    # Where the whole snapshot was first the row has its window, and what it says of that stays.
    lost = interval == "daily" and order == "chosen first"
    assert new_in_all(database, last) == new_before - lost
    require_clean(database)
    assert swept(database) == 0
    # Another's customer comes late, from nobody: all is computed again.
    database.execute(
        "with born as (insert into customers (customer_id, consumer_id, status, created_at) "
        "select gen_random_uuid(), min(consumer_id::text)::uuid, 'ACTIVE', %(at)s from customers "
        "returning customer_id, consumer_id) insert into customer_events "
        "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
        "select gen_random_uuid(), customer_id, consumer_id, 'customer_creation', "
        """'{"status": "ACTIVE"}', %(at)s from born""",
        {"at": END + DAY / 2},
    )
    swept(database)
    assert told_customers(database, consumer, last) == [(1,)]
    assert new_in_all(database, last) == new_before - lost + 1
    require_clean(database)


@pytest.mark.parametrize(
    ("interval", "ran", "late_birth"),
    lanes.first(1, [("daily", 4.0, 5.2), ("weekly", 7.0, 8.2)]),
)
def test_what_cannot_be_told_in_another_window_adds_what_is_known_to_the_whole(
    database: Database, interval: str, ran: float, late_birth: float
) -> None:
    """Events that told of its customers are purged, then one is born late: a repair converges."""
    consumer, last = "00000000-0000-0000-0000-0000000000aa", END + DAY
    with database.connect() as connection:
        random_history(connection, random.Random(49), BEGIN, END)
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'new', %s)",
        [consumer, BEGIN],
    )
    for day in (4.5, 8.5):
        born_late(database, consumer, BEGIN + day * DAY)
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'customer_status_change', %s)",
        [consumer, BEGIN + 12.5 * DAY],
    )
    fill(database, "2025-03-03", "2025-03-10", interval, consumers=[consumer])
    for at in (BEGIN + ran * DAY, last, END + 15 * DAY):
        live(database, at)
    new_before = new_in_all(database, last)
    database.execute(
        "delete from customer_events where consumer_id = %s and created_at > %s",
        [consumer, last],
    )
    assert swept(database, since=BEGIN.date()) == 0
    require_clean(database)
    born_late(database, consumer, BEGIN + late_birth * DAY)
    swept(database, since=BEGIN.date())
    with connected(database.settings, "audit") as session:
        found = auditing.audit(session, database.settings)
        auditing.repair(session, database.settings, found)
    assert new_in_all(database, last) == new_before + 1
    require_clean(database)


def new_in_all(database: Database, at: dt.datetime) -> int:
    """Return how many customers are new in the whole system's window."""
    (new,) = database.rows(
        "select (metrics_json #> '{incremental_stats,new_customers_in_window}')::int "
        "from consumer_analytics where consumer_id is null and snapshot_timestamp = %s",
        [at],
    )[0]
    return int(new)


def told_customers(database: Database, consumer: str, at: dt.datetime) -> list[Any]:
    return database.rows(
        "select (metrics_json -> 'total_customers')::int from consumer_analytics "
        "where consumer_id = %s and snapshot_timestamp = %s",
        [consumer, at],
    )


def require_clean(database: Database) -> None:
    with connected(database.settings, "audit") as connection:
        audited = auditing.audit(connection, database.settings)
    assert audited.clean, audited.as_json()["first_differences"]
