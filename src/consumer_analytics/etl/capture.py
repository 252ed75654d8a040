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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db import brief_locks, locks, own_names
from consumer_analytics.db.connection import (
    MINUS_INFINITY,
    Connection,
    consistent,
    scalar,
)
from consumer_analytics.db.locks import Lock
from consumer_analytics.errors import BusyError, SourceError, one_line
from consumer_analytics.etl import archived, lives, sources, watermark
from consumer_analytics.formatting import counted
from consumer_analytics.mapping import SOURCES, Sources, SourceTable
from consumer_analytics.settings import Settings
from consumer_analytics.sql import INTERNAL, SOURCE_TABLES, query, source_table

_PREFIX = "consumer_analytics_capture_"
#: Enabling and disabling take no longer than this in all.
_DDL_SECONDS = 5.0
_UNDO_SECONDS = 1.0
#: How long a run waits for those who wrote before the threshold was published.
_SETTLE_SECONDS = 2.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Trigger:
    """One trigger of capture.

    Attributes:
        table: the source table.
        event: `insert`, `update`, `delete`, `truncate`, or `truncating`, which is before that.
        function: what it runs, in the product's internal schema.
    """

    table: str
    event: str
    function: str

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return _PREFIX + self.event

    def create(
        self, table: sql.Identifier, names: Sources, *, is_partition: bool = False
    ) -> sql.Composed:
        """Compose the statement that creates it on a table, or makes it what it should be.

        Args:
            table: where.
            names: what the table's columns are called.
            is_partition: whether the table is one. Detached, it is no part of the source any more:
                its rows are gone, and what is done to them corrects nothing.
        """
        rows = {
            "insert": "referencing new table as new_rows",
            "update": "referencing old table as old_rows new table as new_rows",
            "delete": "referencing old table as old_rows",
        }
        when = "before truncate" if self.event == "truncating" else f"after {self.event}"
        return sql.SQL(
            "create or replace trigger {} {} on {} {} for each statement {} execute function {}()"
        ).format(
            sql.Identifier(self.name),
            sql.SQL(when),
            table,
            sql.SQL(rows.get(self.event, "")),
            sql.SQL("when (pg_catalog.pg_partition_root({0}::regclass) <> {0}::regclass)").format(
                sql.Literal(table.as_string(None))
            )
            if is_partition
            else sql.SQL(""),
            sql.Identifier(INTERNAL, own_names.function(self.function, names)),
        )


@dataclass(frozen=True)
class Watched:
    """A table that capture's triggers stand on: a source, or one that holds rows of it.

    Attributes:
        source: the source table whose rows it holds.
        schema: where it is.
        table: its name.
        kind: what it is, as `pg_class.relkind` has it.
        is_partition: whether it is one.
        enabled: those of capture's triggers that fire there, each with the function that it runs
            and whether it does so on a condition.
        there: all of them that are there.
    """

    source: str
    schema: str
    table: str
    kind: str
    is_partition: bool
    enabled: dict[str, list[Any]]
    there: list[str]

    @property
    def identifier(self) -> sql.Identifier:
        """Its name, for statements."""
        return sql.Identifier(self.schema, self.table)

    @property
    def triggers(self) -> list[Trigger]:
        """The triggers that should be there."""
        return [trigger for trigger in TRIGGERS if trigger.table == self.source]

    def as_it_should_be(self, trigger: Trigger, names: Sources) -> bool:
        """Tell whether a trigger that fires is one that this version would make."""
        function = own_names.function(trigger.function, names)
        return self.enabled[trigger.name] == [function, self.is_partition]


_EVENTS = ("insert", "update", "delete", "truncate")
_DONE = {
    "insert": "inserted",
    "update": "updated",
    "delete": "deleted",
    "truncating": "truncating",
}


def _function(table: str, event: str) -> str:
    if event == "truncate":
        return "capture_truncated"
    if table == "consumers":
        return "capture_consumers"
    return f"capture_{_DONE[event]}_{table.removeprefix('customer_')}"


TRIGGERS = tuple(
    Trigger(table, event, _function(table, event))
    for table, event in [
        *product(SOURCE_TABLES, _EVENTS),
        # After it nobody could tell whom it took.
        ("customers", "truncating"),
    ]
)


