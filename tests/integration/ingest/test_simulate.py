"""The simulated history: customers and their events agree, and it is always the same."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.conftest import Cli, Database
from tests.support import lanes, oracle, unfold
from tests.support.kill import kill_during

from consumer_analytics.db import schema
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import SourceError, UsageError
from consumer_analytics.etl import run
from consumer_analytics.ingest import simulate
from consumer_analytics.ingest.simulate import SimulationPlan, SimulationResult

UNTIL = dt.datetime(2025, 10, 1, tzinfo=dt.UTC)
SMALL = SimulationPlan(UNTIL, consumers=9, customers=600, events=6_000, days=40, seed=7)
COUNTS = (
    "select (select count(*) from consumers), (select count(*) from customers), "
    "(select count(*) from customer_events)"
)
DIGESTS = [
    "select md5(string_agg(r::text, ' ' order by consumer_id)) from consumers as r",
    "select md5(string_agg(r::text, ' ' order by customer_id)) from customers as r",
    "select md5(string_agg(r::text, ' ' order by event_id)) from customer_events as r",
]


def make(database: Database, plan: SimulationPlan = SMALL, **options: Any) -> SimulationResult:
    with connected(database.settings, "simulate", writes_sources=True) as connection:
        return simulate.simulate(connection, database.settings, plan, **options)


def digests(database: Database) -> list[str]:
    return [database.rows(statement)[0][0] for statement in DIGESTS]


# -- consistency, by a plain reading of all rows -------------------------------


class History:
    """All rows, read once and looked at in plain Python."""

    def __init__(self, database: Database) -> None:
        self.consumers = {row[0]: row for row in database.rows("table consumers")}
        self.customers = {
            row[0]: row[1:]
            for row in database.rows(
                "select customer_id, consumer_id, status, created_at, updated_at from customers"
            )
        }
        self.events = database.rows(
            "select event_id, customer_id, consumer_id, event_type, payload_json, created_at "
            "from customer_events order by created_at, event_id"
        )
        self.by_customer: dict[uuid.UUID, list[tuple[Any, ...]]] = defaultdict(list)
        for event in self.events:
            self.by_customer[event[1]].append(event)


def walk(events: list[tuple[Any, ...]]) -> tuple[list[str], list[dt.datetime], bool]:
    """Follow a customer's lifecycle events: statuses, when each began, whether it ended."""
    creations = [event for event in events if event[3] == "customer_creation"]
    deletions = [event for event in events if event[3] == "customer_deletion"]
    changes = [event for event in events if event[3] == "customer_status_change"]
    assert len(creations) == 1
    assert len(deletions) <= 1
    statuses, since = [creations[0][4]["status"]], [creations[0][5]]
    while changes:
        earliest = min(event[5] for event in changes)
        fitting = [
            event
            for event in changes
            if event[5] == earliest and event[4]["old_status"] == statuses[-1]
        ]
        # No moment holds two changes that could each come first.
        assert len(fitting) == 1, (statuses, changes)
        changes.remove(fitting[0])
        assert set(fitting[0][4]) == {"old_status", "new_status"}
        assert fitting[0][4]["new_status"] != statuses[-1]
        statuses.append(fitting[0][4]["new_status"])
        since.append(earliest)
    assert since == sorted(since)
    if deletions:
        assert deletions[0][4] == {"status": statuses[-1]}
        assert deletions[0][5] >= since[-1]
    return statuses, since, bool(deletions)


