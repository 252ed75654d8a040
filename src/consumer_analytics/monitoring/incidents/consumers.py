"""Consumers that are odd: an incident each, judged once for each snapshot of the schedule."""

from __future__ import annotations

import uuid
from itertools import groupby

from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import anomalies
from consumer_analytics.monitoring.anomalies import Anomaly
from consumer_analytics.monitoring.incidents.grouping import open_or_update
from consumer_analytics.monitoring.incidents.notifying import Announcement
from consumer_analytics.monitoring.incidents.store import Incident, open_incidents, update
from consumer_analytics.monitoring.notifications.message import CONSUMER, OVER, Symptom
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Of more consumers a message tells how many they are.
_MOST = 20
_OVER = "It was: {was}. Now: {now}."


def note_consumers(connection: Connection, settings: Settings, announcement: Announcement) -> None:
    """Judge consumers where there is a new snapshot; open, change and close their incidents.

    In the look's transaction. Where nobody wants to be told of consumers, what is open is closed.
    """
    still = {one.subject: one for one in open_incidents(connection) if is_of_consumer(one)}
    if not settings.anomalies:
        if still:
            anomalies.close_all(connection, announcement.at)
        for one in still.values():
            _close(connection, announcement, one, "consumers are not watched any more")
        return
    found = _judged_anew(connection, settings)
    if found is None:
        return
    names = _names(connection, settings, {one.consumer_id for one in found})
    odd = set()
    for consumer_id, theirs in groupby(found, key=lambda one: one.consumer_id):
        subject = f"{CONSUMER}{consumer_id}"
        odd.add(subject)
        symptoms = {
            _name(one): _symptom(one, names.get(consumer_id) or str(consumer_id)) for one in theirs
        }
        cause = "; ".join(str(one.cause) for one in symptoms.values())
        look = Announcement(announcement.at)
        open_or_update(connection, look, still.get(subject), subject, symptoms, cause)
        announcement.join(look, most=_MOST)
    for subject, one in still.items():
        if subject not in odd:
            _close(
                connection,
                announcement,
                one,
                "it is within what is usual, or that is what is usual now",
            )


def is_of_consumer(incident: Incident) -> bool:
    """Tell whether an incident is about a consumer, which no measure of health judges."""
    return incident.subject.startswith(CONSUMER)


def _judged_anew(connection: Connection, settings: Settings) -> list[Anomaly] | None:
    """Return what is odd at the newest snapshot; None where that has been judged already."""
    newest = anomalies.newest(connection, settings)
    if newest is None:
        return None
    at, period = newest
    judged_to = anomalies.judged_to(connection)
    if judged_to is not None and at <= judged_to:
        return None
    return anomalies.note(connection, anomalies.judge(connection, settings, at, period))


def _names(
    connection: Connection, settings: Settings, consumers: set[uuid.UUID]
) -> dict[uuid.UUID, str]:
    """Return the names of consumers, where they have one."""
    rows = connection.execute(
        query("monitoring/incidents/consumer-names", settings.sources),
        {"consumers": list(consumers)},
    )
    return dict(rows.fetchall())


def _name(one: Anomaly) -> str:
    return one.kind if one.event_type is None else f"{one.kind} {one.event_type}"


def _symptom(one: Anomaly, name: str) -> Symptom:
    return Symptom(
        state="warning",
        value=one.observed,
        unit="customers" if one.kind == "customers" else "events",
        kind=one.kind,
        cause=one.text,
        since=one.ends,
        about=name,
    )


def _close(connection: Connection, announcement: Announcement, one: Incident, now: str) -> None:
    closed = update(
        connection,
        one,
        one.symptoms,
        cause=_OVER.format(was=one.cause, now=now),
        closed_at=announcement.at,
    )
    if one.told_at is not None:
        announcement.announce(closed, OVER)
    else:
        announcement.note(closed, OVER)
