"""What was archived, where figures are worked out: events are the table's and the archive's.

Two relations stand for `customer_events` in statements. `held` has every event that counts in
some days, for those that count: the archive's whole days from counts that the database keeps, days
that an instant cuts from the files. `told` has every event that tells of a customer's life, from
rows that the database keeps of the archive; no file is read for it. Where nothing is archived both
are the table itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import LiteralString

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.errors import ArchiveError
from consumer_analytics.etl.plan import multirange
from consumer_analytics.etl.shape import TOTAL, UNNAMED, is_long
from consumer_analytics.formatting import counted
from consumer_analytics.lake import engine, folder, manifest
from consumer_analytics.lake.loading import load
from consumer_analytics.settings import Settings, variable
from consumer_analytics.sql import query, source_rows

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ONE_DAY = dt.timedelta(days=1)
_MICROSECOND = dt.timedelta(microseconds=1)
#: How many events there are, and how many a row is: each row of the table is one.
PLAIN: dict[str, sql.Composable] = {
    "events_there": sql.SQL("count(*)"),
    "events_of_row": sql.SQL("1"),
}
#: A row of the archive's counts is several.
_WEIGHED: dict[str, sql.Composable] = {
    "events_there": sql.SQL("{}(events_of_row)").format(sql.SQL(TOTAL)),
    "events_of_row": sql.SQL("events_of_row"),
}
#: All days, as PostgreSQL writes a datemultirange.
_ALWAYS = "{[-infinity,infinity]}"


def require_readable(connection: Connection, settings: Settings) -> None:
    """Check that whoever works here knows of the archive, if there is one.

    Raises:
        ArchiveError: days are archived, and nothing says where.
    """
    if (lacking := lacks_address(connection, settings)) is not None:
        raise ArchiveError(lacking)


def lacks_address(connection: Connection, settings: Settings) -> str | None:
    """Say that days are archived and nothing says where; None where that is not so."""
    if settings.lake_url is not None or (day := manifest.first_own_day(connection)) is None:
        return None
    return f"days before {day} are archived, and nothing says where: set {variable('lake_url')}"


def told(settings: Settings) -> sql.Composable:
    """Compose the events that tell of customers' lives: a relation for a FROM clause."""
    if settings.lake_url is None:
        return source_rows(settings.sources, "customer_events")
    return query("etl/archived/told", settings.sources)


def held(
    connection: Connection,
    settings: Settings,
    days: str,
    cuts: Iterable[dt.datetime],
    *,
    by_day: bool = False,
) -> dict[str, sql.Composable]:
    """Compose the events that count: what `customer_events` is in a statement that counts them.

    How many a row stands for is `events_of_row` there, and of several rows `events_there`. Within
    the caller's transaction, whose temporary tables it uses: a statement that was composed before
    reads other days then.

    Args:
        connection: in a transaction.
        settings: where the source and the archive are.
        days: those that are counted, a datemultirange as PostgreSQL writes it.
        cuts: instants that the statement compares events with.
        by_day: whether it matters only how many a day has: where an archived day is not cut its
            events are nobody's, and of no type.

    Returns:
        What statements name of that; `customer_events` is the table where it is not there.

    Raises:
        ArchiveError: files have to be read, and are not what was archived.
        MissingExtraError: files have to be read, and what reads them is not installed.
    """
    first_day = _reaches(connection, settings, days)
    if first_day is None:
        return PLAIN
    inside = sorted({at for at in cuts if _cuts(at, first_day)})
    cut = multirange((at.date(), at.date() + _ONE_DAY) for at in inside)
    counts: LiteralString = "etl/archived/days" if by_day else "etl/archived/counts"
    relation = _lay_apart(connection, settings, first_day, days, cut, counts)
    if listed := manifest.files(connection, days, cut):
        _read_cut(connection, settings, listed, inside)
    return {"customer_events": relation, **_WEIGHED}


