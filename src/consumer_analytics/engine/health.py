"""Whether all is well: four measures, each judged by its limits, and the cause where it is not.

    dag_runtime     how long the last finished run of `consumer_analytics_etl` took
    failed_runs     how many of its runs failed within 24 hours
    watermark_lag   how long the watermark has been behind what the schedule was due to reach
    pending_events  events from before that instant that are not processed yet

Nothing is written. Everything is a function of the database and an instant, so
that another clock than the server's can be given.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from consumer_analytics.engine import holdback, watermark
from consumer_analytics.engine.database import LOCK_READER, Connection, consistent, scalar
from consumer_analytics.engine.schedule import Schedule
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

DAG = "consumer_analytics_etl"
MEASURES = ("dag_runtime", "failed_runs", "watermark_lag", "pending_events")
#: From best to worst. What cannot be known is not well.
STATES = ("normal", "unknown", "warning", "critical")
#: A run with a deadline is late only after it; its own alarm comes first.
_MARGIN = dt.timedelta(minutes=1)
_USUAL_DEADLINE = 600.0
#: The scheduler, and the next try, come a little later than they might.
_SCHEDULERS_DELAY = 60.0
_SCHEDULER_SILENT = dt.timedelta(minutes=2)
#: Counting goes no further than this.
MOST_EVENTS = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: Steps named where a run took long.
_SLOWEST = 2


def worst(states: list[str]) -> str:
    """Return the worst of some states; normal where there are none."""
    return max(states, key=STATES.index, default="normal")


@dataclass(frozen=True)
class Cause:
    """Why the figures are as fresh as they are.

    Attributes:
        kind: `on_time`; `nothing_to_process` (on time, and nothing was new); `not_due`
            (no instant of the schedule has come yet); or, where the watermark is behind,
            `not_run`, `running_late`, `held_back`, `failed`.
        text: the same in a sentence, with who, when and what to do.
        holders: the transactions that held the last run back, as `metadata_json` has
            them, with `open` telling whether they still are.
    """

    kind: str
    text: str
    holders: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"kind": self.kind, "text": self.text, "held_back_by": list(self.holders)}


@dataclass(frozen=True)
class Measure:
    """One of the four measures.

    Attributes:
        name: one of `MEASURES`.
        value: what was measured, in `unit`; None where there is nothing to measure yet, or
            where it cannot be measured.
        unit: `seconds`, `runs` or `events`.
        state: `normal`, `warning`, `critical`; `unknown` where it cannot be measured.
        warning: the limit from which on it is a warning.
        critical: the limit beyond which it is critical; for `failed_runs` from which on.
        cause: why it is not normal, or what is remarkable; None where nothing is.
        source: where it was taken from: `airflow` (its metadata), `runs` (the engine's own
            record) or `sources`.
        raw: the unjudged figure beside it: `watermark_age_seconds` or `backlog_events`.
    """

    name: str
    value: float | None
    unit: str
    state: str
    warning: float
    critical: float
    cause: str | None = None
    source: str = "runs"
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, str]:
        """The three ranges as people read them, such as `< 5 s`, `5-15 s`, `> 15 s`."""
        low, high = (amount(limit, self.unit) for limit in (self.warning, self.critical))
        if self.unit == "runs":
            below = amount(self.warning - 1, self.unit)
            between = amount(self.critical - 1, self.unit)
            return {
                "normal": below if self.warning == 1 else f"<= {below}",
                "warning": _between(low, between) if self.warning < self.critical else "-",
                "critical": f">= {high}",
            }
        normal = "0" if self.unit == "events" and self.warning == 1 else f"< {low}"
        return {"normal": normal, "warning": _between(low, high), "critical": f"> {high}"}

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "state": self.state,
            "warning": self.warning,
            "critical": self.critical,
            "limits": self.limits,
            "cause": self.cause,
            "source": self.source,
            **self.raw,
        }


@dataclass(frozen=True)
class Health:
    """All measures as of an instant.

    Attributes:
        at: when they were taken.
        state: the worst of their states.
        cause: of the figures' freshness.
        measures: in the order of `MEASURES`.
        watermark: how far the figures have come.
        due: the last instant that the schedule was due to reach; None before the first.
        next_due: the next one; None where the schedule has none.
        behind_since: since when the watermark has been behind; None where it is not.
        watermark_age_seconds: how old the watermark is, whatever the schedule.
        backlog_events: events from the watermark on, whatever the schedule; counted up to
            `MOST_EVENTS`.
        last_run: the last finished run: `run`, `state`, `started_at`, `finished_at`; None
            before the first.
    """

    at: dt.datetime
    state: str
    cause: Cause
    measures: tuple[Measure, ...]
    watermark: dt.datetime
    due: dt.datetime | None
    next_due: dt.datetime | None
    behind_since: dt.datetime | None
    watermark_age_seconds: float
    backlog_events: int
    last_run: dict[str, Any] | None

    def measure(self, name: str) -> Measure:
        """Return a measure by its name."""
        return next(one for one in self.measures if one.name == name)

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and the web."""
        return {
            "at": self.at,
            "state": self.state,
            "cause": self.cause.as_json(),
            "measures": [one.as_json() for one in self.measures],
            "watermark": self.watermark,
            "due": self.due,
            "next_due": self.next_due,
            "behind_since": self.behind_since,
            "watermark_age_seconds": self.watermark_age_seconds,
            "backlog_events": self.backlog_events,
            "last_run": self.last_run,
        }


