"""What runs and backfills look at, in rows, and what they lock: never seconds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.conftest import Database
from tests.support import lanes
from tests.support.plans import Plans

from consumer_analytics import backfill
from consumer_analytics.backfill import columns, reading, writing
from consumer_analytics.db.connection import connected
from consumer_analytics.etl import capture, extract, load, run
from consumer_analytics.ingest import simulate
from consumer_analytics.reconcile import audit, sweep

UNTIL = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
DAYS = 90
IN_THE_DAY = f"created_at >= '{UNTIL - DAY}' and created_at < '{UNTIL}'"


#: These read some events only, wherever they are.
SAMPLES = ("backfill/types", "backfill/statuses")


def simulated(database: Database) -> None:
    """Fill the sources with a history whose last day is a small part of it."""
    plan = simulate.SimulationPlan(UNTIL, consumers=20, customers=2_000, events=60_000, days=DAYS)
    with connected(database.settings, "simulate", writes_sources=True) as connection:
        simulate.simulate(connection, database.settings, plan)
        connection.execute("vacuum analyze consumers, customers, customer_events")


def go(database: Database, at: dt.datetime) -> dict[str, Any]:
    """Run the ETL as of an instant."""
    with connected(database.settings, "run") as connection:
        return run.run(connection, database.settings, at=at).as_json()


def fill(database: Database, days: int) -> backfill.BackfillResult:
    """Backfill the last days."""
    request = backfill.request_of((UNTIL - days * DAY).date(), UNTIL.date(), "daily")
    with connected(database.settings, "backfill") as connection:
        return backfill.backfill(connection, database.settings, request)


def counted(database: Database, table: str, where: str = "true") -> int:
    """Count a table's rows."""
    found: int = database.rows(f"select count(*) from {table} where {where}")[0][0]
    return found


@pytest.mark.both_versions
def test_a_days_run_looks_at_the_days_rows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(database)
    go(database, UNTIL - DAY)
    new, all_of_them = counted(database, "customer_events", IN_THE_DAY), 60_000
    assert 0 < new < all_of_them / 20
    with database.connect() as connection:
        connection.execute(
            "analyze consumer_analytics, consumer_analytics_internal.event_days, "
            "consumer_analytics_internal.event_totals"
        )
    pairs = counted(database, "consumer_analytics_internal.event_totals")
    days = counted(database, "consumer_analytics_internal.event_days")
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        go(database, UNTIL)
    hot = {
        "etl/events/extract",
        "etl/customers/present-apart",
        "etl/customers/extract",
        "etl/apply/events-fold",
        "etl/figures/customers",
        "etl/apply/snapshots-insert-new",
    }
    assert hot <= set(plans.explained)

    # The window's events once; the source's oldest one each time where the job stands is read.
    # Once to count them, once for the lives that ended.
    assert plans.rows("customer_events") <= 2 * new + 10, plans.told("customer_events")
    assert all("Index" in scan.kind for scan in plans.of("customer_events")), plans.told(
        "customer_events"
    )
    # Customers: one pass, and a look for each that came in the day.
    born = counted(
        database, "customer_events", f"{IN_THE_DAY} and event_type = 'customer_creation'"
    )
    assert plans.rows("customers") <= counted(database, "customers") + born, plans.told("customers")
    # Counts by day: not those of days gone by.
    assert plans.rows("event_days") < days / 20, plans.told("event_days")
    # Totals: some passes over consumers and types, whatever the history's length.
    assert plans.rows("event_totals") <= 10 * pairs, plans.told("event_totals")


