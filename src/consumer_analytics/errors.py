"""Errors that a person is meant to read.

A subclass's docstring is its default message. Each message is one line that
says what is wrong, where, and what to do; the command line prints it without
a traceback and exits with the class's `exit_code`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

_AGAIN = "nothing is half-written, run it again"
_SOON = "nothing is half-written, run it again in a moment"
_DOCTOR = "nothing is half-written; `consumer-analytics doctor` tells more"
_OTHERS = "nothing is half-written, run it again when other work has ended"
_GRANT = "nothing is half-written; `consumer-analytics doctor` lists the rights that are lacking"
_ADMIN = "nothing is half-written; the server's log tells more, ask who runs it"

#: What the database's errors mean here, and what to do, by the longest beginning of their SQLSTATE.
#: With `{}` stands what the server says, where it names something that people can look for.
_SAID = {
    "": ("the database refused a statement: {}", _DOCTOR),
    "08": ("the connection to the database was lost", _AGAIN),
    "0A": ("the database cannot do what is asked of it here: {}", _DOCTOR),
    "0L": ("this login may not do that: {}", _GRANT),
    "0P": ("this login may not do that: {}", _GRANT),
    "22": ("a value in the database cannot be read or kept: {}", _DOCTOR),
    "23": ("the database refuses a row: {}", _DOCTOR),
    "25": ("a transaction was in no state to go on: {}", _AGAIN),
    "25006": (
        "the database takes no writes: it is a standby, or was set read-only",
        "nothing was changed; let CONSUMER_ANALYTICS_DATABASE_URL name the primary",
    ),
    "25P02": ("a transaction had failed before", _AGAIN),
    "25P03": (
        "the server ended our session, which stood still in a transaction, as on a machine asleep",
        _AGAIN,
    ),
    "25P04": ("the server ended a transaction that took longer than it allows", _ADMIN),
    "28": (
        "the database does not let this login in: {}",
        "check login and password in CONSUMER_ANALYTICS_DATABASE_URL",
    ),
    "2B": ("other objects depend on what was to go: {}", "nothing was changed"),
    "2D": ("a transaction could not end: {}", _AGAIN),
    "34": ("the session was not what it was: {}", _AGAIN),
    "3B": ("the session was not what it was: {}", _AGAIN),
    "3D": (
        "the database does not exist: {}",
        "create it, or let CONSUMER_ANALYTICS_DATABASE_URL name another",
    ),
    "3F": ("a schema does not exist: {}", "check CONSUMER_ANALYTICS_SOURCE_SCHEMA"),
    "40": ("the server took a transaction back", _AGAIN),
    "40001": ("others changed the same rows in the same moment", _AGAIN),
    "40003": ("the server does not say whether a transaction was kept", _AGAIN),
    "40P01": ("this and another session waited for each other, and the server ended this", _AGAIN),
    "42": ("the database is not as it should be: {}", _DOCTOR),
    "42501": ("this login may not do that: {}", _GRANT),
    "42P01": ("a table is missing, or was dropped meanwhile: {}", _DOCTOR),
    "42703": ("a column is missing, or was renamed meanwhile: {}", _DOCTOR),
    "44": ("the database refuses a row: {}", _DOCTOR),
    "53": ("the database server has no more of something: {}", _ADMIN),
    "53100": (
        "the database server's disk is full: {}",
        "nothing is half-written, make room and run it again",
    ),
    "53200": ("the database server has no memory left: {}", _OTHERS),
    "53300": ("the database server has no connection free", _OTHERS),
    "54": ("a limit of the database server was reached: {}", _ADMIN),
    "55": ("something in the database is in use, or not ready: {}", _SOON),
    "55P03": (
        "another session has locked what this needs",
        "nothing is half-written, run it again; `consumer-analytics doctor` names who holds what",
    ),
    "57": ("the database server ended this: {}", _AGAIN),
    "57014": ("somebody ended the statement on the database server", _AGAIN),
    "57P01": ("somebody ended the session, or the database server is shutting down", _AGAIN),
    "57P02": ("the database server crashed and is recovering", _SOON),
    "57P03": ("the database server is starting up, shutting down or recovering", _SOON),
    "57P04": ("the database was dropped", "check CONSUMER_ANALYTICS_DATABASE_URL"),
    "57P05": ("the server ended our session, which had nothing to do for long", _AGAIN),
    "58": ("the database server cannot read or write its files: {}", _ADMIN),
    "F0": ("the database server's configuration is not in order: {}", _ADMIN),
    "HV": ("a foreign table cannot be read: {}", _DOCTOR),
    "P0": ("a function in the database refused: {}", _DOCTOR),
    "XX": ("the database server met an error of its own: {}", _ADMIN),
    "XX001": ("the database server found damaged data: {}", _ADMIN),
    "XX002": ("the database server found a damaged index: {}", _ADMIN),
}


def one_line(error: BaseException) -> str:
    """Return what an error says as one line; of the database, what it means here and what to do."""
    state = getattr(error, "sqlstate", None)
    if not state:
        return " ".join(str(error).split())
    what, then = next(_SAID[state[:n]] for n in range(len(state), -1, -1) if state[:n] in _SAID)
    # Without the statement's text and the place in it.
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return f"{what.format(' '.join((primary or f'SQLSTATE {state}').split()))}; {then}"


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


class MissingExtraError(UsageError):
    """A command needs packages that this installation does not have."""


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


class ArchiveError(ConsumerAnalyticsError):
    """The archive cannot be read or written as it is; nothing was half-written."""


class ShardsError(ConsumerAnalyticsError):
    """Several databases together cannot be worked on as they are; nothing was published."""


class HoldbackBlindError(ConsumerAnalyticsError):
    """This login cannot see when other sessions' transactions began.

    Without that no run can tell whether rows are still in flight.
    """


class HeldBackError(ConsumerAnalyticsError):
    """Transactions that are still open may commit rows of the range; run again when they end."""


class BusyError(ConsumerAnalyticsError):
    """Another run is at work on this job; try again when it is done."""


class StatementRefusedError(ConsumerAnalyticsError):
    """The database refused or ended a statement; nothing was half-written."""


class ConnectionLostError(ConsumerAnalyticsError):
    """The connection to the database was lost; nothing was half-written, run again."""


class ChannelError(ConsumerAnalyticsError):
    """A message could not be sent; it is tried again.

    Attributes:
        step: where it failed, a word of the channel's own.
        holds_others: whether the channel itself cannot be used, so that other messages need not
            be tried before this one is tried again; else it is this message that is refused.
        retry_after: seconds that who takes the messages asks to wait; None where it asks nothing.
    """

    def __init__(
        self,
        step: str,
        message: str,
        *,
        holds_others: bool = True,
        retry_after: float | None = None,
    ) -> None:
        """Take the step that failed, and what to tell people."""
        self.step = step
        self.holds_others = holds_others
        self.retry_after = retry_after
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
