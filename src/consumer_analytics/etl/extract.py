"""The two extracts: what the sources say, left in the database for the load.

Each counts into a temporary table. Where it is a step of its own, in one read
snapshot, what it finds waits for the load in an unlogged table under the run's id,
beside the plan it was made for.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import (
    INFINITY,
    MINUS_INFINITY,
    Connection,
    consistent,
    scalar_of,
)
from consumer_analytics.etl import job_state
from consumer_analytics.etl.models import Run
from consumer_analytics.etl.plan import Plan, TimeRange, plan_run, slot_of
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

PARTS = ("customers", "events")
_TRIES = 5
_ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Extracts:
    """Where a plan's extracts are: relations that can stand in a FROM clause.

    Attributes:
        customers: consumer_id, slot, status, n, dated, created_us, born.
        events: consumer_id, day, slot, event_type, n.
    """

    customers: sql.Composable
    events: sql.Composable


#: Those that this transaction has made.
OWN = Extracts(
    sql.Identifier("pg_temp", "extracted_customers"), sql.Identifier("pg_temp", "extracted_events")
)


def left_for(run_id: int) -> Extracts:
    """Return the extracts that the steps have left for a run's load."""
    customers, events = (
        sql.SQL("(select * from consumer_analytics_internal.{} where run_id = {})").format(
            sql.Identifier(f"extracted_{part}"), run_id
        )
        for part in PARTS
    )
    return Extracts(customers, events)


def customers(connection: Connection, settings: Settings, run: Run) -> dict[str, Any]:
    """Count the customers as they stood at the run's instants.

    Returns:
        Figures for the log: window, customers at the last instant, seconds.
    """
    return _extract(connection, settings, run, "customers")


def events(connection: Connection, settings: Settings, run: Run) -> dict[str, Any]:
    """Count the events that the run reads.

    Returns:
        Figures for the log: window, rows read, seconds.
    """
    return _extract(connection, settings, run, "events")


def _extract(connection: Connection, settings: Settings, run: Run, part: str) -> dict[str, Any]:
    """Run one extract in a transaction of its own; after a twin of it, if one was at work."""
    for attempt in range(_TRIES):
        try:
            with consistent(connection):
                plan = plan_run(connection, job_state.read(connection, settings), run.reached_at)
                # The extract's row first, then what it stands for: as the load does that
                # clears them, so that one waits for the other and never both.
                forget(connection, run.run_id, part)
                figures = extract_part(connection, settings, plan, part)
                connection.execute(query(f"etl/extract/{part}-hand-over"), {"run_id": run.run_id})
                connection.execute(
                    query("etl/extract/extracts-put"),
                    {
                        "run_id": run.run_id,
                        "part": part,
                        "plan": Jsonb(plan.as_json()),
                        "figures": Jsonb(figures),
                    },
                )
                return figures
        except psycopg.errors.SerializationFailure:
            # A try of the same step that was taken for dead, or a load that cleans up.
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def extract_part(
    connection: Connection, settings: Settings, plan: Plan, part: str
) -> dict[str, Any]:
    """Make one of this transaction's own extracts for a plan."""
    started = time.monotonic()
    connection.execute(
        sql.SQL("drop table if exists {}").format(sql.Identifier("pg_temp", f"extracted_{part}"))
    )
    figures = (
        _customers(connection, settings, plan)
        if part == "customers"
        else _events(connection, settings, plan)
    )
    return figures | {"seconds": round(time.monotonic() - started, 3)}


def forget(connection: Connection, run_id: int, part: str) -> None:
    """Drop what an extract has left, if it has, within the caller's transaction."""
    connection.execute(query("etl/extract/extracts-remove"), {"run_id": run_id, "part": part})
    table = sql.Identifier("consumer_analytics_internal", f"extracted_{part}")
    connection.execute(sql.SQL("delete from {} where run_id = %s").format(table), [run_id])


def _customers(connection: Connection, settings: Settings, plan: Plan) -> dict[str, Any]:
    lifetime = sql.SQL("on commit drop")
    connection.execute(query("shared/customers-changes", table=OWN.customers, lifetime=lifetime))
    return customers_of(connection, settings, plan, OWN.customers)


