"""Sessions of a program's: what the database says there is told as everywhere, in a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.errors import StatementRefusedError, one_line
from consumer_analytics.settings import Settings


@contextmanager
def session(settings: Settings, purpose: str, *, works_long: bool = False) -> Iterator[Connection]:
    """Open a session for a `with` block, and close it after.

    Args:
        settings: where to.
        purpose: as `connect` has it, and what follows.
        works_long: whether it does what may be told to take less of the server.

    Raises:
        StatementRefusedError: the database refused or ended a statement.
        ConsumerAnalyticsError: as `connected` does.
    """
    with refusals(), connected(settings, purpose, works_long=works_long) as connection:
        yield connection


@contextmanager
def refusals() -> Iterator[None]:
    """Tell in our words what the database refuses within a `with` block.

    Raises:
        StatementRefusedError: it refused or ended a statement.
    """
    try:
        yield
    except psycopg.Error as error:
        raise StatementRefusedError(one_line(error)) from error
