"""Retention of our own: snapshots are thinned by a policy, old internal state is forgotten.

Thinning removes whole snapshots, with what they said before they were restated.
It is off unless a setting turns it on. What is removed is noted, so that no
audit takes it for lost, and the windows of the snapshots after it stay as they
were. The counts by day stay: a backfill can write a thinned snapshot again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.errors import Diagnostic
from psycopg.types.json import Jsonb

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import watermark
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Instants thinned in one transaction.
_AT_ONCE = 200
_THINNED = ("public.consumer_analytics", "public.consumer_analytics_revisions")


@dataclass(frozen=True)
class Part:
    """What one part of a maintenance removed.

    Attributes:
        name: what it looked after.
        removed: how many, or, in a dry run, how many it would.
        unit: of what: rows or files.
        bytes_removed: their own size.
        bytes_before: what all of it took before, indexes included; None where
            that cannot be told.
        bytes_after: what it takes now.
        notes: what a person should know besides.
        skipped: why nothing was looked at; None where it was.
        failed: what went wrong; None where nothing did.
    """

    name: str
    removed: int = 0
    unit: str = "rows"
    bytes_removed: int = 0
    bytes_before: int | None = None
    bytes_after: int | None = None
    notes: tuple[str, ...] = ()
    skipped: str | None = None
    failed: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and for the record."""
        return {
            "part": self.name,
            "removed": self.removed,
            "unit": self.unit,
            "bytes_removed": self.bytes_removed,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "notes": list(self.notes),
            "skipped": self.skipped,
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Policy:
    """Which snapshots are kept.

    Attributes:
        every_days: days for which every snapshot is; None: for ever.
        daily_days: days for which each day's last is; None: for ever.
        zone: the IANA name of the zone whose days and weeks are meant.
    """

    every_days: int | None
    daily_days: int | None
    zone: str

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """Return the configured one."""
        return cls(
            settings.keep_snapshots_days, settings.keep_daily_snapshots_days, settings.timezone
        )

    def horizons(self, settings: Settings, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
        """Return the instants up to which snapshots are thinned to one a day, and a week.

        They are midnights of the zone, so that a day is thinned as a whole.
        """
        today = now.astimezone(settings.zone).date()

        def midnight(days: int | None) -> dt.datetime:
            if days is None or days >= today.toordinal():
                return MINUS_INFINITY
            day = today - dt.timedelta(days=days)
            return dt.datetime.combine(day, dt.time(), settings.zone).astimezone(dt.UTC)

        return midnight(self.every_days), midnight(self.daily_days)


def thin(
    connection: Connection,
    settings: Settings,
    *,
    dry_run: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> Part:
    """Remove the snapshots that the policy does without, some instants at a time.

    Where it is interrupted, what was removed is noted, and the next one goes on.

    Raises:
        BusyError: a run would not end.
    """
    policy = Policy.of(settings)
    if policy.every_days is None:
        return Part(
            "snapshots", skipped="thinning is off: CONSUMER_ANALYTICS_KEEP_SNAPSHOTS_DAYS is unset"
        )
    before = _sizes(connection, _THINNED)
    if dry_run:
        chosen = _thinnable(connection, settings, policy)
        snapshots, revisions, size = connection.execute(
            query("operations/retention/snapshots-thinnable-size"), {"instants": chosen}
        ).fetchone() or (0, 0, 0)
    else:
        snapshots = revisions = size = 0
        with job_lock(connection, settings):
            connection.execute(query("operations/retention/snapshots-thinned-again"))
            chosen = _thinnable(connection, settings, policy)
            for begin in range(0, len(chosen), _AT_ONCE):
                chunk = chosen[begin : begin + _AT_ONCE]
                notify(f"thinning {len(chunk)} snapshots from {chunk[0].isoformat()} on")
                with connection.transaction():
                    rows = _removed(connection, "operations/retention/snapshots-thin", chunk)
                    theirs = _removed(connection, "operations/retention/revisions-thin", chunk)
                snapshots, revisions = snapshots + rows[0], revisions + theirs[0]
                size += rows[1] + theirs[1]
    notes = [f"{len(chosen):,} instants: {snapshots:,} rows and {revisions:,} revisions of theirs"]
    if not dry_run and snapshots:
        notes += _vacuum(connection, _THINNED)
    return Part(
        "snapshots",
        snapshots + revisions,
        bytes_removed=size,
        bytes_before=before,
        bytes_after=before if dry_run else _sizes(connection, _THINNED),
        notes=tuple(notes),
    )


def _removed(connection: Connection, statement: str, chosen: list[dt.datetime]) -> tuple[int, int]:
    """Remove what these instants have; return how many rows, and their size."""
    row = connection.execute(query(statement), {"instants": chosen}).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def _thinnable(connection: Connection, settings: Settings, policy: Policy) -> list[dt.datetime]:
    every_from, daily_from = policy.horizons(settings, instants.now(connection))
    return [
        at
        for (at,) in connection.execute(
            query("operations/retention/snapshots-thinnable"),
            {
                "every_from": every_from,
                "daily_from": daily_from,
                "zone": policy.zone,
                "job": watermark.JOB,
            },
        )
    ]


@dataclass(frozen=True)
class _Kind:
    """A kind of internal state: which of its rows are old, by a query file, in which table."""

    table: str
    old: str


_STATE = (
    # Under the job's lock nobody's extracts are in use; but in this order, as everywhere.
    _Kind("extracts", "operations/retention/state-old-extracts"),
    _Kind("extracted_events", "operations/retention/state-old-extracted-events"),
    _Kind("extracted_customers", "operations/retention/state-old-extracted-customers"),
    _Kind("runs", "operations/retention/state-old-runs"),
    _Kind("backfills", "operations/retention/state-old-backfills"),
    _Kind("maintenance", "operations/retention/state-old-maintenance"),
    # In this order: the later ones are referred to by the earlier.
    _Kind("incident_changes", "operations/retention/state-old-incident-changes"),
    _Kind("incidents", "operations/retention/state-old-incidents"),
    _Kind("task_failures", "operations/retention/state-old-task-failures"),
    _Kind("deadline_misses", "operations/retention/state-old-deadline-misses"),
    _Kind("mails", "operations/retention/state-old-mails"),
    _Kind("transaction_horizons", "operations/retention/state-old-horizons"),
)


def forget(connection: Connection, settings: Settings, *, dry_run: bool = False) -> Part:
    """Forget internal state that nobody needs any more, all of it in one transaction.

    Raises:
        BusyError: a run would not end.
    """
    tables = [f"{schema.INTERNAL}.{kind.table}" for kind in _STATE]
    before = _sizes(connection, tables)
    oldest = instants.now(connection) - dt.timedelta(days=settings.keep_state_days)
    removed: dict[str, int] = {}
    size = 0
    with (
        job_lock(connection, settings),
        # What one kind refers to goes only with it: a dry run does it all, and takes it back.
        connection.transaction(force_rollback=dry_run),
    ):
        for kind in _STATE:
            rows, of_them = _forget(connection, kind, oldest)
            size += of_them
            if rows:
                removed[kind.table] = rows
    notes = [f"{rows:,} of {table.replace('_', ' ')}" for table, rows in removed.items()]
    if removed and not dry_run:
        notes += _vacuum(connection, tables)
    return Part(
        "internal state",
        sum(removed.values()),
        bytes_removed=size,
        bytes_before=before,
        bytes_after=before if dry_run else _sizes(connection, tables),
        notes=tuple(notes),
    )


def _forget(connection: Connection, kind: _Kind, oldest: dt.datetime) -> tuple[int, int]:
    """Remove a kind's old rows; return how many, and their size."""
    statement = query("operations/retention/state-remove", aged=query(kind.old))
    row = connection.execute(statement, {"before": oldest}).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def _sizes(connection: Connection, tables: Sequence[str]) -> int:
    """Return what tables take on disk, indexes and all."""
    size: int = scalar_of(connection, "operations/retention/tables-size", {"tables": list(tables)})
    return size


def _vacuum(connection: Connection, tables: Sequence[str]) -> list[str]:
    """Make the room of removed rows free; return why that could not be done now."""
    notices: list[str] = []

    def hear(notice: Diagnostic) -> None:
        notices.append(str(notice.message_primary))

    connection.add_notice_handler(hear)
    try:
        for table in tables:
            connection.execute(
                sql.SQL("vacuum (analyze) {}").format(sql.Identifier(*table.split(".")))
            )
    finally:
        connection.remove_notice_handler(hear)
    if notices:
        return [f"the server will reuse their room once autovacuum has come by ({notices[0]})"]
    return []


def begin(connection: Connection, who: str) -> int:
    """Record that a maintenance begins; return its number."""
    number: int = scalar_of(connection, "operations/retention/maintenance-open", {"who": who})
    return number


def record(connection: Connection, number: int, parts: Sequence[Part]) -> None:
    """Record what a maintenance did."""
    connection.execute(
        query("operations/retention/maintenance-close"),
        {"id": number, "parts": Jsonb([part.as_json() for part in parts])},
    )