@pytest.mark.both_versions
@pytest.mark.parametrize("seed", [1, 2**32 - 1])
def test_customers_and_their_events_tell_the_same_story(database: Database, seed: int) -> None:
    plan = replace(SMALL, seed=seed)
    summary = make(database, plan)
    history = History(database)
    deleted = status_changes = 0
    for customer, events in history.by_customer.items():
        statuses, since, gone = walk(events)
        status_changes += len(statuses) - 1
        consumers = {event[2] for event in events}
        assert len(consumers) == 1
        begin, end = since[0], events[-1][5]
        for event in events:
            if event[3] not in oracle.LIFECYCLE:
                assert begin < event[5]
                assert not gone or event[5] < end
        if gone:
            deleted += 1
            assert customer not in history.customers
        else:
            assert history.customers[customer] == (*consumers, statuses[-1], begin, since[-1])
        (consumer,) = consumers
        assert history.consumers[consumer][3] <= begin
    assert set(history.customers) <= set(history.by_customer)
    assert len(history.by_customer) == plan.customers == summary.customers_created
    assert len(history.events) == plan.events == summary.events
    assert len(history.customers) == plan.customers - deleted == summary.customers
    assert (summary.customers_deleted, summary.status_changes) == (deleted, status_changes)
    assert len(history.consumers) == plan.consumers == summary.consumers
    assert all(plan.first <= event[5] < plan.until for event in history.events)
    assert all(plan.first <= row[3] < plan.until for row in history.consumers.values())


def test_it_holds_what_is_hard_to_count(database: Database) -> None:
    make(database)
    history = History(database)
    moments = Counter((event[1], event[5]) for event in history.events if event[4])
    kinds: dict[Any, list[str]] = defaultdict(list)
    for event in history.events:
        if moments[event[1], event[5]] > 1 and event[4]:
            kinds[event[1], event[5]].append(event[3].removeprefix("customer_"))
    # In the order of their ids, which is not the order in which they happened.
    found = Counter(map(tuple, kinds.values()))
    assert found["deletion", "status_change"] > 5
    assert found["status_change", "creation"] > 2
    assert found["status_change", "status_change"] > 2
    at_midnight = [event for event in history.events if event[5].time() == dt.time.min]
    assert len(at_midnight) > 20
    statuses = Counter(row[1] for row in history.customers.values())
    assert set(statuses) == {"ACTIVE", "INACTIVE", "BLOCKED", "PENDING_AML"}


