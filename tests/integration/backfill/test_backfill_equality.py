"""Ninety days and more: live runs while the history unfolds, against one backfill of it all.

    unfolding: rows come day by day, a run at every instant, by the clock of those days
    at once:   the same rows, loaded in one go, and backfilled

Both must say the same of every consumer at every instant, key by key.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.conftest import Database
from tests.support import lanes, unfold

from consumer_analytics import backfill
from consumer_analytics.calendar import periods
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.etl import run
from consumer_analytics.ingest import simulate
from consumer_analytics.reconcile import sweep

BEGIN, END = dt.date(2025, 2, 26), dt.date(2025, 6, 1)
DAY = dt.timedelta(days=1)
UNTIL = dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC)
#: 95 days up to a noon, so that days of every zone end within.
HISTORY = simulate.SimulationPlan(UNTIL, consumers=6, customers=250, events=5_000, days=97, seed=11)
FIGURES = (
    "select consumer_id, snapshot_timestamp, "
    "metrics_json - '{incremental_stats,snapshot_source,etl_job}'::text[] "
    "from consumer_analytics order by 2, 1"
)
#: All but who wrote it: with the same windows, their figures are the same too.
ALL_FIGURES = FIGURES.replace("incremental_stats,", "")
VERSIONS = "select analytics_id, ctid, xmin, metrics_json::text from consumer_analytics order by 1"


@pytest.fixture
def both(new_database: Callable[..., Database]) -> Callable[..., tuple[Database, Database]]:
    """Return a function that makes two databases with the same history: unfolding, and at once."""

    def make(**settings: Any) -> tuple[Database, Database]:
        unfolding, at_once = new_database(**settings), new_database(**settings)
        for database in (unfolding, at_once):
            with connected(database.settings, "simulate", writes_sources=True) as connection:
                simulate.simulate(connection, database.settings, HISTORY)
        with unfolding.connect() as connection:
            unfold.stage(connection)
        return unfolding, at_once

    return make


def bounds_of(interval: str, zone: str = "UTC") -> tuple[dt.datetime, ...]:
    return periods.bounds(BEGIN, END, interval, ZoneInfo(zone))


def live(database: Database, session: Connection, at: dt.datetime) -> dict[str, Any]:
    """Run as of an instant that has just come: nothing from after it is there."""
    return run.run(session, database.settings, at=at).as_json()


def unfold_with_runs(database: Database, instants: Iterable[dt.datetime]) -> None:
    """Let the history come to each instant, and run then."""
    with (
        database.connect() as connection,
        connected(database.settings, "run") as session,
    ):
        for at in instants:
            unfold.unfold(connection, at)
            live(database, session, at)


def fill(database: Database, interval: str = "daily") -> backfill.BackfillResult:
    request = backfill.request_of(str(BEGIN), str(END), interval)
    with connected(database.settings, "backfill") as connection:
        return backfill.backfill(connection, database.settings, request)


def sources_of(database: Database) -> set[str]:
    return {
        source
        for (source,) in database.rows(
            "select distinct metrics_json ->> 'snapshot_source' from consumer_analytics"
        )
    }


@pytest.mark.parametrize(
    ("interval", "zone"),
    [
        pytest.param("daily", "UTC", marks=lanes.LONG),
        pytest.param("weekly", "UTC", marks=lanes.LONG),
        # The clocks change on 9 March and on 30 March: a day of 23 hours, a week of 167.
        pytest.param("daily", "America/New_York", marks=lanes.LONG),
        ("weekly", "Europe/Berlin"),
        # Midnight is at a quarter past six, UTC: every day cuts two.
        pytest.param("daily", "Asia/Kathmandu", marks=lanes.LONG),
    ],
)
def test_live_at_every_midnight(
    both: Callable[..., tuple[Database, Database]], interval: str, zone: str
) -> None:
    unfolding, at_once = both(timezone=zone)
    bounds = bounds_of(interval, zone)
    # The first run at the range's start, so that the windows are the same, too.
    unfold_with_runs(unfolding, bounds)
    unfolding.execute("delete from consumer_analytics where snapshot_timestamp = %s", [bounds[0]])
    done = fill(at_once, interval)
    assert done.periods == len(bounds) - 1 == (95 if interval == "daily" else 14)
    snapshots = at_once.rows(ALL_FIGURES)
    assert snapshots == unfolding.rows(ALL_FIGURES)
    assert {row[1] for row in snapshots} == set(bounds[1:])
    # The history had everything that can happen to a customer, and consumers that came later.
    whole = [row[2] for row in snapshots if row[0] is None]
    kinds = whole[-1]["events_by_type_all_consumers"]
    assert all(
        kinds[kind] > 20
        for kind in ("customer_creation", "customer_status_change", "customer_deletion")
    )
    assert whole[-1]["customers_by_status_all_consumers"]["BLOCKED"] > 0
    assert whole[0]["consumers_in_system"] < whole[-1]["consumers_in_system"] == 6

    # Over what live runs wrote it touches no row, whichever interval.
    before = unfolding.rows(VERSIONS)
    again = fill(unfolding, interval)
    assert again.snapshots_untouched == len(before)
    assert unfolding.rows(VERSIONS) == before
    assert sources_of(unfolding) == {"cli_etl"}


@lanes.LONG
def test_live_at_random_instants(both: Callable[..., tuple[Database, Database]]) -> None:
    unfolding, at_once = both()
    rng = random.Random(5)
    start, stop = bounds_of("daily")[0], bounds_of("daily")[-1]
    instants = sorted(start + (stop - start) * rng.random() for _ in range(100))
    unfold_with_runs(unfolding, [*instants, stop])
    # Midnights between them, from the counts of runs that ended anywhere.
    fill(unfolding)
    fill(at_once)
    midnights = set(bounds_of("daily")[1:])
    expected = at_once.rows(FIGURES)
    assert expected == [row for row in unfolding.rows(FIGURES) if row[1] in midnights]
    # And the instants themselves: at once, the runs for them come weeks late.
    with connected(at_once.settings, "run") as session:
        live(at_once, session, stop)
        for at in rng.sample(instants, 25):
            live(at_once, session, at)
    there = {row[:2] for row in at_once.rows(FIGURES)}
    assert at_once.rows(FIGURES) == [row for row in unfolding.rows(FIGURES) if row[:2] in there]
    assert len({at for _, at in there}) == 95 + 25


@lanes.LONG
def test_after_a_sweep_has_restated(both: Callable[..., tuple[Database, Database]]) -> None:
    unfolding, at_once = both()
    rng = random.Random(6)
    with unfolding.connect() as connection:
        # Some events, and all that some customers ever did, come when an application has it, up to
        # a fortnight later, with the times at which it happened.
        connection.execute("select setseed(0.5)")
        connection.execute(LATE)
        restated = 0
        with connected(unfolding.settings, "run") as session:
            for at in bounds_of("daily")[1:]:
                unfold.unfold(connection, at)
                arrive(connection, at)
                live(unfolding, session, at)
                if rng.random() < 0.3:
                    found = sweep.sweep(session, unfolding.settings)
                    restated += found.snapshots_restated
            # What came more than a week late, only a longer look finds.
            arrive(connection, UNTIL + 14 * DAY)
            found = sweep.sweep(session, unfolding.settings, days=100)
            restated += found.snapshots_restated
    assert unfolding.rows("select count(*) from unfolding.late") == [(0,)]
    assert restated > 100
    assert unfolding.rows("select count(*) > 100 from consumer_analytics_revisions") == [(True,)]
    fill(at_once)
    assert at_once.rows(FIGURES) == unfolding.rows(FIGURES)
    before = unfolding.rows(VERSIONS)
    fill(unfolding)
    assert unfolding.rows(VERSIONS) == before
    assert sources_of(unfolding) == {"cli_etl"}


LATE = """
create table unfolding.late as
select *, created_at + random() * interval '14 days' as arrives
from unfolding.customer_events
where random() < 0.05 and event_type not like 'customer\\_%';

