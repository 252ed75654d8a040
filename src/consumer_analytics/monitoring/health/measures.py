"""The four measures, each judged by its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consumer_analytics.db.connection import named_row
from consumer_analytics.errors import noted
from consumer_analytics.formatting import duration, moment, seconds
from consumer_analytics.monitoring.health.airflow import DAG
from consumer_analytics.monitoring.health.due import grace
from consumer_analytics.monitoring.health.models import MOST_EVENTS, Cause, Measure, judged
from consumer_analytics.monitoring.health.observation import Look
from consumer_analytics.sql import query

#: Steps named where a run took long.
_SLOWEST = 2


def last_run(look: Look) -> dict[str, Any] | None:
    """Return the last finished run, as Airflow has it, else as the engine has it."""
    engine, airflow = look.engine, look.airflow
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
        "seconds": seconds(ended - started),
        "source": source,
    }


def runtime(look: Look) -> Measure:
    """Judge how long the last finished run took."""
    limits = (look.settings.runtime_warning, look.settings.runtime_critical)
    unreadable = look.airflow.reason
    if unreadable is not None:
        return Measure("dag_runtime", None, "seconds", "unknown", *limits, unreadable, "airflow")
    last = last_run(look)
    if last is None:
        return Measure(
            "dag_runtime", None, "seconds", "normal", *limits, "no run has finished yet", "runs"
        )
    state = judged(last["seconds"], *limits)
    cause = None
    if state != "normal":
        cause = _why_slow(last, look.engine)
    return Measure("dag_runtime", last["seconds"], "seconds", state, *limits, cause, last["source"])


def _why_slow(last: dict[str, Any], engine: dict[str, Any]) -> str:
    """Say where a run's time went."""
    text = f"run {last['run']} took {duration(last['seconds'])}"
    if last["state"] == "failed":
        return f"{text}, tries and waiting between them included, and failed"
    if last["run"] != engine["finished_run_key"]:
        return text
    waited = seconds(engine["finished_opened_at"] - last["started_at"])
    steps = dict(engine["finished_summary"].get("seconds", {}))
    steps["starting and waiting for open transactions"] = waited
    slowest = sorted(steps.items(), key=lambda one: -one[1])[:_SLOWEST]
    told = ", ".join(f"{name} {duration(took)}" for name, took in slowest if took > 0)
    return f"{text}: {told}" if told else text


def failed(look: Look) -> Measure:
    """Judge how many runs failed within 24 hours."""
    settings, mark, engine, airflow = look.settings, look.mark, look.engine, look.airflow
    limits = (settings.failed_runs_warning, settings.failed_runs_critical)
    if airflow.reason is not None:
        return Measure("failed_runs", None, "runs", "unknown", *limits, airflow.reason, "airflow")
    by_airflow = airflow.runs_it
    count = (
        airflow.known["failed"] + engine["failed_outside_airflow"]
        if by_airflow
        else engine["failed"]
    )
    state = judged(count, *limits, from_critical=True)
    cause = None
    if count:
        told = mark.metadata if mark.last_run_status == "failed" else engine["last_error"]
        cause = f"{count} failed within 24 hours" + (f", the last: {noted(told)}" if told else "")
    return Measure(
        "failed_runs", count, "runs", state, *limits, cause, "airflow" if by_airflow else "runs"
    )


def lag(look: Look, cause: Cause) -> Measure:
    """Judge for how long the watermark has been behind what was due."""
    since = look.due.since
    lag = seconds(look.at - since) if since is not None else 0.0
    limits = (look.settings.lag_warning, look.settings.lag_critical)
    return Measure(
        "watermark_lag",
        lag,
        "seconds",
        judged(lag, *limits),
        *limits,
        cause.text,
        "runs",
        {"watermark_age_seconds": seconds(look.at - look.mark.last_processed_timestamp)},
    )


def pending(look: Look, cause: Cause, waiting: Waiting) -> Measure:
    """Judge how many events wait, once a run has had the time to take them."""
    limits = (look.settings.pending_warning, look.settings.pending_critical)
    state = judged(waiting.pending, *limits)
    text = cause.text if waiting.pending else None
    since = look.due.since
    if waiting.pending and since is not None and cause.kind != "failed":
        until = since + grace(look.settings)
        if look.at < until:
            # They were due a moment ago.
            state = "normal"
            text = f"{cause.text}; it has until {moment(until)}"
    if waiting.pending >= MOST_EVENTS:
        text = f"at least {MOST_EVENTS:,}: {text}"
    return Measure(
        "pending_events",
        waiting.pending,
        "events",
        state,
        *limits,
        text,
        "sources",
        {"backlog_events": waiting.backlog},
    )


@dataclass(frozen=True)
class Waiting:
    """Events that wait: from before what was due, if anything was, and from before now."""

    pending: int
    backlog: int


def waiting(look: Look) -> Waiting:
    """Count the events that wait, each up to `MOST_EVENTS`."""
    counted = named_row(
        look.connection,
        query("monitoring/health/events-pending", look.settings.source_schema),
        watermark=look.mark.last_processed_timestamp,
        due=look.due.instant if look.due.since is not None else None,
        now=look.at,
        limit=MOST_EVENTS,
    )
    return Waiting(counted["pending"], counted["backlog"])
