"""Any history, any instants: the state as of each equals the slow recount's."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import lanes, oracle
from tests.support.runs import in_one_go, in_steps

from consumer_analytics.db.connection import Connection, connected

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
#: Few moments, so that rows share their microsecond with each other and with T.
TICKS = 10
TICK = dt.timedelta(hours=8)
STATUSES = ["ACTIVE", "INACTIVE", "BLOCKED"]

ticks = st.integers(0, TICKS - 1)
tenants = st.sampled_from([None, 1, 2, 3])


@dataclass(frozen=True)
class Life:
    """A customer: ticks and new statuses, and perhaps an end and another life."""

    tenant: int | None
    born: int
    status: str
    changes: tuple[tuple[int, str], ...]
    died: int | None
    #: Orders events of one microsecond, which says nothing about what came first.
    identities: int


@st.composite
def lives(draw: st.DrawFn) -> Life:
    born = draw(ticks)
    gaps = draw(
        st.lists(
            st.tuples(st.sampled_from([0, 0, 1, 3]), st.sampled_from(STATUSES), st.booleans()),
            max_size=5,
        )
    )
    first = status = draw(st.sampled_from(STATUSES))
    at, changes = born, []
    for gap, new, and_back in gaps:
        at = min(at + gap, TICKS - 1)
        changes.append((at, new))
        if and_back:
            changes.append((at, status))
        else:
            status = new
    died = min(at + draw(st.sampled_from([0, 1, 4])), TICKS - 1) if draw(st.booleans()) else None
    return Life(
        draw(tenants),
        born,
        first,
        tuple(changes),
        died,
        draw(st.integers(0, 2**32)),
    )


histories = st.fixed_dictionaries(
    {
        "lives": st.lists(lives(), min_size=1, max_size=5),
        "events": st.lists(
            st.tuples(ticks, tenants, st.sampled_from(["login", None, " "])), max_size=6
        ),
        "consumers": st.dictionaries(st.sampled_from([1, 2]), ticks),
        # In this order; each a tick, and a microsecond more or less.
        "instants": st.lists(
            st.tuples(st.integers(0, TICKS), st.sampled_from([0, 0, 1, -1])),
            min_size=1,
            max_size=4,
            unique=True,
        ),
    }
)


def at(tick: int) -> dt.datetime:
    return BEGIN + tick * TICK


def identity(number: int | None) -> uuid.UUID | None:
    return None if number is None else uuid.UUID(int=number)


def write(connection: Connection, history: dict[str, Any]) -> None:
    """Make the database tell this history and nothing else."""
    connection.execute(
        "truncate consumers, customers, customer_events, consumer_analytics, "
        "consumer_analytics_revisions, consumer_analytics_internal.runs, "
        "consumer_analytics_internal.event_days, consumer_analytics_internal.event_totals, "
        "consumer_analytics_internal.touched_days, consumer_analytics_internal.extracts, "
        "consumer_analytics_internal.extracted_events, "
        "consumer_analytics_internal.extracted_customers, "
        "consumer_analytics_internal.deleted_customers, "
        "consumer_analytics_internal.owed_snapshots, "
        "consumer_analytics_internal.vanished_events, "
        "consumer_analytics_internal.changed_events"
    )
    connection.execute(
        "update consumer_analytics_internal.state set processed_through = '-infinity', "
        "restate_after = null, oldest_seen = null, vanished = 0"
    )
    connection.execute(
        "update etl_job_watermarks set last_processed_timestamp = '1970-01-01', "
        "last_run_status = 'pending'"
    )
    events: list[tuple[Any, ...]] = []

    def event(
        tick: int, customer: Any, tenant: Any, kind: str | None, order: int = 0, **payload: str
    ) -> None:
        number = (order ^ (len(events) * 0x9E3779B1)) % 2**32 * 2**32 + len(events)
        events.append(
            (uuid.UUID(int=number), customer, tenant, kind, json.dumps(payload), at(tick))
        )

    for number, life in enumerate(history["lives"]):
        customer, tenant = uuid.UUID(int=1000 + number), identity(life.tenant)
        event(life.born, customer, tenant, "customer_creation", life.identities, status=life.status)
        status = life.status
        for tick, new in life.changes:
            event(
                tick,
                customer,
                tenant,
                "customer_status_change",
                life.identities,
                old_status=status,
                new_status=new,
            )
            status = new
        if life.died is None:
            connection.execute(
                "insert into customers (customer_id, consumer_id, status, created_at) "
                "values (%s, %s, %s, %s)",
                [customer, tenant, status, at(life.born)],
            )
        else:
            event(life.died, customer, tenant, "customer_deletion", life.identities, status=status)
    for tick, tenant, kind in history["events"]:
        event(tick, None, identity(tenant), kind)
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
            "payload_json, created_at) values (%s, %s, %s, %s, %s, %s)",
            events,
        )
        cursor.executemany(
            "insert into consumers (consumer_id, created_at) values (%s, %s)",
            [(identity(tenant), at(tick)) for tenant, tick in history["consumers"].items()],
        )


def really(history: dict[str, Any], instant: dt.datetime) -> dict[Any, int]:
    """Count who was there and ACTIVE by living through the history, forward."""
    active: dict[Any, int] = {}
    for life in history["lives"]:
        status = None
        moments = [(life.born, life.status), *life.changes]
        if life.died is not None:
            moments.append((life.died, None))
        for tick, new in moments:
            if at(tick) < instant:
                status = new
        if status == "ACTIVE":
            active[life.tenant] = active.get(life.tenant, 0) + 1
    return active


@pytest.mark.timeout(240)
@pytest.mark.parametrize("examples", lanes.first(1, [15, 150]))
def test_any_history_as_of_any_instant_equals_the_recount(database: Any, examples: int) -> None:
    with (
        database.connect() as connection,
        connected(database.settings, "test") as ours,
    ):

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(histories)
        def holds(history: dict[str, Any]) -> None:
            write(connection, history)
            sources = oracle.Sources(connection)
            for number, (tick, more) in enumerate(history["instants"]):
                instant = at(tick) + dt.timedelta(microseconds=more)
                way = in_steps if number % 2 else in_one_go
                summary = way(ours, database.settings, instant)
                window = dt.datetime.fromisoformat(summary["window_start"])
                stored = oracle.stored(connection, instant)
                assert stored == oracle.snapshot(sources, instant, window), instant
                for tenant, active in really(history, instant).items():
                    if tenant is not None:
                        assert stored[str(identity(tenant))]["active_customers"] == active

        holds()
