"""Snapshots with figures that only a digest tells: put right where it bears out what they were."""

from __future__ import annotations

import datetime as dt
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import MINUS_INFINITY, Connection
from consumer_analytics.reconcile.audit import customers, events, snapshots
from consumer_analytics.reconcile.audit.columns import choose
from consumer_analytics.reconcile.audit.models import AuditResult
from consumer_analytics.reconcile.audit.reading import prepare
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def put_right(
    connection: Connection, settings: Settings, wrong: list[dt.datetime], reason: str
) -> int:
    """Put right what rows of these instants say that can be counted, beside what cannot.

    Runs keep what a row says of customers that the source can no longer tell: an edited row
    would be taken at its word. Here the digest decides.

    Args:
        connection: in a transaction, under the job's lock.
        settings: where the source is.
        wrong: instants with a difference, ascending.
        reason: kept with what the rows said.

    Returns:
        How many rows were put right.
    """
    statement = query(
        "reconcile/audit/proven/put-right",
        trusted_digest=query("reconcile/audit/trusted-digest"),
    )
    return _with_figures(connection, settings, wrong, statement, {"reason": reason})


def write_as_ever(connection: Connection, settings: Settings, wrong: list[dt.datetime]) -> int:
    """Write numbers of these instants as they always are, where all of a row's are right.

    No figure changes by it: runs take them for what they are, and nothing is kept of it.

    Args:
        connection: in a transaction, under the job's lock.
        settings: where the source is.
        wrong: instants with a difference, ascending.

    Returns:
        How many rows were written again.
    """
    return _with_figures(
        connection, settings, wrong, query("reconcile/audit/proven/write-as-ever"), {}
    )


def _with_figures(
    connection: Connection,
    settings: Settings,
    wrong: list[dt.datetime],
    statement: sql.Composable,
    values: dict[str, Any],
) -> int:
    """Work out what the rows of these instants must say, some at a time; do something with it."""
    if not wrong:
        return 0
    columns = choose(connection, settings)
    connection.execute(query("reconcile/audit/tables", None, **columns.tables()))
    prepare(connection)
    result = AuditResult()
    result.processed_through, _ = snapshots.awaited(connection)
    compared, bounds = snapshots.known(connection, wrong[0], wrong[-1], result, with_vanished=True)
    everything: dict[str, Any] = {"lower": MINUS_INFINITY, "with_vanished": True}
    events.count(connection, settings, columns, bounds, result, **everything)
    events.change(connection, columns)
    customers.build(connection, settings, columns, bounds, **everything)
    chosen = sorted(set(compared) & set(wrong))
    rows = 0
    step = snapshots.at_once(connection, settings)
    rest = snapshots.without_columns(connection)
    for begin in range(0, len(chosen), step):
        chunk = chosen[begin : begin + step]
        snapshots.put_together(
            connection, settings, columns, rest, chunk, bounds, with_vanished=True
        )
        rows += connection.execute(statement, values).rowcount
    connection.execute(query("reconcile/audit/forget"))
    return rows
