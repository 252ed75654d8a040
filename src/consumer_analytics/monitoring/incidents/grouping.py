"""What belongs together: which incident a measure goes with, and what it means for that one."""

from __future__ import annotations

from typing import Any

from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Health, Measure
from consumer_analytics.monitoring.incidents.notifying import Told
from consumer_analytics.monitoring.incidents.store import Incident, open_anew, update
from consumer_analytics.sql import query

STALE = ("watermark_lag", "pending_events")


def groups(
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
        elif one.name in STALE:
            subject = "failures" if failed else "freshness"
        elif one.name == "failed_runs" or last_failed:
            subject = "failures"
        else:
            subject = "freshness" if found.cause.kind == "held_back" else "runtime"
        groups.setdefault(home.get(one.name, subject), {})[one.name] = entry_of(one, found)
    return groups


def entry_of(one: Measure, found: Health) -> dict[str, Any]:
    """Return a measure as an incident keeps it."""
    return {
        "state": one.state,
        "value": one.value,
        "unit": one.unit,
        "kind": found.cause.kind if one.name in STALE else one.name,
        "cause": one.cause,
    }


def _was_late(connection: Connection, found: Health) -> bool:
    """Tell whether the last run is known to have missed its deadline."""
    run = found.last_run["run"] if found.last_run is not None else ""
    return (
        connection.execute(query("monitoring/incidents/deadlines-known"), {"run": run}).fetchone()
        is not None
    )


def cause_of(measures: dict[str, Any], found: Health) -> str:
    """Return an incident's cause, as its measures and health have it."""
    if any(name in measures for name in STALE) or found.cause.kind == "held_back":
        return found.cause.text
    first = next(iter(measures.values()))
    return str(first["cause"] or found.cause.text)


def settle(
    connection: Connection,
    told: Told,
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
        opened = open_anew(connection, subject, state, cause, measures, told.at)
        told.telling.append((opened, "opened"))
        return
    worse = health.STATES.index(state) > health.STATES.index(one.worst)
    changed = {name: entry.get("kind") for name, entry in measures.items()} != {
        name: entry.get("kind") for name, entry in one.measures.items()
    }
    better = health.STATES.index(state) < health.STATES.index(one.state)
    updated = update(connection, one, measures, state=state, cause=cause)
    if worse:
        told.telling.append((updated, "worse"))
    elif again is not None:
        told.telling.append((updated, again))
    elif better or changed:
        told.quiet.append((updated, "better" if better else "changed"))


def _state_of(measures: dict[str, Any]) -> str:
    """Return an incident's state: warning or critical."""
    counted = [
        one["state"]
        for name, one in measures.items()
        # That a failed run took long, tries included, makes nothing worse.
        if not (name == "dag_runtime" and "failed_runs" in measures)
    ]
    return "critical" if "critical" in counted else "warning"
