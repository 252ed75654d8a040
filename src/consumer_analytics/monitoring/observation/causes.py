"""Why the figures are as fresh as they are: who holds them up, and what to do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from consumer_analytics.airflow import command_lines, states
from consumer_analytics.airflow.dag_ids import ETL
from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.db.tags import Tag
from consumer_analytics.errors import noted
from consumer_analytics.etl import holdback
from consumer_analytics.formatting import duration, moment, seconds
from consumer_analytics.monitoring.observation.airflow import Airflow
from consumer_analytics.monitoring.observation.due import grace
from consumer_analytics.monitoring.observation.observation import Observation
from consumer_analytics.monitoring.observation.runs import LatestRun
from consumer_analytics.sql import query

#: What there is: the first three where the figures are as fresh as they should be.
CAUSES = (
    "on_time",
    "nothing_to_process",
    "not_due",
    "not_run",
    "running_late",
    "held_back",
    "failed",
)


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


def cause_of_freshness(seen: Observation) -> Cause:
    """Return why the figures are as fresh as they are, in the observation's transaction."""
    cause = _cause(seen)
    if seen.mark.is_ahead:
        # Who set it took it for what is processed.
        return replace(cause, text=f"{cause.text}; {seen.mark.ahead}")
    return cause


def _cause(seen: Observation) -> Cause:
    due, mark = seen.due, seen.mark
    if due.instant is None:
        if due.following is None:
            return Cause(
                "not_due", f"the schedule {seen.settings.schedule} has no instants to be due at"
            )
        return Cause("not_due", f"nothing is due before {moment(due.following)}")
    if due.since is None:
        if mark.last_run_status == "success" and mark.records_processed == 0:
            return Cause(
                "nothing_to_process",
                f"the figures reach {moment(due.instant)} as they should; the last run found "
                "nothing new",
            )
        return Cause("on_time", f"the figures reach {moment(due.instant)} as they should")
    return _at_work(seen) or _ended(seen) or _not_run(seen)


def _at_work(seen: Observation) -> Cause | None:
    """Return the cause where a run is under way."""
    latest, airflow, at = seen.engine.latest, seen.airflow, seen.at
    since: dt.datetime | None = None
    what = ""
    if airflow.working is not None:
        since = airflow.working.since
        if airflow.working.state == states.QUEUED and _is_stuck(airflow, at):
            return None
        what = f"DAG run {airflow.working.run_id} is {airflow.working.state}"
    elif (
        latest is not None
        and latest.state == "open"
        and (_has_session(seen.connection) or at - latest.opened_at < grace(seen.settings))
    ):
        since = latest.opened_at
        what = f"run {latest.run_key} is at work"
    if not what:
        return None
    began = f" since {moment(since)}, for {duration(seconds(at - since))}" if since else ""
    waiting = ""
    holders: tuple[dict[str, Any], ...] = ()
    if latest is None or latest.state != "open":
        # It has not opened yet: it may be waiting for transactions.
        open_now = _open_now(seen, seen.due.instant or at)
        if open_now and _has_session(seen.connection):
            holders = tuple({**one.as_json(), "open": True} for one in open_now)
            waiting = f"; it waits for {open_now[0].describe()}"
    return Cause("running_late", f"{what}{began}{waiting}", holders)


def _is_stuck(airflow: Airflow, at: dt.datetime) -> bool:
    """Tell whether nobody will take a queued run up."""
    runs = airflow.runs
    return runs is not None and (runs.is_paused or runs.scheduler_is_silent(at))


def _has_session(connection: Connection) -> bool:
    """Tell whether a run of ours has a session open."""
    return bool(scalar(connection, query("monitoring/observation/sessions")))


