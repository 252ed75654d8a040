"""What came of a backfill."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SnapshotCounts:
    """What was written, of a chunk or of all of them.

    Attributes:
        periods: how many are done.
        new: rows of snapshots that were not there.
        untouched: rows that were there and right.
        restated: rows that were there and are now as the sources say.
    """

    periods: int = 0
    new: int = 0
    untouched: int = 0
    restated: int = 0

    def __add__(self, other: SnapshotCounts) -> SnapshotCounts:
        return SnapshotCounts(
            self.periods + other.periods,
            self.new + other.new,
            self.untouched + other.untouched,
            self.restated + other.restated,
        )


@dataclass(frozen=True)
class BackfillResult:
    """What came of a backfill that has ended well.

    Attributes:
        backfill_id: of its record.
        start_date: the first day that was asked for.
        end_date: the day after the last one.
        interval: the name of the interval.
        timezone: the IANA name of the zone whose days were meant.
        periods: how many are done.
        periods_purged: how many were left out, because the source no longer tells them.
        not_recountable: their ends.
        periods_before_first_row: how many were left out, because there was no row yet.
        snapshots_written: rows that were not there.
        snapshots_untouched: rows that were there and right.
        snapshots_restated: rows that were there and are now as the sources say.
        seconds: that each step took; of both sessions together, where there were two.
    """

    backfill_id: int
    start_date: dt.date
    end_date: dt.date
    interval: str
    timezone: str
    periods: int
    periods_purged: int
    not_recountable: tuple[dt.datetime, ...]
    periods_before_first_row: int
    snapshots_written: int
    snapshots_untouched: int
    snapshots_restated: int
    seconds: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)
