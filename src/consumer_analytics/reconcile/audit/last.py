"""The last clean audit: what a later one goes on from is kept, where capture is on."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import psycopg

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import capture
from consumer_analytics.reconcile.audit.since import State
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def can_be_kept(connection: Connection, settings: Settings) -> bool:
    """Tell whether capture notes all changes: only then an audit can go on from another one."""
    try:
        return capture.status(connection, settings).state == "on"
    except psycopg.errors.InsufficientPrivilege:
        # A login that sees the figures, and not the notes.
        return False


def keep(
    connection: Connection,
    settings: Settings,
    state: State,
    digests: dict[dt.datetime, Decimal],
    processed_through: dt.datetime,
) -> None:
    """Keep what a clean audit found, with which capture; a login that may not write keeps nothing.

    Args:
        connection: in autocommit.
        settings: where the source is.
        state: as the audit's transaction saw it.
        digests: of the rows of each instant, likewise.
        processed_through: up to where runs had counted.
    """
    if not can_be_kept(connection, settings):
        return
    try:
        with connection.transaction():
            connection.execute(query("reconcile/audit/last/lock"))
            (audited_at,) = connection.execute(query("reconcile/audit/last/when")).fetchone() or (
                None,
            )
            if audited_at != state.audited_at:
                # Another audit has been quicker: the notes are gone that would lead from this one.
                return
            connection.execute(query("reconcile/audit/last/forget"), {"notes": state.notes})
            connection.execute(
                query("reconcile/audit/last/keep"),
                {
                    "processed_through": processed_through,
                    "capture": state.capture,
                    "vanished": state.vanished,
                    "instants": list(digests),
                    "digests": list(digests.values()),
                },
            )
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return
