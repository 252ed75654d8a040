"""Capture: triggers on the source tables that note what changes below the threshold.

Off by default. With it on, rows that come in late, change or go, of any age,
are taken in by the very next run. A run publishes the instant it is about to
process up to before it reads, so that every later statement that writes a row
from before it leaves a note; those who wrote before that and are still open
have their days counted again when they end. Why this is exact is in
docs/decisions/0021-capture.md.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db import locks
from consumer_analytics.db.connection import (
    MINUS_INFINITY,
    Connection,
    consistent,
    scalar,
    scalar_of,
)
from consumer_analytics.db.locks import Lock
from consumer_analytics.errors import BusyError, SourceError
from consumer_analytics.etl import lives, watermark
from consumer_analytics.settings import Settings
from consumer_analytics.sql import SOURCE_TABLES, query

_INTERNAL = "consumer_analytics_internal"
_PREFIX = "consumer_analytics_capture_"
#: Enabling waits no longer than this for writers, whom it makes wait in turn.
_LOCK_TIMEOUT = "5s"
#: How long a run waits for those who wrote before the threshold was published.
_SETTLE_SECONDS = 2.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Trigger:
    """One trigger of capture.

    Attributes:
        table: the source table.
        event: `insert`, `update`, `delete` or `truncate`.
        function: what it runs, in the product's internal schema.
    """

    table: str
    event: str
    function: str

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return _PREFIX + self.event

    def create(self, source_schema: str) -> sql.Composed:
        """Compose the statement that creates it, or makes it what it should be."""
        rows = {
            "insert": "referencing new table as new_rows",
            "update": "referencing old table as old_rows new table as new_rows",
            "delete": "referencing old table as old_rows",
            "truncate": "",
        }
        return sql.SQL(
            "create or replace trigger {} after {} on {} {} for each statement "
            "execute function {}()"
        ).format(
            sql.Identifier(self.name),
            sql.SQL(self.event),
            sql.Identifier(source_schema, self.table),
            sql.SQL(rows[self.event]),
            sql.Identifier(_INTERNAL, self.function),
        )


_EVENTS = ("insert", "update", "delete", "truncate")
_PAST = {"insert": "inserted", "update": "updated", "delete": "deleted"}


def _function(table: str, event: str) -> str:
    if event == "truncate":
        return "capture_truncated"
    if table == "consumers":
        return "capture_consumers"
    return f"capture_{_PAST[event]}_{table.removeprefix('customer_')}"


TRIGGERS = tuple(
    Trigger(table, event, _function(table, event)) for table in SOURCE_TABLES for event in _EVENTS
)


@dataclass(frozen=True)
class CaptureStatus:
    """What `consumer-analytics capture status` tells.

    Attributes:
        state: `on`, `off`, or `incomplete` where triggers are missing or disabled.
        missing: triggers that should be there and are not, as `table.trigger`.
        threshold: rows from before this instant leave a note; None before the first run.
        day_notes: notes of consumers and days that await the next run.
        customer_notes: notes of customers that await the next run.
        unsure_writers: transactions whose rows will be looked at when they end.
    """

    state: str
    missing: tuple[str, ...]
    threshold: dt.datetime | None
    day_notes: int
    customer_notes: int
    unsure_writers: int

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "state": self.state,
            "missing_triggers": list(self.missing),
            "threshold": self.threshold,
            "day_notes": self.day_notes,
            "customer_notes": self.customer_notes,
            "unsure_writers": self.unsure_writers,
        }


def enable(connection: Connection, settings: Settings) -> None:
    """Create the triggers, all or none; done twice, the second changes nothing.

    It locks each source table against writers for the moment, and gives up
    after a few seconds rather than make them wait for a long transaction.

    Raises:
        SourceError: a source is no plain or partitioned table, or is not ours to change.
        BusyError: a transaction holds a source table for too long.
    """
    _require_tables(connection, settings.source_schema)
    with _ddl(connection, "enabled"):
        for trigger in TRIGGERS:
            connection.execute(trigger.create(settings.source_schema))
            # Also in sessions that replay another server's changes.
            connection.execute(
                sql.SQL("alter table {} enable always trigger {}").format(
                    sql.Identifier(settings.source_schema, trigger.table),
                    sql.Identifier(trigger.name),
                )
            )
        connection.execute(
            query("etl/capture/publish"), {"until": watermark.processed_through(connection)}
        )


def disable(connection: Connection, settings: Settings) -> None:
    """Drop the triggers; what they noted the next run still takes in.

    Raises:
        SourceError: the source tables are not ours to change.
        BusyError: a transaction holds a source table for too long.
    """
    with _ddl(connection, "disabled"):
        for trigger in TRIGGERS:
            if scalar(
                connection,
                "select to_regclass(format('%%I.%%I', %s::text, %s::text))",
                settings.source_schema,
                trigger.table,
            ):
                connection.execute(
                    sql.SQL("drop trigger if exists {} on {}").format(
                        sql.Identifier(trigger.name),
                        sql.Identifier(settings.source_schema, trigger.table),
                    )
                )
        # Nobody will look after their end any more.
        connection.execute(
            query("etl/capture/settle"), {"writers": [], "first": None, "last": None}
        )


@contextmanager
def _ddl(connection: Connection, what: str) -> Iterator[None]:
    try:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
            yield
    except psycopg.errors.LockNotAvailable:
        raise BusyError(
            f"capture was not {what}: a transaction has held a source table for {_LOCK_TIMEOUT}; "
            "try again when it has ended"
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise SourceError(
            f"capture was not {what}: {error.diag.message_primary}; "
            "use the login that owns the source tables and the product's schema"
        ) from None


def _require_tables(connection: Connection, source_schema: str) -> None:
    for table in SOURCE_TABLES:
        kind = scalar_of(
            connection, "etl/capture/relation-kind", {"schema": source_schema, "table": table}
        )
        if kind not in ("r", "p"):
            raise SourceError(
                f"{source_schema}.{table} is no table, so no trigger can watch its rows; "
                "without capture, `consumer-analytics sweep` finds what came in late"
            )


def status(connection: Connection, settings: Settings) -> CaptureStatus:
    """Return whether capture is on, whole, and what it has noted."""
    there = {
        (table, name)
        for table, name in connection.execute(
            query("etl/capture/triggers"), {"schema": settings.source_schema, "prefix": _PREFIX}
        )
    }
    missing = tuple(
        f"{trigger.table}.{trigger.name}"
        for trigger in TRIGGERS
        if (trigger.table, trigger.name) not in there
    )
    days, customers, unsure, threshold = connection.execute(
        query("etl/capture/status")
    ).fetchone() or (
        0,
        0,
        0,
        MINUS_INFINITY,
    )
    return CaptureStatus(
        "off" if not there else "incomplete" if missing else "on",
        missing if there else (),
        None if threshold == MINUS_INFINITY else threshold,
        days,
        customers,
        unsure,
    )


def is_enabled(connection: Connection) -> bool:
    """Tell whether any of capture's triggers is there."""
    return bool(scalar(connection, query("etl/capture/is-enabled")))


