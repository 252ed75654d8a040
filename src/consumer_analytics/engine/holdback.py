"""What keeps a run from its instant: transactions that may still commit rows from before it.

`created_at` is by default the start of the row's transaction. A transaction
that began before T and is still open can therefore commit, later, a row from
before T. A run looks for such transactions before it takes the snapshot that
it reads with, waits for them, and stops short of the oldest one that stays.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consumer_analytics.engine import instants
from consumer_analytics.engine.database import LOCK_READER, MINUS_INFINITY, Connection, scalar
from consumer_analytics.errors import HoldbackBlindError
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: A backend fixes its transaction's start a moment before others can see it.
#: An instant is looked at only once it is this far in the past.
SETTLE = dt.timedelta(milliseconds=200)
_POLL_SECONDS = 0.1
_SPEAK_AFTER_SECONDS = 1.0
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class Holder:
    """A transaction that holds a run back.

    Attributes:
        kind: `session`, or `prepared` for a prepared transaction.
        began: when it began; for a prepared one the last instant known to
            precede its beginning.
        pid: the backend's process id; None for a prepared one.
        user: the login.
        application: the session's application name, or the prepared
            transaction's global identifier.
        state: the session's state, such as `idle in transaction`.
        query_start: when its latest statement began.
    """

    kind: str
    began: dt.datetime
    pid: int | None
    user: str
    application: str
    state: str
    query_start: dt.datetime | None

    def describe(self, at: dt.datetime) -> str:
        """Say in one line who it is and how old it is."""
        age = (
            "of unknown age"
            if self.began == MINUS_INFINITY
            else f"open for {_age(at - self.began)}"
        )
        if self.kind == "prepared":
            return f"prepared transaction {self.application!r} of {self.user}, {age}"
        name = self.application or "(no application name)"
        return f"pid {self.pid} ({name}, user {self.user}, {self.state}), {age}"

    def as_json(self) -> dict[str, Any]:
        """Return it for `metadata_json` and `--json`."""
        return {
            "kind": self.kind,
            "pid": self.pid,
            "application_name": self.application,
            "user": self.user,
            "state": self.state,
            "transaction_start": None if self.began == MINUS_INFINITY else self.began.isoformat(),
            "query_start": self.query_start.isoformat() if self.query_start else None,
        }


def _age(length: dt.timedelta) -> str:
    seconds = max(length.total_seconds(), 0)
    if seconds < 2 * _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"


def observe(connection: Connection, before: dt.datetime, ignored_roles: list[str]) -> list[Holder]:
    """Look which transactions that may have begun before an instant are still open.

    Sessions are read before prepared transactions: one that prepares in
    between is seen twice rather than not at all.

    Returns:
        The holders, the oldest first.

    Raises:
        HoldbackBlindError: another session's transaction start is hidden from
            this login.
    """
    seen_at = instants.now(connection)
    values = {"before": before, "ignored_roles": ignored_roles, "reader_lock": LOCK_READER}
    rows = connection.execute(query("transactions-open"), values).fetchall()
    hidden = sorted({str(user) for _, user, *_, is_hidden in rows if is_hidden})
    if hidden:
        login = scalar(connection, "select current_user")
        raise HoldbackBlindError(
            f"login {login} cannot see when transactions of {', '.join(hidden)} began, so rows "
            f"may be in flight unseen; run `GRANT pg_read_all_stats TO {login}` as a superuser"
        )
    sessions = [
        Holder("session", began, pid, user, application, state or "active", query_start)
        for pid, user, application, state, began, query_start, _ in rows
    ]
    prepared = [
        Holder("prepared", after, None, owner, gid, "prepared", prepared_at)
        for gid, owner, prepared_at, after in connection.execute(
            query("transactions-prepared"), {"ignored_roles": ignored_roles}
        )
        if after < before
    ]
    oldest = min((holder.began for holder in sessions), default=seen_at)
    connection.execute(
        query("transactions-observe"),
        {"observed_at": seen_at, "none_open_before": min(oldest, seen_at - SETTLE)},
    )
    return sorted(sessions + prepared, key=lambda holder: holder.began)


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
                f"{holders[0].describe(instants.now(connection))}"
                + (f" and {len(holders) - 1} more" if len(holders) > 1 else "")
            )
        time.sleep(min(_POLL_SECONDS, settings.holdback_wait - waited))
    return holders
