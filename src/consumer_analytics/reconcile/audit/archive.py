"""The archive: its files are read whole, and hold what the audit counts of its days.

Nothing that runs keep of them is believed: neither counts nor rows in the database.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import MINUS_INFINITY, Connection
from consumer_analytics.lake import engine, manifest
from consumer_analytics.lake.loading import load
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
        connection.execute(query("reconcile/audit/archive/begin"))
        connection.cursor().executemany(
            "insert into audit_filed_days (day, n, digest) values (%s, %s, %s)",
            [(_day_of(number), n, digest) for number, n, digest, _ in files.digests()],
        )
        apart = connection.execute(query("reconcile/audit/archive/days-apart", sources)).fetchall()
        if apart:
            load(connection, "audit_filed_ids (event_id)", files.ids())
            connection.execute("analyze audit_filed_ids")
        strays = query("reconcile/audit/archive/strays", sources)
        connection.execute(strays, {"days": [day for (day,) in apart]})

    def counted(self, cuts: Iterable[dt.datetime]) -> dict[str, sql.Composable]:
        """Compose all events, those of the files at the last midnight or cut before each.

        Each row is `events_of_row` of them.
        """
        since = ((at - _EPOCH) // _MICROSECOND for at in cuts)
        into = "audit_filed_counts (consumer_id, since, event_type, n)"
        load(self._connection, into, self._files.counts(since), instant="since")
        self._connection.execute("analyze audit_filed_counts")
        sources = self._settings.sources
        return {"customer_events": query("reconcile/audit/archive/counted", sources)}

    def told(self) -> dict[str, sql.Composable]:
        """Compose the events that tell of customers: of the files the lifecycle events."""
        told = self._files.lifecycle(self._lifecycle)
        load(self._connection, _EVENTS, told, instant="us")
        self._connection.execute("analyze audit_filed")
        sources = self._settings.sources
        return {"customer_events": query("reconcile/audit/archive/told", sources)}

    def tell_all(self) -> None:
        """Take in the other events, too, of the customers in `audit_wanted`."""
        wanted = self._connection.execute("select customer_id from audit_wanted").fetchall()
        if not wanted:
            return
        events = self._files.of_customers((one for (one,) in wanted), self._lifecycle)
        load(self._connection, _EVENTS, events, instant="us")

    @property
    def _lifecycle(self) -> tuple[str, ...]:
        return self._settings.sources.words.lifecycle


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


def _day_of(number: int) -> dt.date:
    return dt.date.fromordinal(number + _EPOCH.toordinal())