insert into unfolding.late
select event.*, customer.arrives
from unfolding.customer_events as event
join (
    select customer_id, max(created_at) + random() * interval '14 days' as arrives
    from unfolding.customer_events
    where event_type like 'customer\\_%'
    group by customer_id
    having hashtext(customer_id::text) % 10 = 0
) as customer using (customer_id)
where event_type like 'customer\\_%';

delete from unfolding.customer_events where event_id in (select event_id from unfolding.late);
"""
ARRIVE = """
with come as (
    delete from unfolding.late where arrives < %(until)s returning *
),

customer as (
    insert into customers (customer_id, consumer_id, status, created_at, updated_at)
    select distinct on (customer_id)
        customer_id,
        consumer_id,
        coalesce(payload_json ->> 'new_status', payload_json ->> 'status'),
        min(created_at) over (partition by customer_id),
        created_at
    from come
    where event_type in ('customer_creation', 'customer_status_change')
        and customer_id not in (
            select customer_id from come where event_type = 'customer_deletion'
        )
    order by customer_id, created_at desc, event_id
)

insert into customer_events
    (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select event_id, customer_id, consumer_id, event_type, payload_json, created_at
from come
"""


def arrive(connection: Connection, until: dt.datetime) -> None:
    """Insert the late rows that have come by an instant."""
    connection.execute(ARRIVE, {"until": until})
