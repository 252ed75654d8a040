"""Incidents: what was not well, since when, why, and who was told.

What belongs together is one incident: told once when it opens, once when it
gets worse, once when it is over. All of it is in the database, under a lock,
so that neither a restart nor a second monitor tells anything twice.

    freshness   the watermark is behind, events wait
    failures    runs failed, and what follows from that
    runtime     runs are slow
    measuring   a measure cannot be taken
    dag <id>    a task of another scheduled DAG failed
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from consumer_analytics.engine import health, mail, outbox
from consumer_analytics.engine.database import LOCK_INCIDENTS, Connection
from consumer_analytics.engine.health import Airflow, Health, Measure
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

MONITOR = "consumer_analytics_monitor"
#: DAGs that people start: nothing is to be well again after them.
_BY_HAND = frozenset({"consumer_analytics_backfill"})
_STALE = ("watermark_lag", "pending_events")
_WAIT_FOR_LOCK = "30s"
#: What nobody can tell the end of is over after a day.
_LONGEST_UNKNOWN = dt.timedelta(days=1)
#: Tasks of a run that fail for the same reason, one after the other, are told once.
_SAME_RUN = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class Incident:
    """A time in which something was not well.

    Attributes:
        incident_id: its number in this database.
        subject: as above.
        state: warning or critical, now or when it ended.
        worst: the worst that it was.
        cause: in a sentence, as of its latest change.
        opened_at: when it was noticed.
        closed_at: when all was well again; None while it is open.
        measures: name to `state`, `value`, `unit`, `kind` and `cause` of what is not well.
        told_at: when the latest mail about it was written; None where there was none.
    """

    incident_id: int
    subject: str
    state: str
    worst: str
    cause: str
    opened_at: dt.datetime
    closed_at: dt.datetime | None
    measures: dict[str, Any]
    told_at: dt.datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and the web."""
        return asdict(self)