@dataclass(frozen=True)
class CaptureStatus:
    """What `consumer-analytics capture status` tells.

    Attributes:
        state: `on`, `off`, or `incomplete` where triggers are missing, disabled or differ.
        missing: triggers that should be there and are not, as `table.trigger`.
        differing: triggers that this version makes otherwise, likewise.
        threshold: rows from before this instant leave a note; None before the first run.
        day_notes: notes of consumers and days that await the next run.
        customer_notes: notes of customers that await the next run.
        unsure_writers: transactions whose rows will be looked at when they end.
    """

    state: str
    missing: tuple[str, ...]
    differing: tuple[str, ...]
    threshold: dt.datetime | None
    day_notes: int
    customer_notes: int
    unsure_writers: int

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with each trigger that is not as it should be, for people."""
        return (
            *(f"trigger {name} is missing or disabled" for name in self.missing),
            *(f"trigger {name} differs from this version's" for name in self.differing),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "state": self.state,
            "missing_triggers": list(self.missing),
            "differing_triggers": list(self.differing),
            "threshold": self.threshold,
            "day_notes": self.day_notes,
            "customer_notes": self.customer_notes,
            "unsure_writers": self.unsure_writers,
        }


def enable(connection: Connection, settings: Settings) -> None:
    """Create the triggers, all or none; done twice, the second changes nothing.

    They are tried first, on copies of some rows. Each source table is locked against writers by
    itself, for a moment, and never while we hold another: so no writer can wait in a circle.

    Raises:
        SourceError: a source is no plain or partitioned table, has columns that no trigger
            can read, or is not ours to change; or the triggers do not work on its rows.
        BusyError: transactions hold a source table for too long.
    """
    until = time.monotonic() + _DDL_SECONDS
    locks.limit_waiting(connection, _DDL_SECONDS / 2)
    watched = _watched(connection, settings.sources)
    _require_tables(watched, settings.sources)
    _require_readable(connection, settings.sources)

    def create(source: str) -> None:
        # What has come since the tables were looked at, such as a partition, as well.
        for one in _of(_watched(connection, settings.sources), source):
            for trigger in one.triggers:
                connection.execute(
                    trigger.create(one.identifier, settings.sources, is_partition=one.is_partition)
                )
                # Also in sessions that replay another server's changes.
                connection.execute(
                    sql.SQL("alter table {} enable always trigger {}").format(
                        one.identifier, sql.Identifier(trigger.name)
                    )
                )
        connection.execute(
            query("etl/capture/publish"), {"until": watermark.processed_through(connection)}
        )

    with _refused(connection, watched, "enabled"):
        _try_triggers(connection, settings.sources)
        try:
            for source in SOURCE_TABLES:
                _switch(connection, _of(watched, source), create, until, "enabled")
        except BaseException:
            _undo(connection, settings, watched)
            raise


def _of(watched: list[Watched], source: str) -> list[Watched]:
    return [one for one in watched if one.source == source]


def _undo(connection: Connection, settings: Settings, before: list[Watched]) -> None:
    """Take back what was switched on before it failed; where that fails too, `status` tells."""
    known = {(one.schema, one.table): set(one.enabled) for one in before}
    until = time.monotonic() + _UNDO_SECONDS
    with suppress(psycopg.Error, BusyError):
        for one in _watched(connection, settings.sources):
            new = sorted(set(one.enabled) - known.get((one.schema, one.table), set()))
            if new:
                added = replace(one, there=new)
                _switch_off(connection, [added], until)
                _drop(connection, added)


def _switch_off(connection: Connection, watched: list[Watched], until: float) -> None:
    def switch_off(_: str) -> None:
        for one in watched:
            for name in one.there:
                connection.execute(
                    sql.SQL("alter table {} disable trigger {}").format(
                        one.identifier, sql.Identifier(name)
                    )
                )

    _switch(connection, watched, switch_off, until, "disabled")


def disable(connection: Connection, settings: Settings) -> list[str]:
    """Switch the triggers off and drop them; what they noted the next run still takes in.

    Switching off makes no reader wait. Dropping would, so it is done where nobody reads.

    Returns:
        The triggers that are off and still there, as a table was read all the time.

    Raises:
        SourceError: the source tables are not ours to change, or the database takes them to be
            others: the triggers are on those.
        BusyError: transactions hold a source table for too long; on others the triggers may be off.
    """
    own_names.require_adopted(connection, settings.sources)
    until = time.monotonic() + _DDL_SECONDS
    locks.limit_waiting(connection, _DDL_SECONDS / 2)
    watched = _watched(connection, settings.sources)
    with _refused(connection, watched, "disabled"):
        there = [one for one in watched if one.there]
        for source in SOURCE_TABLES:
            _switch_off(connection, _of(there, source), until)
        for one in _detached(connection, settings.sources):
            _switch_off(connection, [one], until)
            there.append(one)
        # Nobody will look after their end any more.
        connection.execute(
            query("etl/capture/settle"), {"writers": [], "first": None, "last": None}
        )
        left = there
        while left:
            left = [one for one in left if not _drop(connection, one)]
            if not left or time.monotonic() > until:
                break
            time.sleep(_POLL_SECONDS)
    return [f"{one.table}.{name}" for one in left for name in one.there]


def _drop(connection: Connection, one: Watched) -> bool:
    """Drop the triggers of a table, if nobody reads it just now."""
    try:
        with connection.transaction():
            connection.execute(
                sql.SQL("lock table only {} in access exclusive mode nowait").format(one.identifier)
            )
            for name in one.there:
                connection.execute(
                    sql.SQL("drop trigger {} on {}").format(sql.Identifier(name), one.identifier)
                )
    except psycopg.errors.LockNotAvailable:
        return False
    return True


@contextmanager
def _refused(connection: Connection, watched: list[Watched], what: str) -> Iterator[None]:
    """Say what to do where rights or time are lacking."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise SourceError(
            f"capture was not {what}: {error.diag.message_primary}; "
            "use the login that owns the source tables and the product's schema"
        ) from None
    except psycopg.errors.LockNotAvailable:
        raise brief_locks.busy(
            connection,
            [[one.identifier for one in watched]],
            "access exclusive",
            f"capture was not {what}",
        ) from None


