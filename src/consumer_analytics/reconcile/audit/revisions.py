"""Revisions: what was reported before a snapshot was restated, held to what was noted of it."""

from __future__ import annotations

import datetime as dt

from consumer_analytics.db.connection import Connection
from consumer_analytics.reconcile.audit.models import AuditDifference, Collector
from consumer_analytics.reconcile.audit.reading import stream

_LOST = "what a revision said stands nowhere else"


def compare(
    connection: Connection, lower: dt.datetime, upper: dt.datetime, differences: Collector
) -> None:
    """Compare the revisions of each instant with how many were written, and with their digest."""
    span = {"lower": lower, "upper": upper}
    for at, there, written in stream(connection, "reconcile/audit/revisions/compare", span):
        kept = f"{there:,} edited" if there == written else f"{there:,}"
        differences.add(
            AuditDifference("revision", None, "revisions", at, kept, f"{written:,}", _LOST)
        )
