"""Backfill: the snapshots of any past range, by the same figures as a run's.

    look ──> record ──> wait until settled ──> read (one transaction) ──> write in chunks

Reading lays out all that is needed in temporary tables. Each chunk is whole
instants, written in one transaction under the job's lock, so that readers,
runs and a kill see instants complete or not at all. Nothing here moves the
watermark, nor the counts that runs keep.
"""

from __future__ import annotations

import bisect
import datetime as dt
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, LiteralString

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.types.json import Jsonb

from consumer_analytics.engine import (
    extract,
    holdback,
    instants,
    load,
    periods,
    plan,
    schema,
    sources,
    watermark,
)
from consumer_analytics.engine.database import (
    LOCK_BACKFILL,
    MINUS_INFINITY,
    Connection,
    connected,
    scalar,
)
from consumer_analytics.engine.figures import Figures, Shape, each, pivot, shape_of
from consumer_analytics.engine.plan import Plan, Range, Standing
from consumer_analytics.errors import HeldBackError, UsageError
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

Notify = Callable[[str], None]
Progress = Callable[[int, int], None]

#: Rows of a chunk: what a kill loses, and how long a run may have to wait.
_ROWS_AT_ONCE = 100_000
#: More stretches of evenly spaced instants than this are told apart row by row.
_MOST_STRETCHES = 12
#: Events that are looked at for their types.
_SAMPLED = 20_000
_TRIES = 5
#: From so many rows on, two sessions are worth what they have to hand each other.
_ROWS_FOR_TWO = 60_000
#: So many events are as much work as a row.
_EVENTS_PER_ROW = 40
_BOUNDS_OF_TWO_PERIODS = 3
#: Bytes that one session hands the other at a time, and how many times ahead of it.
_BLOCK = 64 * 1024
_BLOCKS_AHEAD = 512
#: How often a session that waits for the other one looks whether that still works.
_PATIENCE = 0.2
_ONE_DAY = dt.timedelta(days=1)
_NONE = "(none)"
_CHANGES = sql.Identifier("pg_temp", "backfill_customers")
#: A row of the table and its indexes, where there is none yet to measure.
_BYTES_OF_A_ROW = 900


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        start: the first day.
        end: the day after the last one.
        interval: `daily` or `weekly`.
        source: provenance, `cli_backfill` or `airflow_backfill`.
        who: who asks.
        consumers: only these, and no global row; None: all and the whole system.
    """

    start: dt.date
    end: dt.date
    interval: str
    source: str = "cli_backfill"
    who: str = ""
    consumers: tuple[uuid.UUID, ...] | None = None


def request_of(
    start_date: Any,
    end_date: Any,
    interval: Any,
    *,
    source: str = "cli_backfill",
    who: str = "",
    consumers: Sequence[str] | None = None,
) -> Request:
    """Make a request of what a person wrote.

    Raises:
        UsageError: something in it cannot be used; one sentence says what.
    """
    chosen: list[uuid.UUID] = []
    for text in consumers or ():
        try:
            chosen.append(uuid.UUID(text))
        except ValueError:
            raise UsageError(f"consumer {text!r} is not a UUID") from None
    request = Request(
        periods.parse_date(start_date, "start_date"),
        periods.parse_date(end_date, "end_date"),
        periods.parse_interval(interval),
        source,
        who,
        tuple(dict.fromkeys(chosen)) or None,
    )
    if request.end <= request.start:
        raise UsageError(
            f"end_date {request.end} is not after start_date {request.start}; "
            "end_date is the first day that is left out"
        )
    return request


@dataclass(frozen=True)
class Outlook:
    """What a backfill will do, before it does anything.

    Attributes:
        bounds: where the first period begins, then the end of each.
        consumers: how many are registered, or were asked for.
        snapshots: rows there will be, by when consumers were registered; one that has
            customers or events from before has more.
        there: instants of the range that have their snapshot already.
        rows_to_scan: events to be read from the source, as the planner estimates.
        bytes_to_write: disk that the new rows will take, estimated.
        purged: instants left out, because the source no longer tells them.
    """

    bounds: tuple[dt.datetime, ...]
    consumers: int
    snapshots: int
    there: int
    rows_to_scan: int
    bytes_to_write: int
    purged: int

    @property
    def periods(self) -> int:
        """How many periods there are."""
        return len(self.bounds) - 1

    def as_json(self, request: Request) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "start_date": request.start,
            "end_date": request.end,
            "interval": request.interval,
            "first_snapshot": self.bounds[1] if self.periods else None,
            "last_snapshot": self.bounds[-1] if self.periods else None,
            "periods": self.periods,
            "periods_there": self.there,
            "periods_purged": self.purged,
            "consumers": self.consumers,
            "snapshots_estimated": self.snapshots,
            "rows_to_scan_estimated": self.rows_to_scan,
            "bytes_to_write_estimated": self.bytes_to_write,
        }


def look(connection: Connection, settings: Settings, request: Request) -> Outlook:
    """Say what a backfill will do; nothing is written.

    Raises:
        UsageError: the range cannot be used.
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
    """
    schema.require_current(connection)
    sources.require_usable(connection, settings.source_schema)
    bounds = periods.bounds(request.start, request.end, request.interval, settings.zone)
    now = instants.now(connection)
    if bounds[-1] > now:
        today = now.astimezone(settings.zone).date()
        raise UsageError(
            f"end_date {request.end} lies in the future; the last one possible is {today}"
        )
    with connection.transaction():
        _require_known(connection, settings, request)
        stands = extract.standing(connection, settings)
        bounds, purged = _without_purged(bounds, stands)
        reading = _Reading(stands, bounds) if len(bounds) > 1 else None
        rows = sum(
            _estimate(connection, settings, stretch)
            for stretch in (reading.ranges if reading is not None else ())
        )
        consumers = _registered(connection, settings, request)
        snapshots, there = _expected(connection, settings, request, bounds[1:])
        size = scalar(connection, query("snapshots-size"), _BYTES_OF_A_ROW)
    missing = 1 - there / max(1, len(bounds) - 1)
    return Outlook(
        bounds, consumers, snapshots, there, rows, round(snapshots * missing * size), purged
    )


def _require_known(connection: Connection, settings: Settings, request: Request) -> None:
    """Refuse consumers that no row tells of: a typing error would else write nothing."""
    unknown = connection.execute(
        query("consumers-unknown", settings.source_schema),
        {"consumers": list(request.consumers or ())},
    ).fetchone()
    if unknown is not None:
        raise UsageError(
            f"consumer {unknown[0]} is unknown: it is not in consumers, and no customer and no "
            "event is its own"
        )


def _expected(
    connection: Connection,
    settings: Settings,
    request: Request,
    snapshots: tuple[dt.datetime, ...],
) -> tuple[int, int]:
    """Count the rows that registered consumers and the system will have, and instants done."""
    whole = request.consumers is None
    values = {
        "instants": list(snapshots),
        "consumers": None if whole else list(request.consumers or ()),
    }
    rows: int = scalar_of(
        connection, "backfill-expected", values, source_schema=settings.source_schema
    )
    whose = sql.SQL("consumer_id is null" if whole else "consumer_id = any(%(consumers)s)")
    there: int = scalar_of(connection, "backfill-there", values, whose=whose)
    return rows + len(snapshots) * whole, there


def _without_purged(
    bounds: tuple[dt.datetime, ...], stands: Standing
) -> tuple[tuple[dt.datetime, ...], int]:
    """Leave out instants that the source can no longer tell: what was reported stays."""
    horizon = stands.purged_before
    if horizon is None:
        return bounds, 0
    lost = sum(at < horizon for at in bounds[1:])
    return bounds[lost:], lost


def _estimate(connection: Connection, settings: Settings, stretch: Range) -> int:
    found = scalar(
        connection,
        sql.SQL(
            "explain (format json) select from {} where created_at >= {}::timestamptz "
            "and created_at < {}::timestamptz"
        ).format(
            sql.Identifier(settings.source_schema, "customer_events"),
            sql.Literal(stretch.lower),
            sql.Literal(stretch.upper),
        ),
    )
    rows: int = found[0]["Plan"]["Plan Rows"]
    return rows


# -- what is read from where ---------------------------------------------------


class _Reading:
    """Which days come from the counts that runs keep, and what from the source.

    Days that no instant cuts are taken from `event_days`; days that one cuts,
    and all rows that runs have not taken in, from the source. A day is read
    from one of them alone.

    Attributes:
        ranges: what is read of the source.
        first_day: the first UTC day that is not wholly before the range.
        days: the days taken from the counts, ascending, from `first_day` on.
        purged_cut: a day that the source no longer holds whole and that is cut.
    """

    def __init__(self, stands: Standing, bounds: tuple[dt.datetime, ...]) -> None:
        """Decide it.

        Args:
            stands: where the job stands.
            bounds: of the periods.
        """
        known, last = stands.processed_through, bounds[-1]
        self.known = known
        self.first_day = instants.day_of(bounds[0])
        self.purged_cut: dt.date | None = None
        cut = {
            instants.day_of(bound)
            for bound in bounds
            if bound < known and not instants.is_midnight(bound)
        }
        if stands.purged_through is not None:
            cut = {day for day in cut if day >= stands.purged_through}
            if stands.purged_through in cut:
                self.purged_cut = stands.purged_through
        stretches = plan.merged([(day, day + _ONE_DAY) for day in cut])
        self.ranges = [
            Range(instants.start_of(lower), min(instants.start_of(upper), last))
            for lower, upper in stretches
        ]
        if last > known:
            if self.ranges and self.ranges[-1].upper >= known:
                self.ranges[-1] = Range(self.ranges[-1].lower, last)
            else:
                self.ranges.append(Range(known, last))
        self.days: list[dt.date] = []
        if known > MINUS_INFINITY:
            day, final = self.first_day, min(instants.day_of(known), instants.day_of(last))
            while day <= final:
                if not any(lower <= day < upper for lower, upper in stretches):
                    self.days.append(day)
                day += _ONE_DAY


def _stretches(bounds: Sequence[dt.datetime]) -> list[tuple[int, int]]:
    """Return runs of evenly spaced bounds: the places of the first and the last of each."""
    found: list[tuple[int, int]] = []
    for place in range(1, len(bounds)):
        if found and bounds[place] - bounds[place - 1] == (
            bounds[found[-1][0] + 1] - bounds[found[-1][0]]
        ):
            found[-1] = (found[-1][0], place)
        else:
            found.append((place - 1, place))
    return found


def _began(bounds: Sequence[dt.datetime]) -> sql.Composable:
    """Compose the instant at which a row's slot began; the beginning of time for slot 0."""
    stretches = _stretches(bounds)
    if len(stretches) > _MOST_STRETCHES:
        listed = sql.Literal([MINUS_INFINITY, *bounds])
        return sql.SQL(
            "({0}::timestamptz[])[width_bucket(created_at::timestamptz, {0}::timestamptz[])]"
        ).format(listed)
    cases = [
        sql.SQL("when created_at < {} then date_bin({}, created_at::timestamptz, {})").format(
            sql.SQL("{}::timestamptz").format(bounds[upper]),
            sql.SQL("{}::interval").format(bounds[lower + 1] - bounds[lower]),
            sql.SQL("{}::timestamptz").format(bounds[lower]),
        )
        for lower, upper in stretches
    ]
    return sql.SQL(
        "case when created_at < {}::timestamptz then timestamptz '-infinity' {} end"
    ).format(sql.Literal(bounds[0]), sql.SQL(" ").join(cases))


