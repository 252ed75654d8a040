"""Errors that a person is meant to read.

A subclass's docstring is its default message. Each message is one line that
says what is wrong, where, and what to do; the command line prints it without
a traceback and exits with the class's `exit_code`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence


def one_line(error: BaseException) -> str:
    """Return what an error says as one line; PostgreSQL's and libpq's messages have several."""
    return " ".join(str(error).split())


def noted(metadata: Mapping[str, object]) -> str:
    """Return the error that a failed run noted: its type, and its message."""
    return f"{metadata.get('error_type')}: {metadata.get('error')}"


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


class SuperuserError(ConsumerAnalyticsError):
    """The login is a superuser, and runs do not work as one."""


class SessionError(ConsumerAnalyticsError):
    """A session cannot be set to what figures depend on."""


class TransactionPoolingError(ConsumerAnalyticsError):
    """A pooler lends its sessions for a transaction at a time; ours have to last."""


class RolesError(ConsumerAnalyticsError):
    """The roles cannot be made as asked; nothing was changed."""


class SchemaError(ConsumerAnalyticsError):
    """The database's schema is not this version's; run `consumer-analytics migrate`."""


class SourceError(ConsumerAnalyticsError):
    """A source table is not as the product needs it."""


class HoldbackBlindError(ConsumerAnalyticsError):
    """This login cannot see when other sessions' transactions began.

    Without that no run can tell whether rows are still in flight.
    """


class HeldBackError(ConsumerAnalyticsError):
    """Transactions that are still open may commit rows of the range; run again when they end."""


class BusyError(ConsumerAnalyticsError):
    """Another run is at work on this job; try again when it is done."""


class ConnectionLostError(ConsumerAnalyticsError):
    """The connection to the database was lost; nothing was half-written, run again."""


class ChannelError(ConsumerAnalyticsError):
    """A message could not be sent; it is tried again.

    Attributes:
        step: where it failed, a word of the channel's own.
        holds_others: whether the channel itself cannot be used, so that other messages need not
            be tried before this one is tried again; else it is this message that is refused.
    """

    def __init__(self, step: str, message: str, *, holds_others: bool = True) -> None:
        """Take the step that failed, and what to tell people."""
        self.step = step
        self.holds_others = holds_others
        super().__init__(message)


class MailError(ChannelError):
    """The mail could not be sent.

    Attributes:
        step: where it failed: `settings`, `name`, `connection`, `tls`, `certificate`,
            `login`, `sender`, `recipient` or `content`.
    """

    def __init__(self, step: str, message: str) -> None:
        """Take the step that failed, and what to tell people."""
        super().__init__(step, message, holds_others=step != "content")


class HeartbeatError(ConsumerAnalyticsError):
    """The dead-man's signal could not be given."""


class ImportRefusedError(ConsumerAnalyticsError):
    """The files cannot be imported as they are; nothing was.

    Attributes:
        problems: the first of what is wrong, in the files' order.
        total: how many problems there are in all.
    """

    def __init__(self, problems: Sequence[object], total: int | None = None) -> None:
        """Take what is wrong; the message tells the first and counts the others."""
        self.problems = tuple(problems)
        self.total = len(problems) if total is None else total
        more = f" (and {self.total - 1:,} more)" if self.total > 1 else ""
        super().__init__(f"nothing was imported: {problems[0]}{more}")


class LocalServerError(ConsumerAnalyticsError):
    """The embedded PostgreSQL server cannot be used."""


class AirflowCommandError(ConsumerAnalyticsError):
    """A command of Airflow's own failed."""


class MaintenanceError(ConsumerAnalyticsError):
    """A part of the maintenance failed; the others were done."""


class UpError(ConsumerAnalyticsError):
    """The local system cannot be brought up, or did not stay up."""
