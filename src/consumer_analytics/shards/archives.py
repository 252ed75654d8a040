"""Archiving over all shards: each shard's closed days, in an archive of its own.

Nothing is written before every shard could begin. Which days a shard's archive has is said in that
shard, and figures are the same wherever an event lies: what dies in between leaves some further
than others, and the same command goes on.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consumer_analytics.operations.archive import ArchiveResult, require_lake, require_ready
from consumer_analytics.operations.archive import archive as archive_one
from consumer_analytics.settings import Settings
from consumer_analytics.shards import runs, sessions
from consumer_analytics.shards.sessions import Shard, each

Notify = Callable[[str], None]

_PURPOSE = "archive"


@dataclass(frozen=True)
class ShardedArchive:
    """What was archived over all shards.

    Attributes:
        whole: of all together; days are the most that a shard has archived now, and the first day
            of its own that of the shard whose archive reaches least far.
        shards: of each, by its name.
    """

    whole: ArchiveResult
    shards: dict[str, ArchiveResult]

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return self.whole.as_json() | {
            "shards": {name: one.as_json() for name, one in self.shards.items()}
        }


def archive(
    settings: Settings,
    through: dt.date,
    *,
    notify: Notify = lambda _: None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> ShardedArchive:
    """Archive all days up to one, this one included, in every shard.

    Args:
        settings: with the file of shards.
        through: the last UTC day.
        notify: told what a person should know.
        progress: told how many days of all shards are done, of how many.

    Raises:
        ConsumerAnalyticsError: as `operations.archive.archive`; `ShardsError` names the shard.
    """
    require_lake(settings)
    with runs.over_all(settings, _PURPOSE, notify) as place:
        each(
            place.shards,
            lambda shard: require_ready(
                shard.connection, shard.settings, through, shard.telling(notify)
            ),
        )
    done: dict[str, tuple[int, int]] = {}
    lock = threading.Lock()

    def work(shard: Shard) -> ArchiveResult:
        def shown(days: int, of: int) -> None:
            with lock:
                done[shard.name] = (days, of)
                progress(sum(n for n, _ in done.values()), sum(n for _, n in done.values()))

        return archive_one(shard.connection, shard.settings, through, progress=shown)

    # Runs have their turn meanwhile: each day has its shard's lock, as in one database.
    with sessions.opened(settings, _PURPOSE) as shards:
        found = each(shards, work)
    parts = found.values()
    whole = ArchiveResult(
        min(one.first_day for one in parts),
        days=max(one.days for one in parts),
        rows=sum(one.rows for one in parts),
        late_rows=sum(one.late_rows for one in parts),
        bytes=sum(one.bytes for one in parts),
        files=sum(one.files for one in parts),
        rows_before_calendar=sum(one.rows_before_calendar for one in parts),
    )
    return ShardedArchive(whole, found)