# -- the backfill itself -------------------------------------------------------


@dataclass
class _Counts:
    """What came of it so far."""

    periods: int = 0
    written: int = 0
    untouched: int = 0
    restated: int = 0
    outdated: bool = False
    #: By step; of both sessions together, where there are two.
    seconds: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.add(step, time.monotonic() - started)

    def add(self, step: str, took: float) -> None:
        with self.lock:
            self.seconds[step] = round(self.seconds.get(step, 0) + took, 3)


def backfill(
    connection: Connection,
    settings: Settings,
    request: Request,
    *,
    notify: Notify = lambda _: None,
    progress: Progress = lambda _, __: None,
) -> dict[str, Any]:
    """Write the snapshots of a range.

    Args:
        connection: in autocommit.
        settings: for the zone and the source's schema.
        request: what is asked for.
        notify: told what a person should know.
        progress: told how many periods are done, of how many.

    Returns:
        Its summary.

    Raises:
        UsageError: the range cannot be used; nothing was written.
        HeldBackError: transactions that are still open kept it from the last
            periods; those before are written.
        ConsumerAnalyticsError: as runs do.
    """
    outlook = look(connection, settings, request)
    if outlook.purged:
        notify(
            f"{outlook.purged} period(s) end before what the source still holds; "
            "what was reported for them stays, nothing is made up"
        )
    backfill_id = _open(connection, settings, request, outlook)
    counts = _Counts()
    try:
        if outlook.periods:
            _fill(connection, settings, request, outlook, backfill_id, counts, notify, progress)
    except BaseException as error:
        failed = isinstance(error, Exception) and not isinstance(error, HeldBackError)
        _close(connection, backfill_id, "failed" if failed else "interrupted", counts, error)
        raise
    finally:
        _tidy(connection, backfill_id)
    _close(connection, backfill_id, "done", counts)
    return {
        "backfill_id": backfill_id,
        "start_date": request.start,
        "end_date": request.end,
        "interval": request.interval,
        "timezone": settings.timezone,
        "periods": counts.periods,
        "periods_purged": outlook.purged,
        "snapshots_written": counts.written,
        "snapshots_untouched": counts.untouched,
        "snapshots_restated": counts.restated,
        "seconds": counts.seconds,
    }


