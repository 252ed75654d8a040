"""A backfill at work: what its steps share, and what came of them so far."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from consumer_analytics.backfill.request import Request
from consumer_analytics.backfill.result import SnapshotCounts
from consumer_analytics.settings import Settings


@dataclass
class Counts:
    """What came of a backfill so far; two sessions may add to it at the same time.

    Attributes:
        written: what was written.
        outdated: whether some of it was written from counts that have changed since.
        seconds: that each step took; of both sessions together, where there are two.
    """

    written: SnapshotCounts = field(default_factory=SnapshotCounts)
    outdated: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time that the block takes to a step's."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add_seconds(step, time.monotonic() - started)

    def add_seconds(self, step: str, took: float) -> None:
        """Add so many seconds to a step's."""
        with self._lock:
            self.seconds[step] = round(self.seconds.get(step, 0) + took, 3)

    def add(self, written: SnapshotCounts, *, outdated: bool = False) -> None:
        """Add what was written; `outdated` where its counts have changed since."""
        with self._lock:
            self.written += written
            self.outdated = self.outdated or outdated


@dataclass
class Job:
    """A backfill at work, in one session or two.

    Attributes:
        settings: for the zone and the source's schema.
        request: what is asked for.
        backfill_id: of its record.
        notify: told what a person should know.
        progress: told how many periods are done.
        counts: what came of it so far.
        stopped: set when one of two sessions has failed, or is to end.
        put_off: rows of other windows than the periods', to be written after all else: consumer
            (None: all, and the whole system), instant, and where its window begins.
        corrected: days of which lifecycle events were taken out, as was judged.
    """

    settings: Settings
    request: Request
    backfill_id: int
    notify: Callable[[str], None]
    progress: Callable[[int], None]
    counts: Counts = field(default_factory=Counts)
    stopped: threading.Event = field(default_factory=threading.Event)
    put_off: set[tuple[uuid.UUID | None, dt.datetime, dt.datetime]] = field(default_factory=set)
    corrected: str = "{}"

    def begin_again(self) -> None:
        """Forget what came of it, before all is done once more."""
        self.counts = Counts()
        self.put_off = set()
        self.stopped.clear()
