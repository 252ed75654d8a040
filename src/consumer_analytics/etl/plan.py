"""What a run reads and which snapshots it writes, decided from where things stand.

A plan depends on the database alone, so that two extracts and the load, each
in a transaction of its own, arrive at the same one; where they do not, what
was extracted is stale and is extracted again.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.sql import query

#: More separate ranges than this are read as fewer, longer ones.
_MOST_RANGES = 16
_ONE_DAY = dt.timedelta(days=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_DAY = dt.date.min
_Time = TypeVar("_Time", dt.date, dt.datetime)


@dataclass(frozen=True)
class TimeRange:
    """A range of `created_at` to read: from `lower` to before `upper`."""

    lower: dt.datetime
    upper: dt.datetime


@dataclass(frozen=True)
class Plan:
    """What to read and what to write.

    Attributes:
        job_state: what it was made from.
        bounds: start of the first window, then the instants of the snapshots,
            ascending. One bound alone means that no snapshot is written.
        until: how far the counts reach after the fold.
        recount: days counted again, as half-open ranges of dates.
        ranges: what is read of the events.
    """

    job_state: JobState
    bounds: tuple[dt.datetime, ...]
    until: dt.datetime
    recount: tuple[tuple[dt.date, dt.date], ...]
    ranges: tuple[TimeRange, ...]

    @property
    def snapshots(self) -> tuple[dt.datetime, ...]:
        """The instants of the snapshots."""
        return self.bounds[1:]

    @property
    def recount_multirange(self) -> str:
        """`recount` as PostgreSQL writes a datemultirange."""
        return multirange(self.recount)

    @property
    def recounted_ranges(self) -> list[TimeRange]:
        """`recount` as far as it was counted before."""
        known = self.job_state.processed_through
        return [one for one in _ranges(self.recount, known) if one.lower < known]

    @property
    def reads_whole_days_once(self) -> bool:
        """Whether what is read is all new, and each day of it lies between two of the bounds."""
        return not self.recount and all(
            instants.is_midnight(bound)
            or not any(stretch.lower < bound < stretch.upper for stretch in self.ranges)
            for bound in self.bounds
        )

    @property
    def start_day(self) -> dt.date:
        """The first UTC day that lies wholly in the windows."""
        first = self.bounds[0]
        if first == MINUS_INFINITY:
            return _FIRST_DAY
        day = instants.day_of(first)
        return day if instants.is_midnight(first) else day + _ONE_DAY

    def narrowed_to(self, days: list[tuple[dt.date, dt.date]]) -> Plan:
        """Return a plan that counts nothing but these of the days again, as half-open stretches."""
        recount = tuple(merged(days))
        return replace(self, recount=recount, ranges=tuple(_ranges(recount, self.until)))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, to compare and to show."""
        return dict(_plain(asdict(self)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    return value


def multirange(days: Iterable[tuple[dt.date, dt.date]]) -> str:
    """Return half-open stretches of days as PostgreSQL writes a datemultirange."""
    return "{" + ",".join(f"[{_date(lower)},{_date(upper)})" for lower, upper in days) + "}"


def _date(day: dt.date) -> str:
    if day == dt.date.min:
        return "-infinity"
    return "infinity" if day == dt.date.max else day.isoformat()


def previous_snapshot(connection: Connection, before: dt.datetime) -> dt.datetime:
    """Return the instant of the last snapshot before another.

    Where there is none: the epoch, at which the watermark began; of one that is no later, the
    beginning of time, as no window ends before it begins. One that was thinned counts: the window
    of the next one began at it.
    """
    row = connection.execute(query("etl/plan/snapshots-previous"), {"before": before}).fetchone()
    return (row and row[0]) or (_EPOCH if before > _EPOCH else MINUS_INFINITY)


def owed_snapshots(connection: Connection, until: dt.datetime) -> list[dt.datetime]:
    """Return instants before `until` whose snapshots earlier runs were held back from."""
    rows = connection.execute(query("etl/plan/snapshots-owed"), {"until": until})
    return [instant for (instant,) in rows]


def plan_run(connection: Connection, state: JobState, reached: dt.datetime) -> Plan:
    """Plan a run that may process up to `reached`."""
    if reached == MINUS_INFINITY:
        return _make(state, (reached,), state.processed_through)
    until = max(reached, state.processed_through)
    wanted = [*owed_snapshots(connection, reached), reached]
    start = state.watermark
    if start >= wanted[0]:
        start = previous_snapshot(connection, wanted[0])
    return _make(state, (start, *wanted), until)


def plan_restatement(
    connection: Connection,
    state: JobState,
    snapshots: list[dt.datetime],
    start: dt.datetime | None = None,
) -> Plan:
    """Plan to compute existing snapshots again; nothing new is taken in.

    Args:
        connection: to find the snapshot before them.
        state: where the job stands.
        snapshots: their instants, ascending.
        start: of the first one's window; None for the snapshot before it.
    """
    if start is None or start >= snapshots[0]:
        start = previous_snapshot(connection, snapshots[0])
    return _make(state, (start, *snapshots), state.processed_through)


def plan_recount(state: JobState, since: dt.date) -> Plan:
    """Plan to count known days again, from one on, and the touched ones; no snapshot is written."""
    known = state.processed_through
    days = [(since, _after(instants.day_of(known)))] if instants.start_of(since) < known else []
    return _make(state, (known,), known, days)


def plan_recount_of(state: JobState, days: Iterable[dt.date]) -> Plan:
    """Plan to count some known days again, and the touched ones; no snapshot is written."""
    known = state.processed_through
    chosen = [(day, _after(day)) for day in days if instants.start_of(day) < known]
    return _make(state, (known,), known, chosen)


def _make(
    state: JobState,
    bounds: tuple[dt.datetime, ...],
    until: dt.datetime,
    asked: list[tuple[dt.date, dt.date]] | None = None,
) -> Plan:
    known = state.processed_through
    # Days to count again, as half-open stretches.
    days: list[tuple[dt.date, dt.date]] = [] if asked is None else asked
    if asked is None and state.watermark < known:
        days.append((instants.day_of(state.watermark), _after(instants.day_of(known))))
    days.extend((day, _after(day)) for day in state.touched if instants.start_of(day) < known)
    if state.touched[:1] == (_FIRST_DAY,):
        # The note of a truncated table, or of one written to before the first run.
        days.append((_FIRST_DAY, _after(instants.day_of(known))))
    # A day that an instant cuts in two cannot be told from its sum.
    days.extend(
        (instants.day_of(bound), _after(instants.day_of(bound)))
        for bound in bounds
        if MINUS_INFINITY < bound < known and not instants.is_midnight(bound)
    )
    recount = merged(days)
    ranges = _ranges(recount, until)
    if until > known:
        if ranges and ranges[-1].upper >= known:
            # What the source lacks of the day is told by what it holds of what was counted.
            ranges[-1] = TimeRange(ranges[-1].lower, known)
        ranges.append(TimeRange(known, until))
    return Plan(state, bounds, until, tuple(recount), tuple(ranges))


def _ranges(recount: Iterable[tuple[dt.date, dt.date]], until: dt.datetime) -> list[TimeRange]:
    """Return what is read of stretches of days, up to an instant."""
    return [
        TimeRange(
            instants.start_of(lower) if lower > _FIRST_DAY else MINUS_INFINITY,
            min(instants.start_of(upper), until),
        )
        for lower, upper in recount
    ]


def _after(day: dt.date) -> dt.date:
    return day + _ONE_DAY if day < dt.date.max else day


def joined(stretches: Iterable[tuple[_Time, _Time]]) -> list[tuple[_Time, _Time]]:
    """Join stretches that touch, in their order."""
    joined: list[tuple[_Time, _Time]] = []
    for lower, upper in sorted(stretches):
        if joined and lower <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], upper))
        else:
            joined.append((lower, upper))
    return joined


