"""The incidents and their history, as the database keeps them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring.notifications.message import Symptom
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Incident:
    """A time in which something was not well.

    Attributes:
        incident_id: its number in this database.
        subject: what it is about: `freshness`, `failures`, `runtime`, `measuring` or `dag <id>`.
        state: warning or critical, now or when it ended.
        worst: the worst that it was.
        cause: in a sentence, as of its latest change.
        opened_at: when it was noticed.
        closed_at: when all was well again; None while it is open.
        measures: what is not well: name to `state`, `value`, `unit`, `kind` and `cause`, as kept.
        told_at: when the latest message about it was written; None where there was none.
    """

    incident_id: int
    subject: str
    state: str
    worst: str
    cause: str
    opened_at: dt.datetime
    closed_at: dt.datetime | None
    measures: dict[str, Any]
    told_at: dt.datetime | None

    @property
    def symptoms(self) -> dict[str, Symptom]:
        """What is not well, by name."""
        return {name: Symptom.from_json(one) for name, one in self.measures.items()}

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and the web."""
        return asdict(self)


@dataclass(frozen=True)
class IncidentChange:
    """A change of an incident.

    Attributes:
        change_id: grows with time.
        incident_id: of which incident.
        subject: its subject.
        at: when.
        what: `opened`, `worse`, `changed` (another cause, or another measure), `better`,
            `failed again`, `reminded` or `over`.
        state: warning or critical, after it.
        cause: in a sentence.
        measures: what was not well.
        mail_id: the message that tells of it; None where nobody was to be told.
        sent_at: when that was sent, by the first of its channels; None while it waits.
    """

    change_id: int
    incident_id: int
    subject: str
    at: dt.datetime
    what: str
    state: str
    cause: str
    measures: dict[str, Any]
    mail_id: int | None
    sent_at: dt.datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and the web."""
        return asdict(self)


def open_incidents(connection: Connection) -> list[Incident]:
    """Return the incidents that are open now, the longest first."""
    return _incidents(connection, open_only=True, limit=1000)


def latest(connection: Connection, limit: int) -> list[Incident]:
    """Return the latest incidents, open and closed, the newest first."""
    return _incidents(connection, open_only=False, limit=limit)


def _incidents(connection: Connection, *, open_only: bool, limit: int) -> list[Incident]:
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(
            query("monitoring/incidents/list"), {"open_only": open_only, "limit": limit}
        ).fetchall()


def history(connection: Connection, limit: int) -> list[IncidentChange]:
    """Return the latest changes of all incidents, the newest first."""
    with connection.cursor(row_factory=class_row(IncidentChange)) as cursor:
        return cursor.execute(query("monitoring/incidents/history"), {"limit": limit}).fetchall()


def open_incident_of(connection: Connection, subject: str) -> Incident | None:
    """Return the open incident of a subject; None where there is none."""
    return next((one for one in open_incidents(connection) if one.subject == subject), None)


def insert(
    connection: Connection,
    subject: str,
    state: str,
    cause: str,
    symptoms: Mapping[str, Symptom],
    at: dt.datetime,
) -> Incident:
    """Insert an incident that opens, in the caller's transaction."""
    return _written(
        connection,
        query("monitoring/incidents/open"),
        {
            "subject": subject,
            "state": state,
            "cause": cause,
            "measures": _as_json(symptoms),
            "at": at,
        },
    )


def update(
    connection: Connection,
    one: Incident,
    symptoms: Mapping[str, Symptom],
    *,
    state: str | None = None,
    cause: str | None = None,
    closed_at: dt.datetime | None = None,
) -> Incident:
    """Write what has changed of an incident, in the caller's transaction; what is None stays."""
    return _written(
        connection,
        query("monitoring/incidents/update"),
        {
            "incident_id": one.incident_id,
            "state": state or one.state,
            "cause": cause or one.cause,
            "measures": _as_json(symptoms),
            "closed_at": closed_at,
        },
    )


def _as_json(symptoms: Mapping[str, Symptom]) -> Jsonb:
    return Jsonb({name: one.as_json() for name, one in symptoms.items()})


def _written(connection: Connection, statement: sql.Composed, values: dict[str, Any]) -> Incident:
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        row = cursor.execute(statement, values).fetchone()
    if row is None:
        raise LookupError("the statement answered no row")
    return row