def read(connection: Connection, settings: Settings, *, now: dt.datetime | None = None) -> Health:
    """Take all measures and judge them.

    Args:
        connection: in autocommit; within a transaction it is the caller's whether all of it
            sees one state of the data.
        settings: for the schedule and the limits.
        now: the instant to judge at; None for the server's clock.

    Raises:
        SchemaError: `etl_job_watermarks` lacks the job's row.
    """
    if connection.info.transaction_status is TransactionStatus.INTRANS:
        return _read(connection, settings, now)
    # One look: a run may commit between two of these statements.
    with consistent(connection):
        return _read(connection, settings, now)


def _read(connection: Connection, settings: Settings, now: dt.datetime | None) -> Health:
    mark = watermark.read(connection)
    at = now or mark.read_at
    engine = _row(
        connection,
        query("health-runs"),
        now=at,
        watermark=mark.last_processed_timestamp,
        until_tried_again=settings.retry_delay + _SCHEDULERS_DELAY,
    )
    airflow = Airflow.read(connection, at)
    due = _due(settings, mark, engine["installed_at"], at)
    cause = _freshness(connection, settings, mark, due, engine, airflow, at)
    pending, backlog = _events(
        connection, settings, mark, due.instant if due.since is not None else None, at
    )
    measures = (
        _runtime(settings, engine, airflow),
        _failed(settings, mark, engine, airflow),
        _lag(settings, mark, due, cause, at),
        _pending(settings, pending, backlog, due, cause, at),
    )
    return Health(
        at=at,
        state=worst([one.state for one in measures]),
        cause=cause,
        measures=measures,
        watermark=mark.last_processed_timestamp,
        due=due.instant,
        next_due=due.following,
        behind_since=due.since,
        watermark_age_seconds=_seconds(at - mark.last_processed_timestamp),
        backlog_events=backlog,
        last_run=_last_run(engine, airflow),
    )


def judge(one: Measure) -> str:
    """Return a measure's state by its limits alone, whether or not there is time left."""
    if one.value is None:
        return one.state
    return _judged(one.value, one.warning, one.critical, from_critical=one.unit == "runs")


def amount(value: float, unit: str) -> str:
    """Write a measured value as people read it: `4.2 s`, `25 min`, `6 h`, `3 d`, `1,200`."""
    if unit != "seconds":
        return f"{value:,.0f}"
    for size, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if value >= size * (2 if size == _DAY else 1):
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} s"


def _between(low: str, high: str) -> str:
    """Write a range, with the unit once where both have the same."""
    if low == high:
        return low
    (number, _, unit), (_, _, other) = low.partition(" "), high.partition(" ")
    return f"{number}-{high}" if unit == other else f"{low} - {high}"


def _row(connection: Connection, statement: sql.Composed, **values: Any) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(statement, values).fetchone()
    if row is None:
        raise LookupError("the statement answered no row")
    return row


