"""Corrections of events alone: added to the snapshots that they change, or computed again."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from typing import Any

import pytest
from tests.support import lanes
from tests.support.checks import figures, wrong_snapshots
from tests.support.history import random_history
from tests.support.plans import Plans

from consumer_analytics import backfill
from consumer_analytics.etl import capture, comparison, restate, run, untold
from consumer_analytics.etl.windows import restate_window
from consumer_analytics.reconcile import audit, sweep

DAY = dt.timedelta(days=1)
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = BEGIN + 12 * DAY
WAITING = "select count(*) from consumer_analytics_internal.untold_events"
STRANGER = uuid.UUID(int=7)


def go(database: Any, at: dt.datetime) -> int:
    with database.connect("run", writes_sources=False) as connection:
        return run.run(connection, database.settings, at=at).snapshots_restated


def swept(database: Any) -> sweep.SweepResult:
    with database.connect("sweep", writes_sources=False) as connection:
        return sweep.sweep(connection, database.settings, since=BEGIN.date())


def history(database: Any, at: dt.timedelta = dt.timedelta(0), *, seed: int = 13) -> list[Any]:
    """Fill the sources, write a snapshot a day, at midnight or later; return the consumers."""

    def fill() -> None:
        with database.connect() as connection:
            random_history(connection, random.Random(seed), BEGIN, END)
        for day in range(1, 13):
            with database.connect("run", writes_sources=False) as runs:
                run.run(runs, database.settings, at=BEGIN + day * DAY + at)

    database.prepared(("a snapshot a day", at, seed), fill)
    return [row[0] for row in database.rows("select consumer_id from consumers order by 1")]


def late(database: Any, consumer: Any, at: dt.datetime, kind: str = "login") -> None:
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, payload_json, created_at) "
        f"values (gen_random_uuid(), '{consumer}', '{kind}', '{{}}', '{at.isoformat()}')"
    )


def swept_at(database: Any, *days: int) -> sweep.SweepResult:
    """Sweep some days alone, by their number."""
    dates = [(BEGIN + day * DAY).date() for day in days]
    with database.connect("sweep", writes_sources=False) as connection:
        return sweep.sweep(connection, database.settings, dates=dates)


def late_customer(database: Any, consumer: Any, born: dt.datetime, status: str = "ACTIVE") -> None:
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        f"values (gen_random_uuid(), '{consumer}', '{status}', '{born.isoformat()}')"
    )


def born_by_events(database: Any, *births: dt.datetime) -> None:
    """Add the creations that tell of the customers that were born at some instants."""
    for born in births:
        database.execute(
            "insert into customer_events "
            "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
            "select gen_random_uuid(), customer_id, consumer_id, 'customer_creation', "
            "jsonb_build_object('status', status), created_at "
            f"from customers where created_at = '{born}'"
        )


def is_right(database: Any) -> None:
    """Hold all snapshots to the oracle, and all that is noted of them to the audit."""
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []
        found = audit.audit(connection, database.settings)
    assert found.differences == 0, found
    assert database.rows(WAITING) == [(0,)]


@pytest.fixture
def only_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no snapshot be computed again."""

    def never(*_: Any, **__: Any) -> int:
        raise AssertionError("computed again")

    for module in (restate, comparison):
        monkeypatch.setattr(module, "restate_window", never)


@pytest.mark.usefixtures("only_added")
def test_late_rows_change_the_snapshots_of_their_consumers_alone(database: Any) -> None:
    first, second, *_ = history(database)
    with database.connect() as connection:
        before = figures(connection)
    late(database, first, BEGIN + 2.5 * DAY)
    late(database, first, BEGIN + 2.5 * DAY, "a new type")
    late(database, second, BEGIN + 7.5 * DAY)
    # Of this one nothing was known: it joins the snapshots since.
    late(database, STRANGER, BEGIN + 4.5 * DAY)
    database.execute(
        "delete from customer_events where event_id = (select event_id from customer_events "
        f"where created_at >= '{BEGIN + 6 * DAY}' and event_type = 'login' "
        "and consumer_id is not null order by created_at limit 1)"
    )

    found = swept(database)

    is_right(database)
    with database.connect() as connection:
        after = figures(connection)
    changed = {key for key, text in after.items() if before.get(key) != text}
    assert len(changed) == found.snapshots_restated
    assert {(STRANGER, BEGIN + day * DAY) for day in range(5, 13)} <= changed
    assert (first, BEGIN + 2 * DAY) not in changed


