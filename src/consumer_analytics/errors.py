"""Errors that a person is meant to read.

A subclass's docstring is its default message. Each message is one line that
says what is wrong, where, and what to do; the command line prints it without
a traceback and exits with the class's `exit_code`.
"""

from __future__ import annotations

import inspect


class ConsumerAnalyticsError(Exception):
    """Something went wrong in consumer-analytics."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        """Take `message`, or the class's docstring where there is none."""
        super().__init__(message or inspect.getdoc(type(self)) or type(self).__name__)


class UsageError(ConsumerAnalyticsError):
    """The command was called with something it cannot use."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting in the environment cannot be used."""


class DatabaseUnreachableError(ConsumerAnalyticsError):
    """The database cannot be reached; check CONSUMER_ANALYTICS_DATABASE_URL."""


class UnsupportedDatabaseError(ConsumerAnalyticsError):
    """The database server is too old: PostgreSQL 15 or newer is needed."""


class SchemaError(ConsumerAnalyticsError):
    """The database's schema is not this version's; run `consumer-analytics migrate`."""


class SourceError(ConsumerAnalyticsError):
    """A source table is not as the product needs it."""


class HoldbackBlindError(ConsumerAnalyticsError):
    """This login cannot see when other sessions' transactions began.

    Without that no run can tell whether rows are still in flight.
    """


class BusyError(ConsumerAnalyticsError):
    """Another run is at work on this job; try again when it is done."""


class ConnectionLostError(ConsumerAnalyticsError):
    """The connection to the database was lost; nothing was half-written, run again."""


class LocalServerError(ConsumerAnalyticsError):
    """The embedded PostgreSQL server cannot be used."""