@dataclass(frozen=True)
class Change:
    """A change of an incident.

    Attributes:
        change_id: grows with time.
        incident_id: of which incident.
        subject: its subject.
        at: when.
        what: `opened`, `worse`, `changed` (another cause, or another measure), `better`,
            `failed again`, `reminded` or `over`.
        state: warning or critical, after it.
        cause: in a sentence.
        measures: what was not well.
        mail_id: the mail that tells of it; None where nobody was to be told.
        sent_at: when that mail was sent; None while it waits.
    """

    change_id: int
    incident_id: int
    subject: str
    at: dt.datetime
    what: str
    state: str
    cause: str
    measures: dict[str, Any]
    mail_id: int | None
    sent_at: dt.datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and the web."""
        return asdict(self)


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


# -- reading -----------------------------------------------------------------------


def open_incidents(connection: Connection) -> list[Incident]:
    """Return the incidents that are open now, the longest first."""
    return _incidents(connection, open_only=True, limit=1000)


def latest(connection: Connection, limit: int) -> list[Incident]:
    """Return the latest incidents, open and closed, the newest first."""
    return _incidents(connection, open_only=False, limit=limit)


def _incidents(connection: Connection, *, open_only: bool, limit: int) -> list[Incident]:
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(
            query("incidents-list"), {"open_only": open_only, "limit": limit}
        ).fetchall()


def history(connection: Connection, limit: int) -> list[Change]:
    """Return the latest changes of all incidents, the newest first."""
    with connection.cursor(row_factory=class_row(Change)) as cursor:
        return cursor.execute(query("incidents-history"), {"limit": limit}).fetchall()


# -- what is to be told --------------------------------------------------------------


@dataclass
class _Told:
    """What happens in one look, and becomes one mail.

    Attributes:
        at: the instant.
        telling: the changes that people are told of.
        quiet: those that are only noted.
    """

    at: dt.datetime
    telling: list[tuple[Incident, str]] = field(default_factory=list)
    quiet: list[tuple[Incident, str]] = field(default_factory=list)

    def as_json(self) -> list[dict[str, Any]]:
        """Return what people are told, as a mail's content has it."""
        return [
            {
                "incident_id": one.incident_id,
                "subject": one.subject,
                "what": what,
                "state": one.state,
                "cause": one.cause,
                "opened_at": one.opened_at.isoformat(),
                "seconds": max((self.at - one.opened_at).total_seconds(), 0),
                "measures": {} if what == "over" else one.measures,
            }
            for one, what in self.telling
        ]


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Look and note as the only one: what another saw before must not be noted after."""
    connection.execute("select set_config('lock_timeout', %s, false)", [_WAIT_FOR_LOCK])
    connection.execute("select pg_advisory_lock(%s, 0)", [LOCK_INCIDENTS])
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("select pg_advisory_unlock(%s, 0)", [LOCK_INCIDENTS])
            connection.execute("select set_config('lock_timeout', '0', false)")


def check(connection: Connection, settings: Settings, *, now: dt.datetime | None = None) -> Health:
    """Judge health, open, change and close incidents, and write the mail that tells of it.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: for the limits and the pace of reminders.
        now: the instant to judge at; None for the server's clock.

    Returns:
        Health, as it was judged.
    """
    with _alone(connection):
        found = health.read(connection, settings, now=now)
        airflow = Airflow.read(connection, found.at)
        with connection.transaction():
            _note_checks(connection, found)
            told = _Told(found.at)
            # Those whose callback did not work.
            missed = [
                miss
                for miss in _misses_of_airflow(connection, airflow)
                if _put_miss(connection, miss, found.at)
            ]
            for miss in missed:
                _join_deadline(connection, told, miss, found)
            _compare(connection, told, found, airflow)
            _remind(connection, settings, told)
            content = _content(found, told, "incidents")
            if missed:
                content["misses"] = [_told_miss(settings, miss) for miss in missed]
            _write(connection, settings, told, content, f"incidents {uuid.uuid4()}")
    return found


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
    with _alone(connection):
        if connection.execute(query("failures-put"), asdict(failure)).fetchone() is None:
            return False
        # It counts already.
        found = health.read(connection, settings, now=now)
        with connection.transaction():
            told = _Told(found.at)
            if failure.dag_id == health.DAG:
                _open_failures(connection, told, found, failure)
            elif failure.dag_id not in _BY_HAND:
                _open_dag(connection, told, failure)
            if _is_known(connection, settings, told, failure):
                _write(connection, settings, told, None, "")
                return True
            if _add_to_waiting(connection, settings, told, failure):
                return True
            content = _content(found, told, "failure")
            content["failures"] = [failure.as_json()]
            content["next"] = next_after(failure)
            key = (
                f"failure {failure.dag_id} {failure.run_id} {failure.task_id} {failure.try_number}"
            )
            mail_id = _write(connection, settings, told, content, key, always=True)
            _link(connection, failure, mail_id)
    return True


def deadline_missed(
    connection: Connection, settings: Settings, miss: Miss, *, now: dt.datetime | None = None
) -> bool:
    """Note that a DAG run missed its deadline, and write the mail.

    Returns:
        Whether it was new.
    """
    with _alone(connection):
        found = health.read(connection, settings, now=now)
        with connection.transaction():
            # Airflow knows which task the run was at.
            for known in _misses_of_airflow(connection, Airflow.read(connection, found.at)):
                if (known.dag_id, known.run_id) == (miss.dag_id, miss.run_id):
                    miss = replace(miss, task_id=known.task_id)
            if not _put_miss(connection, miss, found.at):
                return False
            told = _Told(found.at)
            _join_deadline(connection, told, miss, found)
            content = _content(found, told, "deadline")
            content["misses"] = [_told_miss(settings, miss)]
            key = f"deadline {miss.dag_id} {miss.run_id} {miss.deadline_at.isoformat()}"
            _write(connection, settings, told, content, key, always=True)
    return True


# -- comparing -----------------------------------------------------------------------


def _note_checks(connection: Connection, found: Health) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            query("checks-put"),
            [
                {
                    "name": one.name,
                    "state": one.state,
                    "value": one.value,
                    "cause": one.cause,
                    "at": found.at,
                }
                for one in found.measures
            ],
        )


def _entry(one: Measure, found: Health) -> dict[str, Any]:
    """Return a measure as an incident keeps it."""
    return {
        "state": one.state,
        "value": one.value,
        "unit": one.unit,
        "kind": found.cause.kind if one.name in _STALE else one.name,
        "cause": one.cause,
    }


def _groups(
    connection: Connection, found: Health, still: dict[str, Incident]
) -> dict[str, dict[str, Any]]:
    """Sort what is not well by incident: subject to measures.

    What an open incident has stays with it. What follows from another thing goes with
    that one: figures that are behind because runs failed are not told once more, nor is
    how long a run took that missed its deadline.
    """
    home = {name: one.subject for one in still.values() for name in one.measures}
    failed = found.cause.kind == "failed"
    last_failed = found.last_run is not None and found.last_run["state"] == "failed"
    groups: dict[str, dict[str, Any]] = {}
    for one in found.measures:
        if one.state == "normal" or (one.name == "dag_runtime" and _was_late(connection, found)):
            continue
        if one.state == "unknown":
            subject = "measuring"
        elif one.name in _STALE:
            subject = "failures" if failed else "freshness"
        elif one.name == "failed_runs" or last_failed:
            subject = "failures"
        else:
            subject = "freshness" if found.cause.kind == "held_back" else "runtime"
        groups.setdefault(home.get(one.name, subject), {})[one.name] = _entry(one, found)
    return groups


def _was_late(connection: Connection, found: Health) -> bool:
    """Tell whether the last run is known to have missed its deadline."""
    run = found.last_run["run"] if found.last_run is not None else ""
    return connection.execute(query("deadlines-known"), {"run": run}).fetchone() is not None


def _state_of(measures: dict[str, Any]) -> str:
    """Return an incident's state: warning or critical."""
    counted = [
        one["state"]
        for name, one in measures.items()
        # That a failed run took long, tries included, makes nothing worse.
        if not (name == "dag_runtime" and "failed_runs" in measures)
    ]
    return "critical" if "critical" in counted else "warning"