def _seconds(length: dt.timedelta) -> float:
    return max(length.total_seconds(), 0.0)


# -- what Airflow knows ----------------------------------------------------------


@dataclass(frozen=True)
class Airflow:
    """Airflow's metadata, where this database has it.

    Attributes:
        schema: where; None where it is elsewhere.
        reason: why it cannot be read, though it is here.
        known: what it says of the DAG (`health-dag-runs.sql`); empty where unreadable.
    """

    schema: str | None
    reason: str | None
    known: dict[str, Any]

    @classmethod
    def read(cls, connection: Connection, at: dt.datetime, dag: str = DAG) -> Airflow:
        """Find Airflow's tables and read what they say of a DAG."""
        found = connection.execute(query("health-airflow-tables")).fetchone()
        if found is None:
            return cls(None, None, {})
        schema, readable = found
        if not readable:
            login = scalar(connection, "select current_user")
            return cls(
                schema,
                f"login {login} may not read Airflow's tables: GRANT USAGE ON SCHEMA {schema} and "
                f"SELECT ON ALL TABLES IN SCHEMA {schema} TO it",
                {},
            )
        tables = {name: sql.Identifier(schema, name) for name in ("dag_run", "dag", "job")}
        known = _row(connection, query("health-dag-runs", "public", **tables), dag=dag, now=at)
        return cls(schema, None, known)

    @property
    def runs_it(self) -> bool:
        """Whether it has finished a run of the DAG."""
        return self.known.get("run_id") is not None


# -- what was due ----------------------------------------------------------------


@dataclass(frozen=True)
class _Due:
    """What the schedule asked for.

    Attributes:
        instant: the last instant due; None before the first.
        following: the next one.
        since: since when the watermark has been behind; None where it is not.
        missed: the first instant due that it has not reached.
        moved: who set the watermark back by hand, and when; empty where nobody did.
    """

    instant: dt.datetime | None
    following: dt.datetime | None
    since: dt.datetime | None = None
    missed: dt.datetime | None = None
    moved: str = ""


def _due(
    settings: Settings, mark: watermark.Watermark, installed: dt.datetime | None, at: dt.datetime
) -> _Due:
    schedule = Schedule(settings.schedule, settings.zone)
    if schedule.timeless:
        return _Due(None, None)
    following = schedule.after(at)
    # The first day is due itself.
    start = dt.datetime.combine(settings.start_date, dt.time(), settings.zone)
    floor = start.astimezone(dt.UTC) - dt.timedelta(microseconds=1)
    if mark.last_run_at is None and mark.last_processed_timestamp == watermark.EPOCH:
        # It has never run, and nothing was due before there was anything to run.
        floor = max(floor, installed if installed is not None and installed <= at else floor)
    instant = schedule.last(at)
    if instant <= floor:
        return _Due(None, following)
    if mark.last_processed_timestamp >= instant:
        return _Due(instant, following)
    missed = schedule.after(max(mark.last_processed_timestamp, floor))
    moved_at, moved = _moved_by_hand(mark, at)
    return _Due(instant, following, max(missed, moved_at or missed), missed, moved)


def _moved_by_hand(mark: watermark.Watermark, at: dt.datetime) -> tuple[dt.datetime | None, str]:
    """Return when somebody set the watermark, where nothing has run since; and by what."""
    if mark.last_run_status != "pending":
        return None, ""
    for key in ("override_at", "reset_at"):
        try:
            moved_at = dt.datetime.fromisoformat(str(mark.metadata[key]))
        except (KeyError, ValueError):
            continue
        if moved_at.tzinfo is None:
            moved_at = moved_at.replace(tzinfo=dt.UTC)
        moved_at = min(moved_at.astimezone(dt.UTC), at)
        who = mark.metadata.get("override_by") or mark.metadata.get("reset_reason") or "SQL"
        return moved_at, f"the watermark was set by hand at {_moment(moved_at)} ({who})"
    return None, ""


def grace(settings: Settings) -> dt.timedelta:
    """Return how long a run may take before what it has not done yet is pending."""
    return dt.timedelta(seconds=settings.deadline or _USUAL_DEADLINE) + _MARGIN


# -- why -------------------------------------------------------------------------


