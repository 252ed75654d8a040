"""Counting the customers: who there was, in what state, at each instant of a plan.

What is counted are changes: the figures at the instant of slot j are the sum of the
slots 0 to j. Where nothing has happened to a customer since the first instant,
today's rows are those of all instants; otherwise what lifecycle events and the memory of
ended lives (`etl/lives.py`) tell of each customer is told beside them.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.etl import archived, lives
from consumer_analytics.etl.models import CustomerExtract
from consumer_analytics.etl.plan import Plan
from consumer_analytics.etl.shape import UNNAMED, pivot
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Where this transaction's own extract is.
EXTRACTED_CUSTOMERS = sql.Identifier("pg_temp", "extracted_customers")
_STAYS = sql.SQL("")
_REMEMBERED = sql.Identifier("consumer_analytics_internal", "deleted_customers")


def _make_table(connection: Connection) -> None:
    """Make the table of this transaction that customers are counted into."""
    connection.execute("drop table if exists pg_temp.extracted_customers")
    lifetime = sql.SQL("on commit drop")
    connection.execute(
        query("shared/customers-changes", table=EXTRACTED_CUSTOMERS, lifetime=lifetime)
    )


def extract_customers(connection: Connection, settings: Settings, plan: Plan) -> CustomerExtract:
    """Count the customers at a plan's instants into a table of this transaction."""
    started = time.monotonic()
    _make_table(connection)
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
    return _count_changes(connection, settings, plan, into, events, {})


def lay_customers_of(
    connection: Connection, settings: Settings, consumers: Sequence[Any], first: dt.datetime
) -> bool:
    """Lay down what is known of the customers of some consumers since an instant, and of no others.

    Within the caller's transaction. Lives that ended are as they are remembered.

    Returns:
        Whether that tells all there is of them: no ended life waits to be worked out.
    """
    connection.execute("drop table if exists pg_temp.rows_of_some, pg_temp.lives_of_some")
    values = {"consumers": list(consumers)}
    connection.execute(query("etl/customers/rows-of-some", settings.sources), values)
    connection.execute(query("etl/customers/lives-of-some"), values)
    connection.execute("analyze pg_temp.rows_of_some, pg_temp.lives_of_some")
    lives.lay_apart_of_some(connection, settings, first)
    waits = "select exists (select from pg_temp.lives_of_some where born_from is null)"
    return not scalar(connection, waits)


def extract_customers_of(
    connection: Connection, settings: Settings, plan: Plan, consumers: Sequence[Any]
) -> None:
    """Count the customers of some consumers alone, into the table where `extract_customers` does.

    `lay_customers_of` has laid down what is known of them since the first instant, or longer.
    """
    _make_table(connection)
    narrowed = {
        "customers": sql.Identifier("pg_temp", "rows_of_some"),
        "remembered": sql.Identifier("pg_temp", "lives_of_some"),
    }
    events = lives.laid_apart_since(plan.bounds[1])
    _count_changes(connection, settings, plan, EXTRACTED_CUSTOMERS, events, narrowed)
    connection.execute(query("etl/customers/forget-others"), {"consumers": list(consumers)})


def _count_changes(
    connection: Connection,
    settings: Settings,
    plan: Plan,
    into: sql.Composable,
    events: sql.Composable,
    narrowed: Mapping[str, sql.Composable],
) -> CustomerExtract:
    """Count the customers at a plan's instants: all, or those in relations that stand for all."""
    connection.execute("drop table if exists pg_temp.present_customers")
    connection.execute(
        query("etl/customers/present-apart", present=_present(settings, plan, narrowed)),
        {"start": plan.bounds[0], "last": plan.bounds[-1]},
    )
    present = sql.SQL("select * from pg_temp.present_customers").format()
    values: dict[str, Any] = {"bounds": list(plan.bounds)}
    moved, undated = _beyond_rows(connection, settings, plan.bounds[1], events)
    if undated:
        lives.remember_undated(connection, settings, customers=narrowed.get("customers"))
    if moved or undated:
        told = _lives_at(settings, events, narrowed, undated=undated)
        changes = query("etl/customers/changed", lives=told, present=present)
        values = instants_of(plan.bounds)
    else:
        changes = query("etl/customers/unchanged", present=present)
    row = connection.execute(
        query("etl/customers/extract", changes=changes, extracted_customers=into), values
    ).fetchone()
    return CustomerExtract(*row) if row else CustomerExtract()


