"""What DAGs do when something goes wrong: the callbacks, and the monitor's task.

A callback never raises: Airflow would log it and go on, and nobody would be told.
What it needs is imported when it is called: each DAG file names it, and is read often.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import logging
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from consumer_analytics.airflow import dag_ids, states
from consumer_analytics.airflow.processes import is_dag_test
from consumer_analytics.db import own_names
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import ChannelError, ConsumerAnalyticsError, one_line
from consumer_analytics.formatting import counted
from consumer_analytics.orchestration import claims
from consumer_analytics.orchestration.failures import in_a_line
from consumer_analytics.settings import Settings, settings

if TYPE_CHECKING:
    # Airflow's stubs lack them.
    from airflow.sdk import DeadlineAlert  # type: ignore[attr-defined]

    from consumer_analytics.monitoring.incidents import Failure, Miss
    from consumer_analytics.monitoring.notifications.outbox import Delivery

log = logging.getLogger(__name__)

#: Tasks that fail together get this long to be in one mail.
_TOGETHER_SECONDS = 2.0
_LONGEST_ERROR = 4000
#: Airflow itself says so of a task whose process is gone.
_NO_ERROR = (
    "no error was reported: the task's process was killed, or could not start; the ends of its log "
    "and of the scheduler's say more"
)
_DEADLINE_CALLBACK = "consumer_analytics.orchestration.alerts.deadline_missed"


# -- a task failed -------------------------------------------------------------------


def task_failed(context: Mapping[str, Any]) -> None:
    """Tell, once, that a task has failed after its last try: `on_failure_callback`."""
    try:
        _tell(settings(), failure_of(context))
    except Exception:
        log.exception("nobody could be told of the failure")


def failure_of(context: Mapping[str, Any]) -> Failure:
    """Make of Airflow's context what there is to tell; a run may have no logical date."""
    from consumer_analytics.monitoring.incidents import Failure

    task, dag_run = context["ti"], context["dag_run"]
    error = context.get("exception")
    # The database's own text quotes the statement, which a mail shows to who cannot use it.
    said = one_line(error) if isinstance(error, psycopg.Error) else error
    reason = f"{type(error).__name__}: {said}" if isinstance(error, BaseException) else error
    most = getattr(task, "max_tries", None)
    return Failure(
        dag_id=task.dag_id,
        run_id=task.run_id,
        task_id=task.task_id,
        try_number=task.try_number,
        tries=None if most is None else most + 1,
        execution_date=dag_run.logical_date or dag_run.run_after,
        has_logical_date=dag_run.logical_date is not None,
        failed_at=dt.datetime.now(dt.UTC),
        error=str(reason or _NO_ERROR)[:_LONGEST_ERROR],
        log_url=getattr(task, "log_url", None),
    )


def _tell(config: Settings, failure: Failure) -> None:
    from consumer_analytics.monitoring import incidents
    from consumer_analytics.monitoring.notifications import outbox

    try:
        with connected(config, "airflow alert") as connection:
            if not incidents.task_failed(connection, config, failure):
                return
            time.sleep(_TOGETHER_SECONDS)
            _log(outbox.deliver(connection, config))
    except (ConsumerAnalyticsError, psycopg.Error) as error:
        log.warning("the failure could not be noted in the database: %s", one_line(error))
        _tell_directly(config, failure)


def _tell_directly(config: Settings, failure: Failure) -> None:
    """Send the message past the database, which cannot be reached, once for each run."""
    from consumer_analytics.monitoring import incidents
    from consumer_analytics.monitoring.notifications.channels import configured
    from consumer_analytics.monitoring.notifications.message import Message

    # The monitor would tell it every few minutes.
    monitor = dag_ids.MONITOR
    subject = monitor if failure.dag_id == monitor else f"{failure.dag_id} {failure.run_id}"
    message = Message(
        kind="failure",
        at=failure.failed_at,
        database="out of reach",
        failures=(failure,),
        next=incidents.next_steps_after(failure),
    )
    digest = hashlib.sha256(f"{subject} {failure.failed_at}".encode()).hexdigest()[:16]
    problems = []
    for channel in configured(config):
        chosen = channel.selection.of(message)
        if chosen is None:
            continue
        told = f"{channel.name} {subject}"
        mark = _mark(config, told)
        # Of this machine's tasks one asks whether another machine's tells it.
        if not _is_first(config, mark) or not claims.claim(told, _pace(config)):
            continue
        try:
            channel.send(config, chosen, message_id=f"consumer-analytics.{digest}")
        except BaseException as error:
            mark.unlink(missing_ok=True)
            claims.release(told)
            if not isinstance(error, ChannelError):
                raise
            # The other channels are to tell it all the same.
            problems.append(error)
        else:
            log.info("sent past the database, by %s: %s", channel.name, message.subject)
    if problems:
        raise problems[0]


