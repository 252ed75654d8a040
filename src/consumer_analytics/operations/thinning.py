"""Thinning: which snapshots the settings do without, and removing them.

Whole snapshots go, with what they said before they were restated. It is off unless a
setting turns it on. What is removed is noted, so that no audit takes it for lost, and the
windows of the snapshots after it stay as they were. The counts by day stay: a backfill can
write a thinned snapshot again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
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

_MICROSECOND = dt.timedelta(microseconds=1)
#: Instants thinned in one transaction.
_AT_ONCE = 200
_TABLES = ("public.consumer_analytics", "public.consumer_analytics_revisions")


@dataclass(frozen=True)
class SnapshotInstant:
    """An instant with snapshots.

    Attributes:
        at: when.
        is_whole: whether it has a row of the whole system.
        is_removable: whether thinning may remove it at all.
    """

    at: dt.datetime
    is_whole: bool = True
    is_removable: bool = True


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

        Of each period the last stays, one of the whole system before one of some consumers
        only, and of two midnights the first.
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

    def _rank(self, one: SnapshotInstant) -> tuple[bool, dt.datetime]:
        """Return what is the greater, the rather an instant stands for its period."""
        at = one.at
        if days.is_second_midnight(at, self.zone):
            at = days.start_of_day(days.day_of(at, self.zone), self.zone) - _MICROSECOND
        return one.is_whole, at

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
    if not policy.thins:
        first = settings.tiers[0].setting.upper()
        return MaintenancePart("snapshots", skipped=f"thinning is off: {PREFIX}{first} is unset")
    if not dry_run and not scalar_of(connection, "operations/thinning/may-remove"):
        login = connection.info.user
        return MaintenancePart(
            "snapshots",
            skipped=f"login {login} may not remove revisions: GRANT consumer_analytics_maintenance "
            f"TO {login} (a role that `consumer-analytics roles` makes)",
        )
    before = tables.size(connection, _TABLES)
    if dry_run:
        chosen = _superfluous(connection, policy)
        snapshots, revisions, size = connection.execute(
            query("operations/thinning/size"), {"instants": chosen}
        ).fetchone() or (0, 0, 0)
    else:
        snapshots = revisions = size = 0
        with job_lock(connection, settings, sees_commits=True):
            connection.execute(query("operations/thinning/forget-backfilled"))
            chosen = _superfluous(connection, policy)
        for begin in range(0, len(chosen), _AT_ONCE):
            chunk = chosen[begin : begin + _AT_ONCE]
            notify(f"thinning {counted(len(chunk), 'snapshot')} from {chunk[0].isoformat()} on")
            with job_lock(connection, settings, sees_commits=True):
                rows = _remove(connection, "snapshots-remove", chunk)
                theirs = _remove(connection, "revisions-remove", chunk)
            snapshots, revisions = snapshots + rows.rows, revisions + theirs.rows
            size += rows.bytes + theirs.bytes
    told = f"{counted(snapshots, 'row')} and {counted(revisions, 'revision')} of theirs"
    notes = [f"{counted(len(chosen), 'instant')}: {told}"]
    if not dry_run and snapshots:
        notes += tables.vacuum(connection, _TABLES)
    return MaintenancePart(
        "snapshots",
        snapshots + revisions,
        bytes_removed=size,
        bytes_before=before,
        bytes_after=before if dry_run else tables.size(connection, _TABLES),
        notes=tuple(notes),
    )


def _superfluous(connection: Connection, policy: Policy) -> list[dt.datetime]:
    """Return the instants that the policy does without, ascending."""
    now = instants.now(connection)
    there = [
        SnapshotInstant(*row)
        for row in connection.execute(
            query("operations/thinning/instants"),
            {"until": policy.horizon(policy.stages[0], now)},
        )
    ]
    kept = set(policy.kept(there, now))
    return [one.at for one in there if one.is_removable and one not in kept]


def _remove(connection: Connection, what: str, chosen: Sequence[dt.datetime]) -> tables.Removed:
    """Remove what these instants have."""
    return tables.removed(
        connection, query(f"operations/thinning/{what}"), {"instants": list(chosen)}
    )
