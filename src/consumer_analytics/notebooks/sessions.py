"""Sessions of a program's: what the database says there is told as everywhere, in a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.errors import StatementRefusedError, one_line
from consumer_analytics.settings import Settings


@contextmanager
def session(settings: Settings, purpose: str) -> Iterator[Connection]:
    """Open a session for a `with` block, and close it after.

    Raises:
        StatementRefusedError: the database refused or ended a statement.
        ConsumerAnalyticsError: as `connected` does.
    """
    try:
        with connected(settings, purpose) as connection:
            yield connection
    except psycopg.Error as error:
        raise StatementRefusedError(one_line(error)) from error
