"""Where things stand: the watermark, the last runs, the latest snapshots."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import vanished, watermark
from consumer_analytics.mapping import Sources
from consumer_analytics.sql import query


@dataclass(frozen=True)
class ConsumerSnapshot:
    """A consumer's figures at the latest instant.

    Attributes:
        consumer_id: as text.
        name: as `consumers` has it; None where it has none.
        customers: customers that existed at the instant.
        active: of those, the ones with status ACTIVE.
        events: events before the instant.
        new_events: events in the snapshot's window.
    """

    consumer_id: str
    name: str | None
    customers: int
    active: int
    events: int
    new_events: int


@dataclass(frozen=True)
class Status:
    """What `consumer-analytics status` tells.

    Attributes:
        mark: the watermark's row.
        latest: instant of the latest snapshot; None before the first.
        system: `metrics_json` of its global row.
        consumers: its largest consumers by events.
        runs: the latest runs, the newest first.
        noted_as_vanished: events that are counted and that the source no longer has.
    """

    mark: watermark.Watermark
    latest: dt.datetime | None
    system: dict[str, Any]
    consumers: list[ConsumerSnapshot]
    runs: list[dict[str, Any]]
    noted_as_vanished: int


def read(connection: Connection, sources: Sources, *, consumers: int, runs: int = 5) -> Status:
    """Read the status.

    Args:
        connection: to the product's database.
        sources: where `consumers` is, for the names.
        consumers: how many consumers to return, the largest first.
        runs: how many runs to return.
    """
    latest = connection.execute(query("reporting/snapshots-latest")).fetchone()
    rows = connection.execute(
        query("reporting/snapshots-largest", sources),
        {"at": latest[0] if latest else None, "limit": consumers},
    ).fetchall()
    columns = (
        "run_key",
        "snapshot_source",
        "state",
        "requested_at",
        "reached_at",
        "opened_at",
        "finished_at",
        "summary",
    )
    recent = connection.execute(query("reporting/runs-latest"), {"limit": runs}).fetchall()
    return Status(
        mark=watermark.read(connection),
        latest=latest[0] if latest else None,
        system=latest[1] if latest else {},
        consumers=[ConsumerSnapshot(*row) for row in rows],
        runs=[dict(zip(columns, row, strict=True)) for row in recent],
        noted_as_vanished=vanished.total(connection),
    )
