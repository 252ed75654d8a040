"""What happens in one look: noted in the history, and announced in one message where need be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from psycopg.types.json import Jsonb

from consumer_analytics.db import locks
from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.db.locks import Lock
from consumer_analytics.formatting import counted
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents.store import Incident
from consumer_analytics.monitoring.notifications import outbox
from consumer_analytics.monitoring.notifications.channels import Channel
from consumer_analytics.monitoring.notifications.message import (
    CONSUMER,
    OVER,
    ChangeNotice,
    HealthNotice,
    Kind,
    Limits,
    MeasureNotice,
    Message,
    NextStep,
)
from consumer_analytics.sql import query

Result = TypeVar("Result")

_WAIT_FOR_LOCK = 30.0
#: What to look at next, whatever happened.
LOOK_NEXT = (
    NextStep("What is wrong, and what mends it", "consumer-analytics doctor"),
    NextStep("Where the figures stand", "consumer-analytics health"),
)


@dataclass(frozen=True)
class Transition:
    """What happened to an incident.

    Attributes:
        incident: as it is after it.
        what: `opened`, `worse`, `changed`, `better`, `failed again`, `reminded` or `over`.
    """

    incident: Incident
    what: str

    def as_notice(self, at: dt.datetime) -> ChangeNotice:
        """Return it as a message has it."""
        one = self.incident
        return ChangeNotice(
            incident_id=one.incident_id,
            subject=one.subject,
            what=self.what,
            state=one.state,
            cause=one.cause,
            opened_at=one.opened_at,
            seconds=max((at - one.opened_at).total_seconds(), 0),
            measures={} if self.what == OVER else one.symptoms,
            worst=one.worst,
            about=next((each.about for each in one.symptoms.values() if each.about), None),
        )


@dataclass
class Announcement:
    """What happens in one look, and becomes one message.

    Attributes:
        at: the instant.
        announced: what people are told of.
        noted: what is kept in the history only.
        further: how many incidents of these people are told the number of.
    """

    at: dt.datetime
    announced: list[Transition] = field(default_factory=list)
    noted: list[Transition] = field(default_factory=list)
    further: int = 0

    def announce(self, incident: Incident, what: str) -> None:
        """Tell people of what happened to an incident."""
        self.announced.append(Transition(incident, what))

    def note(self, incident: Incident, what: str) -> None:
        """Keep what happened to an incident, and tell nobody."""
        self.noted.append(Transition(incident, what))

    def join(self, other: Announcement, *, most: int) -> None:
        """Take in what another one has; beyond so many in all, as a number."""
        self.noted += other.noted
        for one in other.announced:
            if len(self.announced) < most:
                self.announced.append(one)
            else:
                self.noted.append(one)
                self.further += 1

    def silence(self) -> None:
        """Tell nobody of any of it."""
        self.noted, self.announced = [*self.noted, *self.announced], []


def look_and_note(
    connection: Connection, look: Callable[[], Health], note: Callable[[Health], Result]
) -> Result:
    """Look at health, then note what it means, as the only one that notes.

    What one saw before must not be noted after what another saw: where another has noted in
    between, look again.

    Args:
        connection: in autocommit, outside of a transaction.
        look: judges health; not in a transaction.
        note: writes what follows from it, in a transaction.

    Returns:
        What `note` does.

    Raises:
        psycopg.errors.LockNotAvailable: others note all the time.
    """
    while True:
        seen = scalar_of(connection, "monitoring/incidents/looks")
        judged = look()
        with connection.transaction():
            locks.limit_waiting(connection, _WAIT_FOR_LOCK, in_transaction=True)
            locks.take(connection, Lock.LOOKS)
            connection.execute("set local lock_timeout = 0")
            if scalar_of(connection, "monitoring/incidents/looks") == seen:
                connection.execute(query("monitoring/incidents/looks-note"))
                return note(judged)


def message_of(
    connection: Connection, judged: Health, announcement: Announcement, kind: Kind
) -> Message:
    """Return a message: what changed, and health as it is."""
    announced = announcement.announced
    return Message(
        kind=kind,
        at=announcement.at,
        database=scalar(connection, "select current_database()"),
        changes=tuple(one.as_notice(announcement.at) for one in announced),
        next=_next_steps(announcement),
        threads=tuple(_thread_of(one.incident) for one in announced),
        health=HealthNotice(
            at=judged.at,
            state=judged.state,
            watermark=judged.watermark,
            measures=tuple(
                MeasureNotice(
                    one.name,
                    one.value,
                    one.unit,
                    one.state,
                    Limits(one.limits["warning"], one.limits["critical"]),
                )
                for one in judged.measures
            ),
        ),
    )


def _next_steps(announcement: Announcement) -> tuple[NextStep, ...]:
    """Return what to look at next: of consumers that are odd nothing mends itself by commands."""
    announced = [one for one in announcement.announced if one.what != OVER]
    further = (
        (
            NextStep(
                f"{counted(announcement.further, 'more consumer is', 'more consumers are')} odd",
                "consumer-analytics incidents",
            ),
        )
        if announcement.further
        else ()
    )
    if announced and all(one.incident.subject.startswith(CONSUMER) for one in announced):
        return (*further, NextStep("What is odd, and since when", "consumer-analytics incidents"))
    return (*LOOK_NEXT, *further) if announced else further


def _thread_of(one: Incident) -> str:
    return f"consumer-analytics.incident.{one.incident_id}.{int(one.opened_at.timestamp())}"


def put_message(
    connection: Connection, key: str, message: Message, channels: Sequence[Channel]
) -> int | None:
    """Write a message for each channel; return the number of the first one's row.

    The history and the failed tasks name that one; its key leads to the others. None where
    nobody is to be told, or where it had been written before.
    """
    return next(iter(outbox.put(connection, key, message, channels).values()), None)


def write_history(connection: Connection, announcement: Announcement, mail_id: int | None) -> None:
    """Keep what happened, in the caller's transaction, and which message tells of it."""
    for transitions, number in ((announcement.announced, mail_id), (announcement.noted, None)):
        for one in transitions:
            connection.execute(
                query("monitoring/incidents/note"),
                {
                    "incident_id": one.incident.incident_id,
                    "at": announcement.at,
                    "what": one.what,
                    "state": one.incident.state,
                    "cause": one.incident.cause,
                    "measures": Jsonb(one.incident.measures),
                    "mail_id": number,
                },
            )
