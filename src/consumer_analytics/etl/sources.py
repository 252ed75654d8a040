"""The user's own tables: whether they are there, and as the product needs them.

What a table must have says the register in `mapping.py`; what it is called in a database, the
mapping of that.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from consumer_analytics.db import own_names
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.errors import SourceError, UsageError
from consumer_analytics.etl import archived
from consumer_analytics.mapping import SOURCES, SourceColumn, Sources, SourceTable
from consumer_analytics.settings import PREFIX, Settings
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Concern:
    """Something below a source that may hide rows from a run.

    Attributes:
        source: the source table.
        name: the table or view below it, or itself, with its schema.
        kind: `foreign`, `materialized`, or `filtered` by row security.
        reader: as whose the rows are read there.
    """

    source: str
    name: str
    kind: str
    reader: str

    def describe(self) -> str:
        """Say in a sentence what it is, and what follows."""
        if self.kind == "filtered":
            return (
                f"row-level security hides rows of {self.name}, which {self.source} is read from, "
                f"from role {self.reader}, so figures would be too low"
            )
        what = "a foreign table" if self.kind == "foreign" else "a materialized view"
        return (
            f"source {self.source} is read from {self.name}, {what}: rows in flight there are not "
            "waited for, and those that a run has passed by come only with a sweep"
        )


def require_usable(
    connection: Connection, settings: Settings, notify: Callable[[str], None] = lambda _: None
) -> None:
    """Check that the source tables are there, with the columns we rely on and all their rows.

    Args:
        connection: in autocommit.
        settings: where the sources are, and whether unsafe ones are accepted.
        notify: told of those that are.

    Raises:
        SourceError: a table or column is missing, has another type, or rows are or may be
            hidden from this login; or the database takes the sources to be others. The message
            names it.
    """
    # First: settings of another database, or none at all, name tables that nobody has to make.
    own_names.require_adopted(connection, settings.sources)
    require_columns(connection, settings.sources)
    archived.require_readable(connection, settings)
    for line in require_all_rows(connection, settings):
        notify(line)


def strangers(
    connection: Connection, sources: Sources, consumers: Sequence[uuid.UUID]
) -> tuple[uuid.UUID, ...]:
    """Return those of some consumers that no row tells of, in their order."""
    rows = connection.execute(
        query("etl/sources/consumers-unknown", sources), {"consumers": list(consumers)}
    )
    return tuple(consumer for (consumer,) in rows)


def require_known(strangers: Sequence[uuid.UUID]) -> None:
    """Refuse consumers that no row tells of: a typing error would else do nothing.

    Raises:
        UsageError: there is one; the first is named.
    """
    if strangers:
        raise UsageError(
            f"consumer {strangers[0]} is unknown: it is not in consumers, and no customer and no "
            "event is its own"
        )


@dataclass(frozen=True)
class Lack:
    """Something that the source tables lack for a run.

    Attributes:
        says: what, and where, in a sentence.
        table: the source table, by the product's name.
        column: its column, likewise; None where it is the table.
    """

    says: str
    table: str
    column: str | None = None


def lacks(connection: Connection, sources: Sources) -> list[Lack]:
    """Return which tables and columns that we rely on are missing, or have another type."""
    there: dict[str, dict[str, _Column]] = {known: {} for known in SOURCES}
    for one in _columns(connection, sources):
        there[one.table][one.name] = one
    return [lack for table in sources.tables for lack in _lacks_of(table, there[table.known])]


def _lacks_of(table: SourceTable, there: dict[str, _Column]) -> Iterator[Lack]:
    if not there:
        yield Lack(
            f"source table {table.shown} does not exist or this login may not read it; create it, "
            f"grant SELECT, or set {PREFIX}SOURCE_SCHEMA or {PREFIX}SOURCES_FILE",
            table.known,
        )
        return
    for known in table.needed:
        column, own = SOURCES[table.known][known], table.own[known]
        one = there.get(own)
        if one is None:
            yield Lack(
                f"source table {table.shown} has no column {own}; add it, offer a view with the "
                "columns the product reads, or say in the mapping what it is called or what "
                f"stands for it ({PREFIX}SOURCES_FILE)",
                table.known,
                known,
            )
        elif one.kind not in column.types:
            yield Lack(
                f"column {table.shown}.{own} is {one.kind}; it must be {_any_of(column)}",
                table.known,
                known,
            )
        elif one.merging is not None and column.required:
            # Words would be told apart here and taken for one there, and no pattern is looked for.
            yield Lack(
                f"column {table.shown}.{own} has the collation {one.merging}, which takes "
                "different words for the same (nondeterministic); give it another, or offer a view "
                'or a STORED generated column of it under COLLATE "C"',
                table.known,
                known,
            )


def _any_of(column: SourceColumn) -> str:
    allowed = " or ".join(sorted(column.types))
    if column.kind != "uuid":
        return allowed
    return f"{allowed}, since what is counted and remembered is kept under ids that are UUIDs"


def require_columns(connection: Connection, sources: Sources) -> None:
    """Check that the source tables are there, with the columns we rely on.

    Raises:
        SourceError: a table or column is missing, or has another type; the
            message names it.
    """
    if lacking := lacks(connection, sources):
        raise SourceError(lacking[0].says)


def virtual_columns(connection: Connection, sources: Sources) -> list[str]:
    """Return the columns we rely on that are worked out whenever they are read (PostgreSQL 18)."""
    read = {
        (table.known, own): f"{table.name}.{own}"
        for table in sources.tables
        for known, own in table.own.items()
        if SOURCES[table.known][known].required
    }
    return [
        read[one.table, one.name]
        for one in _columns(connection, sources)
        if one.is_virtual and (one.table, one.name) in read
    ]


class _Column(NamedTuple):
    """A column that is there: of which table, by the product's name, and what it is.

    Attributes:
        table: by the product's name.
        name: by the user's.
        kind: its type, below any domains.
        is_virtual: whether it is worked out whenever it is read.
        merging: its collation, where that takes different words for the same.
    """

    table: str
    name: str
    kind: str
    is_virtual: bool
    merging: str | None


def _columns(connection: Connection, sources: Sources) -> list[_Column]:
    # The catalogue itself: the standard's views over it cost a new session ten times as much.
    return [_Column(*row) for row in connection.execute(query("etl/sources/columns", sources))]


def concerns(connection: Connection, sources: Sources) -> list[Concern]:
    """Return what lies below the sources and may hide rows from this login."""
    rows = connection.execute(query("etl/sources/concerns", sources))
    return [Concern(sources[known].name, *others) for known, *others in rows]


def require_all_rows(connection: Connection, settings: Settings) -> list[str]:
    """Check that this login sees every row of the source tables, also those in flight.

    Returns:
        What hides rows in flight and is accepted all the same, a line each.

    Raises:
        SourceError: rows are or may be hidden; the message names the table.
    """
    lines = []
    for concern in concerns(connection, settings.sources):
        if concern.kind == "filtered":
            raise SourceError(f"{concern.describe()}; give {concern.reader} BYPASSRLS")
        if not settings.accept_unsafe_sources:
            raise SourceError(
                f"{concern.describe()}; read tables of this database, or say by "
                f"{PREFIX}ACCEPT_UNSAFE_SOURCES=true that you know"
            )
        lines.append(concern.describe())
    return lines


def first_row_after(
    connection: Connection, settings: Settings, at: dt.datetime
) -> dt.datetime | None:
    """Return the time of the first row that is or was there, if it lies after an instant.

    None also where the instant has its snapshot, or where there has been no row at all.
    """
    return first_row(connection, settings, at)[1]


def first_row(
    connection: Connection, settings: Settings, at: dt.datetime
) -> tuple[bool, dt.datetime | None]:
    """Tell whether there is or was a row of up to an instant, or its snapshot.

    Returns:
        That; and where there is none the first row's time, None where there has been no row at all.
    """
    # A look into an index, mostly.
    if scalar_of(connection, "etl/sources/rows-until", {"at": at}, sources=settings.sources):
        return True, None
    first: dt.datetime | None = scalar_of(
        connection, "etl/sources/rows-first", sources=settings.sources
    )
    return False, first
