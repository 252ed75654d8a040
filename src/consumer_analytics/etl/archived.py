"""What was archived, where figures are worked out: events are the table's and the archive's.

Two relations stand for `customer_events` in statements. `held` has every event that counts in
some days, for those that count: the archive's whole days from counts that the database keeps, days
that an instant cuts from the files. `told` has every event that tells of a customer's life, from
rows that the database keeps of the archive; no file is read for it. Where nothing is archived both
are the table itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.errors import ArchiveError
from consumer_analytics.etl.plan import multirange
from consumer_analytics.lake import engine, folder, manifest
from consumer_analytics.settings import Settings, variable
from consumer_analytics.sql import query, source_rows

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NOTHING = sql.SQL("")
_ONE_DAY = dt.timedelta(days=1)
_MICROSECOND = dt.timedelta(microseconds=1)
_NONE = "{}"
#: All days, as PostgreSQL writes a datemultirange.
_ALWAYS = "{[-infinity,infinity]}"
#: What may be in the table and in the archive comes once: as the archive has it.
_ONCE = sql.SQL("distinct on (event_id)"), sql.SQL("order by event_id, place")


def require_readable(connection: Connection, settings: Settings) -> None:
    """Check that whoever works here knows of the archive, if there is one.

    Raises:
        ArchiveError: days are archived, and nothing says where.
    """
    if settings.lake_url is None and (day := manifest.first_own_day(connection)) is not None:
        raise ArchiveError(
            f"days before {day} are archived, and nothing says where: set {variable('lake_url')}"
        )


def told(settings: Settings) -> sql.Composable:
    """Compose the events that tell of customers' lives: a relation for a FROM clause."""
    if settings.lake_url is None:
        return source_rows(settings.sources, "customer_events")
    return query("etl/archived/told", settings.sources)


def once(settings: Settings) -> tuple[sql.Composable, sql.Composable]:
    """Compose what lets each event of `told` come once: after SELECT, and at the end."""
    return (_NOTHING, _NOTHING) if settings.lake_url is None else _ONCE


def held(
    connection: Connection, settings: Settings, days: str, cuts: Iterable[dt.datetime]
) -> dict[str, sql.Composable]:
    """Compose the events that count: what `customer_events` is in a statement that counts them.

    Within the caller's transaction, whose temporary tables it uses: a statement that was composed
    before reads other days then.

    Args:
        connection: in a transaction.
        settings: where the source and the archive are.
        days: those that are counted, a datemultirange as PostgreSQL writes it.
        cuts: instants that the statement compares events with.

    Returns:
        The relation under its name in statements; nothing where it is the table.

    Raises:
        ArchiveError: files have to be read, and are not what was archived.
        MissingExtraError: files have to be read, and what reads them is not installed.
    """
    if settings.lake_url is None:
        return {}
    first_day = scalar_of(connection, "etl/archived/reaches", {"days": days})
    if first_day is None:
        return {}
    connection.execute(
        "drop table if exists pg_temp.archived_ids, pg_temp.archive_strays, pg_temp.archived_held"
    )
    _strays(connection, settings, days, first_day)
    inside = sorted({at for at in cuts if _cuts(at, first_day)})
    cut = multirange((at.date(), at.date() + _ONE_DAY) for at in inside)
    connection.execute(query("etl/archived/counts"), {"days": days, "cut": cut})
    if listed := manifest.files(connection, days, cut):
        _read_cut(connection, settings, listed, inside)
    relation = query("etl/archived/held", settings.sources, first_day=sql.Literal(first_day))
    return {"customer_events": relation}


def renew(connection: Connection, settings: Settings) -> None:
    """Read all files again, and let what the database keeps of them be what they have.

    For whoever judges or repairs everything, before he goes by it. Within the caller's
    transaction, under the job's lock.

    Raises:
        ArchiveError: a file is not what was archived.
        MissingExtraError: what reads them is not installed.
    """
    listed = manifest.files(connection)
    if not listed:
        return
    connection.execute("drop table if exists pg_temp.archived_anew, pg_temp.archived_told")
    connection.execute(query("etl/archived/renewing"))
    with engine.opened(settings, listed) as archive:
        counts = _dated(archive.counts())
        _copy(connection, "archived_anew (consumer_id, since, event_type, n)", counts)
        copy_events(
            connection, "archived_told", archive.lifecycle(settings.sources.words.lifecycle)
        )
    connection.execute(query("etl/archived/renew", settings.sources))