def _open(connection: Connection, settings: Settings, request: Request, outlook: Outlook) -> int:
    connection.execute(query("backfill-stale"), {"lock": LOCK_BACKFILL})
    with connection.transaction():
        backfill_id: int = scalar_of(
            connection,
            "backfill-open",
            {
                "start": request.start,
                "end": request.end,
                "interval": request.interval,
                "timezone": settings.timezone,
                "consumers": list(request.consumers) if request.consumers else None,
                "source": request.source,
                "who": request.who,
                "periods": outlook.periods,
            },
        )
        # The lock tells a backfill at work from one that was killed.
        connection.execute("select pg_advisory_lock(%s, %s::int)", [LOCK_BACKFILL, backfill_id])
    return backfill_id


def scalar_of(
    connection: Connection, name: LiteralString, values: dict[str, Any], **parts: Any
) -> Any:
    """Run a query file that answers one row, and return its first column."""
    row = connection.execute(query(name, **parts), values).fetchone()
    return None if row is None else row[0]


def _close(
    connection: Connection,
    backfill_id: int,
    state: str,
    counts: _Counts,
    error: BaseException | None = None,
) -> None:
    if connection.closed or connection.broken:
        return
    summary: dict[str, Any] = {"seconds": counts.seconds}
    if error is not None:
        message = " ".join(str(error).split())[:2000]
        summary |= {"error_type": type(error).__name__, "error": message}
    with suppress(psycopg.Error):
        connection.execute(
            query("backfill-close"),
            {"id": backfill_id, "state": state, "summary": Jsonb(summary)},
        )


def _tidy(connection: Connection, backfill_id: int) -> None:
    if connection.closed or connection.broken:
        return
    with suppress(psycopg.Error):
        connection.execute("select pg_advisory_unlock(%s, %s::int)", [LOCK_BACKFILL, backfill_id])
        connection.execute("drop table if exists pg_temp.backfill_counted, pg_temp.figures_carried")


def _fill(
    connection: Connection,
    settings: Settings,
    request: Request,
    outlook: Outlook,
    backfill_id: int,
    counts: _Counts,
    notify: Notify,
    progress: Progress,
) -> None:
    total = outlook.periods
    progress(0, total)
    bounds, held = _settled(connection, settings, outlook.bounds, notify)
    if len(bounds) > 1:
        _fill_settled(
            connection,
            settings,
            request,
            bounds,
            outlook.rows_to_scan,
            backfill_id,
            counts,
            notify,
            lambda done: progress(done, total),
        )
    if held is not None:
        raise held


