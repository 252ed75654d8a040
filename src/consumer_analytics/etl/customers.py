"""Counting the customers: who there was, in what state, at each instant of a plan.

What is counted are changes: the figures at the instant of slot j are the sum of the
slots 0 to j. Where nothing has happened to a customer since the first instant,
today's rows are those of all instants; otherwise what lifecycle events and the memory of
ended lives (`etl/lives.py`) tell of each customer is told beside them.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import archived, lives
from consumer_analytics.etl.models import CustomerExtract
from consumer_analytics.etl.plan import Plan
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Where this transaction's own extract is.
EXTRACTED_CUSTOMERS = sql.Identifier("pg_temp", "extracted_customers")


def extract_customers(connection: Connection, settings: Settings, plan: Plan) -> CustomerExtract:
    """Count the customers at a plan's instants into a table of this transaction."""
    started = time.monotonic()
    connection.execute("drop table if exists pg_temp.extracted_customers")
    lifetime = sql.SQL("on commit drop")
    connection.execute(
        query("shared/customers-changes", table=EXTRACTED_CUSTOMERS, lifetime=lifetime)
    )
    counted = count_customers(connection, settings, plan, EXTRACTED_CUSTOMERS)
    return replace(counted, seconds=round(time.monotonic() - started, 3))


def count_customers(
    connection: Connection,
    settings: Settings,
    plan: Plan,
    into: sql.Composable,
) -> CustomerExtract:
    """Count the customers at a plan's instants, within the caller's transaction.

    Args:
        connection: in a transaction.
        settings: for the source's schema.
        plan: its instants; without any, nothing is counted.
        into: where the changes go, a table as `customers-changes` makes it.
    """
    if not plan.snapshots:
        return CustomerExtract()
    # Of many instants the lifecycle events since the first are asked for several times.
    once = len(plan.snapshots) > 1 and not plan.ranges
    if once:
        events = lives.remember_since(connection, settings, plan.bounds[1], many=False)
    else:
        lives.remember(connection, settings, plan.ranges, first=plan.bounds[1])
        events = lives.lifecycle_since(settings, plan.bounds[1])
    connection.execute("drop table if exists pg_temp.present_customers")
    connection.execute(
        query("etl/customers/present-apart", present=_present(settings, plan)),
        {"start": plan.bounds[0], "last": plan.bounds[-1]},
    )
    present = sql.SQL("select * from pg_temp.present_customers").format()
    values: dict[str, Any] = {"bounds": list(plan.bounds)}
    moved, undated = _beyond_rows(connection, settings, plan.bounds[1])
    if moved or undated:
        told = _lives_at(settings, events, undated=undated)
        changes = query("etl/customers/changed", lives=told, present=present)
        values = instants_of(plan.bounds)
    else:
        changes = query("etl/customers/unchanged", present=present)
    row = connection.execute(
        query("etl/customers/extract", changes=changes, extracted_customers=into), values
    ).fetchone()
    return CustomerExtract(*row) if row else CustomerExtract()


def lives_before(
    connection: Connection, settings: Settings, bounds: tuple[dt.datetime, ...]
) -> sql.Composed:
    """Remember what ended since a first instant, and compose what today's rows do not tell.

    Returns:
        The beginning of a statement, as `lives.sql` says.
    """
    events = lives.remember_since(connection, settings, bounds[1])
    _, undated = _beyond_rows(connection, settings, bounds[1])
    return _lives_at(settings, events, undated=undated)


def _lives_at(settings: Settings, events: sql.Composable, *, undated: bool) -> sql.Composed:
    """Compose what today's rows do not tell; `undated` where some have no time."""
    told = {"told_events": archived.told(settings)}
    rows = query("etl/customers/undated", settings.sources, **told)
    return query(
        "etl/customers/lives",
        settings.sources,
        lifecycle=events,
        undated=rows if undated else sql.SQL(""),
        **told,
    )


def _beyond_rows(
    connection: Connection, settings: Settings, first: dt.datetime
) -> tuple[bool, bool]:
    """Tell whether more is known from an instant on than today's rows, and if one is undated."""
    told = archived.told(settings)
    statement = query("etl/customers/moved-since", settings.sources, told_events=told)
    return connection.execute(statement, {"first": first}).fetchone() or (True, True)


def _present(settings: Settings, plan: Plan) -> sql.Composed:
    """Compose what counts today's customers, by consumer, slot and status."""
    # For one instant the groups are consumers and statuses: few, as the planner can tell.
    slot: sql.Composable = (
        sql.SQL("1")
        if len(plan.snapshots) == 1
        else sql.SQL("width_bucket(created_at::timestamptz, {}::timestamptz[])").format(
            list(plan.bounds)
        )
    )
    return query("etl/customers/present", settings.sources, slot_of_customer=slot)


def instants_of(bounds: tuple[dt.datetime, ...]) -> dict[str, Any]:
    """Return the values of `lives.sql`, for a window's start and the instants after it."""
    return {"bounds": list(bounds), "first": bounds[1], "last": bounds[-1]}
