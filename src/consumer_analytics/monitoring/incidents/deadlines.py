"""DAG runs that had not ended when their deadline passed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from consumer_analytics.airflow import dag_runs
from consumer_analytics.airflow.dag_ids import ETL
from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents.grouping import open_or_update, symptom_of
from consumer_analytics.monitoring.incidents.notifying import (
    Announcement,
    look_and_note,
    message_of,
    put_message,
    write_history,
)
from consumer_analytics.monitoring.incidents.store import open_incident_of
from consumer_analytics.monitoring.measures import FRESHNESS
from consumer_analytics.monitoring.notifications.channels import configured
from consumer_analytics.monitoring.notifications.message import DEADLINE, Miss, Symptom
from consumer_analytics.monitoring.observation import Airflow
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def deadline_missed(
    connection: Connection, settings: Settings, miss: Miss, *, now: dt.datetime | None = None
) -> bool:
    """Note that a DAG run missed its deadline, and write the message.

    Returns:
        Whether it was new.
    """
    return look_and_note(
        connection,
        lambda: health.read(connection, settings, now=now),
        lambda judged: _note(connection, settings, judged, miss),
    )


def _note(connection: Connection, settings: Settings, judged: Health, miss: Miss) -> bool:
    # Airflow knows which task the run was at.
    airflow = Airflow.read(connection, judged.at)
    for known in misses_of_airflow(connection, settings, airflow, judged.at):
        if (known.dag_id, known.run_id) == (miss.dag_id, miss.run_id):
            miss = replace(miss, task_id=known.task_id)
    if not remember_miss(connection, miss, judged.at):
        return False
    announcement = Announcement(judged.at)
    add_late_run(connection, announcement, miss, judged)
    message = replace(
        message_of(connection, judged, announcement, "deadline"),
        misses=(with_allowance(miss, settings),),
    )
    key = f"deadline {miss.dag_id} {miss.run_id} {miss.deadline_at.isoformat()}"
    mail_id = put_message(connection, key, message, configured(settings))
    write_history(connection, announcement, mail_id)
    return True


def with_allowance(miss: Miss, settings: Settings) -> Miss:
    """Return a missed deadline with how long the run was given, as a message has it."""
    return replace(miss, allowed_seconds=settings.deadline)


def remember_miss(connection: Connection, miss: Miss, at: dt.datetime) -> bool:
    """Keep a missed deadline; return whether it was not known before."""
    row = connection.execute(
        query("monitoring/incidents/deadlines-put"),
        {
            "dag_id": miss.dag_id,
            "run_id": miss.run_id,
            "task_id": miss.task_id,
            "execution_date": miss.execution_date,
            "deadline_at": miss.deadline_at,
            "at": at,
        },
    ).fetchone()
    return row is not None


def misses_of_airflow(
    connection: Connection, settings: Settings, airflow: Airflow, now: dt.datetime
) -> list[Miss]:
    """Return the missed deadlines of Airflow's runs that we have not kept yet.

    Args:
        connection: to the product's database.
        settings: for the deadline itself: Airflow forgets it where a run is cleared.
        airflow: what is known of Airflow.
        now: the instant to judge at.
    """
    if airflow.tables is None:
        return []
    missed = dag_runs.missed_deadlines(
        connection,
        airflow.tables,
        dag=ETL,
        allowed=dt.timedelta(seconds=settings.deadline) if settings.deadline else None,
        now=now,
    )
    return [Miss(**vars(one)) for one in missed]


def add_late_run(
    connection: Connection, announcement: Announcement, miss: Miss, judged: Health
) -> None:
    """Add a late run to the incident of figures that are behind, and open that where need be."""
    one = open_incident_of(connection, FRESHNESS.name)
    symptoms = dict(one.symptoms) if one is not None else {}
    symptoms[DEADLINE] = Symptom(
        state="warning",
        kind=DEADLINE,
        cause=f"{miss.run_id} has not ended",
        dag_id=miss.dag_id,
        run_id=miss.run_id,
        since=miss.deadline_at,
    )
    for measure in judged.measures:
        # What will be late in a moment is told now.
        if measure.definition.has_grace and measure.value and judged.behind_since is not None:
            late = symptom_of(measure, judged, state=measure.state_by_limits)
            symptoms.setdefault(measure.name, late)
    cause = (
        judged.cause.text
        if judged.behind_since is not None
        else f"{miss.run_id} of {miss.dag_id} has not ended"
    )
    open_or_update(connection, announcement, one, FRESHNESS.name, symptoms, cause, again="changed")
