"""Incidents: what was not well, since when, why, and who was told.

What belongs together is one incident, told once when it opens, once when it
gets worse, once when it is over. All of it is in the database, so that neither
a restart nor a second monitor tells anything twice.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row

from consumer_analytics.engine.database import Connection
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Incident:
    """A time in which something was not well.

    Attributes:
        incident_id: its number in this database.
        subject: `freshness` (lag and pending events), `failures` (failed runs, and what
            follows from them), `runtime`, `measuring` (a measure cannot be taken), or
            `dag <id>` for a DAG other than the ETL's.
        state: warning or critical, now or when it ended.
        worst: the worst that was told.
        cause: in a sentence, as of its latest change.
        opened_at: when it was noticed.
        closed_at: when all was well again; None while it is open.
        measures: name to `state`, `value` and `cause` of what is not well now.
        told_at: when the latest mail about it was written; None where there was none.
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

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and the web."""
        return dict(vars(self))


@dataclass(frozen=True)
class Change:
    """A change of an incident.

    Attributes:
        change_id: grows with time.
        incident_id: of which incident.
        subject: its subject.
        at: when.
        what: `opened`, `worse`, `changed` (another cause), `better`, `failed again`,
            `reminded` or `over`.
        state: warning or critical, after it.
        cause: in a sentence.
        measures: what was not well.
        mail_id: the mail that tells of it; None where nobody was to be told.
        sent_at: when that mail was sent; None while it waits.
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
        return dict(vars(self))


def open_incidents(connection: Connection) -> list[Incident]:
    """Return the incidents that are open now, the longest first."""
    return _incidents(connection, open_only=True, limit=1000)


def latest(connection: Connection, limit: int) -> list[Incident]:
    """Return the latest incidents, open and closed, the newest first."""
    return _incidents(connection, open_only=False, limit=limit)


def _incidents(connection: Connection, *, open_only: bool, limit: int) -> list[Incident]:
    with connection.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(
            query("incidents-list"), {"open_only": open_only, "limit": limit}
        ).fetchall()


def history(connection: Connection, limit: int) -> list[Change]:
    """Return the latest changes of all incidents, the newest first."""
    with connection.cursor(row_factory=class_row(Change)) as cursor:
        return cursor.execute(query("incidents-history"), {"limit": limit}).fetchall()