def _cause_of(measures: dict[str, Any], found: Health) -> str:
    if any(name in measures for name in _STALE) or found.cause.kind == "held_back":
        return found.cause.text
    first = next(iter(measures.values()))
    return str(first["cause"] or found.cause.text)


def _compare(connection: Connection, told: _Told, found: Health, airflow: Airflow) -> None:
    """Open, change and close incidents by what is not well."""
    still = {one.subject: one for one in open_incidents(connection)}
    groups = _groups(connection, found, still)
    for subject in groups | still:
        one = still.get(subject)
        lasting = _lasting(connection, one, airflow, told.at) if one is not None else {}
        judged = groups.get(subject, {})
        if judged:
            cause = _cause_of(judged, found)
            _settle(connection, told, one, subject, {**judged, **lasting}, cause)
        elif one is not None and lasting:
            _settle(connection, told, one, subject, lasting, one.cause)
        elif one is not None:
            _close(connection, told, one, found)


def _lasting(
    connection: Connection, one: Incident, airflow: Airflow, at: dt.datetime
) -> dict[str, Any]:
    """Return what an incident has that no measure tells: late runs and other DAGs' failures."""
    lasting: dict[str, Any] = {}
    for name, entry in one.measures.items():
        if name in health.MEASURES:
            continue
        since = dt.datetime.fromisoformat(entry["since"])
        # That the monitor works again, this very look shows.
        over: bool | None = True if entry["dag_id"] == MONITOR else None
        if over is None and airflow.schema is not None and airflow.reason is None:
            over = _is_over(connection, airflow.schema, name, entry)
        if over is None:
            over = at - since > _LONGEST_UNKNOWN
        if not over:
            lasting[name] = entry
    return lasting


def _is_over(connection: Connection, schema: str, name: str, entry: dict[str, Any]) -> bool:
    """Tell whether a late run has ended, or a failing DAG has worked again."""
    row = connection.execute(
        query("incidents-dag-run-over", "public", dag_run=sql.Identifier(schema, "dag_run")),
        {
            "dag": entry["dag_id"],
            "run": entry["run_id"],
            "late": name == "deadline",
            "since": entry["since"],
        },
    ).fetchone()
    return bool(row and row[0])


def _settle(
    connection: Connection,
    told: _Told,
    one: Incident | None,
    subject: str,
    measures: dict[str, Any],
    cause: str,
    *,
    again: str | None = None,
) -> None:
    """Open an incident, or bring an open one up to date; note what that means.

    Args:
        connection: in the look's transaction.
        told: takes the change.
        one: the incident, where it is open.
        subject: of the incident.
        measures: what is not well.
        cause: in a sentence.
        again: what to call it where it is neither new nor worse; None: the usual.
    """
    state = _state_of(measures)
    if one is None:
        opened = _open(connection, subject, state, cause, measures, told.at)
        told.telling.append((opened, "opened"))
        return
    worse = health.STATES.index(state) > health.STATES.index(one.worst)
    changed = {name: entry.get("kind") for name, entry in measures.items()} != {
        name: entry.get("kind") for name, entry in one.measures.items()
    }
    better = health.STATES.index(state) < health.STATES.index(one.state)
    updated = _update(connection, one, measures, state=state, cause=cause)
    if worse:
        told.telling.append((updated, "worse"))
    elif again is not None:
        told.telling.append((updated, again))
    elif better or changed:
        told.quiet.append((updated, "better" if better else "changed"))


