"""Sweeps and capture over all shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from consumer_analytics.db import schema
from consumer_analytics.etl import capture as etl_capture
from consumer_analytics.etl import federation, vanished
from consumer_analytics.etl.capture import CaptureStatus
from consumer_analytics.reconcile.sweep import SweepResult
from consumer_analytics.reconcile.sweep import sweep as sweep_one
from consumer_analytics.settings import Settings
from consumer_analytics.shards import runs, sessions, together
from consumer_analytics.shards.sessions import Shard, each

Notify = Callable[[str], None]

#: Differences listed; all are counted.
_LISTED = 20


@dataclass(frozen=True)
class ShardedSweep:
    """What a sweep of all shards found and did.

    Attributes:
        whole: all together; snapshots are those that were published.
        shards: of each, by its name.
    """

    whole: SweepResult
    shards: dict[str, SweepResult]

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return self.whole.as_json() | {
            "shards": {name: one.as_json() for name, one in self.shards.items()}
        }


def sweep(settings: Settings, notify: Notify, **options: Any) -> ShardedSweep:
    """Sweep every shard, and publish what has changed.

    Args:
        settings: with the file of shards.
        notify: told what is under way.
        **options: as `reconcile.sweep.sweep` has them.

    Raises:
        ConsumerAnalyticsError: as sweeps do; `ShardsError` names the shard.
    """
    with runs.over_all(settings, "sweep", notify) as place:
        chosen = options.get("accepted") or options.get("restored")
        runs.require_known(
            place,
            lambda shard: vanished.strangers(shard.connection, shard.settings, chosen),
        )
        vanished.require_known_types(
            runs.unknown(place, lambda shard: vanished.strange_types(shard.connection, chosen))
        )
        found = each(
            place.shards,
            lambda shard: sweep_one(
                shard.connection, shard.settings, notify=shard.telling(notify), **options
            ),
        )
        published = together.publish(
            place.analytics, place.settings, place.shards, "sweep of all shards"
        )
        together.tell_awaited(published, notify)
    first = next(iter(found.values()))
    counts: dict[str, Any] = {
        one.name: sum(getattr(of, one.name) for of in found.values())
        for one in fields(SweepResult)
        if isinstance(getattr(first, one.name), int)
    }
    whole = replace(
        first,
        **counts,
        since=min((one.since for one in found.values() if one.since is not None), default=None),
        differences=tuple(one for of in found.values() for one in of.differences)[:_LISTED],
    )
    whole = replace(whole, snapshots_restated=published.inserted + published.restated)
    return ShardedSweep(whole, found)


def capture(
    settings: Settings, purpose: str, change: Callable[[Shard], tuple[str, ...]] | None
) -> tuple[dict[str, CaptureStatus], dict[str, tuple[str, ...]]]:
    """Switch capture in every shard, or look at it.

    Args:
        settings: with the file of shards.
        purpose: shown in the sessions' names.
        change: `enable` or `disable`; None to look alone.

    Returns:
        By shard, how it is now, and triggers that are left where it was switched off.

    Raises:
        ConsumerAnalyticsError: as capture does; `ShardsError` names the shard.
    """

    def work(shard: Shard) -> tuple[CaptureStatus, tuple[str, ...]]:
        schema.require_current(shard.connection)
        federation.require_own(shard.connection)
        left = () if change is None else change(shard)
        return etl_capture.status(shard.connection, shard.settings), left

    with sessions.opened(settings, purpose, works_long=False) as shards:
        found = each(shards, work)
    return (
        {name: status for name, (status, _) in found.items()},
        {name: left for name, (_, left) in found.items()},
    )


def enable(shard: Shard) -> tuple[str, ...]:
    """Switch capture on in a shard."""
    runs.require_usable(shard, lambda _: None)
    etl_capture.enable(shard.connection, shard.settings)
    return ()


def disable(shard: Shard) -> tuple[str, ...]:
    """Switch capture off in a shard; return triggers that are left."""
    return tuple(etl_capture.disable(shard.connection, shard.settings))
