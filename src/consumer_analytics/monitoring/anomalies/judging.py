"""Whatever is odd with consumers at a snapshot: one statement over all of them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from psycopg.rows import class_row

from consumer_analytics.calendar import days
from consumer_analytics.calendar.schedule import Schedule
from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.monitoring.anomalies.windows import Window, ending_at
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

Kind = Literal["silent", "fewer", "more", "customers", "type"]

#: Of fewer like windows nobody can say what is usual.
_LEAST_PERIODS = 4
#: Counts a day below which their median tells less than their mean.
_SMALL = 5.0
#: So many days with more than that are enough to know by them how much a consumer scatters.
_LARGE_DAYS = 20
#: So many of them in each half of the weeks tell whether the consumer grows.
_HALF = 14
#: Growth of so many standard errors is none of chance; a tenth a week is the most that is foreseen.
_SURE = 3.0
_FASTEST = 0.1 / 7
#: What scatters less than by chance, as what a clock does, is taken to scatter this much of it.
_LEAST_DISPERSION = 0.5
#: So many consumers are a crowd, whose common days can be told from those of one.
_CROWD = 10
#: Where this part of them, and no fewer than so many, are off in the same hours, it is the hours.
_COMMON = 0.05
_FEW = 3
#: How much of the score it takes for silence.
_SILENCE = 0.8
#: As near to what is usual is as usual again.
_BACK = 0.05
#: How much of the ratio has to be there against the nearest like windows, too.
_NEARBY = 0.8
#: A new type floods where it alone is this part of all that is usual.
_FLOOD = 0.5


@dataclass(frozen=True)
class Oddity:
    """Something that is odd with a consumer, in the shortest window that shows it.

    Attributes:
        consumer_id: whose.
        kind: `silent` (no events), `fewer`, `more`, `customers` (lost), `type` (a new one floods).
        event_type: the type that floods; None for the other kinds.
        hours: the window's length.
        observed: events in it, of that type where there is one; or customers lost.
        expected: what is usual there, of all types.
        low: the least that is usual.
        high: the most.
    """

    consumer_id: uuid.UUID
    kind: Kind
    event_type: str | None
    hours: int
    observed: float
    expected: float
    low: float
    high: float

    @property
    def slot(self) -> tuple[uuid.UUID, str, str | None]:
        """What it is, so that no two are open at once: to have few events is silence, better."""
        return self.consumer_id, "fewer" if self.kind == "silent" else self.kind, self.event_type


@dataclass(frozen=True)
class Judgement:
    """All that is odd at a snapshot.

    Attributes:
        at: the snapshot's instant.
        windows: the newest ones, by their hours.
        oddities: one for each slot, by consumer.
    """

    at: dt.datetime
    windows: dict[int, Window]
    oddities: list[Oddity]


def newest(connection: Connection, settings: Settings) -> tuple[dt.datetime, dt.timedelta] | None:
    """Return the schedule's newest snapshot, and the time since the one due before it.

    None where the schedule has no instants, or nothing was written at the newest.
    """
    schedule = Schedule(settings.schedule, settings.zone)
    if schedule.timeless:
        return None
    latest = scalar_of(connection, "monitoring/anomalies/newest")
    if latest is None:
        return None
    at = schedule.last(latest)
    if at != latest and not scalar_of(connection, "monitoring/anomalies/there", {"at": at}):
        return None
    before = schedule.last(at - dt.timedelta(microseconds=1))
    return at, at - before


def judge(
    connection: Connection, settings: Settings, at: dt.datetime, period: dt.timedelta
) -> Judgement:
    """Judge all consumers at a snapshot.

    Args:
        connection: to read the snapshots by, and what is known to be odd.
        settings: for the thresholds and the zone.
        at: the snapshot's instant.
        period: from the schedule's snapshot before it.
    """
    windows = ending_at(at, period, settings.zone)
    instants = {one.begins for one in windows} | {one.ends for one in windows}
    with (
        connection.transaction(),
        connection.cursor(row_factory=class_row(Oddity)) as cursor,
    ):
        # Of what comes out of arrays and documents nobody knows how many rows it is: taken for few,
        # they would be gone through once for each other.
        usual = scalar(connection, "select current_setting('enable_nestloop')")
        connection.execute("select set_config('enable_nestloop', 'off', true)")
        found = cursor.execute(
            query("monitoring/anomalies/judge"),
            {
                "hours": [one.hours for one in windows],
                "days": [one.day for one in windows],
                "begins": [one.begins for one in windows],
                "ends": [one.ends for one in windows],
                "instants": sorted(instants),
                "at": at,
                "day_before": days.days_before(at, 1, settings.zone),
                "week_before": days.days_before(at, 7, settings.zone),
                "periods": _LEAST_PERIODS,
                "small": _SMALL,
                "large_days": _LARGE_DAYS,
                "half": _HALF,
                "sure": _SURE,
                "fastest": _FASTEST,
                "least_dispersion": _LEAST_DISPERSION,
                "crowd": _CROWD,
                "back": _BACK,
                "common": _COMMON,
                "few": _FEW,
                "events": settings.anomaly_events,
                "ratio": settings.anomaly_ratio,
                "nearby": 1 + _NEARBY * (settings.anomaly_ratio - 1),
                "score": settings.anomaly_score,
                "silence": _SILENCE * settings.anomaly_score,
                "lost": settings.anomaly_customers,
                "flood": _FLOOD,
            },
        ).fetchall()
        # In a transaction of the caller's it would stay.
        connection.execute("select set_config('enable_nestloop', %s, true)", [usual])
    return Judgement(
        at,
        {one.hours: one for one in windows if one.day == 0},
        list(_shortest(found)),
    )


def _shortest(found: list[Oddity]) -> Iterator[Oddity]:
    """Yield of each slot the one in the shortest window; without what a flood explains."""
    flooded = {one.consumer_id for one in found if one.kind == "type"}
    seen = set()
    for one in found:
        if one.slot in seen or (one.kind == "more" and one.consumer_id in flooded):
            continue
        seen.add(one.slot)
        yield one
