"""Capture: late, changed and deleted rows of any age are right after the very next run."""

from __future__ import annotations

import datetime as dt
import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel, sql
from tests.integration.reconcile.test_sweep import BEGIN, DAY, END, go, history, swept, tamper
from tests.support import lanes
from tests.support.checks import figures, wrong_snapshots

from consumer_analytics.db.connection import connected
from consumer_analytics.errors import BusyError, SourceError
from consumer_analytics.etl import capture, extract, load, run, vanished
from consumer_analytics.reconcile import audit
from consumer_analytics.sql import query

TENANT = uuid.UUID(int=1)
LATE = (
    "insert into customer_events (event_id, consumer_id, event_type, created_at) "
    "values (gen_random_uuid(), %s, 'late', %s)"
)


def enable(database: Any) -> None:
    with database.connect("capture") as connection:
        capture.enable(connection, database.settings)


def now(database: Any, **changes: Any) -> dict[str, Any]:
    """Run up to this moment, waiting for nobody."""
    settings = database.settings.replaced({"holdback_wait": 0, **changes})
    with connected(settings, "run") as connection:
        return run.run(connection, settings).as_json()


@contextmanager
def application(database: Any, isolation: IsolationLevel | None = None) -> Iterator[Any]:
    """Return a session of the application's, in a transaction of its own making."""
    with psycopg.connect(database.url) as connection:
        connection.isolation_level = isolation
        yield connection


def wrong(database: Any) -> list[Any]:
    with database.session("look") as connection:
        return wrong_snapshots(connection)


def notes(database: Any) -> tuple[int, int]:
    with database.connect() as connection:
        found = capture.status(connection, database.settings)
    return found.day_notes, found.customer_notes


def is_enabled(database: Any) -> bool:
    with database.connect() as connection:
        return capture.is_enabled(connection)


def events_of(document: dict[str, Any] | None) -> dict[str, Any]:
    """Return the figures of events, of a snapshot's row."""
    return {key: value for key, value in (document or {}).items() if "event" in key}


@pytest.mark.parametrize("seed", lanes.first(1, range(3)))
@pytest.mark.both_versions
def test_the_next_run_repairs_rows_of_any_age(database: Any, seed: int) -> None:
    rng = history(database, 40 + seed)
    enable(database)
    with database.connect() as connection:
        reported = figures(connection)
        tamper(connection, rng, BEGIN)
    assert wrong(database) != []
    go(database, END + DAY)
    assert notes(database) == (0, 0)
    # What was taken out has vanished, until somebody says that it never was; a customer's row that
    # went without an event ended its life when it went.
    swept(database, accepted=vanished.EVERYTHING)
    assert [one for one in wrong(database) if events_of(one[2]) != events_of(one[3])] == []
    first = database.rows(
        "select consumer_id, snapshot_timestamp, metrics_json::text "
        "from consumer_analytics_as_reported"
    )
    told = {(consumer, at): text for consumer, at, text in first}
    assert {key: told[key] for key in reported} == reported


@pytest.mark.parametrize("column_type", lanes.first(1, ["timestamp", "timestamptz"]))
def test_times_without_a_zone_are_utc_whatever_the_session_s_zone(
    database: Any, column_type: str
) -> None:
    for table in ("consumers", "customers", "customer_events"):
        database.execute(f"alter table {table} alter column created_at type {column_type}")
    history(database, 50)
    enable(database)
    with application(database) as session:
        # Ahead of UTC by more than half a day.
        session.execute("set timezone = 'Pacific/Kiritimati'")
        at = (END - DAY - dt.timedelta(minutes=1)).replace(tzinfo=None)
        zone = "" if column_type == "timestamp" else "at time zone 'UTC'"
        session.execute(
            "insert into customer_events (event_id, event_type, created_at) "
            f"values (gen_random_uuid(), 'late', %s::timestamp {zone})",
            [at],
        )
    assert database.rows("select day from consumer_analytics_internal.touched_days") == [
        (at.date(),)
    ]
    go(database, END + DAY)
    assert wrong(database) == []