def _fill_settled(
    connection: Connection,
    settings: Settings,
    request: Request,
    bounds: tuple[dt.datetime, ...],
    events: int,
    backfill_id: int,
    counts: _Counts,
    notify: Notify,
    progress: Callable[[int], None],
) -> None:
    job = _Job(settings, request, backfill_id, counts, lambda: progress(counts.periods))
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        rows = (len(bounds) - 1) * _registered(connection, settings, request)
        work = rows + events // _EVENTS_PER_ROW
        if work < _ROWS_FOR_TWO or len(bounds) < _BOUNDS_OF_TWO_PERIODS:
            with connection.transaction():
                figures, stands = job.read(connection, bounds)
            job.write(connection, bounds, figures, stands, (1, len(bounds) - 1))
        else:
            _fill_in_two(connection, job, bounds)
        if counts.outdated:
            with counts.timed("restate"), load.job_lock(connection, settings):
                restated = load.restate(connection, settings, f"backfill {backfill_id}", notify)
                counts.restated += restated
                done = {"periods": 0, "written": 0, "restated": restated, "untouched": 0}
                connection.execute(query("backfill-advance"), {"id": backfill_id, **done})
    finally:
        if not connection.broken and not connection.closed:
            connection.isolation_level = None


def _registered(connection: Connection, settings: Settings, request: Request) -> int:
    count: int = len(request.consumers or ()) or scalar(
        connection,
        sql.SQL("select count(*) from {}").format(
            sql.Identifier(settings.source_schema, "consumers")
        ),
    )
    return count


class _Pipe:
    """Hands rows of one session's tables to the other's, some at a time."""

    def __init__(self, stopped: threading.Event) -> None:
        """Make one that ends when `stopped` is set."""
        self._blocks: queue.Queue[bytes] = queue.Queue(_BLOCKS_AHEAD)
        self._stopped = stopped

    def give(self, connection: Connection, select: sql.Composable) -> None:
        """Hand over what a query answers."""
        block = bytearray()
        statement = sql.SQL("copy ({}) to stdout (format binary)").format(select)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in copy:
                block += row
                if len(block) >= _BLOCK:
                    self._put(bytes(block))
                    block.clear()
        self._put(bytes(block))
        self._put(b"")

    def take(self, connection: Connection, into: sql.Composable) -> None:
        """Put what is handed over into a table: `name (column, …)`."""
        statement = sql.SQL("copy {} from stdin (format binary)").format(into)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            while block := self._get():
                copy.write(block)

    def tell(self, value: Any) -> None:
        """Hand over a value that JSON knows, before or after rows."""
        self._put(json.dumps(value).encode())

    def told(self) -> Any:
        """Return the value that is handed over."""
        return json.loads(self._get())

    def _put(self, block: bytes) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._blocks.put(block, timeout=_PATIENCE)
                return
        raise _AbandonedError

    def _get(self) -> bytes:
        while not self._stopped.is_set():
            with suppress(queue.Empty):
                return self._blocks.get(timeout=_PATIENCE)
        raise _AbandonedError


class _AbandonedError(Exception):
    """The other session of this backfill has failed."""


@dataclass(frozen=True)
class _Share:
    """What one of two sessions does: the first reads the customers, the second the events.

    Each hands the other what that needs to write its half.

    Attributes:
        first: whether it is the first.
        middle: the last slot of the first one's half.
        types: event types with a column; the same in both.
        events: from the second session to the first.
        customers: from the first session to the second.
    """

    first: bool
    middle: int
    types: tuple[str, ...]
    events: _Pipe
    customers: _Pipe


