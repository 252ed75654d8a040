"""Each day of a simulated year judged as the monitor does: what is told, how late, for nothing."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field

from tests.support.anomalies.years import DAY, FIRST, Consumer, snapshots

from consumer_analytics.db.connection import Connection
from consumer_analytics.monitoring import anomalies
from consumer_analytics.settings import Settings

#: Events that a day should have, for what is odd on it to be told at once.
ENOUGH = 20
#: What tells of what was put in.
TELLING = {
    "silence": {"silent", "fewer"},
    "halving": {"silent", "fewer"},
    "doubling": {"more"},
    "loss": {"customers"},
    "flood": {"type", "more"},
}
#: Days after something was put in, within which what is told may still be of it: to come back to
#: what is usual is a change, too, for windows of four weeks.
_AFTER = 56
#: A year's first days tell nothing: there is no rhythm yet.
_WARM = 36


@dataclass(frozen=True)
class Told:
    """Something that was put in, and when it was told.

    Attributes:
        kind: of it.
        daily: events that a day would have had, in the mean of its first week.
        days: after how many days it was told; None for never.
        periods: how many of these were ones in which at least 20 events would have come.
        missed: events that would have come until then.
        whose: what the consumer is like.
    """

    kind: str
    daily: float
    days: int | None
    periods: int
    missed: float
    whose: str = ""


@dataclass
class Rates:
    """What came of judging.

    Attributes:
        told: of what was put in.
        weeks: consumer-weeks without anything put in.
        false_alarms: what was told in these, by kind.
    """

    told: list[Told] = field(default_factory=list)
    weeks: float = 0.0
    false_alarms: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    examples: list[str] = field(default_factory=list)

    @property
    def per_thousand_weeks(self) -> float:
        """False alarms per 1,000 consumer-weeks."""
        return 1_000 * sum(self.false_alarms.values()) / self.weeks if self.weeks else 0.0

    def add(self, other: Rates) -> None:
        """Take in what came of another year."""
        self.told += other.told
        self.weeks += other.weeks
        self.examples += other.examples
        for kind, count in other.false_alarms.items():
            self.false_alarms[kind] += count


def judge_year(connection: Connection, settings: Settings, consumers: list[Consumer]) -> Rates:
    """Write a year's snapshots, judge day by day, and compare with what was put in."""
    connection.execute(
        "truncate consumer_analytics, consumer_analytics_internal.anomalies restart identity"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "copy consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) from stdin"
        ) as copy,
    ):
        for row in snapshots(consumers):
            copy.write_row(row)
    connection.execute("analyze consumer_analytics")
    for day in range(_WARM, len(consumers[0].events) + 1):
        with connection.transaction():
            found = anomalies.judge(connection, settings, FIRST + day * DAY, DAY)
            anomalies.note(connection, found)
    return _compared(connection, consumers)


def _compared(connection: Connection, consumers: list[Consumer]) -> Rates:
    noticed: dict[object, list[tuple[str, int, str]]] = defaultdict(list)
    for consumer_id, kind, ends, told in connection.execute(
        "select consumer_id, kind, ends, "
        "format('%s of %s in %s', observed, expected, ends - begins) "
        "from consumer_analytics_internal.anomalies order by ends"
    ):
        noticed[consumer_id].append((kind, (ends - FIRST).days, told))
    rates = Rates()
    for one in consumers:
        days = len(one.events)
        first, last = (one.incident.first, one.incident.last) if one.incident else (days, days)
        aside = max(min(last + _AFTER, days) - first, 0)
        rates.weeks += max(days - max(one.begins, _WARM) - aside, 0) / 7
        for kind, day, told in noticed[one.consumer_id]:
            # A snapshot of day d ends the day before it.
            if not first < day <= last + _AFTER:
                rates.false_alarms[kind] += 1
                rates.examples.append(
                    f"{kind} day {day}: {told}; level {one.level:.1f} week {one.week[5]} noise "
                    f"{one.noise} batch {one.batch} begins {one.begins} feast {one.feast:.2f}"
                )
        if one.incident and one.begins < one.incident.first - 7 * 12:
            days_until = [
                day - first
                for kind, day, _ in noticed[one.consumer_id]
                if kind in TELLING[one.incident.kind] and first < day <= last + 1
            ]
            after = min(days_until, default=None)
            rates.told.append(
                Told(
                    one.incident.kind,
                    sum(one.expected[first : first + 7]) / 7,
                    after,
                    sum(mean >= ENOUGH for mean in one.expected[first : first + (after or 0)]),
                    sum(one.expected[first : first + (after or last + 1 - first)]),
                    f"from day {first}, a {first % 7} of the week; week {one.week[5]} "
                    f"noise {one.noise} batch {one.batch} feast {one.feast:.2f}",
                )
            )
    return rates


def at(day: int) -> dt.datetime:
    """Return the instant of a day's snapshot."""
    return FIRST + day * DAY
