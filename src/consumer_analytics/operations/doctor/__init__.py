"""The doctor: what commonly breaks, each with evidence, cause and fix.

A check is a small function that looks and changes nothing; it stands in one
list, CHECKS, in the order in which things depend on each other. A fix is
applied only where it is safe: where it cannot change a figure, ends nobody's
work, and leaves nothing that could not be had again. Its proof is the same
check, asked once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import psycopg

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import ConsumerAnalyticsError, one_line
from consumer_analytics.operations.doctor import (
    airflow,
    archive,
    database,
    incidents,
    mail,
    schema,
    snapshots,
    sources,
    watermark,
)
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Examined,
    Finding,
    Treatment,
    Verdict,
)

#: What is asked of each database, where there are several.
OF_DATABASES: tuple[Check, ...] = (
    *database.CHECKS,
    *schema.CHECKS,
    *sources.CHECKS,
    *archive.CHECKS,
    *watermark.CHECKS,
    *snapshots.CHECKS,
)
CHECKS: tuple[Check, ...] = (
    *OF_DATABASES,
    *airflow.CHECKS,
    *incidents.CHECKS,
    *mail.CHECKS,
)

#: A lock that somebody holds, or a table without an index, must not keep the doctor.
_LOCK_SECONDS, _STATEMENT_SECONDS = 2, 60


def examine(
    context: Context,
    checks: Sequence[Check],
    *,
    fix: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> Iterator[Examined]:
    """Ask each check; fix what is safe to fix, and ask it again.

    One after the other, so that a check finds what an earlier fix has left.

    Args:
        context: what to look with.
        checks: which to ask.
        fix: apply the fixes that are safe.
        notify: told what is being asked or done.
    """
    for check in checks:
        notify(check.asks)
        finding = look(check, context)
        treatment = None
        if fix and finding.fix is not None and finding.fix.apply is not None:
            notify(f"fixing {check.name}")
            treatment = _treat(check, context, finding.fix.apply)
        yield Examined(check, finding, treatment)


def look(
    check: Check,
    context: Context,
    *,
    seconds: float = _STATEMENT_SECONDS,
    locked: str = "see watermark-locks",
) -> Finding:
    """Ask a check; where it cannot be made, or not within the seconds, the finding says so.

    Args:
        check: the question.
        context: what to look with.
        seconds: how long an answer of the database may take.
        locked: what to do where another session has locked what the check needs.
    """
    try:
        if context.connection is not None and not context.connection.closed:
            _be_patient(context.connection, _LOCK_SECONDS, seconds)
        return check.look(context)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        reason = (
            f"{error.diag.message_primary}: see schema-migrations, or source-columns where it is "
            "a source table's"
        )
    except psycopg.errors.InsufficientPrivilege as error:
        reason = f"{error.diag.message_primary}: see schema-grants"
    except psycopg.errors.LockNotAvailable:
        reason = f"another session has locked a table: {locked}"
    except psycopg.Error as error:
        reason = error.diag.message_primary or one_line(error)
    except ConsumerAnalyticsError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    return Finding(Verdict.UNKNOWN, f"cannot be told: {reason}")


def _treat(check: Check, context: Context, apply: Callable[[Context], str]) -> Treatment:
    try:
        if context.connection is not None:
            _be_patient(context.connection, context.settings.lock_wait, 0)
        done = apply(context)
    except psycopg.Error as error:
        text = error.diag.message_primary or one_line(error)
        return Treatment(f"failed: {text}", None)
    except (ConsumerAnalyticsError, OSError) as error:
        return Treatment(f"failed: {one_line(error)}", None)
    return Treatment(done, look(check, context))


def _be_patient(connection: Connection, lock: float, statement: float) -> None:
    """Set how long the session waits for a lock, and for an answer; 0: for ever."""
    connection.execute(
        "select set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
        [f"{int(lock * 1000)}", f"{int(statement * 1000)}"],
    )