def _freshness(
    connection: Connection,
    settings: Settings,
    mark: watermark.Watermark,
    due: _Due,
    engine: dict[str, Any],
    airflow: Airflow,
    at: dt.datetime,
) -> Cause:
    if due.instant is None:
        if due.following is None:
            return Cause(
                "not_due", f"the schedule {settings.schedule} has no instants to be due at"
            )
        return Cause("not_due", f"nothing is due before {_moment(due.following)}")
    if due.since is None:
        if mark.last_run_status == "success" and mark.records_processed == 0:
            return Cause(
                "nothing_to_process",
                f"the figures reach {_moment(due.instant)} as they should; the last run found "
                "nothing new",
            )
        return Cause("on_time", f"the figures reach {_moment(due.instant)} as they should")
    return (
        _at_work(connection, settings, due, engine, airflow, at)
        or _ended(connection, mark, engine, airflow, due, at)
        or _not_run(due, airflow, at)
    )


def _at_work(
    connection: Connection,
    settings: Settings,
    due: _Due,
    engine: dict[str, Any],
    airflow: Airflow,
    at: dt.datetime,
) -> Cause | None:
    """Return the cause where a run is under way."""
    since: dt.datetime | None = None
    what = ""
    if airflow.known.get("working_run_id") is not None:
        since = airflow.known["working_since"]
        queued = airflow.known["working_state"] == "queued"
        if queued and (airflow.known["is_paused"] or _silent(airflow, at)):
            # Nobody will take it up.
            return None
        what = f"DAG run {airflow.known['working_run_id']} is {airflow.known['working_state']}"
    elif engine["state"] == "open" and (
        _has_session(connection) or at - engine["opened_at"] < grace(settings)
    ):
        since = engine["opened_at"]
        what = f"run {engine['run_key']} is at work"
    if not what:
        return None
    began = (
        f" since {_moment(since)}, for {amount(_seconds(at - since), 'seconds')}" if since else ""
    )
    waiting = ""
    holders: tuple[dict[str, Any], ...] = ()
    if engine["state"] != "open":
        # It has not opened yet: it may be waiting for transactions.
        open_now = _open_now(connection, settings, due.instant or at, at)
        if open_now and _has_session(connection):
            holders = tuple({**one.as_json(), "open": True} for one in open_now)
            waiting = f"; it waits for {open_now[0].describe()}"
    return Cause("running_late", f"{what}{began}{waiting}", holders)


def _has_session(connection: Connection) -> bool:
    """Tell whether a run of ours has a session open."""
    return bool(scalar(connection, query("health-sessions")))


def _ended(
    connection: Connection,
    mark: watermark.Watermark,
    engine: dict[str, Any],
    airflow: Airflow,
    due: _Due,
    at: dt.datetime,
) -> Cause | None:
    """Return the cause where the last run for what is due has ended, or was killed."""
    state = engine["state"]
    if mark.last_run_status == "failed" and mark.last_run_at is not None:
        return Cause(
            "failed", f"the last run failed at {_moment(mark.last_run_at)}: {_error(mark.metadata)}"
        )
    if (
        airflow.known.get("state") == "failed"
        and due.missed is not None
        and airflow.known["end_date"] >= due.missed
        and (engine["finished_at"] is None or airflow.known["end_date"] > engine["finished_at"])
    ):
        return Cause(
            "failed",
            f"DAG run {airflow.known['run_id']} failed at {_moment(airflow.known['end_date'])}; "
            "its tasks' logs say why",
        )
    if state == "open":
        return Cause(
            "failed",
            f"run {engine['run_key']} was opened at {_moment(engine['opened_at'])} and never "
            "ended: it was killed, or its DAG run gave up; run it again",
        )
    if state == "success" and engine["held_back_by"]:
        return _held_back(connection, engine, at)
    return None