def _open(
    connection: Connection,
    subject: str,
    state: str,
    cause: str,
    measures: dict[str, Any],
    at: dt.datetime,
) -> Incident:
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        row = cursor.execute(
            query("incidents-open"),
            {
                "subject": subject,
                "state": state,
                "cause": cause,
                "measures": Jsonb(measures),
                "at": at,
            },
        ).fetchone()
    if row is None:
        raise LookupError("the statement answered no row")
    return row


def _update(
    connection: Connection,
    one: Incident,
    measures: dict[str, Any],
    *,
    state: str | None = None,
    cause: str | None = None,
    closed_at: dt.datetime | None = None,
) -> Incident:
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        row = cursor.execute(
            query("incidents-update"),
            {
                "incident_id": one.incident_id,
                "state": state or one.state,
                "cause": cause or one.cause,
                "measures": Jsonb(measures),
                "closed_at": closed_at,
            },
        ).fetchone()
    if row is None:
        raise LookupError("the statement answered no row")
    return row


def _close(connection: Connection, told: _Told, one: Incident, found: Health) -> None:
    closed = _update(connection, one, one.measures, closed_at=told.at)
    text = {
        "freshness": found.cause.text,
        "failures": f"no run failed within 24 hours; {found.cause.text}",
        "runtime": "the last run took "
        + health.amount(found.measure("dag_runtime").value or 0, "seconds"),
    }.get(one.subject, "it works again")
    over = Incident(**{**vars(closed), "cause": f"It was: {one.cause}. Now: {text}."})
    (told.telling if one.told_at is not None else told.quiet).append((over, "over"))


def _remind(connection: Connection, settings: Settings, told: _Told) -> None:
    """Remind of what has been open for long, unless this mail tells of it anyway."""
    if settings.alert_reminder <= 0:
        return
    pace = dt.timedelta(seconds=settings.alert_reminder)
    known = {one.incident_id for one, _ in told.telling}
    for one in open_incidents(connection):
        last = one.told_at or one.opened_at
        if one.incident_id not in known and told.at - last >= pace:
            told.telling.append((one, "reminded"))


# -- tasks and deadlines ---------------------------------------------------------------


def _of_subject(connection: Connection, subject: str) -> Incident | None:
    return next((one for one in open_incidents(connection) if one.subject == subject), None)


def _open_failures(connection: Connection, told: _Told, found: Health, failure: Failure) -> None:
    """Open the incident of failed runs by the mail that tells of this one, or join it."""
    still = {one.subject: one for one in open_incidents(connection)}
    measures = _groups(connection, found, still).get("failures", {})
    if "failed_runs" not in measures:
        # The measure cannot be taken; that a run has failed is known all the same.
        measures["failed_runs"] = {
            "state": "warning",
            "value": None,
            "unit": "runs",
            "kind": "failed_runs",
            "cause": failure.error,
        }
    _settle(
        connection,
        told,
        still.get("failures"),
        "failures",
        measures,
        f"{failure.task_id} failed: {failure.error}",
        again="failed again",
    )


def _open_dag(connection: Connection, told: _Told, failure: Failure) -> None:
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
    _settle(
        connection,
        told,
        _of_subject(connection, subject),
        subject,
        {failure.task_id: entry},
        f"{failure.task_id} failed: {failure.error}",
        again="failed again",
    )


def _is_known(connection: Connection, settings: Settings, told: _Told, failure: Failure) -> bool:
    """Tell whether nobody is to be told once more; then the change is only noted.

    The monitor runs every few minutes: what keeps it from working is told once, and at the
    pace of reminders. A run that has been told of is not told again for each of its tasks.
    """
    if failure.dag_id == MONITOR and told.telling:
        one, what = told.telling[0]
        pace = settings.alert_reminder or float("inf")
        recently = one.told_at is not None and (told.at - one.told_at).total_seconds() < pace
        if what == "failed again" and recently:
            told.quiet, told.telling = told.telling, []
            return True
    row = connection.execute(
        query("failures-told"),
        {**asdict(failure), "since": failure.failed_at - _SAME_RUN},
    ).fetchone()
    if row is not None:
        told.quiet, told.telling = [*told.quiet, *told.telling], []
        _link(connection, failure, row[0])
        return True
    return False


