"""Thinning: which snapshots the settings do without, and removing them.

Whole snapshots go, with what they said before they were restated. It is off unless a
setting turns it on. What is removed is noted, so that no audit takes it for lost, and the
windows of the snapshots after it stay as they were. The counts by day stay: a backfill can
write a thinned snapshot again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from consumer_analytics.calendar import days, instants
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.formatting import counted
from consumer_analytics.operations import tables
from consumer_analytics.operations.part import MaintenancePart
from consumer_analytics.settings import PREFIX, Settings
from consumer_analytics.sql import query

#: What thinning is called among the parts of a maintenance.
PART = "snapshots"
_MICROSECOND = dt.timedelta(microseconds=1)
#: Instants thinned in one transaction.
_AT_ONCE = 200
#: Tables that are thinned.
TABLES = ("public.consumer_analytics", "public.consumer_analytics_revisions")


@dataclass(frozen=True)
class SnapshotInstant:
    """An instant with snapshots.

    Attributes:
        at: when.
        is_whole: whether it has a row of the whole system.
        is_removable: whether thinning may remove it at all.
        is_reported: whether it is what people read; several databases may have some that wait.
    """

    at: dt.datetime
    is_whole: bool = True
    is_removable: bool = True
    is_reported: bool = True


@dataclass(frozen=True)
class Stage:
    """A part of the past in which one snapshot a period is kept.

    Attributes:
        after_days: the age from which on, in days.
        period: whose last snapshot stays.
    """

    after_days: int
    period: days.Period


@dataclass(frozen=True)
class Policy:
    """Which snapshots are kept.

    Attributes:
        stages: each older and thinner than the one before; none where all are kept.
        zone: whose days and weeks are meant.
    """

    stages: tuple[Stage, ...]
    zone: ZoneInfo

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """Return the configured one."""
        return cls(
            tuple(
                Stage(tier.days, days.PERIODS[tier.period])
                for tier in settings.tiers
                if tier.days is not None
            ),
            settings.zone,
        )

    @property
    def thins(self) -> bool:
        """Whether anything is ever removed."""
        return bool(self.stages)

    def horizon(self, stage: Stage, now: dt.datetime) -> dt.datetime:
        """Return the instant up to which a stage thins.

        It is a midnight of the zone, so that a day is thinned as a whole.
        """
        today = days.day_of(now, self.zone)
        if stage.after_days >= today.toordinal():
            return MINUS_INFINITY
        return days.start_of_day(today - dt.timedelta(days=stage.after_days), self.zone)

    def kept(self, there: Iterable[SnapshotInstant], now: dt.datetime) -> list[SnapshotInstant]:
        """Return which of the instants stay, ascending.

        Of each period the last stays, one that is reported before one that waits, one of the
        whole system before one of some consumers only, and of two midnights the first.
        """
        horizons = [(self.horizon(stage, now), stage) for stage in reversed(self.stages)]
        # By the stage and the first day of its period; by themselves what no stage thins.
        last: dict[object, SnapshotInstant] = {}
        for one in sorted(there, key=self._rank):
            stage = next((stage for horizon, stage in horizons if one.at <= horizon), None)
            if stage is None:
                last[one.at] = one
            else:
                day = days.day_ended_by(one.at, self.zone)
                last[stage, stage.period.first_day(day)] = one
        return sorted(last.values(), key=lambda one: one.at)

    def superfluous(self, there: Sequence[SnapshotInstant], now: dt.datetime) -> list[dt.datetime]:
        """Return those of the instants that go, in the order in which they are given."""
        kept = set(self.kept(there, now))
        return [one.at for one in there if one.is_removable and one not in kept]

    def _rank(self, one: SnapshotInstant) -> tuple[bool, bool, dt.datetime]:
        """Return what is the greater, the rather an instant stands for its period."""
        at = one.at
        if days.is_second_midnight(at, self.zone):
            at = days.start_of_day(days.day_of(at, self.zone), self.zone) - _MICROSECOND
        return one.is_reported, one.is_whole, at

    def kept_of_new(self, a_day: float, ahead: int) -> float:
        """Return how many of the snapshots of the days ahead will be kept at their end.

        Args:
            a_day: how many there will be a day.
            ahead: how many days.
        """
        kept, begin, rate = 0.0, 0, a_day
        for stage in self.stages:
            end = min(ahead, stage.after_days)
            kept += rate * max(end - begin, 0)
            begin, rate = max(begin, end), min(a_day, 1 / stage.period.days)
        return kept + rate * max(ahead - begin, 0)


@dataclass(frozen=True)
class Thinned:
    """What went with some instants, or would.

    Attributes:
        snapshots: how many rows.
        revisions: how many that kept what they said before.
        bytes: their own size.
    """

    snapshots: int = 0
    revisions: int = 0
    bytes: int = 0

    def __add__(self, other: Thinned) -> Thinned:
        """Return both together."""
        return Thinned(
            self.snapshots + other.snapshots,
            self.revisions + other.revisions,
            self.bytes + other.bytes,
        )

    def described(self, instants: int) -> str:
        """Say what it is, of how many instants."""
        told = f"{counted(self.snapshots, 'row')} and {counted(self.revisions, 'revision')}"
        return f"{counted(instants, 'instant')}: {told} of theirs"


def thin(
    connection: Connection,
    settings: Settings,
    *,
    dry_run: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> MaintenancePart:
    """Remove the snapshots that the policy does without, some instants at a time.

    Where it is interrupted, what was removed is noted, and the next one goes on.

    Raises:
        BusyError: a run would not end.
    """
    policy = Policy.of(settings)
    if (refused := why_not(connection, settings, dry_run=dry_run)) is not None:
        return MaintenancePart(PART, skipped=refused)
    before = tables.size(connection, TABLES)
    if dry_run:
        chosen = _superfluous(connection, policy)
        gone = size_of(connection, chosen)
    else:
        gone = Thinned()
        with job_lock(connection, settings, sees_commits=True):
            forget_backfilled(connection)
            chosen = _superfluous(connection, policy)
        for chunk in chunks(chosen, notify):
            gone += remove(connection, settings, chunk)
    notes = [gone.described(len(chosen))]
    if not dry_run and gone.snapshots:
        notes += tables.vacuum(connection, TABLES)
    return MaintenancePart(
        PART,
        gone.snapshots + gone.revisions,
        bytes_removed=gone.bytes,
        bytes_before=before,
        bytes_after=before if dry_run else tables.size(connection, TABLES),
        notes=tuple(notes),
    )


def why_not(connection: Connection, settings: Settings, *, dry_run: bool) -> str | None:
    """Say why nothing is thinned; None where it is."""
    if not Policy.of(settings).thins:
        return f"thinning is off: {PREFIX}{settings.tiers[0].setting.upper()} is unset"
    if dry_run or scalar_of(connection, "operations/thinning/may-remove"):
        return None
    login = connection.info.user
    return (
        f"login {login} may not remove revisions: GRANT consumer_analytics_maintenance "
        f"TO {login} (a role that `consumer-analytics roles` makes)"
    )


def forget_backfilled(connection: Connection) -> None:
    """Forget that instants were thinned that are there again, within the caller's transaction."""
    connection.execute(query("operations/thinning/forget-backfilled"))


