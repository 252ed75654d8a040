"""Tasks that failed after their last try."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from psycopg.types.json import Jsonb

from consumer_analytics.airflow import command_lines
from consumer_analytics.airflow.dag_ids import DAGS, ETL, MONITOR, SCHEDULED
from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents.grouping import open_or_update, symptoms_by_subject
from consumer_analytics.monitoring.incidents.notifying import (
    LOOK_NEXT,
    Announcement,
    look_and_note,
    message_of,
    put_message,
    write_history,
)
from consumer_analytics.monitoring.incidents.store import open_incident_of, open_incidents
from consumer_analytics.monitoring.measures import FAILURES
from consumer_analytics.monitoring.notifications.channels import configured
from consumer_analytics.monitoring.notifications.message import Failure, NextStep, Symptom
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: DAGs that people start: nothing is to be well again after them.
_BY_HAND = frozenset(DAGS) - frozenset(SCHEDULED)
#: Tasks of a run that fail for the same reason, one after the other, are told once.
_SAME_RUN = dt.timedelta(minutes=15)
_AGAIN = "failed again"


def task_failed(
    connection: Connection, settings: Settings, failure: Failure, *, now: dt.datetime | None = None
) -> bool:
    """Note that a task failed after its last try; write the message, or add it to one that waits.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: for the limits and the channels.
        failure: which, and why.
        now: the instant it is; None for the server's clock.

    Returns:
        Whether it was new.
    """
    if not _remember_failure(connection, failure):
        return False
    look_and_note(
        connection,
        # It counts already.
        lambda: health.read(connection, settings, now=now),
        lambda judged: _note(connection, settings, judged, failure),
    )
    return True


def _note(connection: Connection, settings: Settings, judged: Health, failure: Failure) -> None:
    announcement = Announcement(judged.at)
    if failure.dag_id == ETL:
        _open_failures(connection, announcement, judged, failure)
    elif failure.dag_id not in _BY_HAND:
        _open_dag(connection, announcement, failure)
    mail_id = None
    if not _is_known(connection, settings, announcement, failure):
        mail_id = _tell(connection, settings, announcement, judged, failure)
    write_history(connection, announcement, mail_id)


def _remember_failure(connection: Connection, failure: Failure) -> bool:
    """Keep a failure; return whether it was not known before."""
    row = connection.execute(
        query("monitoring/incidents/failures-put"),
        {
            "dag_id": failure.dag_id,
            "run_id": failure.run_id,
            "task_id": failure.task_id,
            "try_number": failure.try_number,
            "failed_at": failure.failed_at,
            "execution_date": failure.execution_date,
            "error": failure.error,
            "log_url": failure.log_url,
        },
    ).fetchone()
    return row is not None


def _tell(
    connection: Connection,
    settings: Settings,
    announcement: Announcement,
    judged: Health,
    failure: Failure,
) -> int | None:
    """Tell of a failure; return the message that was written for it, where one was.

    Channels by which a message about the same run has not gone out yet tell of it by that.
    """
    row_of_run, waiting = _add_to_waiting(connection, failure)
    message = replace(
        message_of(connection, judged, announcement, "failure"),
        failures=(failure,),
        next=next_steps_after(failure),
    )
    others = [
        one
        for one in configured(settings)
        if one.name not in waiting and one.selection.of(message) is not None
    ]
    if waiting and not others:
        announcement.silence()
        _link(connection, failure, row_of_run)
        return None
    key = f"failure {failure.dag_id} {failure.run_id} {failure.task_id} {failure.try_number}"
    mail_id = put_message(connection, key, message, others)
    _link(connection, failure, mail_id)
    return mail_id


def _open_failures(
    connection: Connection, announcement: Announcement, judged: Health, failure: Failure
) -> None:
    """Open the incident of failed runs by the message that tells of this one, or join it."""
    still_open = {one.subject: one for one in open_incidents(connection)}
    symptoms = symptoms_by_subject(connection, judged, still_open).get(FAILURES.name, {})
    if "failed_runs" not in symptoms:
        # The measure cannot be taken; that a run has failed is known all the same.
        symptoms["failed_runs"] = Symptom("warning", kind="failed_runs", cause=failure.error)
    open_or_update(
        connection,
        announcement,
        still_open.get(FAILURES.name),
        FAILURES.name,
        symptoms,
        f"{failure.task_id} failed: {failure.error}",
        again=_AGAIN,
    )


def _open_dag(connection: Connection, announcement: Announcement, failure: Failure) -> None:
    subject = f"dag {failure.dag_id}"
    symptom = Symptom(
        state="warning",
        kind=failure.error,
        cause=failure.error,
        dag_id=failure.dag_id,
        run_id=failure.run_id,
        since=failure.failed_at,
    )
    open_or_update(
        connection,
        announcement,
        open_incident_of(connection, subject),
        subject,
        {failure.task_id: symptom},
        f"{failure.task_id} failed: {failure.error}",
        again=_AGAIN,
    )


def _is_known(
    connection: Connection, settings: Settings, announcement: Announcement, failure: Failure
) -> bool:
    """Tell whether nobody is to be told once more; then what happened is only noted.

    The monitor runs every few minutes: what keeps it from working is told once, and at the
    pace of reminders. A run that has been told of is not told again for each of its tasks.
    """
    if failure.dag_id == MONITOR and announcement.announced:
        first = announcement.announced[0]
        pace = settings.alert_reminder or float("inf")
        told_at = first.incident.told_at
        recently = told_at is not None and (announcement.at - told_at).total_seconds() < pace
        if first.what == _AGAIN and recently:
            announcement.silence()
            return True
    row = connection.execute(
        query("monitoring/incidents/failures-told"),
        {
            "dag_id": failure.dag_id,
            "run_id": failure.run_id,
            "task_id": failure.task_id,
            "error": failure.error,
            "since": failure.failed_at - _SAME_RUN,
        },
    ).fetchone()
    if row is not None:
        announcement.silence()
        _link(connection, failure, row[0])
        return True
    return False


def _add_to_waiting(connection: Connection, failure: Failure) -> tuple[int | None, frozenset[str]]:
    """Add a failure to the message about the same run, where that has not gone out yet.

    Returns:
        The number of the first row of that message that it was added to, and the channels of all
        of them; None and no channel where it has gone out, or there is none.
    """
    rows = connection.execute(
        query("monitoring/incidents/failures-waiting"),
        {
            "dag_id": failure.dag_id,
            "run_id": failure.run_id,
            "failure": Jsonb([failure.as_json()]),
        },
    ).fetchall()
    return min((mail_id for mail_id, _ in rows), default=None), frozenset(
        channel for _, channel in rows
    )


def _link(connection: Connection, failure: Failure, mail_id: int | None) -> None:
    connection.execute(
        query("monitoring/incidents/failures-link"),
        {
            "dag_id": failure.dag_id,
            "run_id": failure.run_id,
            "task_id": failure.task_id,
            "try_number": failure.try_number,
            "mail_id": mail_id,
        },
    )


def next_steps_after(failure: Failure) -> tuple[NextStep, ...]:
    """Return what to look at next when a task has failed."""
    again = (
        "When it is mended, run it again (it counts nothing twice; it is tried until the run's "
        "deadline has passed, before which Airflow 3.3 cannot clear it)"
    )
    if failure.has_logical_date:
        # Of this run alone, not of every one that ever failed.
        command = command_lines.clear_failed(failure.dag_id, failure.execution_date)
    else:
        again += ": clear the task on the page of its log"
        command = ""
    return (*LOOK_NEXT, NextStep(again, command))