@pytest.mark.both_versions
def test_ordinary_rows_leave_no_note(database: Any) -> None:
    history(database)
    enable(database)
    customer = uuid.UUID(int=3)
    with application(database) as session:
        session.execute(
            "insert into consumers (consumer_id, created_at) values (%s, now())", [TENANT]
        )
        session.execute(
            "insert into customers values (%s, %s, 'ACTIVE', now(), now())", [customer, TENANT]
        )
        session.execute(
            "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
            "payload_json) values (gen_random_uuid(), %s, %s, 'customer_creation', "
            '\'{"status": "ACTIVE"}\')',
            [customer, TENANT],
        )
        session.execute(
            "update customers set status = 'BLOCKED' where customer_id = %s", [customer]
        )
        session.execute("update customers set updated_at = now() where created_at < %s", [END])
        session.execute("update consumers set name = 'renamed'")
    assert notes(database) == (0, 0)


@pytest.mark.parametrize("event_first", lanes.first(1, [True, False]))
def test_an_ordinary_change_of_a_customer_restates_nothing(
    database: Any, event_first: bool
) -> None:
    history(database, 52)
    enable(database)
    rows = database.rows("select customer_id, consumer_id, status from customers order by 1")
    changes: list[list[tuple[str, list[Any]]]] = []
    for number, (customer, tenant, status) in enumerate(rows):
        gone = number % 3 == 0
        payload = {"status": status} if gone else {"old_status": status, "new_status": "NEW"}
        changes.append(
            [
                (
                    "insert into customer_events values (gen_random_uuid(), %s, %s, %s, %s, now())",
                    [
                        customer,
                        tenant,
                        "customer_deletion" if gone else "customer_status_change",
                        json.dumps(payload),
                    ],
                ),
                (
                    "delete from customers where customer_id = %s"
                    if gone
                    else "update customers set status = 'NEW' where customer_id = %s",
                    [customer],
                ),
            ]
        )
    with application(database) as session:
        for pair in changes:
            for statement, values in pair if event_first else reversed(pair):
                session.execute(statement, values)
    assert notes(database)[1] == len(rows)
    with database.connect("run", writes_sources=False) as connection:
        # Opening a run looks closer, and finds nothing to count again.
        run.open_run(connection, database.settings, at=None, run_key="ordinary")
    assert notes(database) == (0, 0)
    assert now(database)["snapshots_restated"] == 0
    assert notes(database) == (0, 0)
    assert database.rows("select count(*) from consumer_analytics_revisions") == [(0,)]
    assert wrong(database) == []


@pytest.mark.parametrize(
    "correction",
    lanes.first(
        2,
        [
            "update customers set status = 'FIXED' where customer_id = %s",
            "delete from customers where customer_id = %s",
            "update customers set created_at = created_at + '1 day' where customer_id = %s",
            "delete from customer_events where event_type like '%%change' and customer_id = %s",
        ],
    ),
)
@pytest.mark.both_versions
def test_a_correction_that_no_event_tells_of_is_repaired(database: Any, correction: str) -> None:
    history(database)
    enable(database)
    ((customer,),) = database.rows(
        "select customer_id from customers join customer_events using (customer_id) "
        "where event_type = 'customer_status_change' order by customers.created_at limit 1"
    )
    with database.connect() as connection:
        reported = figures(connection)
    database.execute(correction, [customer])
    assert wrong(database) != []
    go(database, END + DAY)
    if correction.startswith("delete from customers"):
        # Its life ended when the row went, which is later than all that was reported.
        with database.connect() as connection:
            assert reported.items() <= figures(connection).items()
        return
    if "customer_events" in correction:
        # What is taken out has vanished, until somebody says that it never was.
        swept(database, accepted=vanished.EVERYTHING)
    assert wrong(database) == []


@pytest.mark.parametrize(
    ("was", "becomes"),
    lanes.first(
        1,
        [
            (None, f"'{BEGIN + 4 * DAY}'"),
            ("infinity", "null"),
            (None, "'infinity'"),
            (BEGIN + 4 * DAY, "null"),
        ],
    ),
)
def test_a_time_that_comes_to_a_row_or_goes_is_repaired(
    database: Any, was: Any, becomes: str
) -> None:
    """A row without one was born when its creation event says: its change may concern any day."""
    untimed(database, was)
    enable(database)
    database.execute(f"update customers set created_at = {becomes} where status = 'UNTIMED'")
    assert wrong(database) != []
    go(database, END + DAY)
    assert wrong(database) == []


