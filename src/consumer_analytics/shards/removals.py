"""Snapshots taken back over all shards: first in each of them, then what was published of them.

    look in each, and here ──> take back in each ──> take back here

What dies in between leaves what is published as it was, and named as waiting; the same command
goes on from there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from consumer_analytics.etl import watermark
from consumer_analytics.operations import snapshots
from consumer_analytics.operations.snapshots import Found, Removal, Selection, SnapshotEntry
from consumer_analytics.settings import Settings
from consumer_analytics.shards import runs, together
from consumer_analytics.shards.runs import Workplace
from consumer_analytics.shards.sessions import each

Notify = Callable[[str], None]


@dataclass(frozen=True)
class ShardedRemoval:
    """What was taken back over all shards, or would be.

    Attributes:
        whole: of what is published, and of what shards have that is not; rows are those of the
            latter only where nothing of the instant was published.
        shards: how many instants each shard has something of, by its name.
    """

    whole: Removal
    shards: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return self.whole.as_json() | {
            "shards": {name: {"snapshots": n} for name, n in self.shards.items()}
        }


def remove(
    settings: Settings,
    selection: Selection,
    *,
    who: str,
    reason: str = "",
    dry_run: bool = False,
    notify: Notify = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ShardedRemoval:
    """Take snapshots back, in every shard and of what is published.

    Args:
        settings: with the file of shards.
        selection: as `operations.snapshots.remove` has it, and what follows.
        who: who asks.
        reason: why.
        dry_run: say what would be removed, and remove nothing.
        notify: told what a person should know.
        progress: told how many instants are done of what is published, and how many there are.

    Raises:
        UsageError: there is nothing to remove at an instant that was named, or in the range.
        ConsumerAnalyticsError: as `operations.snapshots.remove`; `ShardsError` names the shard.
    """
    with runs.over_all(settings, "snapshots remove", notify) as place:
        here = snapshots.found_of(place.analytics, selection)
        there = each(
            place.shards, lambda shard: snapshots.found_of(shard.connection, selection).entries
        )
        found, unpublished = _together(here, there.values())
        snapshots.require(found, selection)
        instants = {one.at for one in found.entries}
        of_shard = {
            name: [one for one in entries if one.at in instants] for name, entries in there.items()
        }
        numbers = {name: len(entries) for name, entries in of_shard.items()}
        planned = _planned(place, selection, found)
        if dry_run:
            return ShardedRemoval(planned, numbers)
        how: dict[str, Any] = {"who": who, "reason": reason}
        gone = each(
            place.shards,
            lambda shard: snapshots.take_back(
                shard.connection, shard.settings, of_shard[shard.name], selection.consumers, **how
            ),
        )
        rows, owed = snapshots.take_back(
            place.analytics,
            place.settings,
            here.entries,
            selection.consumers,
            progress=progress,
            **how,
        )
        # Nothing of them waits for a shard any more, and what was in between is read.
        published = together.publish(
            place.analytics, place.settings, place.shards, f"snapshots remove by {who}"
        )
        together.tell_awaited(published, notify)
    promised = set(owed).union(*(of for _, of in gone.values()))
    rows += sum(one.rows for one in unpublished)
    return ShardedRemoval(
        replace(planned, rows=rows, no_longer_owed=tuple(sorted(promised))), numbers
    )


def _together(
    here: Found, there: Iterable[tuple[SnapshotEntry, ...]]
) -> tuple[Found, list[SnapshotEntry]]:
    """Put together what is meant of what is published, and of what shards have besides.

    Returns:
        All of it; and what is not published, its rows those of all shards.
    """
    entries = {one.at: one for one in here.entries}
    # What was thinned here a shard may still have, or have again: the next maintenance removes it.
    known = entries.keys() | set(here.left)
    known |= {one.at for one in here.others if one.state == "thinned"}
    besides: dict[dt.datetime, SnapshotEntry] = {}
    for one in (entry for of in there for entry in of):
        if one.at in entries:
            entries[one.at] = replace(
                entries[one.at], is_owed=entries[one.at].is_owed or one.is_owed
            )
        elif one.at not in known:
            before = besides.get(one.at)
            besides[one.at] = (
                one
                if before is None
                else replace(
                    before,
                    rows=before.rows + one.rows,
                    revisions=before.revisions + one.revisions,
                    is_owed=before.is_owed or one.is_owed,
                )
            )
    both: Mapping[dt.datetime, SnapshotEntry] = entries | besides
    found = Found(
        tuple(both[at] for at in sorted(both)),
        tuple(one for one in here.others if one.at not in besides),
        here.left,
    )
    return found, list(besides.values())


def _planned(place: Workplace, selection: Selection, found: Found) -> Removal:
    lost = each(
        place.shards,
        lambda shard: snapshots.not_writable(shard.connection, shard.settings, found.entries),
    )
    return Removal(
        found.entries,
        sum(one.rows for one in found.entries),
        () if selection.consumers else tuple(one.at for one in found.entries if one.is_owed),
        found.left,
        tuple(sorted(set().union(*lost.values()))),
        watermark.processed_through(place.analytics) in [one.at for one in found.entries],
    )
