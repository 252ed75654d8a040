"""What keeps a run from its instant: transactions that may still commit rows from before it.

`created_at` is by default the start of the row's transaction. A transaction
that began before T and is still open can therefore commit, later, a row from
before T. A run looks for such transactions before it takes the snapshot that
it reads with, waits for them, and stops short of the oldest one that stays.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.pq import TransactionStatus

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar
from consumer_analytics.db.tags import Tag
from consumer_analytics.errors import HoldbackBlindError
from consumer_analytics.formatting import duration, seconds
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: A backend fixes its transaction's start a moment before others can see it.
#: An instant is looked at only once it is this far in the past.
SETTLE = dt.timedelta(milliseconds=200)
_POLL_SECONDS = 0.1
_SPEAK_AFTER_SECONDS = 1.0


@dataclass(frozen=True)
class Holder:
    """A transaction that holds a run back.

    Attributes:
        kind: `session`; `prepared` for a prepared transaction; `untracked` for a
            session that does not tell when its transaction began.
        began: when it began; for the other two kinds the last instant known to
            precede its beginning.
        pid: the backend's process id; None for a prepared one.
        user: the login.
        application: the session's application name, or the prepared
            transaction's global identifier.
        state: the session's state, such as `idle in transaction`.
        query_start: when its latest statement began, or when it was prepared.
        seen_at: when it was seen, by the server's clock.
    """

    kind: str
    began: dt.datetime
    pid: int | None
    user: str
    application: str
    state: str
    query_start: dt.datetime | None
    seen_at: dt.datetime

    def describe(self) -> str:
        """Say in one line who it is, how old it is, and when it last did something."""
        if self.began == MINUS_INFINITY:
            age = "of unknown age"
        elif self.kind == "session":
            age = f"open for {self._length(self.began)}"
        else:
            age = f"open for at most {self._length(self.began)}"
        ago = f"{self._length(self.query_start)} ago" if self.query_start else "unknown"
        if self.kind == "prepared":
            return (
                f"prepared transaction {self.application!r} of user {self.user}, "
                f"prepared {ago}, {age}"
            )
        name = self.application or "no application name"
        state = "track_activities is off" if self.kind == "untracked" else self.state
        return (
            f"pid {self.pid} ({name}, user {self.user}, {state}), {age}, last statement begun {ago}"
        )

    def _length(self, since: dt.datetime) -> str:
        return duration(seconds(self.seen_at - since))

    def as_json(self) -> dict[str, Any]:
        """Return it for `metadata_json` and `--json`."""
        unknown = self.began == MINUS_INFINITY
        return {
            "kind": self.kind,
            "pid": self.pid,
            "application_name": self.application,
            "user": self.user,
            "state": self.state,
            "transaction_start": None if unknown else self.began.isoformat(),
            "age_seconds": None if unknown else (self.seen_at - self.began).total_seconds(),
            "query_start": self.query_start.isoformat() if self.query_start else None,
        }


def observe(connection: Connection, before: dt.datetime, ignored_roles: list[str]) -> list[Holder]:
    """Look which transactions that may have begun before an instant are still open.

    What was seen is noted: it bounds when a transaction that is prepared later began.

    Args:
        connection: in autocommit and outside of a transaction, within which
            PostgreSQL would show the sessions as they were at its first look.
        before: transactions that began at or after it hold nobody back.
        ignored_roles: logins that hold nobody back.

    Returns:
        The holders, the oldest first.

    Raises:
        HoldbackBlindError: another session's transaction start is hidden from
            this login, or the server is a standby and other sessions are elsewhere.
    """
    holders, seen_at, none_open_before = look(connection, before, ignored_roles)
    connection.execute(
        query("etl/holdback/transactions-observe"),
        {"observed_at": seen_at, "none_open_before": none_open_before},
    )
    return holders


def look(
    connection: Connection,
    before: dt.datetime,
    ignored_roles: list[str],
    *,
    noted: bool = True,
) -> tuple[list[Holder], dt.datetime, dt.datetime]:
    """Look as `observe` does, and note nothing.

    Sessions are read before prepared transactions: one that prepares in
    between is seen twice rather than not at all.

    Args:
        connection: as for `observe`.
        before: as for `observe`.
        ignored_roles: as for `observe`.
        noted: whether there are our tables, which bound when a prepared transaction began.

    Returns:
        The holders, the oldest first; when they were seen; and an instant before
        which no transaction was open any more.

    Raises:
        HoldbackBlindError: as `observe` does.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise RuntimeError("transactions are looked at from outside of one")
    if scalar(connection, "select pg_is_in_recovery()"):
        raise HoldbackBlindError(
            "this server is a standby: the transactions that write are on its primary, unseen "
            "from here; point CONSUMER_ANALYTICS_DATABASE_URL at the primary"
        )
    looked_at = instants.now(connection)
    values = {"reader_tag": Tag.READER.value, "ignored_roles": ignored_roles}
    rows = connection.execute(query("shared/transactions-open"), values).fetchall()
    # After the look: what is prepared later than this was still a session's when we looked.
    seen_at = instants.now(connection)
    hidden = sorted({row[1] for row in rows if row[6] and not row[8]})
    if hidden:
        login = scalar(connection, "select current_user")
        raise HoldbackBlindError(
            f"login {login} cannot see when transactions of {', '.join(hidden)} began, so rows "
            f"may be in flight unseen; run `GRANT pg_read_all_stats TO {_quoted(login)}` "
            "as a superuser"
        )
    sessions = [
        Holder(
            "untracked" if untracked else "session",
            began,
            pid,
            user,
            application,
            state or "active",
            query_start,
            seen_at,
        )
        for pid, user, application, state, began, query_start, _, untracked, ignored in rows
        if not ignored and began < before
    ]
    prepared = [
        Holder("prepared", after, None, owner, gid, "prepared", prepared_at, seen_at)
        for gid, owner, prepared_at, after in connection.execute(
            query(
                "etl/holdback/transactions-prepared",
                begun_after=query("etl/holdback/begun-after") if noted else sql.NULL,
            ),
            {"ignored_roles": ignored_roles},
        )
        if after < before
    ]
    # Whatever the instant, and of ignored logins too: any of them may be prepared later.
    oldest = min((row[4] for row in rows if row[4] is not None), default=looked_at)
    return (
        sorted(sessions + prepared, key=lambda holder: holder.began),
        seen_at,
        min(oldest, looked_at - SETTLE),
    )


