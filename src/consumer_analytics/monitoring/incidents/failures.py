"""Tasks that failed after their last try."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents.grouping import groups, settle
from consumer_analytics.monitoring.incidents.notifying import (
    LOOK_NEXT,
    Told,
    alone,
    content_of,
    write,
)
from consumer_analytics.monitoring.incidents.store import of_subject, open_incidents
from consumer_analytics.monitoring.measures import FAILURES
from consumer_analytics.monitoring.observation import DAG
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

MONITOR = "consumer_analytics_monitor"
#: DAGs that people start: nothing is to be well again after them.
_BY_HAND = frozenset({"consumer_analytics_backfill"})
#: Tasks of a run that fail for the same reason, one after the other, are told once.
_SAME_RUN = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class Failure:
    """A task that failed after its last try.

    Attributes:
        dag_id: its DAG.
        run_id: its DAG run.
        task_id: the task.
        try_number: the last try.
        tries: how many there may be; None where that is not known.
        execution_date: the run's logical date, else the instant that it was to run after.
        has_logical_date: which of the two.
        failed_at: when.
        error: the error's type and message.
        log_url: where its log is; None where that is not known.
    """

    dag_id: str
    run_id: str
    task_id: str
    try_number: int
    tries: int | None
    execution_date: dt.datetime
    has_logical_date: bool
    failed_at: dt.datetime
    error: str
    log_url: str | None

    def as_json(self) -> dict[str, Any]:
        """Return it as a mail's content has it."""
        return {
            **asdict(self),
            "execution_date": self.execution_date.isoformat(),
            "failed_at": self.failed_at.isoformat(),
        }


def task_failed(
    connection: Connection, settings: Settings, failure: Failure, *, now: dt.datetime | None = None
) -> bool:
    """Note that a task failed after its last try; write the mail, or add it to one that waits.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: for the limits.
        failure: which, and why.
        now: the instant it is; None for the server's clock.

    Returns:
        Whether it was new.
    """
    with alone(connection):
        if (
            connection.execute(
                query("monitoring/incidents/failures-put"), asdict(failure)
            ).fetchone()
            is None
        ):
            return False
        # It counts already.
        found = health.read(connection, settings, now=now)
        with connection.transaction():
            told = Told(found.at)
            if failure.dag_id == DAG:
                _open_failures(connection, told, found, failure)
            elif failure.dag_id not in _BY_HAND:
                _open_dag(connection, told, failure)
            if _is_known(connection, settings, told, failure):
                write(connection, settings, told, None, "")
                return True
            if _add_to_waiting(connection, settings, told, failure):
                return True
            content = content_of(found, told, "failure")
            content["failures"] = [failure.as_json()]
            content["next"] = next_after(failure)
            key = (
                f"failure {failure.dag_id} {failure.run_id} {failure.task_id} {failure.try_number}"
            )
            mail_id = write(connection, settings, told, content, key, always=True)
            _link(connection, failure, mail_id)
    return True


def _open_failures(connection: Connection, told: Told, found: Health, failure: Failure) -> None:
    """Open the incident of failed runs by the mail that tells of this one, or join it."""
    still = {one.subject: one for one in open_incidents(connection)}
    measures = groups(connection, found, still).get(FAILURES.name, {})
    if "failed_runs" not in measures:
        # The measure cannot be taken; that a run has failed is known all the same.
        measures["failed_runs"] = {
            "state": "warning",
            "value": None,
            "unit": "runs",
            "kind": "failed_runs",
            "cause": failure.error,
        }
    settle(
        connection,
        told,
        still.get(FAILURES.name),
        FAILURES.name,
        measures,
        f"{failure.task_id} failed: {failure.error}",
        again="failed again",
    )


def _open_dag(connection: Connection, told: Told, failure: Failure) -> None:
    subject = f"dag {failure.dag_id}"
    entry = {
        "state": "warning",
        "value": None,
        "unit": "runs",
        "kind": failure.error,
        "cause": failure.error,
        "dag_id": failure.dag_id,
        "run_id": failure.run_id,
        "since": failure.failed_at.isoformat(),
    }
    settle(
        connection,
        told,
        of_subject(connection, subject),
        subject,
        {failure.task_id: entry},
        f"{failure.task_id} failed: {failure.error}",
        again="failed again",
    )


def _is_known(connection: Connection, settings: Settings, told: Told, failure: Failure) -> bool:
    """Tell whether nobody is to be told once more; then the change is only noted.

    The monitor runs every few minutes: what keeps it from working is told once, and at the
    pace of reminders. A run that has been told of is not told again for each of its tasks.
    """
    if failure.dag_id == MONITOR and told.telling:
        one, what = told.telling[0]
        pace = settings.alert_reminder or float("inf")
        recently = one.told_at is not None and (told.at - one.told_at).total_seconds() < pace
        if what == "failed again" and recently:
            told.hush()
            return True
    row = connection.execute(
        query("monitoring/incidents/failures-told"),
        {**asdict(failure), "since": failure.failed_at - _SAME_RUN},
    ).fetchone()
    if row is not None:
        told.hush()
        _link(connection, failure, row[0])
        return True
    return False


def _add_to_waiting(
    connection: Connection, settings: Settings, told: Told, failure: Failure
) -> bool:
    """Add a failure to the mail about the same run, where that has not gone out yet."""
    row = connection.execute(
        query("monitoring/incidents/failures-waiting"),
        {
            "dag_id": failure.dag_id,
            "run_id": failure.run_id,
            "failure": Jsonb([failure.as_json()]),
        },
    ).fetchone()
    if row is None:
        return False
    told.hush()
    write(connection, settings, told, None, "")
    _link(connection, failure, row[0])
    return True


def _link(connection: Connection, failure: Failure, mail_id: int | None) -> None:
    connection.execute(
        query("monitoring/incidents/failures-link"), {**asdict(failure), "mail_id": mail_id}
    )


def next_after(failure: Failure) -> list[dict[str, str]]:
    """Return what to look at next: a text, and a command or nothing, each."""
    again = (
        "When it is mended, run it again (it counts nothing twice; Airflow 3.3 cannot clear a "
        "failed run before its deadline has passed)"
    )
    if failure.has_logical_date:
        # Of this run alone, not of every one that ever failed.
        at = failure.execution_date.isoformat()
        command = f"airflow tasks clear {failure.dag_id} --only-failed --yes -s {at} -e {at}"
    else:
        again += ": clear the task on the page of its log"
        command = ""
    return [
        *LOOK_NEXT,
        {"text": again, "code": command},
    ]