def test_it_looks_like_life(database: Database) -> None:
    plan = SimulationPlan(
        UNTIL, consumers=50, customers=2_000, events=40_000, days=91, event_types=30
    )
    make(database, plan)
    history = History(database)
    ordinary = [event for event in history.events if event[3] not in oracle.LIFECYCLE]
    weekdays = Counter(event[5].weekday() for event in ordinary)
    assert max(weekdays[5], weekdays[6]) < 0.75 * min(weekdays[day] for day in range(5))
    hours = Counter(event[5].hour for event in ordinary)
    assert max(hours[hour] for hour in range(2, 5)) < 0.5 * min(
        hours[hour] for hour in range(10, 19)
    )
    thirds = Counter((event[5] - plan.first) * 3 // dt.timedelta(days=91) for event in ordinary)
    assert thirds[0] * 1.5 < thirds[1] < thirds[2]
    sizes = sorted(Counter(event[2] for event in ordinary).values())
    assert sizes[-1] > 10 * sizes[len(sizes) // 2]
    assert len(sizes) > 45
    types = Counter(event[3] for event in ordinary)
    assert len(types) == 30
    assert types["login"] > 20 * min(types.values())
    # Consumers join over time; many are there from the start.
    joined = [row[3] - plan.first for row in history.consumers.values()]
    assert sum(after < dt.timedelta(days=3) for after in joined) > 10
    assert sum(after > dt.timedelta(days=20) for after in joined) > 10


# -- the same rows, always -----------------------------------------------------


@pytest.mark.both_versions
def test_a_plan_gives_the_same_rows_on_every_server(database: Database) -> None:
    make(database)
    assert digests(database) == [
        "1a98fa7041ff4b78741287db202a0f0c",
        "456352997cb8a1ea5ea4d4ed48cf1376",
        "c89701b59bd624796aa323e528b4e908",
    ]


@pytest.mark.long
def test_slices_of_time_leave_no_seam(
    database: Database, new_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(database)
    monkeypatch.setattr(simulate, "_LOOKS_PER_EVENT", 1_000)
    for size in (977, 61):
        other = new_database()
        monkeypatch.setattr(simulate, "_SLICE_EVENTS", size)
        make(other)
        assert digests(other) == digests(database)


def test_seeds_differ_in_every_row(
    database: Database, new_database: Callable[..., Database]
) -> None:
    make(database)
    other = new_database()
    make(other, replace(SMALL, seed=8))
    assert all(
        mine != theirs for mine, theirs in zip(digests(database), digests(other), strict=True)
    )
    make(database, replace(SMALL, seed=8), append=True)
    assert database.rows(COUNTS)[0][0] == 18
    assert database.rows(COUNTS)[0][2] == 12_000


def test_every_source_table_may_be_as_users_have_it(
    new_database: Callable[..., Database], database: Database
) -> None:
    other = new_database(migrated=False, source_schema="the app")
    other.execute(
        """
        create schema "the app";
        create type public.mood as enum ('ACTIVE', 'INACTIVE', 'BLOCKED', 'PENDING_AML');
        create table "the app".consumers (plan text default 'free', consumer_id uuid primary key,
            name varchar(50), status text, created_at timestamp not null);
        create table "the app".customers (customer_id uuid primary key, consumer_id uuid,
            status public.mood, created_at timestamp not null, updated_at timestamp not null);
        create table "the app".customer_events (event_id uuid primary key, customer_id uuid,
            consumer_id uuid, event_type varchar(40), payload_json json, created_at timestamp);
        """
    )
    schema.migrate(other.settings)
    make(other)
    make(database)
    statement = "select event_id, payload_json::text, created_at::timestamp from {} order by 1"
    assert other.rows(statement.format('"the app".customer_events')) == database.rows(
        statement.format("customer_events")
    )
    other.execute('alter table "the app".customers drop column updated_at')
    with pytest.raises(SourceError, match="updated_at"):
        make(other, replace(SMALL, seed=8), append=True)


# -- what is refused -----------------------------------------------------------


def test_tables_with_rows_are_left_alone_unless_told(database: Database) -> None:
    database.execute("insert into customers (customer_id) values (gen_random_uuid())")
    with pytest.raises(UsageError, match=r"^public.customers has rows already; use --append"):
        make(database)
    assert database.rows(COUNTS) == [(0, 1, 0)]
    make(database, append=True)
    with pytest.raises(UsageError, match="a history of --seed 7 is there already"):
        make(database, replace(SMALL, events=9_000, consumers=3), append=True)
    assert database.rows(COUNTS)[0][2] == 6_000


def test_fewer_events_than_the_customers_histories_have(database: Database) -> None:
    with pytest.raises(UsageError, match="the 600 customers' own histories are 1") as caught:
        make(database, replace(SMALL, events=1_000))
    least = int(str(caught.value).split(" are ")[1].split()[0])
    assert database.rows(COUNTS) == [(0, 0, 0)]
    assert make(database, replace(SMALL, events=least)).events == least


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--consumers", "0"], "--consumers 0: it must be from 1 to 1000000"),
        (["--customers", "-1"], "--customers -1: it must be from 0 to 100000000"),
        (["--events", "-1"], "--events -1: it must be from 0 to 10000000000"),
        (["--days", "0"], "--days 0: it must be from 1 to 36500"),
        (["--seed", "4294967296"], "--seed 4294967296: it must be from 0 to 4294967295"),
        (["--event-types", "2001"], "--event-types 2001: it must be from 1 to 2000"),
        (
            ["--customers", "0"],
            (
                "--customers 0: 200,000 events would have nobody to happen to; "
                "give --customers 1 or more, or --events 0 too"
            ),
        ),
        (
            ["--until", "soon"],
            "'soon' is not a time; write it like 2025-11-03 or 2025-11-03T06:00:00Z",
        ),
        (
            ["--until", "1970-01-05", "--days", "5"],
            (
                "5 days until 1970-01-05T00:00:00+00:00: "
                "the history must lie between the years 1970 and 6000"
            ),
        ),
    ],
)
def test_options_that_cannot_be_used(cli: Cli, options: list[str], reason: str) -> None:
    result = cli("simulate", *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [f"error: {reason}"]


@pytest.mark.parametrize(
    "plan",
    lanes.first(
        2,
        [
            SimulationPlan(UNTIL, consumers=1, customers=0, events=0, days=1),
            SimulationPlan(UNTIL, consumers=40, customers=3, events=500, days=2),
            SimulationPlan(UNTIL, consumers=1, customers=1, events=20_000, days=1, event_types=1),
            SimulationPlan(
                UNTIL.replace(hour=7, microsecond=3), 5, 50, 3_000, days=800, event_types=500
            ),
        ],
    ),
    ids=["nothing", "few customers", "one of all", "many types"],
)
def test_odd_plans(database: Database, plan: SimulationPlan) -> None:
    make(database, plan)
    history = History(database)
    for events in history.by_customer.values():
        walk(events)
    assert len(history.events) == plan.events
    assert len(history.by_customer) == plan.customers
    assert all(plan.first <= event[5] < plan.until for event in history.events)


# -- all or nothing, and what runs make of it ----------------------------------


@pytest.mark.long
def test_killed_in_the_middle_nothing_is_left(database: Database) -> None:
    kill_during(database, "ingest/simulate/rows-events", "simulate", "--events", 2_000_000)
    assert database.rows(COUNTS) == [(0, 0, 0)]
    make(database)


def test_a_history_below_what_was_processed_is_counted_anew(database: Database) -> None:
    make(database, replace(SMALL, seed=8))
    with connected(database.settings, "run") as connection:
        run.run(connection, database.settings, at=UNTIL)
    summary = make(database, append=True)
    assert summary.touched_days > SMALL.days
    with connected(database.settings, "run") as connection:
        run.run(connection, database.settings, at=UNTIL + dt.timedelta(hours=1))
    with database.connect() as connection:
        sources = oracle.Sources(connection)
        for at in (UNTIL, UNTIL + dt.timedelta(hours=1)):
            assert oracle.without_window(oracle.stored(connection, at)) == oracle.without_window(
                oracle.snapshot(sources, at)
            )


def test_a_history_that_unfolds_ends_as_it_was_simulated(database: Database) -> None:
    make(database)
    whole = digests(database)
    history = History(database)
    with database.connect() as connection:
        unfold.stage(connection)
        assert database.rows(COUNTS) == [(0, 0, 0)]
        noon = UNTIL - dt.timedelta(days=11, hours=12)
        for at in (SMALL.first + dt.timedelta(days=1), UNTIL - dt.timedelta(days=20), noon):
            unfold.unfold(connection, at)
        # As it stood then, by hand.
        expected = {}
        for customer, events in history.by_customer.items():
            before = [event for event in events if event[5] < noon]
            if before:
                statuses, since, gone = walk(before)
                if not gone:
                    expected[customer] = (events[0][2], statuses[-1], since[0], since[-1])
        assert History(database).customers == expected
        assert all(event[5] < noon for event in History(database).events)
        unfold.unfold(connection, UNTIL)
    assert digests(database) == whole


# -- the command ---------------------------------------------------------------


def test_the_command_tells_what_it_made(cli: Cli, database: Database) -> None:
    result = cli("simulate", "--events", "30000", "--until", "2025-10-01")
    assert result.exit_code == 0
    assert "30,000 events of 5,000 customers" in result.stdout
    assert "from 2025-06-03 00:00:00 UTC until 2025-10-01 00:00:00 UTC, seed 1" in result.stdout
    assert "events/s" in result.stdout
    # As of a variable that is not set: nobody said "until today".
    result = cli("simulate", "--append", "--seed", "2", "--until", "")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: '' is not a time")
    result = cli("simulate")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: public.consumers has rows already")
    # The planner knows what it has to deal with.
    assert database.rows(
        "select count(*) from pg_stats where tablename = 'customer_events' and attname = 'event_id'"
    ) == [(1,)]


def test_the_command_reports_as_json(cli: Cli) -> None:
    arguments = ("--customers", "100", "--events", "3000", "--days", "10", "--consumers", "4")
    report = cli("simulate", *arguments, "--seed", "5", "--json").json
    assert report["events"] == 3000
    assert report["consumers"] == 4
    assert report["customers"] + report["customers_deleted"] == report["customers_created"] == 100
    until = dt.datetime.fromisoformat(report["until"])
    assert until == dt.datetime.combine(dt.datetime.now(dt.UTC).date(), dt.time.min, tzinfo=dt.UTC)
    assert until - dt.datetime.fromisoformat(report["first"]) == dt.timedelta(days=10)
