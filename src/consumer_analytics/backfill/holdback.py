"""Waiting until a range is settled: until nothing more can be committed into it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import HeldBackError
from consumer_analytics.etl import holdback, watermark
from consumer_analytics.settings import Settings


def settled(
    connection: Connection,
    settings: Settings,
    bounds: tuple[dt.datetime, ...],
    notify: Callable[[str], None],
) -> tuple[tuple[dt.datetime, ...], HeldBackError | None]:
    """Wait for transactions that may still commit rows of the range; leave out what stays open."""
    known = watermark.processed_through(connection)
    if bounds[-1] <= known:
        return bounds, None
    holders = holdback.wait_until_settled(connection, bounds[-1], settings, notify)
    if not holders:
        return bounds, None
    # As far as runs have come, they have waited.
    reached = max(known, min(holder.began for holder in holders))
    settled = tuple(bound for place, bound in enumerate(bounds) if place == 0 or bound <= reached)
    left = len(bounds) - len(settled)
    if not left:
        return bounds, None
    oldest = holders[0].describe()
    return settled, HeldBackError(
        f"{left} of {len(bounds) - 1} periods, from the one that ends at "
        f"{bounds[len(settled)].isoformat()} on, may still get rows from {oldest}; "
        "run the backfill again when it has ended"
    )