def _is_first(config: Settings, mark: Path) -> bool:
    """Mark that somebody tells it now; whether nobody did a while ago."""
    with contextlib.suppress(FileNotFoundError):
        if time.time() - mark.stat().st_mtime >= _pace(config):
            mark.unlink()
    try:
        # Of the run's tasks that fail at the same moment one tells.
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _mark(config: Settings, subject: str) -> Path:
    """Return the file that says that somebody was told, on this machine."""
    database = config.database_url.get_secret_value() if config.database_url else str(config.home)
    digest = hashlib.sha256(f"{database} {subject}".encode()).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"consumer-analytics-told-{digest}"


def _pace(config: Settings) -> float:
    """Return the seconds after which something is told again."""
    return config.alert_reminder or float("inf")


def _log(delivery: Delivery) -> None:
    if delivery.sent:
        log.info("%s sent", counted(delivery.sent, "mail"))
    if delivery.error is not None:
        log.warning("%s: %s", counted(delivery.waiting, "mail waits", "mails wait"), delivery.error)
    for one in delivery.refused:
        log.warning("%s refused %s: %s", one.server, one.recipient, one.reason)


# -- a deadline passed -----------------------------------------------------------------


def deadline() -> DeadlineAlert | None:
    """Return the deadline of a DAG's runs; None where the setting says that there is none."""
    from airflow.sdk import (  # type: ignore[attr-defined]
        DeadlineAlert,
        DeadlineReference,
        SyncCallback,
    )

    seconds = settings().deadline
    # `airflow dags test` of Airflow 3.3 cannot end a run whose DAG has a deadline.
    if not seconds or is_dag_test():
        return None
    return DeadlineAlert(
        name="consumer-analytics",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=dt.timedelta(seconds=seconds),
        callback=SyncCallback(_DEADLINE_CALLBACK),
    )


def deadline_missed(context: Mapping[str, Any]) -> None:
    """Note a missed deadline and tell of it; called by Airflow's executor."""
    from consumer_analytics.monitoring import incidents
    from consumer_analytics.monitoring.notifications import outbox

    if context["dag_run"].get("state") in states.ENDED:
        # It failed before its deadline, which Airflow lets pass all the same.
        return
    config = settings()
    miss = miss_of(context)
    with connected(config, "airflow alert") as connection:
        if incidents.deadline_missed(connection, config, miss):
            _log(outbox.deliver(connection, config))


def miss_of(context: Mapping[str, Any]) -> Miss:
    """Make of what Airflow gives a deadline's callback what there is to tell."""
    from consumer_analytics.monitoring.incidents import Miss

    dag_run, passed = context["dag_run"], context["deadline"]
    return Miss(
        dag_id=dag_run["dag_id"],
        run_id=dag_run.get("dag_run_id") or dag_run["run_id"],
        task_id=None,
        execution_date=_instant(dag_run.get("logical_date") or dag_run["run_after"]),
        deadline_at=_instant(passed["deadline_time"]),
    )


def _instant(value: Any) -> dt.datetime:
    at = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    return at.astimezone(dt.UTC)


# -- the monitor -----------------------------------------------------------------------


def watch() -> str:
    """Do a pass of the monitor; return the state of health."""
    from consumer_analytics.monitoring import monitor
    from consumer_analytics.monitoring.notifications.channels import configured
    from consumer_analytics.reporting import digest

    config = settings()
    with (
        in_a_line("the monitor failed"),
        connected(config, "airflow monitor") as connection,
        own_names.explaining(connection, config),
    ):
        done = monitor.watch(connection, config, warn=log.warning)
        # After what is urgent; the next pass sends it.
        digest.put_if_due(connection, config)
    judged = done.health
    log.info("health is %s: %s", judged.state, judged.why)
    for one in judged.measures:
        log.info(
            "%s: %s, %s%s", one.name, one.value, one.state, f" ({one.cause})" if one.cause else ""
        )
    log.info("mails: %s sent, %s wait", done.delivery.sent, done.delivery.waiting)
    # It works again.
    for channel in configured(config):
        _mark(config, f"{channel.name} {dag_ids.MONITOR}").unlink(missing_ok=True)
    claims.forget()
    return judged.state
