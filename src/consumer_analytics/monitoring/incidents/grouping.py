"""What belongs together: which incident a symptom goes with, and what it means for that one."""

from __future__ import annotations

from collections.abc import Mapping

from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Health, Measure
from consumer_analytics.monitoring.incidents.notifying import Announcement
from consumer_analytics.monitoring.incidents.store import Incident, insert, update
from consumer_analytics.monitoring.measures import (
    FAILURES,
    FRESHNESS,
    MEASURES,
    MEASURING,
    Subject,
)
from consumer_analytics.monitoring.notifications.message import Symptom
from consumer_analytics.sql import query

#: What is not well, by name: of measures, of late runs, and of other DAGs' tasks.
Symptoms = Mapping[str, Symptom]


def symptoms_by_subject(
    connection: Connection, judged: Health, still_open: Mapping[str, Incident]
) -> dict[str, dict[str, Symptom]]:
    """Sort what is not well by the subjects of incidents.

    What an open incident has stays with it. What follows from another thing goes with
    that one: figures that are behind because runs failed are not told once more, nor is
    how long a run took that missed its deadline.

    Args:
        connection: for what is known of missed deadlines.
        judged: health.
        still_open: the open incidents by their subjects.
    """
    home = {name: one.subject for one in still_open.values() for name in one.measures}
    sorted_out: dict[str, dict[str, Symptom]] = {}
    for one in judged.measures:
        definition = one.definition
        if one.state == "normal" or (definition.of_last_run and _was_late(connection, judged)):
            continue
        if one.state == "unknown":
            subject = MEASURING
        else:
            subject = definition.follows(judged.cause, judged.last_run) or definition.subject
        symptoms = sorted_out.setdefault(home.get(one.name, subject.name), {})
        symptoms[one.name] = symptom_of(one, judged)
    return sorted_out


def symptom_of(one: Measure, judged: Health, *, state: str | None = None) -> Symptom:
    """Return a measure as an incident keeps it; in its own state, or another one."""
    return Symptom(
        state=state or one.state,
        value=one.value,
        unit=one.unit,
        kind=judged.cause.kind if one.definition.subject is FRESHNESS else one.name,
        cause=one.cause,
    )


def _was_late(connection: Connection, judged: Health) -> bool:
    """Tell whether the last run is known to have missed its deadline."""
    run = judged.last_run.run if judged.last_run is not None else ""
    statement = query("monitoring/incidents/deadlines-known")
    return connection.execute(statement, {"run": run}).fetchone() is not None


def cause_of(symptoms: Symptoms, judged: Health) -> str:
    """Return an incident's cause, as its symptoms and health have it."""
    held_back = judged.cause.kind == "held_back"
    for name, one in symptoms.items():
        if one.state == "unknown":
            # It says itself why it cannot be taken.
            continue
        if _subject_of(name) is FRESHNESS or (held_back and _is_of_last_run(name)):
            return judged.cause.text
    first = next(iter(symptoms.values()))
    return first.cause or judged.cause.text


def _subject_of(name: str) -> Subject | None:
    """Return what a measure is about; None for what is no measure, such as a late run."""
    return MEASURES[name].subject if name in MEASURES else None


def _is_of_last_run(name: str) -> bool:
    return name in MEASURES and MEASURES[name].of_last_run


def open_or_update(
    connection: Connection,
    announcement: Announcement,
    one: Incident | None,
    subject: str,
    symptoms: Symptoms,
    cause: str,
    *,
    again: str | None = None,
) -> None:
    """Open an incident, or bring an open one up to date; announce or note what that means.

    Args:
        connection: in the look's transaction.
        announcement: takes what happens.
        one: the incident, where it is open.
        subject: of the incident.
        symptoms: what is not well.
        cause: in a sentence.
        again: what to call it where it is neither new nor worse; None: the usual.
    """
    state = _state_of(symptoms)
    if one is None:
        opened = insert(connection, subject, state, cause, symptoms, announcement.at)
        announcement.announce(opened, "opened")
        return
    worse = health.STATES.index(state) > health.STATES.index(one.worst)
    better = health.STATES.index(state) < health.STATES.index(one.state)
    changed = _kinds(symptoms) != _kinds(one.symptoms)
    updated = update(connection, one, symptoms, state=state, cause=cause)
    if worse:
        announcement.announce(updated, "worse")
    elif again is not None:
        announcement.announce(updated, again)
    elif better or changed:
        announcement.note(updated, "better" if better else "changed")


def _kinds(symptoms: Symptoms) -> dict[str, str | None]:
    return {name: one.kind for name, one in symptoms.items()}


def _state_of(symptoms: Symptoms) -> str:
    """Return an incident's state: warning or critical."""
    failed = any(_subject_of(name) is FAILURES for name in symptoms)
    counted = [
        one.state
        for name, one in symptoms.items()
        # That a failed run took long, tries included, makes nothing worse.
        if not (failed and _is_of_last_run(name))
    ]
    return "critical" if "critical" in counted else "warning"