@pytest.mark.parametrize(
    "change", lanes.first(0, ["status = 'FIXED'", "consumer_id = gen_random_uuid()"], long=1)
)
def test_a_correction_of_a_row_without_a_time_is_repaired(database: Any, change: str) -> None:
    untimed(database, None)
    enable(database)
    database.execute(f"update customers set {change} where status = 'UNTIMED'")
    assert wrong(database) != []
    go(database, END + DAY)
    assert wrong(database) == []


@pytest.mark.long
def test_an_ordinary_change_of_a_row_without_a_time_restates_nothing(database: Any) -> None:
    untimed(database, None)
    enable(database)
    with application(database) as session:
        session.execute("update customers set status = 'NEW' where status = 'UNTIMED'")
        session.execute(
            "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
            "payload_json, created_at) select gen_random_uuid(), customer_id, consumer_id, "
            "'customer_status_change', "
            """'{"old_status": "UNTIMED", "new_status": "NEW"}', now() """
            "from customers where status = 'NEW'"
        )
    assert now(database)["snapshots_restated"] == 0
    assert wrong(database) == []


def untimed(database: Any, created: Any) -> None:
    """Let a customer be told of by its creation event, whatever its row says, and be reported."""
    history(database)
    database.execute("alter table customers alter created_at drop not null")
    database.execute(
        "with born as (insert into customers (customer_id, consumer_id, status, created_at) "
        "values (gen_random_uuid(), %s, 'UNTIMED', %s) returning customer_id, consumer_id) "
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
        "payload_json, created_at) select gen_random_uuid(), customer_id, consumer_id, "
        """'customer_creation', '{"status": "UNTIMED"}', %s from born""",
        [TENANT, created, BEGIN + 2 * DAY],
    )
    swept(database, since=BEGIN.date())
    assert wrong(database) == []


def test_a_deletion_without_a_status_is_held_to_the_life_that_it_ended(database: Any) -> None:
    """And not to the one before, which ended as this one was reported."""
    customer = uuid.UUID(int=3)
    tell = (
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
        "payload_json, created_at) values (gen_random_uuid(), %s, %s, %s, %s, %s)"
    )
    for number, (kind, status) in enumerate(
        (("creation", "BLOCKED"), ("deletion", "BLOCKED"), ("creation", "ACTIVE"))
    ):
        told = json.dumps({"status": status})
        at = BEGIN + number * DAY
        database.execute(tell, [customer, TENANT, f"customer_{kind}", told, at])
    database.execute(
        "insert into customers values (%s, %s, 'BLOCKED', %s)", [customer, TENANT, BEGIN + 2 * DAY]
    )
    go(database, END)
    enable(database)
    with application(database) as session:
        session.execute("update customers set status = 'ACTIVE'")
        session.execute("delete from customers")
        (at,) = session.execute("select now()").fetchone()
        session.execute(tell, [customer, TENANT, "customer_deletion", "{}", at])
    now(database)
    assert wrong(database) == []