@pytest.mark.parametrize("indexed", lanes.first(1, [True, False]))
def test_a_deletion_costs_a_run_the_events_of_its_customer_at_most(
    database: Database, monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    """Without an index they wait for the sweep, which reads all events, once for all of them."""
    simulated(database)
    # The last day has not happened yet.
    database.execute(
        f"create table to_come as select * from customer_events where {IN_THE_DAY}; "
        f"delete from customer_events where {IN_THE_DAY}"
    )
    go(database, UNTIL - DAY)
    database.execute("insert into customer_events select * from to_come; analyze customer_events")
    if not indexed:
        database.execute("drop index customer_events_customer_idx")
    new = counted(database, "to_come")
    gone = counted(database, "to_come", "event_type = 'customer_deletion'")
    assert gone > 1
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        go(database, UNTIL)
    assert plans.rows("customer_events") <= 3 * new + 50 * gone, plans.told("customer_events")
    unknown = "born_from is null"
    remembered = "consumer_analytics_internal.deleted_customers"
    assert counted(database, remembered, unknown) == (0 if indexed else gone)
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        with connected(database.settings, "sweep") as connection:
            sweep.sweep(connection, database.settings, days=1)
            whole = [scan for scan in plans.of("customer_events") if scan.rows >= 60_000]
            assert len(whole) == (0 if indexed else 1), plans.told("customer_events")
    assert counted(database, remembered, unknown) == 0
    with connected(database.settings, "audit") as connection:
        assert audit.audit(connection, database.settings).clean


@pytest.mark.long
def test_snapshots_that_are_there_cost_a_run_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(database)
    go(database, UNTIL - DAY)
    with database.connect() as connection:
        connection.execute(
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "select consumer_id, at, '{}' "
            "from (select consumer_id from consumers union all select null) as owners "
            "cross join generate_series(timestamptz '2024-01-01', '2024-07-01', '15 minutes') as at"
        )
        connection.execute("vacuum analyze consumer_analytics")
    there = counted(database, "consumer_analytics")
    assert there > 50_000
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        go(database, UNTIL)
    # It looks for its own instant, consumer by consumer.
    assert plans.rows("consumer_analytics") < there / 20, plans.told("consumer_analytics")


def audited(database: Database, **options: Any) -> audit.AuditResult:
    """Audit, which finds nothing."""
    with connected(database.settings, "audit") as connection:
        found = audit.audit(connection, database.settings, **options)
    assert found.clean
    return found


def test_an_audit_since_the_last_looks_at_what_is_new_and_at_all_snapshots(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(database)
    go(database, UNTIL)
    fill(database, DAYS)
    with connected(database.settings, "capture") as connection:
        capture.enable(connection, database.settings)
        connection.execute("vacuum analyze consumer_analytics")
    audited(database)
    new = 600
    with database.connect() as connection:
        connection.execute(
            "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
            "payload_json, created_at) select gen_random_uuid(), customer_id, consumer_id, "
            "'login', '{}', %s from customers limit %s",
            [UNTIL + DAY / 2, new],
        )
        connection.execute("vacuum analyze customer_events")
    go(database, UNTIL + DAY)
    there = counted(database, "consumer_analytics")
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        found = audited(database, since_last=True)
    assert found.since is not None
    assert (found.since.base, found.snapshots) == (UNTIL, 1)
    # Counted, looked through for what happened to customers, and for whom it may have changed.
    assert plans.rows("customer_events") <= 4 * new, plans.told("customer_events")
    # Digests, which instants there are, the base, and the rows that are compared.
    assert there <= plans.rows("consumer_analytics") <= 4 * there, plans.told("consumer_analytics")


def test_a_sweep_reads_the_snapshots_of_its_days(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(database)
    go(database, UNTIL)
    fill(database, DAYS)
    with database.connect() as connection:
        connection.execute("vacuum analyze consumer_analytics")
    consumers, days = counted(database, "consumers"), 10
    since = (UNTIL - days * DAY).date()
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        with connected(database.settings, "sweep") as connection:
            sweep.sweep(connection, database.settings, since=since)
    compared = [scan for scan in plans.of("consumer_analytics") if "differ" in scan.statement]
    # Rows of these instants, the whole system's too; and one of each consumer, to find them all.
    rows = (days + 1) * (consumers + 1) + consumers + 1
    assert 0 < sum(scan.rows for scan in compared) <= rows, plans.told("consumer_analytics")
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        with connected(database.settings, "sweep") as connection:
            sweep.sweep(connection, database.settings, dates=[since])
    looked = [scan for scan in plans.of("consumer_analytics") if "differ" in scan.statement]
    assert 0 < sum(scan.rows for scan in looked) <= consumers + 1, plans.told("consumer_analytics")


def test_a_sweep_counts_the_days_that_differ(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(database)
    go(database, UNTIL)
    late = UNTIL - 5.5 * DAY
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        f"select gen_random_uuid(), consumer_id, 'login', '{late}' from consumers limit 1; "
        "analyze customer_events"
    )
    of_the_day = counted(
        database,
        "customer_events",
        f"created_at >= '{late - DAY / 2}' and created_at < '{late + DAY / 2}'",
    )
    since = counted(database, "customer_events", f"created_at >= '{UNTIL - 10 * DAY}'")
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        with connected(database.settings, "sweep") as connection:
            sweep.sweep(connection, database.settings, since=(UNTIL - 10 * DAY).date())
    looked, grouped = (
        sum(scan.rows for scan in plans.of("customer_events") if scan.statement == statement)
        for statement in ("reconcile/sweep/days-unlike", "reconcile/sweep/events-differ")
    )
    assert since <= looked <= 60_000, plans.told("customer_events")
    assert of_the_day <= grouped < since / 5, plans.told("customer_events")


@pytest.mark.parametrize("captured", lanes.first(0, [False, True], long=1))
def test_a_sweep_passes_over_the_lives_that_ended_some_times_not_once_for_each(
    database: Database, monkeypatch: pytest.MonkeyPatch, captured: bool
) -> None:
    simulated(database)
    go(database, UNTIL)
    fill(database, DAYS)
    if captured:
        with connected(database.settings, "capture") as connection:
            capture.enable(connection, database.settings)
    database.execute(
        "create table going as select * from customers order by customer_id limit 1500; "
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
        "payload_json, created_at) select gen_random_uuid(), customer_id, consumer_id, "
        "'customer_deletion', jsonb_build_object('status', status), "
        f"'{UNTIL + DAY / 2}' from going; "
        "delete from customers where customer_id in (select customer_id from going)"
    )
    go(database, UNTIL + DAY)
    lives = counted(database, "consumer_analytics_internal.deleted_customers")
    assert lives >= 1500
    with database.connect() as connection:
        connection.execute("vacuum analyze")
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        with connected(database.settings, "sweep") as connection:
            sweep.sweep(connection, database.settings, since=(UNTIL - DAYS * DAY).date())
    told = [scan for scan in plans.again() if scan.statement.startswith("etl/lives/")]
    assert "told" in {scan.table for scan in told}
    # Each of these is as much as all lifecycle events, the instants, or the lives.
    most = 3 * counted(database, "customer_events", "event_type like 'customer%'")
    dear = [scan for scan in [*plans.again(), *plans.pairs()] if scan.rows > most]
    assert not dear, "\n".join(f"{one.statement}: {one.table}, {one.rows} rows" for one in dear)


def test_the_first_run_reads_each_event_once_for_the_counts_and_once_for_the_lives(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(database)
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        go(database, UNTIL)
    read = [scan for scan in plans.of("customer_events") if scan.rows > 1]
    assert sorted(scan.statement for scan in read) == [
        "etl/events/extract",
        "etl/lives/lifecycle-apart",
    ], plans.told("customer_events")


def test_a_backfill_reads_each_event_once_for_the_counts_and_once_for_the_lives(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(database)
    customers = counted(database, "customers")
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        fill(database, DAYS)
    read = [
        scan
        for scan in plans.of("customer_events")
        # One looks for the first event of a kind.
        if scan.rows > 1000 and scan.statement not in SAMPLES
    ]
    assert sorted(scan.statement for scan in read) == [
        "backfill/events-counted",
        # Also for what customers were who are gone, which is remembered the first time.
        "etl/lives/lifecycle-apart",
    ], plans.told("customer_events")
    assert all(scan.rows <= 60_000 for scan in read), plans.told("customer_events")
    # Their statuses, counted once; looked up for what each was before, for creations that came
    # later, and for who is here of those that ended; and for the first row of all.
    assert plans.rows("customers") <= 7 * customers, plans.told("customers")


def test_a_backfill_of_known_days_reads_the_counts_instead_of_the_events(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(database)
    go(database, UNTIL)
    with monkeypatch.context() as patched:
        plans = Plans(patched)
        fill(database, 10)
    since = counted(database, "customer_events", f"created_at >= '{UNTIL - 10 * DAY}'")
    # For the customers' changes since and their creation, and before that for whether any of
    # these events are gone; and none to count the events.
    read = [scan for scan in plans.of("customer_events") if scan.statement not in SAMPLES]
    assert sum(scan.rows for scan in read) <= 2 * since + 10, plans.told("customer_events")
    # Samples tell the types and the statuses.
    assert plans.rows("customer_events") <= 2 * since + 10 + 2 * 1.5 * columns._SAMPLED


# -- locks ---------------------------------------------------------------------

APPLICATION = (
    "select count(*) from customers",
    "select * from customers order by customer_id limit 5 for update",
    "insert into consumers (consumer_id, created_at) values (gen_random_uuid(), now())",
    (
        "insert into customers (customer_id, consumer_id, status) "
        "select gen_random_uuid(), consumer_id, 'ACTIVE' from consumers"
    ),
    "update customers set status = 'BLOCKED', updated_at = now()",
    (
        "insert into customer_events (event_id, customer_id, consumer_id, event_type) "
        "select gen_random_uuid(), customer_id, consumer_id, 'login' from customers"
    ),
    "delete from customer_events where created_at >= now() - interval '1 hour'",
    "delete from customers where status = 'BLOCKED'",
    "select count(*) from consumer_analytics",
)


def works_beside(database: Database) -> None:
    """Do what an application does, and take it back; nothing may have to wait."""
    with database.connect() as connection:
        connection.execute("set lock_timeout = '100ms'")
        with connection.transaction(force_rollback=True):
            for statement in APPLICATION:
                connection.execute(statement)


def locks_of(connection: psycopg.Connection[Any]) -> set[tuple[str, str]]:
    """Return what a session holds on the sources."""
    return set(
        connection.execute(
            "select relname::text, mode from pg_locks join pg_class on pg_class.oid = relation "
            "where pid = pg_backend_pid() "
            "and relname in ('consumers', 'customers', 'customer_events')"
        ).fetchall()
    )


def at_the_end_of(
    monkeypatch: pytest.MonkeyPatch, module: Any, step: str, look: Callable[[Any], None]
) -> None:
    """Look when a step of a transaction is done, and before it commits: all its locks are held."""
    original = getattr(module, step)

    def stepped(connection: Any, *values: Any, **options: Any) -> Any:
        answer = original(connection, *values, **options)
        look(connection)
        return answer

    monkeypatch.setattr(module, step, stepped)


@pytest.mark.parametrize(
    ("module", "step"),
    lanes.first(2, [(extract, "take"), (load, "close"), (writing, "_mark_outdated")]),
)
def test_no_lock_makes_the_application_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    simulated(database)
    go(database, UNTIL - 2 * DAY)
    held: set[tuple[str, str]] = set()
    looked = []

    def look(connection: Any) -> None:
        held.update(locks_of(connection))
        works_beside(database)
        looked.append(step)

    at_the_end_of(monkeypatch, module, step, look)
    if module is writing:
        # Within the transaction that has read: what it writes with comes after.
        at_the_end_of(monkeypatch, reading, "_lay_out", look)
        fill(database, 5)
    else:
        go(database, UNTIL - DAY)
    assert looked
    assert held
    assert {mode for _, mode in held} == {"AccessShareLock"}