def _held_back(connection: Connection, engine: dict[str, Any], at: dt.datetime) -> Cause:
    """Say who held the last run back, and whether they still would."""
    still = {
        (row[0], row[1])
        for row in connection.execute(query("health-transactions"), {"reader_lock": LOCK_READER})
    }
    holders = []
    for told in engine["held_back_by"]:
        key = (
            (told["application_name"], None)
            if told["kind"] == "prepared"
            else (str(told["pid"]), told["transaction_start"])
        )
        holders.append({**told, "open": _matches(still, key, told["kind"])})
    first = next((one for one in holders if one["open"]), holders[0])
    who = (
        f"prepared transaction {first['application_name']!r} of user {first['user']}"
        if first["kind"] == "prepared"
        else f"pid {first['pid']} ({first['application_name'] or 'no application name'}, "
        f"user {first['user']}, {first['state']})"
    )
    if first["transaction_start"] and first["open"]:
        age = _seconds(at - dt.datetime.fromisoformat(first["transaction_start"]))
        who += f", open for {amount(age, 'seconds')}"
    more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    then = (
        "end it, then run again"
        if first["open"]
        else "it has ended since; the next run takes in the rest"
    )
    return Cause(
        "held_back",
        f"the run of {_moment(engine['requested_at'])} stopped at "
        f"{_moment(engine['reached_at'])}, held back by {who}{more}; {then}",
        tuple(holders),
    )


def _matches(still: set[tuple[Any, Any]], key: tuple[Any, Any], kind: str) -> bool:
    """Tell whether a transaction is among those open now."""
    if kind != "session" or key[1] is None:
        return any(name == key[0] for name, _ in still)
    began = dt.datetime.fromisoformat(str(key[1]))
    return any(name == key[0] and since == began for name, since in still)


def _open_now(
    connection: Connection, settings: Settings, before: dt.datetime, at: dt.datetime
) -> list[holdback.Holder]:
    """Return the transactions that would hold a run for this instant back, the oldest first."""
    rows = connection.execute(
        query("transactions-open"),
        {"reader_lock": LOCK_READER, "ignored_roles": settings.ignored_roles},
    ).fetchall()
    return [
        holdback.Holder("session", began, pid, user, application, state or "active", started, at)
        for pid, user, application, state, began, started, hidden, _, ignored in rows
        if not hidden and not ignored and began < before
    ]


def _error(told: dict[str, Any]) -> str:
    """Write the error that a failed run noted."""
    return f"{told.get('error_type')}: {told.get('error')}"


def _silent(airflow: Airflow, at: dt.datetime) -> bool:
    seen: dt.datetime | None = airflow.known.get("scheduler_seen_at")
    return seen is not None and at - seen > _SCHEDULER_SILENT


def _not_run(due: _Due, airflow: Airflow, at: dt.datetime) -> Cause:
    known = airflow.known
    if due.moved:
        why = f"{due.moved}, and nothing has run since"
    else:
        missed = _moment(due.missed) if due.missed else "the last instant due"
        why = f"the run of {missed} has not happened"
    if known.get("is_paused"):
        why += f": DAG {DAG} is paused; unpause it"
    elif known.get("has_import_errors"):
        why += f": DAG {DAG} has an import error; `airflow dags list-import-errors` shows it"
    elif _silent(airflow, at):
        why += (
            f": Airflow's scheduler has not been heard of since "
            f"{_moment(known['scheduler_seen_at'])}; start it"
        )
    return Cause("not_run", why)