def test_a_truncated_table_is_counted_again_wholly(database: Any) -> None:
    history(database)
    enable(database)
    with database.connect() as connection:
        kept = connection.execute("select * from customer_events").fetchall()
        with connection.transaction():
            connection.execute("truncate customer_events")
            with connection.cursor() as cursor:
                cursor.executemany(
                    "insert into customer_events values (%s, %s, %s, %s, %s, %s)",
                    [(*row[:4], json.dumps(row[4]), row[5]) for row in kept[len(kept) // 4 :]],
                )
    go(database, END + DAY)
    # Nobody said that what is gone never was.
    swept(database, accepted=vanished.EVERYTHING)
    assert wrong(database) == []


def _in_parts(database: Any) -> None:
    database.execute(
        "drop table customers; "
        "create table customers (customer_id uuid, consumer_id uuid, status text, "
        "created_at timestamptz, primary key (customer_id, consumer_id)) "
        "partition by list (consumer_id); "
        f"create table customers_of_one partition of customers for values in ('{TENANT}'); "
        "create table customers_of_others partition of customers default"
    )


@pytest.mark.parametrize(
    ("how", "is_in_parts"),
    lanes.each_once(
        ["delete from customers", "truncate customers"],
        [pytest.param(False, id="a table"), pytest.param(True, id="partitions")],
    ),
)
def test_customers_that_were_truncated_were_there_until_then(
    database: Any, how: str, is_in_parts: bool
) -> None:
    if is_in_parts:
        _in_parts(database)
    other = uuid.UUID(int=2)
    came = "insert into customers (customer_id, consumer_id, status, created_at) "
    for consumer in (TENANT, other):
        database.execute(
            "insert into consumers (consumer_id, name, created_at) values (%s, 'one', %s)",
            [consumer, BEGIN],
        )
        database.execute(
            f"{came} select gen_random_uuid(), %s, status, %s from "
            "unnest(array['ACTIVE', null, 'BLOCKED']) as status",
            [consumer, BEGIN + DAY],
        )
    for day in (1, 2, 3):
        go(database, BEGIN + day * DAY)
    enable(database)
    database.execute(how)
    # Its past must not follow the one that comes again.
    database.execute(
        f"{came} values (gen_random_uuid(), %s, 'ACTIVE', %s)", [TENANT, BEGIN + 1.5 * DAY]
    )
    now(database)
    assert [
        (document["total_customers"], document["active_customers"])
        for (document,) in database.rows(
            "select metrics_json from consumer_analytics where consumer_id is not null "
            "order by snapshot_timestamp, consumer_id"
        )
    ] == [(0, 0)] * 2 + [(4, 2), (3, 1)] * 2 + [(1, 1), (0, 0)]
    with database.session("audit") as connection:
        assert audit.audit(connection, database.settings).listed == []


# -- writers that race with a run ----------------------------------------------


@pytest.mark.long
@pytest.mark.both_versions
def test_a_transaction_that_reads_an_old_snapshot_sees_the_new_threshold(database: Any) -> None:
    enable(database)
    now(database)
    time.sleep(0.3)
    with application(database, IsolationLevel.REPEATABLE_READ) as session:
        began = session.execute("select now()").fetchone()
        time.sleep(0.3)
        # The run goes up to the transaction's start and publishes that.
        now(database)
        session.execute(LATE, [TENANT, began[0] - dt.timedelta(milliseconds=100)])
    now(database)
    assert wrong(database) == []


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.both_versions
def test_a_writer_that_was_before_the_threshold_is_made_good_when_it_ends(
    database: Any, prepared: bool
) -> None:
    enable(database)
    now(database)
    time.sleep(0.3)
    with application(database) as session:
        began = session.execute("select now()").fetchone()
        session.execute(LATE, [TENANT, began[0] - dt.timedelta(milliseconds=100)])
        session.execute("savepoint a")
        session.execute(LATE, [None, began[0] - dt.timedelta(milliseconds=110)])
        assert notes(database) == (0, 0)
        now(database)
        assert wrong(database) == []
        if prepared:
            session.execute("prepare transaction 'capture'")
    if prepared:
        now(database)
        database.execute("commit prepared 'capture'")
    now(database)
    assert wrong(database) == []
    assert database.rows("select count(*) from consumer_analytics_internal.capture_unsure") == [
        (0,)
    ]


@pytest.mark.parametrize("case", lanes.first(2, ["a known day", "a day noted before", "a new day"]))
def test_a_row_that_comes_between_extract_and_load_is_not_forgotten(
    database: Any, case: str
) -> None:
    history(database)
    enable(database)
    late = END - DAY + dt.timedelta(hours=1)
    if case == "a day noted before":
        database.execute(LATE, [TENANT, late])
    if case == "a new day":
        # Below the instant that the run goes up to, above the one before.
        late = END + DAY + dt.timedelta(hours=1)
    with database.connect("run", writes_sources=False) as connection:
        opened = run.open_run(connection, database.settings, at=END + 2 * DAY)
        extract.customers(connection, database.settings, opened)
        extract.events(connection, database.settings, opened)
        database.execute(LATE, [TENANT, late])
        load.load(connection, database.settings, opened)
    go(database, END + 3 * DAY)
    assert wrong(database) == []
    assert notes(database) == (0, 0)


def test_enabling_in_the_middle_of_a_run_loses_nothing(database: Any) -> None:
    history(database)
    with database.connect("run", writes_sources=False) as connection:
        opened = run.open_run(connection, database.settings, at=END + 2 * DAY)
        extract.customers(connection, database.settings, opened)
        extract.events(connection, database.settings, opened)
        enable(database)
        database.execute(LATE, [TENANT, END + DAY])
        load.load(connection, database.settings, opened)
    go(database, END + 3 * DAY)
    assert wrong(database) == []


def test_enabling_in_the_middle_of_the_first_run_loses_nothing(database: Any) -> None:
    """Nothing was counted before it, and no writer knew how far it would go."""
    database.execute(LATE, [TENANT, BEGIN])
    with database.connect("run", writes_sources=False) as connection:
        opened = run.open_run(connection, database.settings, at=END)
        extract.customers(connection, database.settings, opened)
        extract.events(connection, database.settings, opened)
        enable(database)
        database.execute(LATE, [TENANT, BEGIN - DAY])
        load.load(connection, database.settings, opened)
    assert database.rows("select day::text from consumer_analytics_internal.touched_days") == [
        ("-infinity",)
    ]
    go(database, END + DAY)
    assert wrong(database) == []


def test_a_change_that_comes_between_extract_and_load_is_no_loss(database: Any) -> None:
    """Of a day that the run is the first to count: it has read before the change was noted."""
    history(database)
    enable(database)
    young = END + DAY + dt.timedelta(hours=1)
    database.execute(LATE, [TENANT, young])
    with database.connect("run", writes_sources=False) as connection:
        opened = run.open_run(connection, database.settings, at=END + 2 * DAY)
        extract.customers(connection, database.settings, opened)
        extract.events(connection, database.settings, opened)
        database.execute(
            "update customer_events set created_at = %s where created_at = %s",
            [END + dt.timedelta(hours=1), young],
        )
        load.load(connection, database.settings, opened)
    go(database, END + 3 * DAY)
    with database.connect() as connection:
        assert vanished.total(connection) == 0
    assert wrong(database) == []


def test_who_writes_other_tables_is_not_waited_for(database: Any) -> None:
    history(database)
    enable(database)
    database.execute("create table of_the_application (n int)")
    with application(database) as session:
        session.execute("insert into of_the_application values (1)")
        now(database)
    with database.connect() as connection:
        assert capture.status(connection, database.settings).unsure_writers == 0


class LateWriter(threading.Thread):
    """Writes rows stamped about where the runs are, in transactions of every length and level.

    The runs go through the past, a day each: nothing holds them back, and a note of one
    day takes in no other.
    """

    def __init__(self, database: Any, number: int, runs: list[dt.datetime]) -> None:
        super().__init__(daemon=True)
        self.database, self.runs = database, runs
        self.rng = random.Random(number)
        self.over = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                with psycopg.connect(self.database.url) as session:
                    session.isolation_level = self.rng.choice(
                        [IsolationLevel.READ_COMMITTED, IsolationLevel.REPEATABLE_READ]
                    )
                    try:
                        self._transaction(session)
                    except psycopg.errors.SerializationFailure:
                        session.rollback()
        except Exception as error:  # noqa: BLE001  # shown by the test
            self.failure = error

    def _transaction(self, session: Any) -> None:
        session.execute("select 1")
        for _ in range(self.rng.choice([1, 1, 2])):
            time.sleep(self.rng.choice([0, 0.01, 0.1, 0.3]))
            stamp = self.runs[-1] + DAY * self.rng.uniform(-0.5, 1.5)
            session.execute(LATE, [self.rng.choice([TENANT, None]), stamp])
            if self.rng.random() < 0.2:
                session.execute(
                    "insert into customers values (gen_random_uuid(), %s, 'ACTIVE', %s, %s)",
                    [TENANT, stamp, stamp],
                )
            if self.rng.random() < 0.1:
                session.execute(
                    "delete from customer_events where event_id = "
                    "(select event_id from customer_events where event_type = 'late' "
                    "order by random() limit 1 for update skip locked)"
                )
        time.sleep(self.rng.choice([0.02, 0.1, 0.5]))
        if self.rng.random() < 0.1:
            session.rollback()


def race(database: Any, seconds: float) -> None:
    """Let writers of late rows and runs chase each other; then one more run."""
    # Stays the oldest one.
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'first', %s)",
        [TENANT, BEGIN - DAY],
    )
    enable(database)
    runs = [BEGIN]
    writers = [LateWriter(database, number, runs) for number in range(6)]
    for writer in writers:
        writer.start()
    over = time.monotonic() + seconds
    settings = database.settings.replaced({"holdback_wait": 0.05})
    with connected(settings, "runs") as connection:
        while time.monotonic() < over:
            run.run(connection, settings, at=runs[-1] + DAY)
            runs.append(runs[-1] + DAY)
        for writer in writers:
            writer.over.set()
        for writer in writers:
            writer.join()
            assert writer.failure is None
        run.run(connection, settings, at=runs[-1] + 3 * DAY)