def days_with_strays(connection: Connection, settings: Settings) -> list[dt.date]:
    """Return the archive's days of which the table has rows that may be in no file, in order.

    Within the caller's transaction.
    """
    first_day = manifest.first_own_day(connection)
    days = query("etl/archived/days-listed")
    if first_day is None:
        return []
    apart: str | None = scalar_of(
        connection,
        "etl/archived/days-apart",
        {"days": _ALWAYS, "first_day": first_day},
        sources=settings.sources,
    )
    return [day for (day,) in connection.execute(days, {"days": apart or _NONE})]


def held_where_reported(
    connection: Connection, settings: Settings, days: str | None
) -> dict[str, sql.Composable]:
    """Compose what `held` does, for statements that compare with all instants ever reported."""
    if settings.lake_url is None or days is None:
        return {}
    cuts = connection.execute(query("etl/archived/reported"), {"days": days}).fetchall()
    return held(connection, settings, days, (at for (at,) in cuts))


def _cuts(at: dt.datetime, first_day: dt.date) -> bool:
    """Tell whether an instant divides a day that may be archived."""
    return instants.start_of(dt.date.min) < at < instants.start_of(first_day) and not (
        instants.is_midnight(at)
    )


def _strays(connection: Connection, settings: Settings, days: str, first_day: dt.date) -> None:
    """Find the rows of the archive's days that are in the table alone.

    Where the table has just the files' rows, or none, no file is read.
    """
    apart: str | None = scalar_of(
        connection,
        "etl/archived/days-apart",
        {"days": days, "first_day": first_day},
        sources=settings.sources,
    )
    connection.execute(query("etl/archived/ids"))
    if apart is not None and (listed := manifest.files(connection, apart)):
        with engine.opened(settings, listed) as archive:
            _copy(connection, "archived_ids (event_id)", archive.ids())
        connection.execute("analyze pg_temp.archived_ids")
    strays = query("etl/archived/strays", settings.sources)
    connection.execute(strays, {"apart": apart or _NONE})
    if apart is not None:
        _leave_out_moved(connection, settings)


def _leave_out_moved(connection: Connection, settings: Settings) -> None:
    """Take rows from the strays that the archive has under another day, whatever moved them."""
    found = connection.execute("select event_id from pg_temp.archive_strays").fetchall()
    files = manifest.files(connection)
    if not (found and files):
        return
    with engine.opened(settings, files) as archive:
        moved = [one for (one,) in archive.known(one for (one,) in found)]
    connection.execute(
        "delete from pg_temp.archive_strays where event_id = any(%s::uuid[])", [moved]
    )


def _read_cut(
    connection: Connection,
    settings: Settings,
    listed: list[folder.ArchivedFile],
    inside: list[dt.datetime],
) -> None:
    """Count the days that instants cut from their files, by the stretch between these."""
    microseconds = [(at - _EPOCH) // _MICROSECOND for at in inside]
    with engine.opened(settings, listed) as archive:
        _copy(
            connection,
            "archived_held (consumer_id, since, event_type, n)",
            _dated(archive.counts(microseconds)),
        )


def _dated(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for consumer, since, kind, n in rows:
        yield consumer, instant_of(since), kind, n


def _copy(connection: Connection, into: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Put rows into a temporary table of this transaction: `name (column, …)`."""
    statement = sql.SQL("copy pg_temp.") + sql.SQL(into) + sql.SQL(" from stdin")
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def copy_events(connection: Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Put events as the engine yields them into a temporary table of this transaction.

    Args:
        connection: in the transaction that has made the table.
        table: its name; it has the source's columns.
        rows: ids, event_type, payload_json, and the instant in microseconds since 1970.
    """
    columns = "event_id, customer_id, consumer_id, event_type, payload_json, created_at"
    _copy(connection, f"{table} ({columns})", ((*row[:-1], instant_of(row[-1])) for row in rows))


def instant_of(microseconds: int) -> str:
    """Write an instant as PostgreSQL reads it, from microseconds since 1970."""
    return (_EPOCH + microseconds * _MICROSECOND).isoformat()
