"""What one look sees, before it is judged."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from consumer_analytics.db.connection import Connection, named_row
from consumer_analytics.etl import watermark
from consumer_analytics.monitoring.health.airflow import Airflow
from consumer_analytics.monitoring.health.due import Due, due_of
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: The scheduler, and the next try, come a little later than they might.
_SCHEDULERS_DELAY = 60.0


@dataclass(frozen=True)
class Look:
    """What one look sees.

    Attributes:
        connection: the session that looks.
        settings: for the schedule and the limits.
        at: the instant.
        mark: the watermark.
        engine: what the engine's own record says of runs (`health-runs.sql`).
        airflow: what Airflow's says.
        due: what the schedule asked for.
    """

    connection: Connection
    settings: Settings
    at: dt.datetime
    mark: watermark.Watermark
    engine: dict[str, Any]
    airflow: Airflow
    due: Due

    @classmethod
    def take(
        cls, connection: Connection, settings: Settings, now: dt.datetime | None = None
    ) -> Look:
        """Look at `now`; None for the server's clock."""
        mark = watermark.read(connection)
        at = now or mark.read_at
        engine = named_row(
            connection,
            query("monitoring/health/runs"),
            now=at,
            watermark=mark.last_processed_timestamp,
            until_tried_again=settings.retry_delay + _SCHEDULERS_DELAY,
        )
        airflow = Airflow.read(connection, at)
        due = due_of(settings, mark, engine["installed_at"], at)
        return cls(connection, settings, at, mark, engine, airflow, due)