@dataclass
class _Job:
    """A backfill at work, in one session or two."""

    settings: Settings
    request: Request
    backfill_id: int
    counts: _Counts
    progress: Callable[[], None]
    stopped: threading.Event = field(default_factory=threading.Event)

    def read(
        self, connection: Connection, bounds: tuple[dt.datetime, ...], share: _Share | None = None
    ) -> tuple[Figures, Standing]:
        """Lay out the cells of the periods, within the caller's transaction."""
        connection.execute("select set_config('temp_buffers', '64MB', false)")
        # Of the cells only sizes and widths matter.
        connection.execute("select set_config('default_statistics_target', '10', false)")
        figures = Figures(connection, self.settings, bounds, self.request.source, stays=True)
        # Cells are small numbers; what is not refuses to be one.
        figures.cell = sql.SQL("int")
        stands = extract.standing(connection, self.settings)
        with self.counts.timed("read"):
            _lay_out(connection, self, figures, stands, bounds, share)
        return figures, stands

    def write(
        self,
        connection: Connection,
        bounds: tuple[dt.datetime, ...],
        figures: Figures,
        stands: Standing,
        slots: tuple[int, int],
    ) -> None:
        """Write the snapshots of some slots of what was laid out, a chunk at a time."""
        first, last = slots
        consumers = scalar(connection, "select count(*) from pg_temp.listed_consumers")
        step = max(1, _ROWS_AT_ONCE // (consumers + 1))
        for start in range(first, last + 1, step):
            if self.stopped.is_set():
                return
            end = min(start + step - 1, last)
            _chunk(connection, self, figures, stands, bounds, (start, end), carry=end < last)
            self.progress()
        figures.forget()


def _fill_in_two(connection: Connection, job: _Job, bounds: tuple[dt.datetime, ...]) -> None:
    """Fill a long range in two sessions that read the same snapshot.

    One reads the customers, the other the events; then each has what it lacks
    from the other, and writes half of the instants.
    """
    middle, last = _middle(connection, job, bounds), len(bounds) - 1
    pipes = _Pipe(job.stopped), _Pipe(job.stopped)
    types = _types(connection, job.settings)
    failure: list[BaseException] = []
    with connected(job.settings, "backfill, second session") as second:
        second.isolation_level = IsolationLevel.REPEATABLE_READ
        imported = threading.Event()

        def other(snapshot: str) -> None:
            try:
                with second.transaction():
                    second.execute(sql.SQL("set transaction snapshot {}").format(snapshot))
                    imported.set()
                    share = _Share(False, middle, types, *pipes)
                    figures, stands = job.read(second, bounds, share)
                job.write(second, bounds, figures, stands, (middle + 1, last))
            except BaseException as error:  # noqa: BLE001  (raised again by the first session)
                failure.append(error)
                job.stopped.set()
            finally:
                imported.set()

        thread: threading.Thread | None = None
        try:
            with connection.transaction():
                snapshot = scalar(connection, "select pg_export_snapshot()")
                thread = threading.Thread(target=other, args=[snapshot], daemon=True)
                thread.start()
                share = _Share(True, middle, types, *pipes)
                figures, stands = job.read(connection, bounds, share)
                # The snapshot is there to be taken as long as this transaction is.
                imported.wait()
            job.write(connection, bounds, figures, stands, (1, middle))
            while thread.is_alive():
                thread.join(_PATIENCE)
        except _AbandonedError:
            pass
        finally:
            if thread is not None and thread.is_alive():
                job.stopped.set()
                # Again until it ends: between two statements there is nothing to cancel.
                while thread.is_alive():
                    second.cancel_safe()
                    thread.join(_PATIENCE)
    if failure:
        raise failure[0]


def _middle(connection: Connection, job: _Job, bounds: tuple[dt.datetime, ...]) -> int:
    """Return the slot up to which about half of the rows will be."""
    joined: dict[int, int] = dict(
        connection.execute(
            query("backfill-joined", job.settings.source_schema),
            {"bounds": list(bounds), "consumers": list(job.request.consumers or ()) or None},
        ).fetchall()
    )
    last = len(bounds) - 1
    there = list(accumulate(joined.get(slot, 0) for slot in range(last + 1)))[1:]
    rows = list(accumulate(there))
    if not rows[-1]:
        return last // 2
    return min(max(1, bisect.bisect_left(rows, rows[-1] / 2) + 1), last - 1)


def _settled(
    connection: Connection,
    settings: Settings,
    bounds: tuple[dt.datetime, ...],
    notify: Notify,
) -> tuple[tuple[dt.datetime, ...], HeldBackError | None]:
    """Wait for transactions that may still commit rows of the range; leave out what stays open."""
    known: dt.datetime = scalar(
        connection,
        "select processed_through from consumer_analytics_internal.state where job_name = %s",
        watermark.JOB,
    )
    if bounds[-1] <= known:
        return bounds, None
    holders = holdback.wait_until_settled(connection, bounds[-1], settings, notify)
    if not holders:
        return bounds, None
    # As far as runs have come, they have waited.
    reached = max(known, min(holder.began for holder in holders))
    settled = tuple(bound for place, bound in enumerate(bounds) if place == 0 or bound <= reached)
    left = len(bounds) - len(settled)
    if not left:
        return bounds, None
    oldest = holders[0].describe()
    return settled, HeldBackError(
        f"{left} of {len(bounds) - 1} periods, from the one that ends at "
        f"{bounds[len(settled)].isoformat()} on, may still get rows from {oldest}; "
        "run the backfill again when it has ended"
    )


# -- reading -------------------------------------------------------------------


def _lay_out(
    connection: Connection,
    job: _Job,
    figures: Figures,
    stands: Standing,
    bounds: tuple[dt.datetime, ...],
    share: _Share | None,
) -> None:
    """Count customers and events into the figures' cells, within the caller's transaction."""
    settings, request, counts = job.settings, job.request, job.counts
    types = share.types if share is not None else _types(connection, settings)
    before, after = 0, len(bounds) - 1
    once, statuses = False, None
    connection.execute("drop table if exists pg_temp.backfill_counted, pg_temp.backfill_customers")
    connection.execute(query("backfill-customers"))
    if share is None or not share.first:
        with counts.timed("read events"):
            reading = _Reading(stands, bounds)
            once = _count_events(connection, settings, reading, bounds, types, request)
    if share is None or share.first:
        with counts.timed("read customers"):
            statuses = _count_customers(connection, settings, stands, bounds)
    if share is not None:
        with counts.timed("exchange"):
            statuses, once = _exchange(connection, share, statuses, once=once)
        before, after = (0, share.middle) if share.first else (share.middle, after)
    with counts.timed("lay out"):
        connection.execute("analyze pg_temp.backfill_customers")
        found: Sequence[str] = statuses or scalar(
            connection, "select array(select distinct status from pg_temp.backfill_customers)"
        )
        shape = shape_of(types, found)
        others = not once and scalar_of(connection, "backfill-rest-exists", {"types": list(types)})
        shape = Shape(shape.types, shape.statuses, shape.rest or others)
        figures.lay_out(
            shape,
            sql.SQL("(select * from {} where slot <= {})").format(_CHANGES, after),
            sql.SQL("({})").format(query("backfill-rest")),
            event_cells=lambda: _event_cells(connection, shape, once=once),
            with_customer_cells=statuses is not None,
            consumers=request.consumers,
            before=before,
        )
        connection.execute(
            "analyze pg_temp.event_cells (consumer_id, slot); "
            "analyze pg_temp.customer_cells (consumer_id, slot); "
            "analyze pg_temp.listed_consumers; analyze pg_temp.figures_before (consumer_id); "
            "drop table pg_temp.backfill_customers; "
            "drop table if exists pg_temp.backfill_counted"
        )


def _count_customers(
    connection: Connection,
    settings: Settings,
    stands: Standing,
    bounds: tuple[dt.datetime, ...],
) -> tuple[str, ...] | None:
    """Count the customers' changes by consumer and slot into `customer_cells`.

    Returns:
        The statuses, each with a column; None where there are too many, or one
        that nobody thought of: then `backfill_customers` has a row for each.
    """
    shape = shape_of((), _statuses(connection, settings))
    if not shape.rest:
        values = extract.instants_of(bounds)
        # What is blank is not told apart row by row where nothing is.
        blank = " or {{0}} = '(none)' and {} !~ '\\S'" if _NONE in shape.statuses else ""
        template = " - ".join(
            f"count(*) filter (where {side} = {{0}}{blank.format(side)})"
            for side in ("gained", "lost")
        )
        pivoted, named = pivot(shape.customer_columns, shape.statuses, template, "status")
        connection.execute(
            query(
                "backfill-customers-cells",
                settings.source_schema,
                undone=query("customers-undone", settings.source_schema),
                pivoted=pivoted,
            ),
            values | named,
        )
        named_sum = sql.SQL(" + ").join(shape.customer_columns)
        if not scalar(connection, query("backfill-customers-overlooked", named=named_sum)):
            return shape.statuses
        connection.execute("drop table pg_temp.customer_cells")
    made = Plan(stands, bounds, stands.processed_through, (), ())
    extract.customers_of(connection, settings, 0, made, _CHANGES)
    return None


def _exchange(
    connection: Connection, share: _Share, statuses: tuple[str, ...] | None, *, once: bool
) -> tuple[tuple[str, ...] | None, bool]:
    """Hand the other session what it needs of what this one has read, and have the same of it.

    In this order in both, so that they do not wait for each other.

    Returns:
        The statuses that have a column, as the first session has found them, and
        whether the events have one row for each cell, as the second has.
    """
    if share.first:
        share.customers.tell(statuses)
        share.customers.give(connection, _customers_later(share, statuses))
        typed = each(Shape(share.types, (), False).event_columns, "{} bigint")
        connection.execute(query("backfill-events-taken", columns=typed))
    else:
        told = share.customers.told()
        statuses = tuple(told) if told is not None else None
        share.customers.take(connection, _customers_taken(connection, statuses))
    counted = sql.SQL("consumer_id, slot, rest, events {}").format(
        each(Shape(share.types, (), False).event_columns, "{}")
    )
    if share.first:
        once = share.events.told()
        share.events.take(connection, sql.SQL("pg_temp.backfill_counted ({})").format(counted))
    else:
        share.events.tell(once)
        earlier = sql.SQL("select {} from pg_temp.backfill_counted where slot <= {}")
        share.events.give(connection, earlier.format(counted, share.middle))
    return statuses, once


def _customers_later(share: _Share, statuses: tuple[str, ...] | None) -> sql.Composed:
    """Compose what the second session needs of the customers' changes: its half, and a start."""
    middle = sql.Literal(share.middle)
    if statuses is None:
        return query("backfill-customers-later", middle=middle)
    columns = Shape((), statuses, False).customer_columns
    return query(
        "backfill-customers-cells-later",
        middle=middle,
        columns=each(columns, "{}"),
        summed=each(columns, "sum({})::bigint"),
    )


def _customers_taken(connection: Connection, statuses: tuple[str, ...] | None) -> sql.Composed:
    """Make the place for what the first session hands over, and compose what COPY calls it."""
    if statuses is None:
        return sql.SQL("{} (run_id, consumer_id, slot, status, n, dated, created_us, born)").format(
            _CHANGES
        )
    columns = Shape((), statuses, False).customer_columns
    typed = each(columns, "{} bigint not null")
    connection.execute(query("backfill-customers-cells-taken", columns=typed))
    return sql.SQL(
        "pg_temp.customer_cells (consumer_id, slot, customers, dated, created_us, born {})"
    ).format(each(columns, "{}"))


def _types(connection: Connection, settings: Settings) -> tuple[str, ...]:
    """Return the event types that get a column: those known and seen, where they are few."""
    sampled = _sample(connection, settings)
    found = connection.execute(query("backfill-types", settings.source_schema, sample=sampled))
    return shape_of((name for (name,) in found), ()).types


def _statuses(connection: Connection, settings: Settings) -> list[str]:
    """Return the statuses known and seen."""
    sampled = _sample(connection, settings)
    found = connection.execute(query("backfill-statuses", settings.source_schema, sample=sampled))
    return [status for (status,) in found]


def _sample(connection: Connection, settings: Settings) -> sql.Composable:
    """Compose what takes some of the events, where there are many."""
    table = sql.Identifier(settings.source_schema, "customer_events").as_string(connection)
    row = connection.execute(
        "select relkind::text, reltuples::float8 from pg_class where oid = to_regclass(%s)", [table]
    ).fetchone()
    if row is not None and row[0] in "rpm" and row[1] > _SAMPLED:
        return sql.SQL("tablesample system ({})").format(100 * _SAMPLED / row[1])
    return sql.SQL("")


def _count_events(
    connection: Connection,
    settings: Settings,
    reading: _Reading,
    bounds: tuple[dt.datetime, ...],
    types: tuple[str, ...],
    request: Request,
) -> bool:
    """Count the events by consumer and slot into `backfill_counted`.

    Returns:
        Whether it surely has one row, of types with columns, for each of them.
    """
    shape = Shape(types, (), False)
    pivoted, named_types = pivot(
        shape.event_columns, types, "(sum(n) filter (where event_type = {}))::bigint", "type"
    )
    wanted = sql.SQL("true" if request.consumers is None else "consumer_id = any(%(consumers)s)")
    rest = sql.SQL(
        "case when event_type = any(%(types)s::text[]) then null else event_type end"
        if types
        else "event_type"
    )
    shared: dict[str, Any] = {"wanted": wanted, "rest": rest, "pivoted": pivoted}
    of_types = [_count_types(settings, one, bounds, wanted) for one in reading.ranges]
    parts: list[sql.Composable] = [
        _count_source(settings, shape, stretch, bounds, wanted) for stretch in reading.ranges
    ]
    if not types:
        parts = list(of_types)
    if reading.known > MINUS_INFINITY:
        first = sql.Literal(reading.first_day)
        if reading.days:
            last = sql.Literal(reading.days[-1])
            start = sql.Literal(reading.days[0])
            parts.append(query("backfill-events-days", first=start, last=last, **shared))
        parts.append(query(_side(connection, reading), first=first, **shared))
    if reading.purged_cut is not None:
        day = instants.start_of(reading.purged_cut)
        parts.append(
            query(
                "backfill-events-purged",
                settings.source_schema,
                slot=sql.Literal(plan.slot_of(day, bounds)),
                lower=sql.Literal(day),
                upper=sql.Literal(min(day + _ONE_DAY, reading.known)),
                day=sql.Literal(reading.purged_cut),
                **shared,
            )
        )
    values: dict[str, Any] = {
        **named_types,
        "types": list(types),
        "consumers": list(request.consumers or ()),
        "began": [MINUS_INFINITY, *bounds[:-1]],
        "began_slots": list(range(len(bounds))),
        "days": reading.days,
        "day_slots": [plan.slot_of(instants.start_of(day), bounds) for day in reading.days],
    }
    union = sql.SQL("\nunion all\n")
    connection.execute("drop table if exists pg_temp.backfill_counted")
    connection.execute(query("backfill-events-counted", parts=union.join(parts)), values)
    if types and reading.ranges:
        named = sql.SQL(" + ").join(shape.event_columns)
        if scalar(connection, query("backfill-events-overlooked", named=named)):
            others = query("backfill-events-others", parts=union.join(of_types))
            connection.execute(others, values)
            return False
    return len(parts) == 1 and bool(types)


def _count_source(
    settings: Settings,
    shape: Shape,
    stretch: Range,
    bounds: tuple[dt.datetime, ...],
    wanted: sql.Composable,
) -> sql.Composed:
    pivoted = sql.SQL("").join(
        sql.SQL(", count(*) filter (where event_type::text = {}{}) as {}").format(
            sql.Placeholder(f"type_{place}"),
            sql.SQL(" or event_type is null" if name == _NONE else ""),
            column,
        )
        for place, (name, column) in enumerate(
            zip(shape.types, shape.event_columns, strict=True), 1
        )
    )
    return query(
        "backfill-events-source",
        settings.source_schema,
        began=_began(bounds),
        columns=each(shape.event_columns, "{}"),
        pivoted=pivoted,
        **_span_of(stretch),
        wanted=wanted,
    )


def _count_types(
    settings: Settings, stretch: Range, bounds: tuple[dt.datetime, ...], wanted: sql.Composable
) -> sql.Composed:
    return query(
        "backfill-events-types",
        settings.source_schema,
        began=_began(bounds),
        **_span_of(stretch),
        wanted=wanted,
    )


def _span_of(stretch: Range) -> dict[str, sql.Composable]:
    return {"lower": sql.Literal(stretch.lower), "upper": sql.Literal(stretch.upper)}


def _side(connection: Connection, reading: _Reading) -> LiteralString:
    """Choose from which side to sum up what came before the range: the one with fewer days."""
    first: dt.date | None = scalar(
        connection, "select min(day) from consumer_analytics_internal.event_days"
    )
    before = (reading.first_day - first) if first is not None else dt.timedelta()
    after = instants.day_of(reading.known) - reading.first_day
    return "backfill-events-before" if before <= after else "backfill-events-not-after"


def _event_cells(connection: Connection, shape: Shape, *, once: bool) -> None:
    """Make the events' cells of what was counted: as it is where each has one row already."""
    once = once or scalar(
        connection,
        "select not exists (select from pg_temp.backfill_counted where rest is not null) and "
        "not exists (select from pg_temp.backfill_counted group by consumer_id, slot "
        "having count(*) > 1)",
    )
    if once:
        connection.execute("alter table pg_temp.backfill_counted rename to event_cells")
        return
    parts = [
        sql.SQL(
            ", (coalesce(sum({0}), 0) + coalesce(sum(events) filter (where named = {1}), 0))"
            "::bigint as {0}"
        ).format(column, sql.Placeholder(f"type_{place}"))
        for place, column in enumerate(shape.event_columns, 1)
    ]
    connection.execute(
        query("backfill-events-cells", summed=sql.SQL("\n    ").join(parts)),
        {f"type_{place}": name for place, name in enumerate(shape.types, 1)},
    )


# -- writing -------------------------------------------------------------------


def _chunk(
    connection: Connection,
    job: _Job,
    figures: Figures,
    stands: Standing,
    bounds: tuple[dt.datetime, ...],
    span: tuple[int, int],
    *,
    carry: bool,
) -> None:
    """Write the snapshots of some slots, in one transaction; `carry` where more come after them."""
    counts = job.counts
    with counts.timed("sum up"):
        try:
            figures.accumulate(*span)
        except psycopg.errors.NumericValueOutOfRange:
            # A consumer with more than two thousand million events in a period.
            figures.cell = sql.SQL("bigint")
            figures.forget_span()
            figures.accumulate(*span)
    for attempt in range(_TRIES):
        try:
            _write(connection, job, figures, stands, bounds, span)
            break
        except (psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation):
            # Another backfill has written to the same instants in the meantime.
            if attempt == _TRIES - 1:
                raise
    with counts.timed("carry"):
        if carry:
            figures.carry(*span)
        figures.forget_span()


def _write(
    connection: Connection,
    job: _Job,
    figures: Figures,
    stands: Standing,
    bounds: tuple[dt.datetime, ...],
    span: tuple[int, int],
) -> None:
    counts, request = job.counts, job.request
    first, last = span
    consumers, whole, values = figures.rendered(first)
    rendered: list[sql.Composable] = [consumers]
    if request.consumers is None:
        rendered.append(whole)
    values |= {
        "id": job.backfill_id,
        "job": watermark.JOB,
        "known": stands.processed_through,
        "from": bounds[first],
        "until": bounds[last],
        "snapshots": list(bounds[first : last + 1]),
        "recountable_from": stands.purged_before,
        "reason": f"backfill {job.backfill_id}",
    }
    done = {"periods": last - first + 1, "written": 0, "restated": 0, "untouched": 0}
    waited = time.monotonic()
    # Runs keep out writers of other instants too, these do not.
    with load.job_lock(connection, job.settings, shared=True), connection.transaction():
        counts.add("wait", time.monotonic() - waited)
        outdated = _mark_outdated(connection, values)
        with counts.timed("write"):
            if scalar_of(connection, "backfill-occupied", values):
                _merge(connection, rendered, values, done, whole=request.consumers is None)
            else:
                for part in rendered:
                    found = connection.execute(query("backfill-insert", rendered=part), values)
                    done["written"] += found.rowcount
    # In a transaction of its own: two sessions may be done at the same time.
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    connection.execute(query("backfill-advance"), {"id": job.backfill_id, **done})
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    with counts.lock:
        counts.outdated = counts.outdated or outdated
        counts.periods += done["periods"]
        counts.written += done["written"]
        counts.restated += done["restated"]
        counts.untouched += done["untouched"]


def _merge(
    connection: Connection,
    rendered: list[sql.Composable],
    values: dict[str, Any],
    done: dict[str, int],
    *,
    whole: bool,
) -> None:
    """Write to a range that has snapshots: insert what is missing, restate what differs."""
    connection.execute("drop table if exists pg_temp.rendered_snapshots")
    union = sql.SQL("\nunion all\n").join(rendered)
    connection.execute(query("backfill-rendered", rendered=union), values)
    connection.execute("analyze pg_temp.rendered_snapshots (consumer_id, snapshot_timestamp)")
    rows = scalar(connection, "select count(*) from pg_temp.rendered_snapshots")
    restated = connection.execute(query("snapshots-restate"), values).rowcount
    done["restated"] = restated
    if whole and scalar(connection, query("snapshots-are-there"), values["snapshots"]):
        done["restated"] += connection.execute(query("snapshots-withdraw"), values).rowcount
    done["written"] = connection.execute(query("snapshots-insert"), values).rowcount
    done["untouched"] = rows - restated - done["written"]


def _mark_outdated(connection: Connection, values: dict[str, Any]) -> bool:
    """See to it that what is written from counts that have changed since is looked at again."""
    after: dt.datetime | None = scalar_of(connection, "backfill-outdated", values)
    if after is None or after >= values["until"]:
        return False
    connection.execute(
        "update consumer_analytics_internal.state "
        "set restate_after = least(restate_after, %s) where job_name = %s",
        [after, watermark.JOB],
    )
    return True


# -- the record ----------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """A backfill that was asked for, as `backfill list` shows it."""

    backfill_id: int
    start_date: dt.date
    end_date: dt.date
    interval: str
    timezone: str
    consumers: list[uuid.UUID] | None
    snapshot_source: str
    requested_by: str
    state: str
    periods: int
    periods_done: int
    snapshots_written: int
    snapshots_untouched: int
    snapshots_restated: int
    started_at: dt.datetime
    finished_at: dt.datetime | None
    summary: dict[str, Any]


def records(connection: Connection, limit: int = 20) -> list[Record]:
    """Return the latest backfills, the newest first."""
    schema.require_current(connection)
    rows = connection.execute(query("backfill-list"), {"lock": LOCK_BACKFILL, "limit": limit})
    return [Record(*row) for row in rows]