def _quoted(name: str) -> str:
    """Quote a role's name where SQL wants it quoted."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    return '"' + name.replace('"', '""') + '"'


def wait_until_settled(
    connection: Connection,
    instant: dt.datetime,
    settings: Settings,
    notify: Callable[[str], None],
) -> list[Holder]:
    """Wait, bounded, until no transaction from before the instant is open.

    Args:
        connection: in autocommit, so that every look is a fresh one.
        instant: at or before the server's now.
        settings: `holdback_wait` bounds the waiting.
        notify: told, in a line, whom the run is waiting for.

    Returns:
        Those who are still open when the waiting ends; none when all is settled.
    """
    unsettled = (instant + SETTLE - instants.now(connection)).total_seconds()
    if unsettled > 0:
        time.sleep(unsettled)
    started = time.monotonic()
    spoken = False
    while holders := observe(connection, instant, settings.ignored_roles):
        waited = time.monotonic() - started
        if waited >= settings.holdback_wait:
            break
        if not spoken and waited >= _SPEAK_AFTER_SECONDS:
            spoken = True
            notify(
                f"waiting up to {settings.holdback_wait:g} s for "
                f"{holders[0].describe()}"
                + (f" and {len(holders) - 1} more" if len(holders) > 1 else "")
            )
        time.sleep(min(_POLL_SECONDS, settings.holdback_wait - waited))
    return holders