def _switch(
    connection: Connection,
    watched: list[Watched],
    work: Callable[[str], None],
    until: float,
    what: str,
) -> None:
    """Work on a source, given its name, in a transaction that has locked it against writers.

    Raises:
        BusyError: the time is up.
    """
    if watched:
        brief_locks.work(
            connection,
            lambda: work(watched[0].source),
            tables=[[one.identifier for one in watched]],
            mode="share row exclusive",
            seconds=until - time.monotonic(),
            refused=f"capture was not {what}",
        )


def _watched(connection: Connection, names: Sources) -> list[Watched]:
    rows = connection.execute(
        query("etl/capture/tables", names),
        {"prefix": _PREFIX},
    )
    return [Watched(*row) for row in rows]


def _detached(connection: Connection, names: Sources) -> list[Watched]:
    """Return what was part of a source once, is ours to change, and has triggers yet."""
    rows = connection.execute(query("etl/capture/detached", names), {"prefix": _PREFIX})
    return [
        Watched("", schema, table, kind, False, {}, there) for schema, table, kind, there in rows
    ]


def _require_tables(watched: list[Watched], names: Sources) -> None:
    for one in watched:
        if one.kind not in ("r", "p"):
            raise SourceError(
                f"{one.schema}.{one.table} is no table, so no trigger can watch its rows; "
                "without capture, `consumer-analytics sweep` finds what came in late"
            )
    for table in names.tables:
        if all(one.source != table.known for one in watched):
            raise SourceError(f"source table {table.shown} does not exist")


def _require_readable(connection: Connection, names: Sources) -> None:
    virtual = sources.virtual_columns(connection, names)
    if virtual:
        raise SourceError(
            f"{', '.join(virtual)}: a virtual generated column, which no trigger can read: make it "
            "STORED; without capture, `consumer-analytics sweep` finds what came in late"
        )


def _try_triggers(connection: Connection, names: Sources) -> None:
    """Let each trigger see rows of each table, on temporary copies; nothing of it stays.

    What fails here would fail the application's statements, or have everything counted again.

    Raises:
        SourceError: one does not work on these tables.
    """
    try:
        with connection.transaction(force_rollback=True):
            # Here a trigger that fails says so.
            connection.execute("select set_config('consumer_analytics.capture_trial', 'on', true)")
            for table in names.tables:
                _try_on_a_copy(connection, names, table)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.LockNotAvailable):
        raise
    except psycopg.Error as error:
        raise SourceError(
            f"capture was not enabled: its triggers fail on rows of {' and '.join(names.schemas)}: "
            f"{error.diag.message_primary or one_line(error)}; nothing was changed"
        ) from None


def _try_on_a_copy(connection: Connection, names: Sources, table: SourceTable) -> None:
    read = [own for known, own in table.own.items() if SOURCES[table.known][known].required]
    copy = sql.Identifier(f"consumer_analytics_trial_{table.known}")
    parts = {
        "copy": copy,
        "source": source_table(names, table.known),
        "columns": sql.SQL(", ").join(map(sql.Identifier, read)),
    }
    connection.execute(
        sql.SQL(
            "create temporary table {copy} on commit drop as select {columns} from {source} limit 0"
        ).format(**parts)
    )
    for trigger in TRIGGERS:
        if trigger.table == table.known:
            connection.execute(trigger.create(copy, names))
    connection.execute(
        sql.SQL("insert into {copy} select {columns} from {source} limit 3").format(**parts)
    )
    if "created_at" in table.own:
        time = sql.Identifier(table.own["created_at"])
        for instant in ("2000-01-01", "infinity", "-infinity", "0044-03-15 BC"):
            # What the column's own domain does not take no row can hold.
            with _unless_a_domain_refuses(), connection.transaction():
                connection.execute(
                    sql.SQL("update {} set {} = {}").format(copy, time, sql.Literal(instant))
                )
    for statement in ("delete from {}", "truncate {}"):
        connection.execute(sql.SQL(statement).format(copy))


