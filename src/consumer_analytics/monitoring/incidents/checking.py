"""A look at health: incidents open, change and close by what is not well."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace

from consumer_analytics.airflow import dag_runs
from consumer_analytics.airflow.dag_ids import MONITOR
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents.consumers import is_of_consumer, note_consumers
from consumer_analytics.monitoring.incidents.deadlines import (
    add_late_run,
    misses_of_airflow,
    remember_miss,
    with_allowance,
)
from consumer_analytics.monitoring.incidents.grouping import (
    cause_of,
    open_or_update,
    symptoms_by_subject,
)
from consumer_analytics.monitoring.incidents.notifying import (
    Announcement,
    look_and_note,
    message_of,
    put_message,
    write_history,
)
from consumer_analytics.monitoring.incidents.store import Incident, open_incidents, update
from consumer_analytics.monitoring.measures import MEASURES
from consumer_analytics.monitoring.notifications.channels import configured
from consumer_analytics.monitoring.notifications.message import DEADLINE, OVER, Symptom
from consumer_analytics.monitoring.observation import Airflow
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: What nobody can tell the end of is over after a day.
_LONGEST_UNKNOWN = dt.timedelta(days=1)


def check(connection: Connection, settings: Settings, *, now: dt.datetime | None = None) -> Health:
    """Judge health, open, change and close incidents, and write the message that tells of it.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: for the limits, the channels and the pace of reminders.
        now: the instant to judge at; None for the server's clock.

    Returns:
        Health, as it was judged.
    """
    return look_and_note(
        connection,
        lambda: health.read(connection, settings, now=now),
        lambda judged: _note(connection, settings, judged),
    )


def _note(connection: Connection, settings: Settings, judged: Health) -> Health:
    _note_checks(connection, judged)
    airflow = Airflow.read(connection, judged.at)
    announcement = Announcement(judged.at)
    # Those whose callback did not work.
    missed = [
        miss
        for miss in misses_of_airflow(connection, settings, airflow, judged.at)
        if remember_miss(connection, miss, judged.at)
    ]
    for miss in missed:
        add_late_run(connection, announcement, miss, judged)
    _compare(connection, announcement, judged, airflow)
    note_consumers(connection, settings, announcement)
    _remind(connection, settings, announcement)
    mail_id = None
    if announcement.announced or missed:
        message = replace(
            message_of(connection, judged, announcement, "incidents"),
            misses=tuple(with_allowance(miss, settings) for miss in missed),
        )
        key = f"incidents {uuid.uuid4()}"
        mail_id = put_message(connection, key, message, configured(settings))
    write_history(connection, announcement, mail_id)
    return judged


def _note_checks(connection: Connection, judged: Health) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            query("monitoring/incidents/checks-put"),
            [
                {
                    "name": one.name,
                    "state": one.state,
                    "value": one.value,
                    "cause": one.cause,
                    "at": judged.at,
                }
                for one in judged.measures
            ],
        )


def _compare(
    connection: Connection, announcement: Announcement, judged: Health, airflow: Airflow
) -> None:
    """Open, change and close incidents by what is not well."""
    still_open = {one.subject: one for one in open_incidents(connection) if not is_of_consumer(one)}
    sorted_out = symptoms_by_subject(connection, judged, still_open)
    for subject in sorted_out | still_open:
        one = still_open.get(subject)
        lasting = _lasting(connection, one, airflow, judged.at) if one is not None else {}
        measured = sorted_out.get(subject, {})
        if measured:
            cause = cause_of(measured, judged)
            open_or_update(connection, announcement, one, subject, {**measured, **lasting}, cause)
        elif one is not None and lasting:
            open_or_update(connection, announcement, one, subject, lasting, one.cause)
        elif one is not None:
            _close(connection, announcement, one, judged)


def _lasting(
    connection: Connection, one: Incident, airflow: Airflow, at: dt.datetime
) -> dict[str, Symptom]:
    """Return what an incident has that no measure tells: late runs and other DAGs' failures."""
    return {
        name: symptom
        for name, symptom in one.symptoms.items()
        if name not in MEASURES and not _is_over(connection, airflow.tables, name, symptom, at)
    }


def _is_over(
    connection: Connection,
    tables: AirflowTables | None,
    name: str,
    symptom: Symptom,
    at: dt.datetime,
) -> bool:
    """Tell whether a late run has ended, or a failing DAG has worked again."""
    if symptom.dag_id == MONITOR:
        # That it works again, this very look shows.
        return True
    if tables is None or symptom.dag_id is None:
        return symptom.since is None or at - symptom.since > _LONGEST_UNKNOWN
    if name == DEADLINE:
        return not dag_runs.is_under_way(connection, tables, symptom.dag_id, symptom.run_id or "")
    return dag_runs.went_well_since(connection, tables, symptom.dag_id, symptom.since)


def _close(
    connection: Connection, announcement: Announcement, one: Incident, judged: Health
) -> None:
    closed = update(connection, one, one.symptoms, closed_at=announcement.at)
    subject = MEASURES.subjects.get(one.subject)
    values = {measure.name: measure.value for measure in judged.measures}
    now = subject.now(judged.cause, values) if subject is not None else "it works again"
    over = replace(closed, cause=f"It was: {one.cause}. Now: {now}.")
    if one.told_at is not None:
        announcement.announce(over, OVER)
    else:
        announcement.note(over, OVER)


def _remind(connection: Connection, settings: Settings, announcement: Announcement) -> None:
    """Remind of what has been open for long, unless this message tells of it anyway."""
    if settings.alert_reminder <= 0:
        return
    pace = dt.timedelta(seconds=settings.alert_reminder)
    known = {one.incident.incident_id for one in announcement.announced}
    for one in open_incidents(connection):
        if is_of_consumer(one):
            # It ends by itself, and what mends it is not the operator's.
            continue
        last = one.told_at or one.opened_at
        if one.incident_id not in known and announcement.at - last >= pace:
            announcement.announce(one, "reminded")