def there(connection: Connection, until: dt.datetime) -> list[SnapshotInstant]:
    """Return the instants up to one that have rows, ascending."""
    rows = connection.execute(query("operations/thinning/instants"), {"until": until})
    return [SnapshotInstant(*row) for row in rows]


def size_of(connection: Connection, chosen: Sequence[dt.datetime]) -> Thinned:
    """Return what would go with some instants."""
    values = {"instants": list(chosen)}
    row = connection.execute(query("operations/thinning/size"), values).fetchone()
    return Thinned(*row) if row else Thinned()


def chunks(
    chosen: Sequence[dt.datetime], notify: Callable[[str], None]
) -> Iterator[list[dt.datetime]]:
    """Yield the instants, so many together as are thinned in one transaction; tell of each."""
    for begin in range(0, len(chosen), _AT_ONCE):
        chunk = list(chosen[begin : begin + _AT_ONCE])
        notify(f"thinning {counted(len(chunk), 'snapshot')} from {chunk[0].isoformat()} on")
        yield chunk


def remove(connection: Connection, settings: Settings, chosen: Sequence[dt.datetime]) -> Thinned:
    """Remove what some instants have, and note it, in one transaction.

    Raises:
        BusyError: a run would not end.
    """
    with job_lock(connection, settings, sees_commits=True):
        rows = _remove(connection, "snapshots-remove", chosen)
        theirs = _remove(connection, "revisions-remove", chosen)
    return Thinned(rows.rows, theirs.rows, rows.bytes + theirs.bytes)


def _superfluous(connection: Connection, policy: Policy) -> list[dt.datetime]:
    """Return the instants that the policy does without, ascending."""
    now = instants.now(connection)
    return policy.superfluous(there(connection, policy.horizon(policy.stages[0], now)), now)


def _remove(connection: Connection, what: str, chosen: Sequence[dt.datetime]) -> tables.Removed:
    """Remove what these instants have."""
    return tables.removed(
        connection, query(f"operations/thinning/{what}"), {"instants": list(chosen)}
    )