def held_by_slot(
    connection: Connection,
    settings: Settings,
    days: str,
    bounds: Sequence[dt.datetime],
    types: Sequence[str],
) -> tuple[dict[str, sql.Composable], bool]:
    """Compose what `held` does of the table's rows, and count the archive's apart.

    For whoever counts days that are cut everywhere: by consumer and slot, with a column for each
    type, they are fewer than by day. They go into the temporary table `archived_slots`.

    Args:
        connection: in a transaction.
        settings: where the source and the archive are.
        days: each of which an instant cuts, a datemultirange as PostgreSQL writes it.
        bounds: instants, ascending: a slot is how many of them lie at or before an event.
        types: event types with a column.

    Returns:
        What statements name, and whether the archive has any of these days.

    Raises:
        ArchiveError: files are not what was archived, or an engine has other rows of them.
        MissingExtraError: what reads them is not installed.
    """
    first_day = _reaches(connection, settings, days)
    if first_day is None:
        return PLAIN, False
    own = {**PLAIN, "customer_events": _lay_apart(connection, settings, first_day, days, days)}
    listed = manifest.files(connection, days)
    if not listed:
        return own, False
    places = list(enumerate(types, 1))
    # No event bears a name that stands for a longer one, but for one that bears it by chance.
    kinds = [(kind, place) for place, kind in places if not is_long(kind)]
    kinds += [("", place) for place, kind in places if kind == UNNAMED]
    names = [f"e{place}" for place, _ in places]
    columns = sql.SQL("").join(
        sql.SQL(", {} bigint not null").format(sql.Identifier(one)) for one in names
    )
    connection.execute("drop table if exists pg_temp.archived_slots")
    connection.execute(query("etl/archived/slots", columns=columns))
    instants_us = [(at - _EPOCH) // _MICROSECOND for at in bounds]
    numbers = sorted({file.day.toordinal() - _EPOCH.toordinal() for file in listed})
    with engine.opened(settings, listed) as archive:
        answer = archive.slots(numbers, instants_us, kinds)
        into = ", ".join(("consumer_id", "slot", "rest", "events", *names))
        load(connection, f"archived_slots ({into})", answer)
    rows, expected = scalar_of(connection, "etl/archived/slotted"), sum(one.rows for one in listed)
    if rows != expected:
        raise ArchiveError(
            f"the archive has {counted(expected, 'row')} of {counted(len(numbers), 'day')}, "
            f"and {rows:,} were counted"
        )
    return own, True


def _reaches(connection: Connection, settings: Settings, days: str) -> dt.date | None:
    """Return the first day that is the table's, where some of these are the archive's."""
    if settings.lake_url is None:
        return None
    first_day: dt.date | None = scalar_of(connection, "etl/archived/reaches", {"days": days})
    return first_day


def _lay_apart(
    connection: Connection,
    settings: Settings,
    first_day: dt.date,
    days: str,
    cut: str,
    counts: LiteralString = "etl/archived/counts",
) -> sql.Composed:
    """Lay down what no file has of some days, and the files' counts of those that are not cut."""
    connection.execute("drop table if exists pg_temp.archived_held")
    _strays(connection, settings, days, first_day)
    connection.execute(query(counts), {"days": days, "cut": cut})
    return query("etl/archived/held", settings.sources, first_day=sql.Literal(first_day))


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
        _load_counts(connection, "archived_anew", archive.counts())
        load_events(
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
    return [day for (day,) in connection.execute(days, {"days": apart})]


def held_where_reported(
    connection: Connection, settings: Settings, days: str | None
) -> dict[str, sql.Composable]:
    """Compose what `held` does, for statements that compare with all instants ever reported."""
    if settings.lake_url is None or days is None:
        return PLAIN
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
    connection.execute("drop table if exists pg_temp.archived_ids, pg_temp.archive_strays")
    connection.execute(query("etl/archived/ids"))
    if apart is not None and (listed := manifest.files(connection, apart)):
        with engine.opened(settings, listed) as archive:
            load(connection, "archived_ids (event_id)", archive.ids())
        connection.execute("analyze pg_temp.archived_ids")
    strays = query("etl/archived/strays", settings.sources)
    connection.execute(strays, {"apart": apart})
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
        _load_counts(connection, "archived_held", archive.counts(microseconds))


def _load_counts(connection: Connection, table: str, counts: engine.Answer) -> None:
    into = f"{table} (consumer_id, since, event_type, n)"
    load(connection, into, counts, instant="since")


def load_events(connection: Connection, table: str, events: engine.Answer) -> None:
    """Put events as the engine answers them into a temporary table of this transaction.

    Args:
        connection: in the transaction that has made the table.
        table: its name; it has the source's columns.
        events: ids, event_type, payload_json, and the instant in microseconds since 1970.
    """
    columns = "event_id, customer_id, consumer_id, event_type, payload_json, created_at"
    load(connection, f"{table} ({columns})", events, instant="us")
