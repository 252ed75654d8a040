"""A run in one go, as the command line does it, and in the steps that the DAG's tasks share."""

from __future__ import annotations

import datetime as dt
from typing import Any

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import extract, load, run
from consumer_analytics.settings import Settings


def in_one_go(connection: Connection, settings: Settings, at: dt.datetime) -> dict[str, Any]:
    """Run in this session."""
    return run.run(connection, settings, at=at).as_json()


def in_steps(connection: Connection, settings: Settings, at: dt.datetime) -> dict[str, Any]:
    """Run so that the load finds extracts which other steps have left for it."""
    opened = run.open_run(connection, settings, at=at)
    extract.customers(connection, settings, opened)
    extract.events(connection, settings, opened)
    return load.load(connection, settings, opened).as_json()


WAYS = {"one go": in_one_go, "steps": in_steps}