@pytest.mark.usefixtures("only_added")
def test_days_that_are_named_are_swept_alone(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = history(database)
    swept(database)
    late(database, first, BEGIN + 2.5 * DAY)
    late(database, second, BEGIN + 6.5 * DAY)
    with database.connect() as connection:
        connection.execute("analyze customer_events")
    ((of_the_day,),) = database.rows(
        "select count(*) from customer_events "
        f"where created_at >= '{BEGIN + 2 * DAY}' and created_at < '{BEGIN + 3 * DAY}'"
    )
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        found = swept_at(database, 2)
    assert (found.dates, found.events_found) == (((BEGIN + 2 * DAY).date(),), 1)
    # The whole system's and the consumer's, since then; the other row is still to be found.
    assert found.snapshots_restated == 2 * 10
    read = [scan for scan in plans.of("customer_events") if scan.rows > 1]
    # Compared once, and what differs is folded.
    assert [(scan.statement, scan.rows) for scan in read] == [
        ("reconcile/sweep/events-differ", of_the_day)
    ], plans.told("customer_events")
    assert plans.rows("customers") <= 2 * len(database.rows("select from customers"))

    assert swept_at(database, 6, 8).events_found == 1
    is_right(database)
    assert swept_at(database, 2, 6).snapshots_restated == 0


@pytest.mark.parametrize("what", lanes.first(0, ["both", "customer", "change"], long=1))
def test_lives_that_differ_on_a_day_that_is_named_are_found(database: Any, what: str) -> None:
    first, *_ = history(database)
    swept(database)
    if what != "change":
        late_customer(database, first, BEGIN + 4.5 * DAY)
    if what != "customer":
        database.execute(
            "insert into customer_events "
            "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
            "select gen_random_uuid(), customer_id, consumer_id, 'customer_status_change', "
            """'{"old_status": "BLOCKED", "new_status": "ACTIVE"}', """
            f"'{BEGIN + 4.6 * DAY}' from customers where consumer_id is not null "
            f"and created_at < '{BEGIN + 4 * DAY}' order by customer_id limit 1"
        )
    assert swept_at(database, 4).snapshots_restated > 0
    is_right(database)


@pytest.mark.usefixtures("only_added")
@pytest.mark.parametrize(("captured", "hours"), lanes.each_once([False, True], [0, 5]))
@pytest.mark.parametrize("seed", lanes.first(1, range(13, 16)))
def test_late_customers_of_named_days_are_added_to_their_consumers_alone(
    database: Any, monkeypatch: pytest.MonkeyPatch, seed: int, hours: int, captured: bool
) -> None:
    first, second, *_ = history(database, dt.timedelta(hours=hours), seed=seed)
    swept(database)
    if captured:
        with database.connect() as connection:
            capture.enable(connection, database.settings)
            # As if nobody had noted what follows.
            connection.execute("alter table customers disable trigger user")
    late_customer(database, first, BEGIN + 4.5 * DAY)
    late_customer(database, first, BEGIN + 4.6 * DAY, "BLOCKED")
    late_customer(database, second, BEGIN + 6.1 * DAY)
    # One whose life has ended since: the next run takes that in.
    database.execute(
        "insert into customer_events "
        "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
        "select gen_random_uuid(), customer_id, consumer_id, 'customer_deletion', "
        f"jsonb_build_object('status', status), '{END + DAY / 3}' from customers "
        f"where consumer_id = '{first}' and created_at < '{BEGIN + 4 * DAY}' limit 1"
    )
    database.execute(
        "delete from customers where customer_id in "
        f"(select customer_id from customer_events where created_at = '{END + DAY / 3}')"
    )
    with database.connect() as connection:
        before = figures(connection)
    with monkeypatch.context() as patched:
        # It counts all customers.
        patched.delattr(comparison, "differing")
        found = swept_at(database, 4, 6)
    is_right(database)
    with database.connect() as connection:
        after = figures(connection)
    changed = {key for key, text in after.items() if before.get(key) != text}
    assert {consumer for consumer, _ in changed} == {first, second, None}
    assert len(changed) == found.snapshots_restated
    assert swept_at(database, 4, 6).snapshots_restated == 0


@pytest.mark.parametrize(
    "what",
    lanes.first(
        1, ["moved", "gone", "whole edited", "changed", "edited", "replaced", "earlier", "joins"]
    ),
)
def test_all_customers_are_counted_where_late_ones_are_not_all_that_differs(
    database: Any, what: str
) -> None:
    first, second, *_ = history(database)
    swept(database)
    of_the_first = f"consumer_id = '{first}' and created_at < '{BEGIN + 4 * DAY}'"
    late_customer(database, STRANGER if what == "joins" else first, BEGIN + 4.5 * DAY)
    edited = {
        "edited": "metrics_json || jsonb_build_object("
        "'total_customers', (metrics_json ->> 'total_customers')::int + 1)",
        "replaced": "jsonb_set(metrics_json, '{customers_by_status}', "
        "jsonb_build_object('ODD', metrics_json -> 'total_customers'))",
        "whole edited": "metrics_json || '{\"total_customers_all_consumers\": 7}'",
    }
    if what == "earlier":
        late_customer(database, first, BEGIN + 2.5 * DAY)
    elif what in ("gone", "moved", "changed"):
        change = {
            "gone": "delete from customers",
            "moved": f"update customers set consumer_id = '{second}'",
            "changed": "update customers set status = 'ANOTHER'",
        }[what]
        database.execute(
            f"{change} where customer_id = "
            f"(select customer_id from customers where {of_the_first} order by 1 limit 1)"
        )
    elif what in edited:
        whose = "is null" if what == "whole edited" else f"= '{first}'"
        database.execute(
            f"update consumer_analytics set metrics_json = {edited[what]} "
            f"where consumer_id {whose} and snapshot_timestamp = '{BEGIN + 8 * DAY}'"
        )
    assert swept_at(database, 4).snapshots_restated > 0
    is_right(database)


@pytest.mark.long
@pytest.mark.usefixtures("only_added")
def test_a_run_puts_late_customers_right_that_capture_noted(database: Any) -> None:
    first, second, *_ = history(database)
    with database.connect() as connection:
        capture.enable(connection, database.settings)
        before = figures(connection)
    late_customer(database, first, BEGIN + 3.5 * DAY)
    late(database, second, BEGIN + 3.5 * DAY, "customer_creation")
    assert go(database, END + DAY) > 0
    is_right(database)
    with database.connect() as connection:
        after = figures(connection)
    changed = {key for key, text in before.items() if after[key] != text}
    assert {consumer for consumer, _ in changed} == {first, second, None}
    assert min(at for _, at in changed) == BEGIN + 4 * DAY
    assert go(database, END + 2 * DAY) == 0


@pytest.mark.usefixtures("only_added")
@pytest.mark.parametrize(
    "told", lanes.first(1, [True, False]), ids=["with their creations", "by rows"]
)
def test_a_run_counts_theirs_alone_whose_late_customers_capture_noted(
    database: Any, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    first, second, *_ = history(database)
    swept(database)
    with database.connect() as connection:
        capture.enable(connection, database.settings)
        before = figures(connection)
    late_customer(database, first, BEGIN + 3.5 * DAY)
    late_customer(database, second, BEGIN + 5.5 * DAY, "BLOCKED")
    if told:
        born_by_events(database, BEGIN + 3.5 * DAY, BEGIN + 5.5 * DAY)
    with monkeypatch.context() as patched:
        # It counts all customers.
        patched.delattr(comparison, "differing")
        assert go(database, END + DAY) > 0
    is_right(database)
    with database.connect() as connection:
        after = figures(connection)
    changed = {key for key, text in before.items() if after[key] != text}
    assert {consumer for consumer, _ in changed} == {first, second, None}
    assert go(database, END + 2 * DAY) == 0


@pytest.mark.parametrize(
    "what", lanes.first(1, ["another's", "late end", "late change", "moved", "came later", "gone"])
)
def test_everybody_s_are_counted_where_more_was_noted_than_late_customers(
    database: Any, what: str
) -> None:
    """Also where the consumer that an event names is not whose customer it tells of."""
    first, second, *_ = history(database)
    swept(database)
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    late_customer(database, first, BEGIN + 4.5 * DAY)
    born_by_events(database, BEGIN + 4.5 * DAY)
    chosen = (
        f"(select customer_id from customers where consumer_id = '{second}' "
        f"and created_at < '{BEGIN + 3 * DAY}' order by 1 limit 1)"
    )
    if what == "moved":
        database.execute(
            f"update customers set consumer_id = '{first}' where customer_id = {chosen}"
        )
    elif what == "gone":
        database.execute(f"delete from customers where customer_id = {chosen}")
    elif what == "came later":
        database.execute(
            f"update customers set created_at = '{BEGIN + 6.5 * DAY}' where customer_id = {chosen}"
        )
    else:
        kind, payload = {
            "another's": ("customer_status_change", {"old_status": "ODD", "new_status": "ACTIVE"}),
            "late end": ("customer_deletion", {"status": "ODD"}),
            "late change": ("customer_status_change", {"old_status": "ODD", "new_status": "NEW"}),
        }[what]
        named = first if what == "another's" else second
        database.execute(
            "insert into customer_events "
            "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) values "
            f"(gen_random_uuid(), {chosen}, '{named}', '{kind}', '{json.dumps(payload)}', "
            f"'{BEGIN + 7.5 * DAY}')"
        )
        if what == "late end":
            database.execute(
                "delete from customers where customer_id in (select customer_id "
                f"from customer_events where created_at = '{BEGIN + 7.5 * DAY}')"
            )
    assert go(database, END + DAY) > 0
    is_right(database)
    assert go(database, END + 2 * DAY) == 0


@pytest.mark.parametrize("late_row", lanes.first(1, ["event", "customer"]))
def test_nothing_is_added_to_a_row_of_the_whole_system_that_somebody_edited(
    database: Any, late_row: str
) -> None:
    """It adds up, and no counts of one consumer contradict it: what was written does."""
    first, *_ = history(database)
    swept(database)
    database.execute(
        "update consumer_analytics set metrics_json = metrics_json || jsonb_build_object("
        "'total_events_all_consumers', (metrics_json ->> 'total_events_all_consumers')::int + 7, "
        "'events_by_type_all_consumers', "
        "metrics_json -> 'events_by_type_all_consumers' || '{\"odd\": 7}') "
        f"where consumer_id is null and snapshot_timestamp = '{BEGIN + 6 * DAY}'"
    )
    if late_row == "event":
        late(database, first, BEGIN + 3.5 * DAY)
    else:
        late_customer(database, first, BEGIN + 3.5 * DAY)
    swept(database)
    is_right(database)


@pytest.mark.usefixtures("only_added")
def test_a_run_adds_what_capture_noted(database: Any) -> None:
    first, *_ = history(database)
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    late(database, first, BEGIN + 3.5 * DAY)
    # With the whole system's, and not the one that the run writes.
    assert go(database, END + DAY) == 2 * 9
    is_right(database)
    assert go(database, END + 2 * DAY) == 0


@pytest.mark.parametrize("hours", lanes.first(1, [0, 5]))
def test_what_the_counts_do_not_prove_is_computed(database: Any, hours: int) -> None:
    """An instant within a day, a row that somebody edited, a lifecycle event, no consumer."""
    first, second, *_ = history(database, dt.timedelta(hours=hours))
    late(database, first, BEGIN + 2.5 * DAY)
    swept(database)
    is_right(database)
    database.execute(
        "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
        "'{events_by_type}', '{\"login\": 3}') || '{\"total_events\": 3}' "
        f"where consumer_id = '{second}' and snapshot_timestamp > '{BEGIN + 8 * DAY}'"
    )
    late(database, second, BEGIN + 3.5 * DAY)
    swept(database)
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []
    late(database, first, BEGIN + 5.5 * DAY, "customer_status_change")
    swept(database)
    database.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        f"values (gen_random_uuid(), 'login', '{BEGIN + 5.5 * DAY}')"
    )
    swept(database)
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []


@pytest.mark.parametrize("meanwhile", lanes.first(1, ["run", "again", "backfill", "another"]))
def test_what_waits_is_added_once(
    database: Any, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    first, *_ = history(database)
    late(database, first, BEGIN + 3.5 * DAY)
    with monkeypatch.context() as killed:
        killed.setattr(untold, "tell", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            swept(database)
    assert database.rows(WAITING) == [(1,)]
    if meanwhile == "run":
        go(database, END + DAY)
    elif meanwhile == "again":
        # It writes what is there already from counts that have it.
        go(database, BEGIN + 6 * DAY)
    elif meanwhile == "another":
        late(database, first, BEGIN + 3.6 * DAY)
        swept(database)
    else:
        request = backfill.request_of(
            (BEGIN + 4 * DAY).date(), (BEGIN + 8 * DAY).date(), "daily", consumers=[str(first)]
        )
        with database.connect("backfill", writes_sources=False) as connection:
            backfill.backfill(connection, database.settings, request)
    swept(database)
    is_right(database)


def test_a_late_row_looks_at_its_consumers_rows(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = history(database)
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    late(database, first, BEGIN + 3.5 * DAY)
    with database.connect() as connection:
        connection.execute(
            "analyze consumer_analytics, consumer_analytics_internal.event_days, customer_events"
        )
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        go(database, END + DAY)
    told = [
        scan
        for scan in plans.scans
        if scan.statement.startswith("etl/untold/") and scan.table == "consumer_analytics"
    ]
    # Nine snapshots since, of one consumer and of the whole system.
    assert 0 < sum(scan.rows for scan in told) <= 3 * 9 + 3, plans.told("consumer_analytics")


@pytest.mark.usefixtures("only_added")
def test_a_late_customer_changes_the_snapshots_of_its_consumer_alone(database: Any) -> None:
    first, second, *_ = history(database)
    swept(database)
    with database.connect() as connection:
        before = figures(connection)
    customer = "insert into customers (customer_id, consumer_id, status, created_at) values "
    born = BEGIN + 4.5 * DAY
    database.execute(f"{customer} (gen_random_uuid(), '{first}', 'ACTIVE', '{born}')")
    database.execute(f"{customer} (gen_random_uuid(), null, 'BLOCKED', '{born + DAY}')")
    late(database, second, BEGIN + 6.5 * DAY)

    found = swept(database)

    is_right(database)
    with database.connect() as connection:
        after = figures(connection)
    changed = {key for key, text in after.items() if before.get(key) != text}
    assert {consumer for consumer, _ in changed} == {first, second, None}
    assert (first, BEGIN + 4 * DAY) not in changed
    # Those of the second consumer have an event more; the whole system's were restated twice.
    assert found.snapshots_restated == len(changed) + 6


@pytest.mark.parametrize("what", lanes.first(1, ["joins", "goes", "is edited", "has none left"]))
def test_who_takes_more_than_its_customers_is_computed(database: Any, what: str) -> None:
    first, second, *_ = history(database)
    swept(database)
    born = BEGIN + 4.5 * DAY
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        f"values (gen_random_uuid(), '{first}', 'ACTIVE', '{born}')"
    )
    if what == "joins":
        # Registered before, with nothing yet.
        database.execute(
            f"insert into consumers (consumer_id, created_at) values ('{STRANGER}', '{born}')"
        )
    elif what == "goes":
        database.execute(
            f"insert into consumers (consumer_id, created_at) values ('{STRANGER}', '{born}')"
        )
        swept(database)
        database.execute(f"delete from consumers where consumer_id = '{STRANGER}'")
        database.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            f"values (gen_random_uuid(), '{second}', 'ACTIVE', '{born}')"
        )
    elif what == "is edited":
        database.execute(
            "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
            "'{incremental_stats,window_start}', '\"2025-03-01T00:00:00+00:00\"') "
            f"where consumer_id = '{first}' and snapshot_timestamp = '{BEGIN + 8 * DAY}'"
        )
    else:
        database.execute(f"delete from customers where consumer_id = '{second}'")
    swept(database)
    if what in {"joins", "goes"}:
        is_right(database)
    elif what == "is edited":
        with database.connect() as connection:
            found = audit.audit(connection, database.settings)
        assert found.differences <= 1
    else:
        with database.connect() as connection:
            assert audit.audit(connection, database.settings).differences == 0


def test_a_late_customer_at_a_snapshot_of_a_longer_window(database: Any) -> None:
    first, *_ = history(database)
    with database.connect("backfill", writes_sources=False) as connection:
        request = backfill.request_of((BEGIN - 3 * DAY).date(), (BEGIN + 2 * DAY).date(), "daily")
        backfill.backfill(connection, database.settings, request)
    born = BEGIN - 2.5 * DAY
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        f"values (gen_random_uuid(), '{first}', 'ACTIVE', '{born}')"
    )
    with database.connect("sweep", writes_sources=False) as connection:
        found = sweep.sweep(connection, database.settings, since=(BEGIN - 3 * DAY).date())
    assert found.snapshots_restated > 2 * 10
    is_right(database)


@pytest.mark.parametrize("edited", lanes.first(1, [False, True]))
def test_of_hours_those_of_its_own_day_alone_are_computed(
    database: Any, monkeypatch: pytest.MonkeyPatch, edited: bool
) -> None:
    """Of another day's instants the source tells what came before them."""
    first, second, *_ = history(database)
    request = backfill.request_of(
        (BEGIN + 2 * DAY).date(), (BEGIN + 6 * DAY).date(), "hourly", who="test"
    )
    with database.connect("backfill", writes_sources=False) as connection:
        backfill.backfill(connection, database.settings, request)
    late(database, first, BEGIN + 3.5 * DAY)
    late(database, second, BEGIN + 3.6 * DAY, "a new type")
    hour = BEGIN + 4.5 * DAY
    if edited:
        database.execute(
            "update consumer_analytics set metrics_json = "
            "jsonb_set(metrics_json, '{total_events}', '1000000') "
            "where consumer_id = %s and snapshot_timestamp = %s",
            [first, hour],
        )
    computed: list[dt.datetime] = []

    def noted(*arguments: Any, **options: Any) -> int:
        computed.extend(at for at, _ in arguments[3])
        return restate_window(*arguments, **options)

    monkeypatch.setattr(restate, "restate_window", noted)
    swept(database)
    is_right(database)
    # The day's last one was written by a run, and has the whole day in its window.
    own = [BEGIN + 3 * DAY + n * dt.timedelta(hours=1) for n in range(1, 24)]
    assert set(own) <= set(computed)
    assert (computed == own) is not edited
    assert edited is (hour in computed)
