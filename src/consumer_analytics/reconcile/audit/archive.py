"""The archive: its files are read whole, and hold what the audit counts of its days.

Nothing that runs keep of them is believed: neither counts nor rows in the database.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import MINUS_INFINITY, Connection
from consumer_analytics.lake import engine, manifest
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_EVENTS = "audit_filed (event_id, customer_id, consumer_id, event_type, payload_json, created_at)"


class Archive:
    """The files of all days that are archived, read in the audit's transaction.

    What it composes stands for `customer_events` in a statement, by that name.
    """

    def __init__(self, connection: Connection, settings: Settings, files: engine.Engine) -> None:
        """Take the files; find what the table has besides."""
        self._connection, self._settings, self._files = connection, settings, files
        sources = settings.sources
        self._copy(
            "audit_filed_days (day, n, digest)",
            ((str(_day_of(number)), n, digest) for number, n, digest, _ in files.digests()),
        )
        apart = connection.execute(query("reconcile/audit/archive/days-apart", sources)).fetchall()
        if apart:
            self._copy("audit_filed_ids (event_id)", files.ids())
            connection.execute("analyze audit_filed_ids")
        strays = query("reconcile/audit/archive/strays", sources)
        connection.execute(strays, {"days": [day for (day,) in apart]})

    def counted(self, cuts: Iterable[dt.datetime]) -> dict[str, sql.Composable]:
        """Compose all events, those of the files at the last midnight or cut before each."""
        since = ((at - _EPOCH) // _MICROSECOND for at in cuts)
        self._copy(
            "audit_filed_counts (consumer_id, since, event_type, n)",
            ((one, _instant(us), kind, n) for one, us, kind, n in self._files.counts(since)),
        )
        self._connection.execute("analyze audit_filed_counts")
        sources = self._settings.sources
        return {"customer_events": query("reconcile/audit/archive/counted", sources)}

    def told(self) -> dict[str, sql.Composable]:
        """Compose the events that tell of customers: of the files the lifecycle events."""
        self._copy(_EVENTS, _dated(self._files.lifecycle(self._lifecycle)))
        self._connection.execute("analyze audit_filed")
        sources = self._settings.sources
        return {"customer_events": query("reconcile/audit/archive/told", sources)}

    def tell_all(self) -> None:
        """Take in the other events, too, of the customers in `audit_wanted`."""
        wanted = self._connection.execute("select customer_id from audit_wanted").fetchall()
        if not wanted:
            return
        events = self._files.of_customers(one for (one,) in wanted)
        self._copy(_EVENTS, _dated(row for row in events if row[3] not in self._lifecycle))

    @property
    def _lifecycle(self) -> tuple[str, ...]:
        return self._settings.sources.words.lifecycle

    def _copy(self, into: str, rows: Iterable[Sequence[Any]]) -> None:
        statement = sql.SQL("copy pg_temp.") + sql.SQL(into) + sql.SQL(" from stdin")
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


@contextmanager
def opened(
    connection: Connection, settings: Settings, lower: dt.datetime = MINUS_INFINITY
) -> Iterator[Archive | None]:
    """Open the archive for the block; None where nothing from an instant on is archived.

    Raises:
        ArchiveError: a file is gone, changed, or one more.
        MissingExtraError: what reads the files is not installed.
    """
    listed = manifest.files(connection)
    first_day = manifest.first_own_day(connection)
    if not listed or first_day is None or lower >= instants.start_of(first_day):
        yield None
        return
    with engine.opened(settings, listed) as files:
        yield Archive(connection, settings, files)


def _dated(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    return ((*row[:-1], _instant(row[-1])) for row in rows)


def _instant(microseconds: int) -> str:
    return (_EPOCH + microseconds * _MICROSECOND).isoformat()


def _day_of(number: int) -> dt.date:
    return dt.date.fromordinal(number + _EPOCH.toordinal())
