"""What runs in several shards tell, together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from consumer_analytics.etl.models import BadRows, Corrections, RunSummary
from consumer_analytics.etl.run import Opening
from consumer_analytics.shards.sessions import Shard, each
from consumer_analytics.shards.together import Published
from consumer_analytics.sql import query

_UNKNOWN = "unknown_consumers"


@dataclass(frozen=True)
class ShardedSummary:
    """What a run over all shards has done.

    Attributes:
        whole: of all together; snapshots are those that were published.
        shards: what the run in each shard tells, by its name.
    """

    whole: RunSummary
    shards: dict[str, dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Return it for `metadata_json` and `--json`."""
        return self.whole.as_json() | {"shards": self.shards}


def registered_elsewhere(
    shards: Sequence[Shard], told: Mapping[str, Mapping[str, Any]]
) -> frozenset[str]:
    """Return those of the consumers that some shard does not know whom another one knows."""
    unknown = sorted({one for of in told.values() for one in of["bad_rows"].get(_UNKNOWN, ())})
    if not unknown:
        return frozenset()

    def known(shard: Shard) -> set[str]:
        statement = query("shards/summaries/registered", shard.settings.sources)
        rows = shard.connection.execute(statement, {"consumers": unknown})
        return {str(consumer) for (consumer,) in rows}

    return frozenset().union(*each(shards, known).values())


def together(
    opening: Opening,
    told: dict[str, dict[str, Any]],
    published: Published,
    registered: frozenset[str],
) -> ShardedSummary:
    """Put together what the shards' runs tell."""

    def summed(name: str) -> int:
        return sum(one[name] for one in told.values())

    missing = {at for one in told.values() for at in one["not_recountable"]}
    starts = [one["window_start"] for one in told.values()]
    whole = RunSummary(
        run_key=opening.key,
        window=(_instant(starts[0]), opening.reached) if all(starts) else None,
        requested=opening.requested,
        rows_read=summed("rows_read"),
        new_events=summed("new_events"),
        new_customers=summed("new_customers"),
        snapshots_written=published.inserted,
        snapshots_restated=published.restated,
        held_back_by=opening.held_back_by,
        corrections=_corrections([one["corrections"] for one in told.values()]),
        not_recountable=tuple(sorted(_instant(at) for at in missing)),
        noted_as_vanished=summed("noted_as_vanished"),
        bad_rows=_bad_rows([one["bad_rows"] for one in told.values()], registered),
        seconds=_slowest([one["seconds"] for one in told.values()]),
    )
    return ShardedSummary(whole, told)


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _corrections(told: Sequence[Mapping[str, Any]]) -> Corrections:
    days = [dt.date.fromisoformat(one["from"]) for one in told if one["from"]]
    counts = {
        name: sum(one[name] for one in told) for name in ("found", "vanished", "noted", "came_back")
    }
    return Corrections(min(days, default=None), **counts)


def _bad_rows(told: Sequence[Mapping[str, Any]], registered: frozenset[str]) -> BadRows:
    counts = {
        one.name: sum(of.get(one.name, 0) for of in told)
        for one in fields(BadRows)
        if one.name != _UNKNOWN
    }
    unknown = {one for of in told for one in of.get(_UNKNOWN, ())} - registered
    return BadRows(**counts, unknown_consumers=tuple(sorted(unknown)))


def _slowest(told: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return how long each step took in the shard in which it took longest."""
    names = dict.fromkeys(name for one in told for name in one)
    return {name: max(one.get(name, 0.0) for one in told) for name in names}