def customers_of(
    connection: Connection,
    settings: Settings,
    plan: Plan,
    into: sql.Composable,
    *,
    read_only: bool = False,
) -> dict[str, Any]:
    """Count the customers at a plan's instants, within the caller's transaction.

    Args:
        connection: in a transaction.
        settings: for the source's schema.
        plan: the plan.
        into: where the changes go.
        read_only: whether the transaction may make no table, not even a temporary one.
    """
    if not plan.snapshots:
        return {"customers": 0}
    # For one instant the groups are consumers and statuses: few, as the planner can tell.
    slot: sql.Composable = (
        sql.SQL("1")
        if len(plan.snapshots) == 1
        else sql.SQL("width_bucket(created_at::timestamptz, {}::timestamptz[])").format(
            list(plan.bounds)
        )
    )
    values = {"start": plan.bounds[0], **instants_of(plan.bounds)}
    source = settings.source_schema
    present = query("etl/extract/customers-present", source, slot_of_customer=slot)
    if not read_only:
        connection.execute("drop table if exists pg_temp.present_customers")
        connection.execute(query("etl/extract/customers-present-apart", present=present), values)
        present = sql.SQL("select * from pg_temp.present_customers").format()
    if scalar_of(connection, "etl/extract/customers-moved-since", values, source_schema=source):
        undone = query("shared/customers-undone", source)
        changes = query("etl/extract/customers-changed", undone=undone, present=present)
    else:
        changes = query("etl/extract/customers-unchanged", present=present)
    found = connection.execute(
        query("etl/extract/customers-extract", changes=changes, extracted_customers=into), values
    ).fetchone()
    names = ("customers", "new_customers", "unattributed_customers", "future_customers")
    return dict(zip(names, found or (0, 0, 0, 0), strict=True))


def instants_of(bounds: tuple[dt.datetime, ...]) -> dict[str, Any]:
    """Return the values of `customers-undone`, for a window's start and the instants after it."""
    return {"bounds": list(bounds), "first": bounds[1], "last": bounds[-1]}


def _events(connection: Connection, settings: Settings, plan: Plan) -> dict[str, Any]:
    known = plan.job_state.processed_through
    purged = plan.recount and plan.job_state.purged_through is not None
    # What the source lost can be told only from rows that were counted before.
    fresh = [stretch for stretch in plan.ranges if purged and stretch.lower >= known]
    before = [stretch for stretch in plan.ranges if stretch not in fresh]
    if before:
        counted = _counted(settings, before, plan.bounds)
        connection.execute(query("etl/extract/events-extract", counted=counted))
    else:
        connection.execute(query("etl/extract/events-extract-nothing"))
    if purged:
        connection.execute(
            query("etl/extract/events-restore-purged"),
            {
                "bounds": list(plan.bounds),
                "purged_through": plan.job_state.purged_through,
                "recount": plan.recount_multirange,
            },
        )
    if fresh:
        counted = _counted(settings, fresh, plan.bounds)
        connection.execute(query("etl/extract/events-extract-more", counted=counted))
    return {"rows_read": scalar_of(connection, "etl/extract/events-extracted", {})}


def _counted(
    settings: Settings, stretches: list[TimeRange], bounds: tuple[dt.datetime, ...]
) -> sql.Composed:
    ranges = [_count_range(settings, stretch, bounds) for stretch in stretches]
    return query("etl/extract/events-counted", ranges=sql.SQL("\nunion all\n").join(ranges))


def _count_range(
    settings: Settings, stretch: TimeRange, bounds: tuple[dt.datetime, ...]
) -> sql.Composed:
    inside = [bound for bound in bounds if stretch.lower < bound < stretch.upper]
    buckets = sql.SQL("{}::timestamptz[]").format(list(bounds))
    row, slot = sql.SQL("null::int"), sql.SQL("slot_of_row")
    if not inside:
        slot = sql.SQL("{}").format(slot_of(stretch.lower, bounds))  # type: ignore[assignment]
    elif all(instants.is_midnight(bound) for bound in inside):
        # Whole days: the slot follows from the day, once per group, not per row.
        slot = sql.SQL("width_bucket(greatest(day::timestamptz, {}), {})").format(  # type: ignore[assignment]
            stretch.lower, buckets
        )
    else:
        row = sql.SQL("width_bucket(created_at::timestamptz, {})").format(buckets)  # type: ignore[assignment]
    return query(
        "etl/extract/events-count-range",
        settings.source_schema,
        day=_day_of_row(stretch),
        slot_of_row=row,
        slot_of_day=slot,
        lower=sql.Literal(stretch.lower),
        upper=sql.Literal(min(INFINITY, stretch.upper)),
    )


def _day_of_row(stretch: TimeRange) -> sql.Composable:
    """Return the UTC day of an event: known without looking where the stretch has but one."""
    first = instants.day_of(stretch.lower)
    if stretch.lower > MINUS_INFINITY and stretch.upper <= instants.start_of(first) + _ONE_DAY:
        return sql.SQL("{}::date").format(sql.Literal(first))
    # Binning is a fifth of the price of created_at::date, which looks the time zone up.
    return sql.SQL("date_bin('1 day', created_at, '2000-01-01')")