@pytest.mark.long
@pytest.mark.both_versions
def test_late_rows_that_race_with_runs_are_all_counted(database: Any) -> None:
    race(database, 4)
    # What was taken out stays counted until it is accepted; then nothing is counted twice either.
    swept(database, accepted=vanished.EVERYTHING)
    assert wrong(database) == []


def test_without_publishing_first_such_a_row_is_lost(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests above are able to fail: here the threshold moves with the load, as is simplest.
    monkeypatch.setattr(capture, "publish", lambda *_: None)
    monkeypatch.setattr(
        capture,
        "catch_up",
        lambda connection, _, until: connection.execute(
            query("etl/capture/publish"), {"until": until}
        ),
    )
    history(database)
    enable(database)
    with application(database) as session:
        session.execute(LATE, [TENANT, END + DAY])
        go(database, END + 2 * DAY)
    go(database, END + 3 * DAY)
    assert wrong(database) != []


# -- switching it on and off ---------------------------------------------------


def test_the_application_needs_no_grant_of_ours(database: Any) -> None:
    history(database)
    enable(database)
    role = f"app_{uuid.uuid4().hex[:8]}"
    name = sql.Identifier(role)
    with database.connect_admin() as admin:
        admin.execute(sql.SQL("create role {}").format(name))
        try:
            admin.execute(
                sql.SQL("grant insert, update, delete, select on customer_events to {}").format(
                    name
                )
            )
            with admin.transaction():
                admin.execute(sql.SQL("set local role {}").format(name))
                # Nor can it put its own functions before ours.
                admin.execute("set local search_path = pg_temp, public")
                admin.execute(LATE, [TENANT, BEGIN + DAY])
                admin.execute(
                    "update customer_events set event_type = 'other' where event_type = 'late'"
                )
            assert admin.execute(
                "select count(*) > 0 from consumer_analytics_internal.touched_days"
            ).fetchone() == (True,)
        finally:
            admin.execute(sql.SQL("drop owned by {}").format(name))
            admin.execute(sql.SQL("drop role {}").format(name))


def test_enable_disable_and_status_tell_where_it_stands(database: Any, cli: Any) -> None:
    assert cli("capture", "status", "--json").json["state"] == "off"
    assert not is_enabled(database)
    enabled = cli("capture", "enable", "--json").json
    assert (enabled["state"], enabled["threshold"]) == ("on", None)
    assert is_enabled(database)
    go(database, END)
    known = cli("capture", "status", "--json").json["threshold"]
    assert dt.datetime.fromisoformat(known) == END
    assert cli("capture", "enable", "--json").json["state"] == "on"
    database.execute("drop trigger consumer_analytics_capture_update on customers")
    database.execute(
        "alter table customer_events disable trigger consumer_analytics_capture_insert"
    )
    told = cli("capture", "status")
    assert "incomplete" in told.stdout
    assert "customers.consumer_analytics_capture_update" in told.stderr
    assert "customer_events.consumer_analytics_capture_insert" in told.stderr
    assert cli("capture", "enable", "--json").json["missing_triggers"] == []
    assert cli("capture", "disable", "--json").json["state"] == "off"
    assert not is_enabled(database)
    assert database.rows("select count(*) from pg_trigger where tgname like '%capture%'") == [(0,)]


def test_enabling_does_not_wait_long_for_a_writer(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_DDL_SECONDS", 0.1)
    with application(database) as session:
        session.execute(LATE, [TENANT, BEGIN])
        with pytest.raises(BusyError, match="capture was not enabled"):
            enable(database)
    assert database.rows("select count(*) from pg_trigger where tgname like '%capture%'") == [(0,)]


def test_where_taking_it_back_fails_too_the_first_failure_is_told(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any) -> None:
        raise BusyError("not now either")

    monkeypatch.setattr(capture, "_DDL_SECONDS", 0.1)
    monkeypatch.setattr(capture, "_switch_off", busy)
    with application(database) as session:
        session.execute(LATE, [TENANT, BEGIN])
        with pytest.raises(BusyError, match="capture was not enabled"):
            enable(database)


def test_a_view_cannot_be_watched_and_the_error_says_so(database: Any) -> None:
    database.execute(
        "alter table customers rename to people; create view customers as select * from people"
    )
    with pytest.raises(SourceError, match="customers is no table"):
        enable(database)
