"""A backfill over all shards: each writes the same periods; what all have is published."""

from __future__ import annotations

import datetime as dt
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from consumer_analytics.backfill import BackfillResult, Estimate, Request, estimate_of, record
from consumer_analytics.backfill import backfill as backfill_one
from consumer_analytics.backfill.request import FirstRow
from consumer_analytics.backfill.result import SnapshotCounts
from consumer_analytics.calendar import periods
from consumer_analytics.errors import HeldBackError, ShardsError
from consumer_analytics.etl import sources
from consumer_analytics.settings import Settings
from consumer_analytics.shards import runs, together
from consumer_analytics.shards.runs import Workplace
from consumer_analytics.shards.sessions import Shard, each
from consumer_analytics.shards.together import Published
from consumer_analytics.sql import query

Notify = Callable[[str], None]


@dataclass(frozen=True)
class ShardedBackfill:
    """What a backfill over all shards came to.

    Attributes:
        whole: of all together; snapshots are those that were published.
        shards: of each, by its name.
    """

    whole: BackfillResult
    shards: dict[str, BackfillResult]

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return self.whole.as_json() | {
            "shards": {name: one.as_json() for name, one in self.shards.items()}
        }


def backfill(
    settings: Settings,
    request: Request,
    *,
    dry_run: bool = False,
    told: Callable[[Estimate], None] = lambda _: None,
    notify: Notify = lambda _: None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> ShardedBackfill | None:
    """Write the snapshots of a range, in every shard and put together.

    Args:
        settings: with the file of shards.
        request: what is asked for.
        dry_run: only tell what would be done.
        told: told what will be done.
        notify: told what a person should know.
        progress: told how many periods every shard has done, of how many.

    Returns:
        What came of it; None where nothing was to be done.

    Raises:
        UsageError: the range cannot be used, or a consumer is known in no shard.
        ConsumerAnalyticsError: as backfills do; `ShardsError` names the shard.
    """
    with runs.over_all(settings, "backfill", notify) as place:
        bounds = periods.bounds(request.start, request.end, request.interval, settings.zone)
        each(place.shards, lambda shard: runs.require_usable(shard, notify))
        if request.consumers is not None:
            chosen = request.consumers
            runs.require_known(
                place,
                lambda shard: sources.strangers(shard.connection, shard.settings.sources, chosen),
            )
        first = runs.first_row_after(place.shards, bounds[0])
        request = replace(request, first_row=FirstRow(first))
        estimates = each(
            place.shards,
            lambda shard: estimate_of(shard.connection, shard.settings, request),
        )
        estimate = _estimate(place, request, list(estimates.values()))
        told(estimate)
        if dry_run:
            return None
        begun = record.begin(place.analytics, settings, request, estimate.periods)
        try:
            results, published, held = _fill(place, request, estimate, bounds, notify, progress)
        except BaseException as error:
            record.close(place.analytics, begun, "failed", {}, error)
            raise
        counts = _counts(place, request, results, published, bounds)
        record.advance(place.analytics, begun, counts)
        state = "done" if held is None else "interrupted"
        record.close(place.analytics, begun, state, {}, held)
        if held is not None:
            raise held
    left_out = bisect_right(bounds, first, lo=1) - 1 if first is not None else 0
    some = next(iter(results.values()))
    refused = tuple(sorted({at for one in results.values() for at in one.not_recountable}))
    whole = replace(
        some,
        backfill_id=begun,
        periods=counts.periods,
        periods_purged=len(refused),
        not_recountable=refused,
        periods_before_first_row=left_out,
        snapshots_written=counts.new,
        snapshots_untouched=counts.untouched,
        snapshots_restated=counts.restated,
    )
    return ShardedBackfill(whole, results)


def _fill(
    place: Workplace,
    request: Request,
    estimate: Estimate,
    bounds: tuple[dt.datetime, ...],
    notify: Notify,
    progress: Callable[[int, int], None],
) -> tuple[dict[str, BackfillResult], Published, ShardsError | None]:
    """Let every shard write, and publish what all have; say who was held back."""
    done = dict.fromkeys((shard.name for shard in place.shards), 0)
    lock = threading.Lock()

    def fill(shard: Shard) -> BackfillResult | HeldBackError:
        def shown(count: int, _: int) -> None:
            with lock:
                done[shard.name] = count
                progress(min(done.values()), estimate.periods)

        try:
            return backfill_one(
                shard.connection,
                shard.settings,
                request,
                notify=shard.telling(notify),
                progress=shown,
            )
        except HeldBackError as error:
            return error

    found = each(place.shards, fill)
    published = together.publish(
        place.analytics,
        place.settings,
        place.shards,
        f"backfill of {request.start} to {request.end}",
        asked=bounds[1:] if request.consumers is None else (),
    )
    together.tell_awaited(published, notify)
    results = {name: one for name, one in found.items() if isinstance(one, BackfillResult)}
    held = next(
        (
            ShardsError(f"shard {name}: {one}")
            for name, one in found.items()
            if isinstance(one, HeldBackError)
        ),
        None,
    )
    return results, published, held


def _there(place: Workplace, request: Request, snapshots: Sequence[dt.datetime]) -> tuple[int, int]:
    """Count the instants that are published, as far as they are asked for, and their rows."""
    values: dict[str, Any] = {"snapshots": list(snapshots)}
    if request.consumers is None:
        statement = query("shards/backfills/there")
    else:
        statement = query("shards/backfills/there-chosen")
        values["consumers"] = list(request.consumers)
    return place.analytics.execute(statement, values).fetchone() or (0, 0)


def _counts(
    place: Workplace,
    request: Request,
    results: dict[str, BackfillResult],
    published: Published,
    bounds: tuple[dt.datetime, ...],
) -> SnapshotCounts:
    instants, rows = _there(place, request, bounds[1:])
    if request.consumers is not None and len(results) == len(place.shards):
        # At some of them nobody may have a row.
        refused = {at for one in results.values() for at in one.not_recountable}
        instants = max(one.periods + one.periods_purged for one in results.values()) - len(refused)
    return SnapshotCounts(
        periods=instants,
        new=published.inserted,
        untouched=max(0, rows - published.inserted - published.restated),
        restated=published.restated,
    )


def _estimate(place: Workplace, request: Request, parts: Sequence[Estimate]) -> Estimate:
    """Put estimates together: about, as consumers may be in several shards."""
    first = parts[0]
    bounds = max((one.bounds for one in parts), key=len)
    if request.consumers is None:
        consumers, there = sum(one.consumers for one in parts), min(one.there for one in parts)
    else:
        consumers, (there, _) = first.consumers, _there(place, request, bounds[1:])
    return replace(
        first,
        bounds=bounds,
        consumers=consumers,
        snapshots=sum(one.snapshots for one in parts),
        there=there,
        rows_to_scan=sum(one.rows_to_scan for one in parts),
        bytes_to_write=sum(one.bytes_to_write for one in parts),
        refused=tuple(sorted({at for one in parts for at in one.refused})),
    )