def publish(
    connection: Connection,
    settings: Settings,
    until: dt.datetime,
    notify: Callable[[str], None] = lambda _: None,
) -> None:
    """Make every writer note rows from before an instant, before a run reads up to it.

    Then look closer at the customers that were noted: an ordinary change of
    status leaves the past as it was.

    Args:
        connection: in autocommit.
        settings: where the source is.
        until: up to where the run will process.
        notify: told of writers whose end the run does not wait for.
    """
    with _alone(connection):
        enabled = is_enabled(connection)
        if enabled:
            _publish(connection, settings, until, notify)
        if enabled or scalar(
            connection,
            "select exists (select from consumer_analytics_internal.touched_customers)",
        ):
            _resolve(connection, settings)


def _publish(
    connection: Connection,
    settings: Settings,
    until: dt.datetime,
    notify: Callable[[str], None],
) -> None:
    processed = watermark.processed_through(connection)
    if until <= processed:
        # Nothing new is read; what writers that have ended since have written still counts.
        connection.execute(
            query("etl/capture/settle"),
            {"writers": sorted(_writers(connection, settings)), "first": None, "last": None},
        )
        return
    connection.execute(query("etl/capture/publish"), {"until": until})
    # Whoever writes from here on sees it. Those who wrote before may not have.
    wait_until = time.monotonic() + min(settings.holdback_wait, _SETTLE_SECONDS)
    writers = _writers(connection, settings)
    while writers and time.monotonic() < wait_until:
        time.sleep(_POLL_SECONDS)
        writers &= _writers(connection, settings)
    if writers:
        notify(
            f"{len(writers)} transaction(s) that write the source are still open; "
            "what they have written late is taken in when they have ended"
        )
    connection.execute(
        query("etl/capture/settle"),
        {
            "writers": sorted(writers),
            "first": _day(processed),
            "last": _day(until),
        },
    )


def _writers(connection: Connection, settings: Settings) -> set[str]:
    return {
        xid
        for (xid,) in connection.execute(
            query("etl/capture/writers"),
            {"schema": settings.source_schema, "tables": list(SOURCE_TABLES)},
        )
    }


def _resolve(connection: Connection, settings: Settings) -> None:
    with consistent(connection):
        connection.execute(query("etl/capture/came-back"))
        connection.execute("drop table if exists pg_temp.concerned_customers")
        connection.execute(query("etl/capture/concern", settings.source_schema))
        corrected = lives.work_out(connection, settings)
        if corrected is not None:
            connection.execute(query("etl/capture/touch-since"), {"since": corrected})
        connection.execute(
            query("etl/capture/resolve", settings.source_schema),
            {"processed_through": watermark.processed_through(connection)},
        )


def catch_up(connection: Connection, known: dt.datetime, until: dt.datetime) -> None:
    """Take in what no publishing preceded, within a load's transaction.

    Where the counts reach further than the threshold that writers knew of
    (capture was enabled in the middle of a run), the next run counts the days
    between again.
    """
    if until <= known or not is_enabled(connection):
        return
    if not scalar(connection, query("etl/capture/knows"), until):
        connection.execute(query("etl/capture/publish"), {"until": until})
        connection.execute(query("etl/capture/touch"), {"first": _day(known), "last": _day(until)})


def _day(instant: dt.datetime) -> dt.date | str:
    return "-infinity" if instant == MINUS_INFINITY else instants.day_of(instant)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    with locks.held(connection, Lock.CAPTURE):
        yield
