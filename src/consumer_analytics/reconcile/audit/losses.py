"""Losses: whatever looks at everything judges what the source no longer has, an audit as well."""

from __future__ import annotations

import psycopg

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import Connection
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import vanished
from consumer_analytics.settings import Settings


def note(connection: Connection, settings: Settings) -> bool:
    """Note what has vanished since anything last looked, before it is taken for double.

    Returns:
        Whether anything was noted: then another count tells more.
    """
    try:
        with job_lock(connection, settings):
            by = f"audit at {instants.now(connection).isoformat(timespec='seconds')}"
            return vanished.judge_everything(connection, settings, by).noted > 0
    except psycopg.errors.InsufficientPrivilege:
        # A login that may only read: it is told as double until a run has seen it.
        return False
