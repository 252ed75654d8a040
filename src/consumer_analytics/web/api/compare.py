"""The API of several consumers side by side."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Depends, Query
from starlette.responses import Response

from consumer_analytics.reporting import comparison, series
from consumer_analytics.reporting.comparison import Comparison
from consumer_analytics.web.api.common import (
    CSV,
    Points,
    Reading,
    Span,
    as_json,
    single,
    visible,
)
from consumer_analytics.web.auth import Caller
from consumer_analytics.web.csv_export import CsvResponse


def _compare(
    pool: Reading,
    caller: Caller,
    span: Span,
    consumer_ids: Annotated[
        list[uuid.UUID],
        Query(
            alias="consumer",
            min_length=1,
            max_length=comparison.MOST_COMPARED,
            description="Who is compared; once for each.",
        ),
    ],
    points: Points = series.POINTS,
) -> Comparison:
    for consumer_id in consumer_ids:
        visible(caller, consumer_id)
    with pool.read() as connection:
        return comparison.compare(connection, pool.settings.sources, consumer_ids, span, points)


Compared = Annotated[Comparison, Depends(_compare)]


@single.get("/compare", summary="Several consumers at the same instants", response_model=Comparison)
async def compare(found: Compared) -> Response:
    """Return the customers and events of several consumers, side by side."""
    return as_json(found)


@single.get("/compare.csv", summary="Several consumers at the same instants, as CSV", **CSV)
def compare_csv(found: Compared) -> CsvResponse:
    """Return the same, a row for each consumer and instant."""
    return CsvResponse(
        f"compare-{found.range}",
        [
            "consumer_id",
            "name",
            "at",
            "customers",
            "active",
            "active_ratio",
            "total_events",
            "events",
        ],
        (
            [one.consumer_id, one.name, *figures]
            for one in found.consumers
            for figures in zip(
                found.at,
                one.customers,
                one.active,
                one.active_ratio,
                one.total_events,
                one.events,
                strict=True,
            )
        ),
    )
