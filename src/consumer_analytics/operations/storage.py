"""How much room everything takes, and will take: a forecast from what is there.

Snapshots grow with the schedule, counts and sources with the events of the
trailing month, revisions with the restatements of it. Consumers are taken to
stay as many as they are. Thinning is applied to what is there and to what will
be, so that its gain shows before it is turned on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.calendar import instants
from consumer_analytics.calendar.schedule import Schedule
from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.operations.thinning import Policy, SnapshotInstant
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query, source_regclass

HORIZONS = (30, 90, 365)
#: Days that the growth is taken from.
_TRAILING = 30
#: How far a disk's end is looked for.
_FARTHEST = 3650
_WEEK = 7
#: Bytes of a row with its indexes, where a table has too few to tell.
_USUAL = {"snapshots": 900.0, "revisions": 900.0, "counts": 120.0, "events": 250.0}


@dataclass(frozen=True)
class Storage:
    """What is there, and what it grows by.

    Attributes:
        at: when it was looked at.
        bytes_by_kind: `snapshots`, `revisions`, `counts`, `state`, `sources` (the user's
            own tables), `airflow` where its tables are in this database.
        database_bytes: the whole database.
        growth_by_kind: bytes a day, nothing thinned.
        snapshots_a_day: as the schedule has it.
        rows_of_a_snapshot: the latest one's.
        bytes_of_a_snapshot: all its rows.
        instants: of the snapshots that are there.
        policy: which snapshots are kept.
    """

    at: dt.datetime
    bytes_by_kind: dict[str, int]
    database_bytes: int
    growth_by_kind: dict[str, float]
    snapshots_a_day: float
    rows_of_a_snapshot: int
    bytes_of_a_snapshot: float
    instants: tuple[dt.datetime, ...]
    policy: Policy

    @property
    def ours(self) -> int:
        """Bytes of the product's own tables."""
        return sum(
            n for kind, n in self.bytes_by_kind.items() if kind not in {"sources", "airflow"}
        )

    def ours_in(self, days: int, *, thinning: bool = True) -> int:
        """Return the bytes that the product's own tables will take."""
        others = sum(
            self.growth_by_kind.get(kind, 0) * days for kind in ("revisions", "counts", "state")
        )
        return round(self.ours + others + self._snapshots_in(days, thinning=thinning))

    def database_in(self, days: int, *, thinning: bool = True) -> int:
        """Return the bytes that the whole database will take."""
        sources = self.growth_by_kind.get("sources", 0) * days
        return round(
            self.database_bytes + self.ours_in(days, thinning=thinning) - self.ours + sources
        )

    def _snapshots_in(self, days: int, *, thinning: bool) -> float:
        """Return what the snapshots' bytes will have changed by."""
        new = self.snapshots_a_day * days
        if not thinning or not self.policy.thins:
            return new * self.bytes_of_a_snapshot
        then = self.at + dt.timedelta(days=days)
        kept = len(self.policy.kept(map(SnapshotInstant, self.instants), then))
        kept_of_new = self.policy.kept_of_new(self.snapshots_a_day, days)
        # A file shrinks only at its end, and what was thinned is used again.
        return max(kept + kept_of_new - len(self.instants), 0) * self.bytes_of_a_snapshot

    def days_until(self, full: Callable[[int], bool]) -> int | None:
        """Return in how many days something is full; None where not within ten years."""
        if not full(_FARTHEST):
            return None
        lower, upper = 0, _FARTHEST
        while lower < upper:
            middle = (lower + upper) // 2
            lower, upper = (lower, middle) if full(middle) else (middle + 1, upper)
        return lower

    def days_until_grown_by(self, free: int) -> int | None:
        """Return in how many days the database has grown by so many bytes."""
        return self.days_until(lambda days: self.database_in(days) - self.database_bytes >= free)

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "at": self.at,
            "bytes": self.ours,
            "bytes_by_kind": self.bytes_by_kind,
            "database_bytes": self.database_bytes,
            "growth_bytes_a_day": {kind: round(n) for kind, n in self.growth_by_kind.items()},
            "snapshots_a_day": round(self.snapshots_a_day, 3),
            "rows_of_a_snapshot": self.rows_of_a_snapshot,
            "bytes_of_a_snapshot": round(self.bytes_of_a_snapshot),
            "thinning": self.policy.thins,
            "forecast": [
                {
                    "days": days,
                    "bytes": self.ours_in(days),
                    "bytes_without_thinning": self.ours_in(days, thinning=False),
                    "database_bytes": self.database_in(days),
                }
                for days in HORIZONS
            ],
        }


def measure(connection: Connection, settings: Settings) -> Storage:
    """Measure what is there and what it grows by."""
    now = instants.now(connection)
    tables = AirflowTables.find(connection)
    sizes: dict[str, int] = dict(
        connection.execute(
            query("operations/storage/sizes", settings.sources),
            {"airflow_schema": tables.schema if tables is not None else None},
        ).fetchall()
    )
    rows, revisions, cells, events, weights = connection.execute(
        query("operations/storage/rates"),
        {
            "days": _TRAILING,
            "events": source_regclass(settings.sources, "customer_events"),
        },
    ).fetchone() or (0, 0.0, 0.0, 0.0, None)
    weigh = {**_USUAL, **(weights or {})}
    rate = _snapshots_a_day(settings, now)
    there = tuple(
        at
        for (at,) in connection.execute(
            "select snapshot_timestamp from public.consumer_analytics "
            "where consumer_id is null order by 1"
        )
    )
    return Storage(
        now,
        sizes,
        scalar(connection, "select pg_database_size(current_database())"),
        {
            "snapshots": rows * weigh["snapshots"] * rate,
            "revisions": revisions * weigh["revisions"],
            "counts": cells * weigh["counts"],
            "sources": events * weigh["events"],
        },
        rate,
        rows,
        rows * weigh["snapshots"],
        there,
        Policy.of(settings),
    )


def _snapshots_a_day(settings: Settings, now: dt.datetime) -> float:
    """Return how many snapshots the schedule writes a day, over four weeks of it."""
    schedule = Schedule(settings.schedule, settings.zone)
    if schedule.timeless:
        return 0.0
    first = at = schedule.after(now)
    end = first + dt.timedelta(days=4 * _WEEK)
    n = 0
    while at < end:
        n += 1
        at = schedule.after(at)
    return n / (4 * _WEEK)
