"""What belongs together: which incident a measure goes with, and what it means for that one."""

from __future__ import annotations

from typing import Any

from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Health, Measure
from consumer_analytics.monitoring.incidents.notifying import Told
from consumer_analytics.monitoring.incidents.store import Incident, open_anew, update
from consumer_analytics.monitoring.measures import (
    FAILURES,
    FRESHNESS,
    MEASURES,
    MEASURING,
    Subject,
)
from consumer_analytics.sql import query


def groups(
    connection: Connection, found: Health, still: dict[str, Incident]
) -> dict[str, dict[str, Any]]:
    """Sort what is not well by incident: subject to measures.

    What an open incident has stays with it. What follows from another thing goes with
    that one: figures that are behind because runs failed are not told once more, nor is
    how long a run took that missed its deadline.
    """
    home = {name: one.subject for one in still.values() for name in one.measures}
    groups: dict[str, dict[str, Any]] = {}
    for one in found.measures:
        definition = one.definition
        if one.state == "normal" or (definition.of_last_run and _was_late(connection, found)):
            continue
        if one.state == "unknown":
            subject = MEASURING
        else:
            subject = definition.follows(found.cause, found.last_run) or definition.subject
        groups.setdefault(home.get(one.name, subject.name), {})[one.name] = entry_of(one, found)
    return groups


def entry_of(one: Measure, found: Health) -> dict[str, Any]:
    """Return a measure as an incident keeps it."""
    return {
        "state": one.state,
        "value": one.value,
        "unit": one.unit,
        "kind": found.cause.kind if one.definition.subject is FRESHNESS else one.name,
        "cause": one.cause,
    }


def _was_late(connection: Connection, found: Health) -> bool:
    """Tell whether the last run is known to have missed its deadline."""
    run = found.last_run.run if found.last_run is not None else ""
    return (
        connection.execute(query("monitoring/incidents/deadlines-known"), {"run": run}).fetchone()
        is not None
    )


def cause_of(measures: dict[str, Any], found: Health) -> str:
    """Return an incident's cause, as its measures and health have it."""
    held_back = found.cause.kind == "held_back"
    for name in measures:
        if _subject_of(name) is FRESHNESS or (held_back and _is_of_last_run(name)):
            return found.cause.text
    first = next(iter(measures.values()))
    return str(first["cause"] or found.cause.text)


def _subject_of(name: str) -> Subject | None:
    """Return what a measure is about; None for what is no measure, such as a late run."""
    return MEASURES[name].subject if name in MEASURES else None


def _is_of_last_run(name: str) -> bool:
    return name in MEASURES and MEASURES[name].of_last_run


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
    failed = any(_subject_of(name) is FAILURES for name in measures)
    counted = [
        one["state"]
        for name, one in measures.items()
        # That a failed run took long, tries included, makes nothing worse.
        if not (failed and _is_of_last_run(name))
    ]
    return "critical" if "critical" in counted else "warning"
