"""What the database knows of the archive: up to where it reaches, and which files it has."""

from __future__ import annotations

import datetime as dt

from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.lake.folder import ArchivedFile
from consumer_analytics.sql import query

#: All days, as PostgreSQL writes a datemultirange.
_ALWAYS = "{[-infinity,infinity]}"


def first_own_day(connection: Connection) -> dt.date | None:
    """Return the first UTC day that is the source table's; None where nothing is archived."""
    day: dt.date | None = scalar_of(connection, "lake/manifest/first-own-day")
    return day


def files(connection: Connection, days: str = _ALWAYS, within: str = _ALWAYS) -> list[ArchivedFile]:
    """Return the files of some days, in order.

    Args:
        connection: to the product's database.
        days: a datemultirange as PostgreSQL writes it.
        within: of these the days that lie in another one.
    """
    rows = connection.execute(query("lake/manifest/files"), {"days": days, "within": within})
    return [ArchivedFile(*row) for row in rows]