@contextmanager
def _unless_a_domain_refuses() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.CheckViolation as error:
        if error.diag.datatype_name is None:
            raise


def status(connection: Connection, settings: Settings) -> CaptureStatus:
    """Return whether capture is on, whole, and what it has noted.

    Raises:
        SourceError: the database takes the sources to be others. That the tables which the
            settings name have no triggers would not mean that capture is off.
    """
    own_names.require_adopted(connection, settings.sources)
    is_on, missing, differing = triggers(connection, settings)
    days, customers, unsure, threshold = connection.execute(
        query("etl/capture/status")
    ).fetchone() or (
        0,
        0,
        0,
        MINUS_INFINITY,
    )
    return CaptureStatus(
        "off" if not is_on else "incomplete" if missing or differing else "on",
        missing,
        differing,
        None if threshold == MINUS_INFINITY else threshold,
        days,
        customers,
        unsure,
    )


def triggers(
    connection: Connection, settings: Settings
) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Tell by the catalogue alone whether capture is on, and which of its triggers are not right.

    Returns:
        Whether any is on; and where one is, those that are missing or disabled, and those that this
        version makes otherwise, as `table.trigger`.
    """
    names = settings.sources
    watched = _watched(connection, names)
    if not any(one.enabled for one in watched):
        return False, (), ()
    missing, differing = [], []
    for one in watched:
        table = one.table if one.schema in names.schemas else f"{one.schema}.{one.table}"
        for trigger in one.triggers:
            if trigger.name not in one.enabled:
                missing.append(f"{table}.{trigger.name}")
            elif not one.as_it_should_be(trigger, names):
                differing.append(f"{table}.{trigger.name}")
    return True, tuple(missing), tuple(differing)


def is_enabled(connection: Connection) -> bool:
    """Tell whether any of capture's triggers is there and fires."""
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
    # The threshold is everybody's at once, in a transaction too; who writes is looked at and noted
    # by one at a time.
    with connection.transaction():
        locks.take(connection, Lock.CAPTURE)
        processed = watermark.processed_through(connection)
        first: dt.date | str | None = None
        last: dt.date | str | None = None
        if until > processed:
            first, last = _day(processed), _day(until)
            writers = _publish_threshold(connection, settings, until, notify)
        else:
            # Nothing new is read; what writers that have ended since have written still counts.
            writers = _writers(connection, settings)
        connection.execute(
            query("etl/capture/settle"),
            {"writers": sorted(writers), "first": first, "last": last},
        )


def _publish_threshold(
    connection: Connection,
    settings: Settings,
    until: dt.datetime,
    notify: Callable[[str], None],
) -> set[str]:
    """Have every writer note rows from before an instant; return who may not have seen it."""
    connection.execute(query("etl/capture/publish"), {"until": until})
    # Whoever writes from here on sees it. Those who wrote before may not have.
    wait_until = time.monotonic() + min(settings.holdback_wait, _SETTLE_SECONDS)
    writers = _writers(connection, settings)
    while writers and time.monotonic() < wait_until:
        time.sleep(_POLL_SECONDS)
        writers &= _writers(connection, settings)
    if writers:
        notify(
            f"{counted(len(writers), 'transaction is', 'transactions are')} still open "
            "that write the source; what they wrote late is taken in by the run after they end"
        )
    return writers


def _writers(connection: Connection, settings: Settings) -> set[str]:
    return {xid for (xid,) in connection.execute(query("etl/capture/writers", settings.sources))}


def _resolve(connection: Connection, settings: Settings) -> None:
    with consistent(connection):
        locks.take(connection, Lock.CAPTURE)
        connection.execute(query("etl/capture/came-back"))
        connection.execute("drop table if exists pg_temp.concerned_customers")
        told = {"told_events": archived.told(settings)}
        processed = {"processed_through": watermark.processed_through(connection)}
        connection.execute(query("etl/capture/concern", settings.sources, **told), processed)
        corrected = lives.work_out(connection, settings)
        if corrected is not None:
            connection.execute(query("etl/capture/touch-since"), {"since": corrected})
        connection.execute(query("etl/capture/resolve", settings.sources, **told), processed)


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