def count_cells(
    connection: Connection,
    settings: Settings,
    bounds: tuple[dt.datetime, ...],
    columns: Mapping[str, sql.Composable],
    *,
    apart_from_before: bool,
    many: bool = True,
    lifetime: sql.Composable = _STAYS,
) -> bool:
    """Count the customers' changes into `customer_cells`: one row per consumer and slot.

    Args:
        connection: in a transaction.
        settings: where the source is.
        bounds: start of the first window, then the instants, ascending.
        columns: of the statuses, each with its own.
        apart_from_before: whether slot 0 stands for what came before; else slot 1 has that as well.
        many: as `lives.remember_since` has it.
        lifetime: of the table.

    Returns:
        Whether each status that comes up has a column; where one has none, nothing is there.
    """
    # What is blank is not told apart row by row where nothing is.
    blank = " or {{0}} = '(none)' and {} !~ '\\S'" if UNNAMED in columns else ""
    template = " - ".join(
        f"count(*) filter (where {side} = {{0}}{blank.format(side)})" for side in ("gained", "lost")
    )
    connection.execute("drop table if exists pg_temp.customer_cells")
    pivoted, named = pivot(list(columns.values()), list(columns), template, "status")
    events = lives.remember_since(connection, settings, bounds[1], many=many)
    _, undated = _beyond_rows(connection, settings, bounds[1], events)
    if undated:
        lives.remember_undated(connection, settings)
    statement = query(
        "etl/customers/cells",
        settings.sources,
        lives=_lives_at(settings, events, {}, undated=undated),
        pivoted=pivoted,
        slot_of_cell=sql.SQL("slot" if apart_from_before else "greatest(slot, 1)"),
        lifetime=lifetime,
    )
    connection.execute(statement, instants_of(bounds) | named)
    named_sum = sql.SQL(" + ").join(columns.values())
    if not scalar(connection, query("etl/customers/cells-overlooked", named=named_sum)):
        return True
    connection.execute("drop table pg_temp.customer_cells")
    return False


def _lives_at(
    settings: Settings,
    events: sql.Composable,
    narrowed: Mapping[str, sql.Composable],
    *,
    undated: bool,
) -> sql.Composed:
    """Compose what today's rows do not tell; `undated` where some have no time."""
    told = {"told_events": archived.told(settings), "remembered": _REMEMBERED, **narrowed}
    rows = query("etl/customers/undated", settings.sources, **told)
    return query(
        "etl/customers/lives",
        settings.sources,
        lifecycle=events,
        undated=rows if undated else sql.SQL(""),
        **told,
    )


def _beyond_rows(
    connection: Connection, settings: Settings, first: dt.datetime, events: sql.Composable
) -> tuple[bool, bool]:
    """Tell whether more is known from an instant on than today's rows, and if one is undated.

    `events` are the lifecycle events since.
    """
    statement = query("etl/customers/moved-since", settings.sources, lifecycle=events)
    return connection.execute(statement, {"first": first}).fetchone() or (True, True)


def _present(
    settings: Settings, plan: Plan, narrowed: Mapping[str, sql.Composable]
) -> sql.Composed:
    """Compose what counts today's customers, by consumer, slot and status."""
    # For one instant the groups are consumers and statuses: few, as the planner can tell.
    slot: sql.Composable = (
        sql.SQL("1")
        if len(plan.snapshots) == 1
        else sql.SQL("width_bucket(created_at::timestamptz, {}::timestamptz[])").format(
            list(plan.bounds)
        )
    )
    return query("etl/customers/present", settings.sources, slot_of_customer=slot, **narrowed)


def instants_of(bounds: tuple[dt.datetime, ...]) -> dict[str, Any]:
    """Return the values of `lives.sql`, for a window's start and the instants after it."""
    return {"bounds": list(bounds), "first": bounds[1], "last": bounds[-1]}