def _add_to_waiting(
    connection: Connection, settings: Settings, told: _Told, failure: Failure
) -> bool:
    """Add a failure to the mail about the same run, where that has not gone out yet."""
    row = connection.execute(
        query("failures-waiting"),
        {
            "dag_id": failure.dag_id,
            "run_id": failure.run_id,
            "failure": Jsonb([failure.as_json()]),
        },
    ).fetchone()
    if row is None:
        return False
    told.quiet, told.telling = [*told.quiet, *told.telling], []
    _write(connection, settings, told, None, "")
    _link(connection, failure, row[0])
    return True


def _link(connection: Connection, failure: Failure, mail_id: int | None) -> None:
    connection.execute(query("failures-link"), {**asdict(failure), "mail_id": mail_id})


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
        {"text": "What is wrong, and what mends it", "code": "consumer-analytics doctor"},
        {"text": "Where the figures stand", "code": "consumer-analytics health"},
        {"text": again, "code": command},
    ]


def _put_miss(connection: Connection, miss: Miss, at: dt.datetime) -> bool:
    row = connection.execute(query("deadlines-put"), {**asdict(miss), "at": at}).fetchone()
    return row is not None


def _told_miss(settings: Settings, miss: Miss) -> dict[str, Any]:
    return {
        **asdict(miss),
        "execution_date": miss.execution_date.isoformat(),
        "deadline_at": miss.deadline_at.isoformat(),
        "allowed_seconds": settings.deadline,
    }


def _misses_of_airflow(connection: Connection, airflow: Airflow) -> list[Miss]:
    """Return the missed deadlines that Airflow has and we have not kept yet."""
    if airflow.schema is None or airflow.reason is not None:
        return []
    tables = {
        name: sql.Identifier(airflow.schema, name)
        for name in ("deadline", "dag_run", "task_instance")
    }
    rows = connection.execute(query("deadlines-of-airflow", "public", **tables)).fetchall()
    return [Miss(*row) for row in rows]


def _join_deadline(connection: Connection, told: _Told, miss: Miss, found: Health) -> None:
    one = _of_subject(connection, "freshness")
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
        if measure.name == "pending_events" and measure.value and found.behind_since is not None:
            late = {**_entry(measure, found), "state": health.judge(measure)}
            measures.setdefault("pending_events", late)
    cause = (
        found.cause.text
        if found.behind_since is not None
        else f"{miss.run_id} of {miss.dag_id} has not ended"
    )
    _settle(connection, told, one, "freshness", measures, cause, again="changed")


# -- writing -------------------------------------------------------------------------


def _content(found: Health, told: _Told, kind: str) -> dict[str, Any]:
    """Return a mail's content: what changed, and health as it is."""
    threads = [
        f"consumer-analytics.incident.{one.incident_id}.{int(one.opened_at.timestamp())}"
        for one, _ in told.telling
    ]
    looked = found.as_json()
    return {
        "kind": kind,
        "changes": told.as_json(),
        "threads": threads,
        "next": [
            {"text": "What is wrong, and what mends it", "code": "consumer-analytics doctor"},
            {"text": "Where the figures stand", "code": "consumer-analytics health"},
        ]
        if any(what != "over" for _, what in told.telling)
        else [],
        "health": {
            "at": found.at.isoformat(),
            "state": found.state,
            "watermark": found.watermark.isoformat(),
            "measures": looked["measures"],
        },
    }


def _write(
    connection: Connection,
    settings: Settings,
    told: _Told,
    content: dict[str, Any] | None,
    key: str,
    *,
    always: bool = False,
) -> int | None:
    """Write the mail, where somebody is to be told something, and the history."""
    mail_id = None
    something = always or told.telling or (content or {}).get("misses")
    if content is not None and something and mail.is_wanted(settings):
        mail_id = outbox.put(connection, key, content, told.at)
    for changes, told_by in ((told.telling, mail_id), (told.quiet, None)):
        for one, what in changes:
            connection.execute(
                query("incidents-note"),
                {
                    "incident_id": one.incident_id,
                    "at": told.at,
                    "what": what,
                    "state": one.state,
                    "cause": one.cause,
                    "measures": Jsonb(one.measures),
                    "mail_id": told_by,
                },
            )
    return mail_id
