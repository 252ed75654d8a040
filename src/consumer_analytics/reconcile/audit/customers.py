"""Customers: each one's lives, built forward from birth to end, and asked at every instant.

What happened to a customer is laid out in order of time, cut into lives, and each life into
stretches of one status. Where a figure is asked for, it is how many stretches lie over the
instant.
"""

from __future__ import annotations

import datetime as dt

from psycopg import sql

from consumer_analytics.db.connection import MINUS_INFINITY, Connection
from consumer_analytics.reconcile.audit import archive
from consumer_analytics.reconcile.audit.columns import Columns
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

_SINCE = sql.SQL("created_at >= %(lower)s::timestamptz")


def build(
    connection: Connection,
    settings: Settings,
    columns: Columns,
    bounds: list[dt.datetime],
    *,
    lower: dt.datetime,
    with_vanished: bool,
) -> None:
    """Build the lives of all customers, and place them by the bounds.

    Args:
        connection: in the audit's transaction.
        settings: where the source is.
        columns: the statuses that are counted in one of their own.
        bounds: instants and starts of windows, ascending.
        lower: no figure is asked for from before.
        with_vanished: whether deletions that have vanished still end lives.
    """
    sources = settings.sources
    is_noted = sql.Literal(with_vanished)
    # Lives may have begun before: what is archived tells of them.
    with archive.opened(connection, settings) as filed:
        _mark(connection, settings, filed, lower, is_noted)
    connection.execute(query("reconcile/audit/customers/eventful", sources))
    connection.execute("analyze audit_eventful")
    connection.execute(query("reconcile/audit/customers/uneventful", sources), {"bounds": bounds})
    connection.execute(query("reconcile/audit/customers/lives-plain", sources))
    connection.execute(query("reconcile/audit/customers/lives", sources))
    connection.execute("analyze audit_lives (customer_id)")
    connection.execute(query("reconcile/audit/customers/births"), {"bounds": bounds})
    connection.execute(query("reconcile/audit/customers/owners", sources))
    connection.execute(query("reconcile/audit/customers/arrivals"))
    connection.execute("analyze audit_births (born_place, consumer_id); analyze audit_owners")
    changes = query(
        "reconcile/audit/customers/changes",
        columns=columns.each_status("{}"),
        pivoted=columns.each_status(
            "pg_temp.audit_sum(case {name} when come then moving else 0 end"
            " - case {name} when gone then moving else 0 end) as {}"
        ),
        summed=columns.each_status("pg_temp.audit_sum({})"),
    )
    connection.execute(changes, {"bounds": bounds, "statuses": list(columns.statuses)})
    connection.execute(query("reconcile/audit/customers/rest"))


def _mark(
    connection: Connection,
    settings: Settings,
    filed: archive.Archive | None,
    lower: dt.datetime,
    is_noted: sql.Composable,
) -> None:
    """Lay out what happened to customers, from the source, the archive and what is remembered."""
    sources, since = settings.sources, {"lower": lower}
    told = {} if filed is None else filed.told()
    asked: list[sql.Composable] = [_SINCE]
    if lower > MINUS_INFINITY:
        # Of whom, those that were laid out first tell.
        asked.append(query("reconcile/audit/customers/marks-began-earlier", sources))
    for which in asked:
        marks = query("reconcile/audit/customers/marks", sources, which=which, **told)
        connection.execute(marks, since)
    connection.execute("analyze audit_marks (customer_id, kind)")
    connection.execute(
        query("reconcile/audit/customers/marks-remembered", sources, is_noted=is_noted), since
    )
    connection.execute(query("reconcile/audit/customers/wanted", sources))
    if filed is not None:
        filed.tell_all()
    connection.execute(query("reconcile/audit/customers/others", sources, **told))
    connection.execute("analyze audit_others")
