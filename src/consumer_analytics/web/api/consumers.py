"""The API of the consumers: the table, and a single one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException
from starlette.responses import Response

from consumer_analytics.monitoring import anomalies
from consumer_analytics.monitoring.anomalies import Anomaly
from consumer_analytics.reporting import consumers, series, standing
from consumer_analytics.reporting.consumers import Consumer, ConsumersPage
from consumer_analytics.reporting.series import Series
from consumer_analytics.reporting.standing import CurrentFigures
from consumer_analytics.web.api.common import (
    CSV,
    Asked,
    Latest,
    PageNumber,
    Points,
    Reading,
    Size,
    Span,
    as_json,
    only,
    router,
    series_csv,
    single,
    unknown,
    visible,
)
from consumer_analytics.web.auth import Caller
from consumer_analytics.web.csv_export import CsvResponse


@dataclass(frozen=True)
class ConsumerStanding:
    """Who a consumer is and where it stands."""

    consumer: Consumer
    standing: CurrentFigures


@router.get(
    "/consumers", summary="The consumers: a page of the table", response_model=ConsumersPage
)
def consumers_page(
    pool: Reading,
    caller: Caller,
    span: Span,
    asked: Asked,
    page: PageNumber = 1,
    size: Size = consumers.PAGE,
) -> Response:
    """Return a page of the consumers at the latest snapshot, searched and sorted."""
    with pool.read() as connection:
        found = consumers.page(
            connection,
            pool.settings.sources,
            span,
            search=asked.search,
            sort=asked.sort,
            direction=asked.direction,
            number=page,
            size=size,
            only=only(caller),
        )
    return as_json(found)


@router.get("/consumers.csv", summary="The consumers, all that match, as CSV", **CSV)
def consumers_csv(pool: Reading, caller: Caller, span: Span, asked: Asked) -> CsvResponse:
    """Return all rows of the table, without sparklines."""
    with pool.read() as connection:
        rows = consumers.every(
            connection,
            pool.settings.sources,
            span,
            search=asked.search,
            sort=asked.sort,
            direction=asked.direction,
            only=only(caller),
        )
        return CsvResponse(
            f"consumers-{span.name}",
            [
                "consumer_id",
                "name",
                "customers",
                "customers_before",
                "change",
                "change_percent",
                "active",
                "inactive",
                "active_ratio",
                "total_events",
                "new_events",
            ],
            (
                [
                    row.consumer_id,
                    row.name,
                    row.customers.value,
                    row.customers.before,
                    row.customers.change,
                    row.customers.change_percent,
                    row.active,
                    row.inactive,
                    row.active_ratio,
                    row.total_events,
                    row.new_events,
                ]
                for row in rows
            ),
        )


@single.get("/consumers/{consumer_id}", summary="A consumer, and the change")
def consumer(pool: Reading, caller: Caller, span: Span, consumer_id: uuid.UUID) -> ConsumerStanding:
    """Return who a consumer is, and its latest figures against those a range earlier."""
    visible(caller, consumer_id)
    with pool.read() as connection:
        found = consumers.find(connection, pool.settings.sources, consumer_id)
        if found is None:
            raise HTTPException(404, unknown(consumer_id))
        return ConsumerStanding(found, standing.consumer(connection, consumer_id, span))


def _consumer_series(
    pool: Reading,
    caller: Caller,
    span: Span,
    consumer_id: uuid.UUID,
    points: Points = series.POINTS,
) -> Series:
    visible(caller, consumer_id)
    with pool.read() as connection:
        found = series.consumer(connection, consumer_id, span, points)
        if not found.points and not consumers.find(connection, pool.settings.sources, consumer_id):
            raise HTTPException(404, unknown(consumer_id))
        return found


ConsumerSeries = Annotated[Series, Depends(_consumer_series)]


@single.get(
    "/consumers/{consumer_id}/series",  # what it depends on takes it
    summary="A consumer over time",
    response_model=Series,
)
async def consumer_series(found: ConsumerSeries) -> Response:
    """Return a consumer's snapshots of a range, or as many of them as a chart shows."""
    return as_json(found)


@single.get("/consumers/{consumer_id}/anomalies", summary="What is and was odd with a consumer")
def consumer_anomalies(
    pool: Reading, caller: Caller, consumer_id: uuid.UUID, limit: Latest = consumers.PAGE
) -> list[Anomaly]:
    """Return what lasts first, then the newest: what was counted, and what is usual."""
    visible(caller, consumer_id)
    with pool.read() as connection:
        found = anomalies.of_consumer(connection, consumer_id, limit)
        if not found and not consumers.find(connection, pool.settings.sources, consumer_id):
            raise HTTPException(404, unknown(consumer_id))
        return found


@single.get(
    "/consumers/{consumer_id}/series.csv", summary="A consumer over time, whole, as CSV", **CSV
)
def consumer_series_csv(
    pool: Reading, caller: Caller, span: Span, consumer_id: uuid.UUID
) -> CsvResponse:
    """Return all of a consumer's snapshots of a range, a row for each."""
    visible(caller, consumer_id)
    with pool.read() as connection:
        if not consumers.find(connection, pool.settings.sources, consumer_id):
            raise HTTPException(404, unknown(consumer_id))
        found = series.every(connection, consumer_id, span)
        return series_csv(f"consumer-{consumer_id}", span, found)