def within(ranges: Iterable[TimeRange], column: str = "created_at") -> sql.Composed:
    """Compose the condition that a column lies in one of some ranges, of which there are any.

    A range that ends at `INFINITY` has no end: what lies there is in it.
    """
    name = sql.Identifier(column)

    def one_of(one: TimeRange) -> sql.Composed:
        begins = sql.SQL("{} >= {}::timestamptz").format(name, sql.Literal(one.lower))
        if one.upper == INFINITY:
            return begins
        ends = sql.SQL("{} < {}::timestamptz").format(name, sql.Literal(one.upper))
        return sql.SQL("({} and {})").format(begins, ends)

    return sql.SQL("({})").format(sql.SQL(" or ").join(map(one_of, ranges)))


def merged(days: list[tuple[dt.date, dt.date]]) -> list[tuple[dt.date, dt.date]]:
    """Join stretches that touch, then the nearest ones until few are left."""
    merged = joined(days)
    while len(merged) > _MOST_RANGES:
        nearest = min(range(1, len(merged)), key=lambda i: merged[i][0] - merged[i - 1][1])
        merged[nearest - 1 : nearest + 1] = [(merged[nearest - 1][0], merged[nearest][1])]
    return merged


def slot_of(instant: dt.datetime, bounds: tuple[dt.datetime, ...]) -> int:
    """Return how many bounds lie at or before an instant, as `width_bucket` does."""
    return bisect.bisect_right(bounds, instant)
