"""Retention of internal state: what is old is forgotten, and maintenance is recorded.

Each kind of state that ages is a file in `sql/aging`: its name is the table's, after its
place in the order, and it says which of the rows are old.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from psycopg.types.json import Jsonb

from consumer_analytics import sql
from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.operations import tables
from consumer_analytics.operations.part import MaintenancePart
from consumer_analytics.settings import Settings
from consumer_analytics.sql import INTERNAL, named, query

#: What forgetting is called among the parts of a maintenance.
PART = "internal state"
_AGING = "operations/aging"


@dataclass(frozen=True)
class AgingTable:
    """A table of internal state whose old rows go.

    Attributes:
        table: its name.
        old: the statement that says which of its rows are old.
    """

    table: str
    old: str

    @property
    def qualified(self) -> str:
        """The table's name with its schema."""
        return f"{INTERNAL}.{self.table}"


@cache
def aging() -> tuple[AgingTable, ...]:
    """Return the tables that age, in the order in which their rows have to go.

    Extracts come first, as everywhere under the job's lock; and what refers to other rows
    comes before those.
    """
    return tuple(
        AgingTable(name.rpartition("/")[2].partition("-")[2], name)
        for name in sorted(sql.names_in(_AGING))
    )


def forget(connection: Connection, settings: Settings, *, dry_run: bool = False) -> MaintenancePart:
    """Forget internal state that nobody needs any more, all of it in one transaction.

    Raises:
        BusyError: a run would not end.
    """
    names = [one.qualified for one in aging()]
    before = tables.size(connection, names)
    oldest = instants.now(connection) - dt.timedelta(days=settings.keep_state_days)
    removed: dict[str, int] = {}
    size = 0
    # What one kind refers to goes only with it: a dry run does it all, and takes it back.
    with job_lock(connection, settings, sees_commits=True, force_rollback=dry_run):
        for one in aging():
            statement = query("operations/retention/aged-remove", aged=query(one.old))
            gone = tables.removed(connection, statement, named(statement, {"before": oldest}))
            size += gone.bytes
            if gone.rows:
                removed[one.table] = gone.rows
    notes = [f"{rows:,} of {table.replace('_', ' ')}" for table, rows in removed.items()]
    if removed and not dry_run:
        notes += tables.vacuum(connection, names)
    return MaintenancePart(
        PART,
        sum(removed.values()),
        bytes_removed=size,
        bytes_before=before,
        bytes_after=before if dry_run else tables.size(connection, names),
        notes=tuple(notes),
    )


def begin(connection: Connection, who: str) -> int:
    """Record that a maintenance begins; return its number."""
    number: int = scalar_of(connection, "operations/retention/maintenance-open", {"who": who})
    return number


def record(connection: Connection, number: int, parts: Sequence[MaintenancePart]) -> None:
    """Record what a maintenance did."""
    connection.execute(
        query("operations/retention/maintenance-close"),
        {"id": number, "parts": Jsonb([part.as_json() for part in parts])},
    )
