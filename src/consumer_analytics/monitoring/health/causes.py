"""Why the figures are as fresh as they are: who holds them up, and what to do."""

from __future__ import annotations

import datetime as dt
from typing import Any

from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.db.locks import Lock
from consumer_analytics.errors import noted
from consumer_analytics.etl import holdback
from consumer_analytics.formatting import duration, moment, seconds
from consumer_analytics.monitoring.health.airflow import DAG
from consumer_analytics.monitoring.health.due import grace
from consumer_analytics.monitoring.health.models import Cause
from consumer_analytics.monitoring.health.observation import Look
from consumer_analytics.sql import query


def freshness(look: Look) -> Cause:
    """Return the cause of the figures' freshness, or of the want of it."""
    due, mark = look.due, look.mark
    if due.instant is None:
        if due.following is None:
            return Cause(
                "not_due", f"the schedule {look.settings.schedule} has no instants to be due at"
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
    return _at_work(look) or _ended(look) or _not_run(look)


def _at_work(look: Look) -> Cause | None:
    """Return the cause where a run is under way."""
    engine, airflow, at = look.engine, look.airflow, look.at
    since: dt.datetime | None = None
    what = ""
    if airflow.known.get("working_run_id") is not None:
        since = airflow.known["working_since"]
        queued = airflow.known["working_state"] == "queued"
        if queued and (airflow.known["is_paused"] or airflow.is_silent(at)):
            # Nobody will take it up.
            return None
        what = f"DAG run {airflow.known['working_run_id']} is {airflow.known['working_state']}"
    elif engine["state"] == "open" and (
        _has_session(look.connection) or at - engine["opened_at"] < grace(look.settings)
    ):
        since = engine["opened_at"]
        what = f"run {engine['run_key']} is at work"
    if not what:
        return None
    began = f" since {moment(since)}, for {duration(seconds(at - since))}" if since else ""
    waiting = ""
    holders: tuple[dict[str, Any], ...] = ()
    if engine["state"] != "open":
        # It has not opened yet: it may be waiting for transactions.
        open_now = _open_now(look, look.due.instant or at)
        if open_now and _has_session(look.connection):
            holders = tuple({**one.as_json(), "open": True} for one in open_now)
            waiting = f"; it waits for {open_now[0].describe()}"
    return Cause("running_late", f"{what}{began}{waiting}", holders)


def _has_session(connection: Connection) -> bool:
    """Tell whether a run of ours has a session open."""
    return bool(scalar(connection, query("monitoring/health/sessions")))


def _ended(look: Look) -> Cause | None:
    """Return the cause where the last run for what is due has ended, or was killed."""
    mark, engine, airflow, due = look.mark, look.engine, look.airflow, look.due
    state = engine["state"]
    if mark.last_run_status == "failed" and mark.last_run_at is not None:
        return Cause(
            "failed", f"the last run failed at {moment(mark.last_run_at)}: {noted(mark.metadata)}"
        )
    if (
        airflow.known.get("state") == "failed"
        and due.missed is not None
        and airflow.known["end_date"] >= due.missed
        and (engine["finished_at"] is None or airflow.known["end_date"] > engine["finished_at"])
    ):
        return Cause(
            "failed",
            f"DAG run {airflow.known['run_id']} failed at {moment(airflow.known['end_date'])}; "
            "its tasks' logs say why",
        )
    if state == "open":
        return Cause(
            "failed",
            f"run {engine['run_key']} was opened at {moment(engine['opened_at'])} and never "
            "ended: it was killed, or its DAG run gave up; run it again",
        )
    if state == "success" and engine["held_back_by"]:
        return _held_back(look)
    return None


def _held_back(look: Look) -> Cause:
    """Say who held the last run back, and whether they still would."""
    engine = look.engine
    still = {
        (row[0], row[1])
        for row in look.connection.execute(
            query("monitoring/health/transactions"), {"reader_lock": Lock.READER.value}
        )
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
        age = seconds(look.at - dt.datetime.fromisoformat(first["transaction_start"]))
        who += f", open for {duration(age)}"
    more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    then = (
        "end it, then run again"
        if first["open"]
        else "it has ended since; the next run takes in the rest"
    )
    return Cause(
        "held_back",
        f"the run of {moment(engine['requested_at'])} stopped at "
        f"{moment(engine['reached_at'])}, held back by {who}{more}; {then}",
        tuple(holders),
    )


def _matches(still: set[tuple[Any, Any]], key: tuple[Any, Any], kind: str) -> bool:
    """Tell whether a transaction is among those open now."""
    if kind != "session" or key[1] is None:
        return any(name == key[0] for name, _ in still)
    began = dt.datetime.fromisoformat(str(key[1]))
    return any(name == key[0] and since == began for name, since in still)


def _open_now(look: Look, before: dt.datetime) -> list[holdback.Holder]:
    """Return the transactions that would hold a run for this instant back, the oldest first."""
    rows = look.connection.execute(
        query("shared/transactions-open"),
        {"reader_lock": Lock.READER.value, "ignored_roles": look.settings.ignored_roles},
    ).fetchall()
    return [
        holdback.Holder(
            "session", began, pid, user, application, state or "active", started, look.at
        )
        for pid, user, application, state, began, started, hidden, _, ignored in rows
        if not hidden and not ignored and began < before
    ]


def _not_run(look: Look) -> Cause:
    due, known = look.due, look.airflow.known
    if due.moved:
        why = f"{due.moved}, and nothing has run since"
    else:
        missed = moment(due.missed) if due.missed else "the last instant due"
        why = f"the run of {missed} has not happened"
    if known.get("is_paused"):
        why += (
            f": DAG {DAG} is paused; unpause it, or ask whoever paused it "
            "(`consumer-analytics doctor` names them)"
        )
    elif known.get("has_import_errors"):
        why += f": DAG {DAG} has an import error; `airflow dags list-import-errors` shows it"
    elif look.airflow.is_silent(look.at):
        why += (
            f": Airflow's scheduler has not been heard of since "
            f"{moment(known['scheduler_seen_at'])}; start it"
        )
    return Cause("not_run", why)