def _ended(seen: Observation) -> Cause | None:
    """Return the cause where the last run for what is due has ended, or was killed."""
    mark, latest, due = seen.mark, seen.engine.latest, seen.due
    if mark.last_run_status == "failed" and mark.last_run_at is not None:
        return Cause(
            "failed", f"the last run failed at {moment(mark.last_run_at)}: {noted(mark.metadata)}"
        )
    ended = seen.airflow.finished
    if (
        ended is not None
        and ended.state == "failed"
        and due.missed is not None
        and ended.ended_at >= due.missed
        and (latest is None or latest.finished_at is None or ended.ended_at > latest.finished_at)
    ):
        return Cause(
            "failed",
            f"DAG run {ended.run_id} failed at {moment(ended.ended_at)}; its tasks' logs say why",
        )
    if latest is None:
        return None
    if latest.state in {"open", "interrupted"}:
        return Cause(
            "failed",
            f"run {latest.run_key} was opened at {moment(latest.opened_at)} and never "
            "ended: it was killed, or its DAG run gave up; run it again",
        )
    if latest.state == "success" and latest.held_back_by:
        return _held_back(seen, latest)
    return None


def _held_back(seen: Observation, run: LatestRun) -> Cause:
    """Say who held the last run back, and whether they still would."""
    still = {
        (row[0], row[1])
        for row in seen.connection.execute(query("monitoring/observation/transactions"))
    }
    holders = []
    for holder in run.held_back_by:
        key = (
            (holder["application_name"], None)
            if holder["kind"] == "prepared"
            else (str(holder["pid"]), holder["transaction_start"])
        )
        # What is open in a shard is not to be seen from here.
        is_open = "shard" in holder or _matches(still, key, holder["kind"])
        holders.append({**holder, "open": is_open})
    first = next((one for one in holders if one["open"]), holders[0])
    who = (
        f"prepared transaction {first['application_name']!r} of user {first['user']}"
        if first["kind"] == "prepared"
        else f"pid {first['pid']} ({first['application_name'] or 'no application name'}, "
        f"user {first['user']}, {first['state']})"
    )
    if "shard" in first:
        who += f" in shard {first['shard']}"
    elif first["transaction_start"] and first["open"]:
        age = seconds(seen.at - dt.datetime.fromisoformat(first["transaction_start"]))
        who += f", open for {duration(age)}"
    more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    then = (
        "see that it ends, then run again"
        if "shard" in first
        else "end it, then run again"
        if first["open"]
        else "it has ended since; the next run takes in the rest"
    )
    return Cause(
        "held_back",
        f"the run of {moment(run.requested_at)} stopped at "
        f"{moment(run.reached_at or run.requested_at)}, held back by {who}{more}; {then}",
        tuple(holders),
    )


def _matches(still: set[tuple[Any, Any]], key: tuple[Any, Any], kind: str) -> bool:
    """Tell whether a transaction is among those open now."""
    if kind != "session" or key[1] is None:
        return any(name == key[0] for name, _ in still)
    began = dt.datetime.fromisoformat(str(key[1]))
    return any(name == key[0] and since == began for name, since in still)


def _open_now(seen: Observation, before: dt.datetime) -> list[holdback.Holder]:
    """Return the transactions that would hold a run for this instant back, the oldest first."""
    rows = seen.connection.execute(
        query("shared/transactions-open"),
        {"reader_tag": Tag.READER.value, "ignored_roles": seen.settings.ignored_roles},
    ).fetchall()
    return [
        holdback.Holder(
            "session", began, pid, user, application, state or "active", started, seen.at
        )
        for pid, user, application, state, began, started, hidden, _, ignored in rows
        if not hidden and not ignored and began < before
    ]


def _not_run(seen: Observation) -> Cause:
    due, runs = seen.due, seen.airflow.runs
    if due.moved:
        why = f"{due.moved}, and nothing has run since"
    else:
        missed = moment(due.missed) if due.missed else "the last instant due"
        why = f"the run of {missed} has not happened"
    if runs is None:
        return Cause("not_run", why)
    if runs.is_paused:
        why += (
            f": DAG {ETL} is paused; unpause it, or ask whoever paused it "
            "(`consumer-analytics doctor` names them)"
        )
    elif runs.has_import_errors:
        why += f": DAG {ETL} has an import error; `{command_lines.LIST_IMPORT_ERRORS}` shows it"
    elif runs.scheduler_seen_at is not None and runs.scheduler_is_silent(seen.at):
        why += (
            f": Airflow's scheduler has not been heard of since "
            f"{moment(runs.scheduler_seen_at)}; start it"
        )
    return Cause("not_run", why)
