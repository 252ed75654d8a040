"""Customers: each one's lives, built forward from birth to end, and asked at every instant.

What happened to a customer is laid out in order of time, cut into lives, and each life into
stretches of one status. Where a figure is asked for, it is how many stretches lie over the
instant.
"""

from __future__ import annotations

import datetime as dt

from psycopg import sql

from consumer_analytics.db.connection import MINUS_INFINITY, Connection
from consumer_analytics.reconcile.audit.columns import Columns
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


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
    since = {"lower": lower}
    connection.execute(query("reconcile/audit/customers/marks", sources), since)
    if lower > MINUS_INFINITY:
        connection.execute(query("reconcile/audit/customers/marks-earlier", sources), since)
    connection.execute("analyze audit_marks (customer_id, kind)")
    connection.execute(
        query(
            "reconcile/audit/customers/marks-remembered",
            sources,
            is_noted=sql.Literal(with_vanished),
        ),
        since,
    )
    connection.execute(query("reconcile/audit/customers/others", sources))
    connection.execute("analyze audit_others")
    connection.execute(query("reconcile/audit/customers/lives-plain", sources))
    connection.execute(query("reconcile/audit/customers/lives", sources))
    connection.execute("analyze audit_lives (customer_id)")
    connection.execute(query("reconcile/audit/customers/steps"), {"bounds": bounds})
    connection.execute(query("reconcile/audit/customers/births"), {"bounds": bounds})
    connection.execute(query("reconcile/audit/customers/owners", sources))
    connection.execute(query("reconcile/audit/customers/arrivals"))
    connection.execute("analyze audit_births (born_place, consumer_id); analyze audit_owners")
    values = {"statuses": list(columns.statuses)}
    changes = query(
        "reconcile/audit/customers/changes",
        columns=columns.each_status("{}"),
        pivoted=columns.each_status("coalesce(sum(n) filter (where status = {name}), 0)"),
    )
    connection.execute(changes, values if columns.statuses else None)
    connection.execute(query("reconcile/audit/customers/rest"), values)
