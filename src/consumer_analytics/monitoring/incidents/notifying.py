"""What happens in one look: noted in the history, and told in one mail where it is to be told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from psycopg.types.json import Jsonb

from consumer_analytics.db import locks
from consumer_analytics.db.connection import Connection
from consumer_analytics.db.locks import Lock
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents.store import Incident
from consumer_analytics.monitoring.notifications import outbox, smtp
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

_WAIT_FOR_LOCK = "30s"
#: What to look at next, whatever happened: a text and a command, each.
LOOK_NEXT = (
    {"text": "What is wrong, and what mends it", "code": "consumer-analytics doctor"},
    {"text": "Where the figures stand", "code": "consumer-analytics health"},
)


@dataclass
class Told:
    """What happens in one look, and becomes one mail.

    Attributes:
        at: the instant.
        telling: the changes that people are told of.
        quiet: those that are only noted.
    """

    at: dt.datetime
    telling: list[tuple[Incident, str]] = field(default_factory=list)
    quiet: list[tuple[Incident, str]] = field(default_factory=list)

    def hush(self) -> None:
        """Tell nobody: only note it."""
        self.quiet, self.telling = [*self.quiet, *self.telling], []

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
def alone(connection: Connection) -> Iterator[None]:
    """Look and note as the only one: what another saw before must not be noted after."""
    connection.execute("select set_config('lock_timeout', %s, false)", [_WAIT_FOR_LOCK])
    try:
        with locks.held(connection, Lock.INCIDENTS):
            yield
    finally:
        if not connection.closed:
            connection.execute("select set_config('lock_timeout', '0', false)")


def content_of(found: Health, told: Told, kind: str) -> dict[str, Any]:
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
        "next": list(LOOK_NEXT) if any(what != "over" for _, what in told.telling) else [],
        "health": {
            "at": found.at.isoformat(),
            "state": found.state,
            "watermark": found.watermark.isoformat(),
            "measures": looked["measures"],
        },
    }


def write(
    connection: Connection,
    settings: Settings,
    told: Told,
    content: dict[str, Any] | None,
    key: str,
    *,
    always: bool = False,
) -> int | None:
    """Write the mail, where somebody is to be told something, and the history."""
    mail_id = None
    something = always or told.telling or (content or {}).get("misses")
    if content is not None and something and smtp.is_wanted(settings):
        mail_id = outbox.put(connection, key, content, told.at)
    for changes, told_by in ((told.telling, mail_id), (told.quiet, None)):
        for one, what in changes:
            connection.execute(
                query("monitoring/incidents/note"),
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
