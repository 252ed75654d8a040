"""What every session of ours is set to, and whether a pooler lends it to others in between.

A server, a database or a role may set its sessions as it likes; what our statements mean must not
depend on that. Settings that figures do not depend on (costs, plans, logging) stay as they are.
Which ones those are, a test over all of `pg_settings` says: `tests/integration/db/test_session.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import generators, sql, waiting
from psycopg.pq import ExecStatus

from consumer_analytics.db import tags
from consumer_analytics.db.tags import Tag
from consumer_analytics.errors import (
    ConsumerAnalyticsError,
    DatabaseUnreachableError,
    SessionError,
    TransactionPoolingError,
    one_line,
)

#: Where the server knows them: some came with a later version, or a later minor one.
_SETTINGS = {
    # How times, numbers and text are written and read, by us and by psycopg.
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "timezone_abbreviations": "Default",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # Whose functions, operators and tables are meant. Ours and the sources are named with their
    # schema; what comes without one is PostgreSQL's own, or a temporary table of the session.
    "search_path": "public",
    "restrict_nonsystem_relation_kind": "",
    # `on` filters where it must, and etl/sources.py refuses a source that it filters.
    "row_security": "on",
    # Statements of a few milliseconds; and one that takes longer is not to be ended halfway. What
    # needs a limit sets it for itself.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    # A process that is stopped, or behind a connection that swallows everything, is not seen to be
    # gone: between two statements of a transaction ours needs far less.
    "idle_in_transaction_session_timeout": "45s",
    "idle_session_timeout": "0",
    "exit_on_error": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # A table that is not the heap's may not take an UPDATE.
    "default_table_access_method": "heap",
    "gin_fuzzy_search_limit": "0",
    # For finding mistakes in PostgreSQL: workers where no plan wants them. Two names of one.
    "debug_parallel_query": "off",
    "force_parallel_mode": "off",
    "check_function_bodies": "on",
    # Just-in-time compilation costs more than it gives on statements this short.
    "jit": "off",
    "work_mem": "64MB",
    "client_min_messages": "warning",
    # The server notices within a minute that our machine is gone, and lets go of our locks; also
    # where it has sent something that nobody has acknowledged, which keepalives do not tell.
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "45s",
}

#: What only a superuser may set, and no session of ours can have: the first would leave triggers
#: and foreign keys out, the second pages. Each with what it must be instead.
_FORBIDDEN = {
    ("session_replication_role", "replica"): "origin",
    ("zero_damaged_pages", "on"): "off",
}

#: The server notices within seconds that our process is gone, even in the middle of a long
#: statement. Servers on some systems cannot do that.
_CHECK_INTERVAL = {"client_connection_check_interval": "2s"}

#: How often a pooler is asked to lend our session to another, and how many seconds that one
#: waits: where others use the pooler too, they may get ours first, or give back theirs. With a
#: busy pooler three times failed to tell in 3 of 240 tries, eight times in none.
_ROUNDS = 10
_SECONDS = 1.0


def set_up(
    connection: psycopg.Connection[Any], conninfo: Callable[[], str], *, reader: bool
) -> bool:
    """Make a new connection, in autocommit, a session of ours, in one round trip where it can be.

    Args:
        connection: new, in autocommit.
        conninfo: returns what it was opened with: behind a pooler a second one is opened.
        reader: whether it is tagged as one that writes no source rows.

    Returns:
        Whether a pooler stands between.

    Raises:
        TransactionPoolingError: a pooler lends the session to others between transactions.
        SessionError: a setting that figures depend on cannot be set.
        DatabaseUnreachableError: the server ended the session.
    """
    direct = _apply(connection, reader=reader, only_as=connection.info.backend_pid)
    if not direct:
        # Nothing was set: a session that others use as well is left as it was.
        _refuse_transaction_pooling(connection, conninfo())
        _apply(connection, reader=reader)
    return not direct


def trust_nobody(connection: psycopg.Connection[Any]) -> None:
    """Let what is named without a schema be PostgreSQL's own and nobody else's.

    For sessions with more rights than whoever may create in schema `public`: a function there that
    fits the arguments of a call better than PostgreSQL's own, `format(text, name)` say, is called
    instead of it. Runs keep `public`: functions of the sources' views and triggers look into it.
    """
    connection.execute("select pg_catalog.set_config('search_path', 'pg_catalog', false)")


def _apply(
    connection: psycopg.Connection[Any], *, reader: bool, only_as: int | None = None
) -> bool:
    """Set all in one statement; where a process is named, only if that is the server's.

    A pooler makes a process id up for each of its clients, or has one that has gone elsewhere.
    """
    try:
        values = _SETTINGS | _CHECK_INTERVAL
        try:
            row = connection.execute(_statement(values, reader, only_as)).fetchone()
        except psycopg.errors.InvalidParameterValue:
            values = _SETTINGS
            row = connection.execute(_statement(values, reader, only_as)).fetchone()
        if row is not None and row[list(values).index("statement_timeout")] is not None:
            # The time that this statement had may end after it has: then the next one is canceled.
            with suppress(psycopg.errors.QueryCanceled):
                connection.execute("select")
    except psycopg.Error as error:
        raise _refusal(error, closed=connection.closed) from None
    return row is not None


def _refusal(error: psycopg.Error, *, closed: bool) -> ConsumerAnalyticsError:
    state = str(error.sqlstate)
    # Idle for too long before it did anything: that is a setting, and trying again does not help.
    if closed and state.startswith("57P") and state != "57P05":
        return DatabaseUnreachableError(one_line(error))
    says = error.diag.message_primary or one_line(error)
    if closed:
        return DatabaseUnreachableError(
            f"the server ended the session at its start: {says}; see what is set for this login "
            "and database (`\\drds` in psql)"
        )
    return SessionError(
        f"a session cannot be set to what figures depend on: {says}; take the setting back: "
        "ALTER ROLE … RESET …, ALTER DATABASE … RESET … (`\\drds` in psql lists them)"
    )


def _statement(values: dict[str, str], reader: bool, only_as: int | None) -> sql.Composed:
    """Compose the statement that sets values; no search path has a say in what it calls."""
    parts: list[sql.Composable] = [
        sql.SQL(
            "case when pg_catalog.current_setting({0}, true) operator(pg_catalog.<>) {1} "
            "then pg_catalog.set_config({0}, {1}, false) end"
        ).format(sql.Literal(name), sql.Literal(value))
        for name, value in values.items()
    ]
    parts += [
        sql.SQL(
            "case when pg_catalog.current_setting({0}) operator(pg_catalog.=) {1} "
            "then pg_catalog.set_config({0}, {2}, false) end"
        ).format(sql.Literal(name), sql.Literal(wrong), sql.Literal(right))
        for (name, wrong), right in _FORBIDDEN.items()
    ]
    # Durable whatever the default is; where a standby must have applied it, that stays.
    parts.append(
        sql.SQL(
            "case when pg_catalog.current_setting('synchronous_commit') "
            "operator(pg_catalog.<>) 'remote_apply' "
            "then pg_catalog.set_config('synchronous_commit', 'on', false) end"
        )
    )
    if reader:
        # Tried: nobody can make us wait.
        parts.append(
            sql.SQL("pg_catalog.pg_try_advisory_lock_shared({}, {})").format(
                Tag.READER.value, tags.draw()
            )
        )
    statement = sql.SQL("select ") + sql.SQL(", ").join(parts)
    if only_as is not None:
        statement += sql.SQL(" where pg_catalog.pg_backend_pid() operator(pg_catalog.=) {}").format(
            only_as
        )
    return statement


# -- poolers -------------------------------------------------------------------------------------


def _transaction_pooling() -> TransactionPoolingError:
    return TransactionPoolingError(
        "the pooler in between lends its sessions for a transaction at a time, so that locks and "
        "temporary tables would be left in sessions of others; set pool_mode = session for this "
        "database, or let CONSUMER_ANALYTICS_DATABASE_URL name the server itself"
    )


def _refuse_transaction_pooling(connection: psycopg.Connection[Any], conninfo: str) -> None:
    """Refuse a pooler that gives our session to another client while we are connected.

    Asked by a second client, which takes a session and keeps it in a transaction: in session
    mode it never has ours, and ours never changes.
    """
    ours = _process(connection)
    with suppress(psycopg.OperationalError):
        other = psycopg.connect(conninfo, autocommit=True, connect_timeout=2)
        try:
            for _ in range(_ROUNDS):
                theirs = _begin(other)
                if theirs == ours or _process(connection) != ours:
                    raise _transaction_pooling()
                if theirs is None:
                    # It waits for a session; ours, which is idle, it does not get.
                    return
                other.execute("rollback")
        except psycopg.errors.ProtocolViolation:
            # A pooler that allows no transactions at all.
            raise _transaction_pooling() from None
        finally:
            other.close()


def _process(connection: psycopg.Connection[Any]) -> int:
    # Prepared, it would not be known to the next process.
    row = connection.execute("select pg_catalog.pg_backend_pid()", prepare=False).fetchone()
    return row[0] if row else 0


def _begin(connection: psycopg.Connection[Any]) -> int | None:
    """Begin a transaction and tell whose process has it; None: no session came free in time."""
    pgconn = connection.pgconn
    pgconn.send_query(b"begin; select pg_catalog.pg_backend_pid()")
    try:
        results = waiting.wait(generators.execute(pgconn), pgconn.socket, timeout=_SECONDS)
    except psycopg.OperationalError:
        return None
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
        if result.ntuples:
            return int(result.get_value(0, 0) or 0)
    return None


def reset(connection: psycopg.Connection[Any]) -> None:
    """Leave a pooled session without locks, temporary tables and settings of ours."""
    with suppress(psycopg.Error):
        connection.execute("discard all")