def _moment(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# -- the measures ----------------------------------------------------------------


def _judged(value: float, warning: float, critical: float, *, from_critical: bool = False) -> str:
    if value > critical or (from_critical and value == critical):
        return "critical"
    return "warning" if value >= warning else "normal"


def _last_run(engine: dict[str, Any], airflow: Airflow) -> dict[str, Any] | None:
    """Return the last finished run, as Airflow has it, else as the engine has it."""
    if airflow.runs_it:
        run_key = f"airflow:{DAG}:{airflow.known['run_id']}"
        started, ended = airflow.known["start_date"], airflow.known["end_date"]
        state, source = airflow.known["state"], "airflow"
    elif engine["finished_run_key"] is not None:
        run_key = engine["finished_run_key"]
        started, ended = engine["finished_opened_at"], engine["finished_finished_at"]
        state, source = engine["finished_state"], "runs"
    else:
        return None
    return {
        "run": run_key,
        "state": state,
        "started_at": started,
        "finished_at": ended,
        "seconds": _seconds(ended - started),
        "source": source,
    }


def _runtime(settings: Settings, engine: dict[str, Any], airflow: Airflow) -> Measure:
    limits = (settings.runtime_warning, settings.runtime_critical)
    if airflow.reason is not None:
        return Measure(
            "dag_runtime", None, "seconds", "unknown", *limits, airflow.reason, "airflow"
        )
    last = _last_run(engine, airflow)
    if last is None:
        return Measure(
            "dag_runtime", None, "seconds", "normal", *limits, "no run has finished yet", "runs"
        )
    state = _judged(last["seconds"], *limits)
    cause = None
    if state != "normal":
        cause = _why_slow(last, engine)
    return Measure("dag_runtime", last["seconds"], "seconds", state, *limits, cause, last["source"])


def _why_slow(last: dict[str, Any], engine: dict[str, Any]) -> str:
    """Say where a run's time went."""
    text = f"run {last['run']} took {amount(last['seconds'], 'seconds')}"
    if last["state"] == "failed":
        return f"{text}, tries and waiting between them included, and failed"
    if last["run"] != engine["finished_run_key"]:
        return text
    waited = _seconds(engine["finished_opened_at"] - last["started_at"])
    steps = dict(engine["finished_summary"].get("seconds", {}))
    steps["starting and waiting for open transactions"] = waited
    slowest = sorted(steps.items(), key=lambda one: -one[1])[:_SLOWEST]
    told = ", ".join(f"{name} {amount(took, 'seconds')}" for name, took in slowest if took > 0)
    return f"{text}: {told}" if told else text


def _failed(
    settings: Settings, mark: watermark.Watermark, engine: dict[str, Any], airflow: Airflow
) -> Measure:
    limits = (settings.failed_runs_warning, settings.failed_runs_critical)
    if airflow.reason is not None:
        return Measure("failed_runs", None, "runs", "unknown", *limits, airflow.reason, "airflow")
    by_airflow = airflow.runs_it
    count = (
        airflow.known["failed"] + engine["failed_outside_airflow"]
        if by_airflow
        else engine["failed"]
    )
    state = _judged(count, *limits, from_critical=True)
    cause = None
    if count:
        told = mark.metadata if mark.last_run_status == "failed" else engine["last_error"]
        cause = f"{count} failed within 24 hours" + (f", the last: {_error(told)}" if told else "")
    return Measure(
        "failed_runs", count, "runs", state, *limits, cause, "airflow" if by_airflow else "runs"
    )


def _lag(
    settings: Settings, mark: watermark.Watermark, due: _Due, cause: Cause, at: dt.datetime
) -> Measure:
    lag = _seconds(at - due.since) if due.since is not None else 0.0
    limits = (settings.lag_warning, settings.lag_critical)
    return Measure(
        "watermark_lag",
        lag,
        "seconds",
        _judged(lag, *limits),
        *limits,
        cause.text,
        "runs",
        {"watermark_age_seconds": _seconds(at - mark.last_processed_timestamp)},
    )


def _pending(
    settings: Settings, pending: int, backlog: int, due: _Due, cause: Cause, at: dt.datetime
) -> Measure:
    limits = (settings.pending_warning, settings.pending_critical)
    state = _judged(pending, *limits)
    text = cause.text if pending else None
    if pending and due.since is not None and cause.kind != "failed":
        until = due.since + grace(settings)
        if at < until:
            # They were due a moment ago.
            state = "normal"
            text = f"{cause.text}; it has until {_moment(until)}"
    if pending >= MOST_EVENTS:
        text = f"at least {MOST_EVENTS:,}: {text}"
    return Measure(
        "pending_events",
        pending,
        "events",
        state,
        *limits,
        text,
        "sources",
        {"backlog_events": backlog},
    )


def _events(
    connection: Connection,
    settings: Settings,
    mark: watermark.Watermark,
    due: dt.datetime | None,
    at: dt.datetime,
) -> tuple[int, int]:
    """Count the events that wait: from before what was due, if anything was, and before now."""
    counted = _row(
        connection,
        query("health-events-pending", settings.source_schema),
        job=watermark.JOB,
        watermark=mark.last_processed_timestamp,
        due=due,
        now=at,
        limit=MOST_EVENTS,
    )
    return counted["pending"], counted["backlog"]
