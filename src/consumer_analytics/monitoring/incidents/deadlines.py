"""DAG runs that had not ended when their deadline passed."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, replace
from typing import Any

from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents.grouping import entry_of, settle
from consumer_analytics.monitoring.incidents.notifying import Told, alone, content_of, write
from consumer_analytics.monitoring.incidents.store import of_subject
from consumer_analytics.monitoring.measures import FRESHNESS
from consumer_analytics.monitoring.observation import Airflow
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Miss:
    """A DAG run that had not ended when its deadline passed.

    Attributes:
        dag_id: its DAG.
        run_id: the run.
        task_id: the task that it was at; None where that is not known.
        execution_date: the run's logical date, else the instant that it was to run after.
        deadline_at: when it should have ended.
    """

    dag_id: str
    run_id: str
    task_id: str | None
    execution_date: dt.datetime
    deadline_at: dt.datetime

    def as_json(self, settings: Settings) -> dict[str, Any]:
        """Return it as a mail's content has it."""
        return {
            **asdict(self),
            "execution_date": self.execution_date.isoformat(),
            "deadline_at": self.deadline_at.isoformat(),
            "allowed_seconds": settings.deadline,
        }


def deadline_missed(
    connection: Connection, settings: Settings, miss: Miss, *, now: dt.datetime | None = None
) -> bool:
    """Note that a DAG run missed its deadline, and write the mail.

    Returns:
        Whether it was new.
    """
    with alone(connection):
        found = health.read(connection, settings, now=now)
        with connection.transaction():
            # Airflow knows which task the run was at.
            for known in misses_of_airflow(connection, Airflow.read(connection, found.at)):
                if (known.dag_id, known.run_id) == (miss.dag_id, miss.run_id):
                    miss = replace(miss, task_id=known.task_id)
            if not kept(connection, miss, found.at):
                return False
            told = Told(found.at)
            join(connection, told, miss, found)
            content = content_of(found, told, "deadline")
            content["misses"] = [miss.as_json(settings)]
            key = f"deadline {miss.dag_id} {miss.run_id} {miss.deadline_at.isoformat()}"
            write(connection, settings, told, content, key, always=True)
    return True


def kept(connection: Connection, miss: Miss, at: dt.datetime) -> bool:
    """Keep a missed deadline; return whether it was not known before."""
    row = connection.execute(
        query("monitoring/incidents/deadlines-put"), {**asdict(miss), "at": at}
    ).fetchone()
    return row is not None


def misses_of_airflow(connection: Connection, airflow: Airflow) -> list[Miss]:
    """Return the missed deadlines that Airflow has and we have not kept yet."""
    if airflow.tables is None:
        return []
    tables = airflow.tables.named("deadline", "dag_run", "task_instance")
    rows = connection.execute(
        query("monitoring/incidents/deadlines-of-airflow", "public", **tables)
    ).fetchall()
    return [Miss(*row) for row in rows]


def join(connection: Connection, told: Told, miss: Miss, found: Health) -> None:
    """Add a late run to the incident of figures that are behind, and open that where need be."""
    one = of_subject(connection, FRESHNESS.name)
    entry = {
        "state": "warning",
        "value": None,
        "unit": "runs",
        "kind": "deadline",
        "cause": f"{miss.run_id} has not ended",
        "dag_id": miss.dag_id,
        "run_id": miss.run_id,
        "since": miss.deadline_at.isoformat(),
    }
    measures = {**(one.measures if one else {}), "deadline": entry}
    for measure in found.measures:
        # What will be late in a moment is told now.
        if measure.definition.has_grace and measure.value and found.behind_since is not None:
            late = {**entry_of(measure, found), "state": measure.state_by_limits}
            measures.setdefault(measure.name, late)
    cause = (
        found.cause.text
        if found.behind_since is not None
        else f"{miss.run_id} of {miss.dag_id} has not ended"
    )
    settle(connection, told, one, FRESHNESS.name, measures, cause, again="changed")
