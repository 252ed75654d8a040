"""What has changed since the last clean audit, and the snapshot from which another one goes on.

Whatever capture has noted since, whatever was written since, and every snapshot whose rows are not
what they were then, is recounted. Of what lies before all of that the audit reads the snapshots
alone: with capture on without a gap nothing else can have changed it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import (
    INFINITY,
    Connection,
    named_row,
    scalar,
)
from consumer_analytics.errors import UsageError
from consumer_analytics.reconcile.audit.columns import Columns
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query
from consumer_analytics.sql.own_names import SOURCE_TABLES, source_regclass

_WHOLE = "run `consumer-analytics audit` once, whole"


@dataclass(frozen=True)
class State:
    """Where an audit stands that a later one can go on from.

    Attributes:
        capture: capture's triggers and the tables they stand on, as the catalog has them.
        vanished: a digest of what is noted as vanished.
        notes: numbers of the notes that are there.
        audited_at: when the last clean audit was; None where there was none.
        audited_through: up to where runs had counted then.
        audited_capture: capture as it was then.
        audited_vanished: what was noted as vanished then.
    """

    capture: str
    vanished: Decimal
    notes: list[int]
    audited_at: dt.datetime | None
    audited_through: dt.datetime | None
    audited_capture: str | None
    audited_vanished: Decimal | None


@dataclass(frozen=True)
class Basis:
    """What an audit goes on from.

    Attributes:
        audited_at: when the last clean audit was.
        base: the instant of a snapshot that is as it was then, and before which nothing has
            changed; None where there is none.
        compared: the instants to recount.
        unread: how many snapshots are as they were then, and are not recounted.
    """

    audited_at: dt.datetime
    base: dt.datetime | None
    compared: list[dt.datetime]
    unread: int


def state(connection: Connection, settings: Settings) -> State:
    """Return where an audit stands, as its transaction sees it."""
    tables = [source_regclass(settings.sources, table) for table in SOURCE_TABLES]
    return State(**named_row(connection, query("reconcile/audit/since/state"), tables=tables))


def digests(connection: Connection) -> dict[dt.datetime, Decimal]:
    """Return a digest of the rows of each instant: all of them are read."""
    return dict(connection.execute(query("reconcile/audit/since/digests")).fetchall())


def require_last(found: State) -> tuple[dt.datetime, dt.datetime]:
    """Return when the last clean audit was, and up to where runs had counted then.

    Raises:
        UsageError: there was none, or nobody knows what has changed since.
    """
    if found.audited_at is None or found.audited_through is None:
        raise UsageError(f"there is no clean audit to go on from, with capture on: {_WHOLE}")
    at = f"{found.audited_at:%Y-%m-%d %H:%M} UTC"
    if found.capture != found.audited_capture:
        raise UsageError(
            f"capture, or the tables it watches, was changed since the audit of {at}, so that not "
            f"all changes may have been noted: {_WHOLE}"
        )
    if found.vanished != found.audited_vanished:
        raise UsageError(f"what is noted as vanished has changed since the audit of {at}: {_WHOLE}")
    return found.audited_at, found.audited_through


def choose(
    connection: Connection,
    settings: Settings,
    found: State,
    known: list[dt.datetime],
    now: dict[dt.datetime, Decimal],
) -> Basis:
    """Find out what has to be recounted, and from which snapshot on.

    Args:
        connection: in the audit's transaction, with what was written laid out in `audit_scopes`.
        settings: where the source is.
        found: where the last clean audit stood.
        known: all instants that can be recounted, ascending.
        now: their digests.

    Raises:
        UsageError: as `require_last`.
    """
    audited_at, audited_through = require_last(found)
    then = dict(connection.execute(query("reconcile/audit/since/audited")).fetchall())
    noted = scalar(connection, query("reconcile/audit/since/noted"))
    customers = connection.execute(
        query("reconcile/audit/since/customers", settings.sources),
        {"audited_through": audited_through},
    ).fetchone()
    changed = min(noted or INFINITY, (customers and customers[0]) or INFINITY)
    scopes: dict[dt.datetime, tuple[bool, dt.datetime | None]] = {
        at: (is_whole, start)
        for at, is_whole, start in connection.execute(query("reconcile/audit/since/scopes"))
    }
    same = {at for at in known if at in now and now[at] == then.get(at)}
    compared = [at for at in known if at not in same or at > changed]
    starts = [start for at in compared if (start := scopes.get(at, (False, None))[1]) is not None]
    # Nothing that is asked for lies before it.
    last = min([changed, *starts])
    base = max(
        (
            at
            for at in same
            if at <= last
            and (not compared or at < compared[0])
            and scopes.get(at, (False, None))[0]
            and at <= audited_through
        ),
        default=None,
    )
    if base is None or not _tells(connection, settings, base):
        return Basis(audited_at, None, known, 0)
    return Basis(audited_at, base, compared, len(known) - len(compared))


def _tells(connection: Connection, settings: Settings, base: dt.datetime) -> bool:
    """Tell whether a snapshot can be gone on from: of each consumer with customers some are there.

    Where none is, what became of them is told by the events of all of them.
    """
    return bool(
        scalar(
            connection,
            sql.SQL("select not exists ({})").format(
                query("reconcile/audit/since/orphans", settings.sources, base=sql.Literal(base))
            ),
        )
    )


def lay_out(connection: Connection, columns: Columns, base: dt.datetime) -> None:
    """Lay out what had come together at the instant that is gone on from."""
    counts = columns.each_type("coalesce((by_type ->> {name})::bigint, 0)")
    values: dict[str, Any] = {"base": base, "types": list(columns.types)}
    connection.execute(
        query("reconcile/audit/since/base", columns=columns.each_type("{}"), named=counts), values
    )
