"""Where things stand: the watermark, the last runs, the latest snapshots."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from consumer_analytics.db.connection import Connection, permitted
from consumer_analytics.etl import vanished, watermark
from consumer_analytics.mapping import Sources
from consumer_analytics.sql import query


@dataclass(frozen=True)
class ConsumerSnapshot:
    """A consumer's figures at the latest instant.

    A figure that the snapshot does not have, as somebody edited it, is None.

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
    customers: int | None
    active: int | None
    events: int | None
    new_events: int | None


@dataclass(frozen=True)
class Status:
    """What `consumer-analytics status` tells.

    Attributes:
        mark: the watermark's row, and how far the counts reach, where this login may see that.
        latest: instant of the latest snapshot; None before the first.
        system: `metrics_json` of its global row, as it is.
        consumers: its largest consumers by events.
        runs: the latest runs, the newest first; None where this login may not see them.
        noted_as_vanished: events that are counted and that the source no longer has; None where
            this login may not see that.
    """

    mark: watermark.Watermark
    latest: dt.datetime | None
    system: Any
    consumers: list[ConsumerSnapshot]
    runs: list[dict[str, Any]] | None
    noted_as_vanished: int | None


def read(connection: Connection, sources: Sources, *, consumers: int, runs: int = 5) -> Status:
    """Read the status, or what of it this login may see.

    Args:
        connection: to the product's database, in autocommit.
        sources: where `consumers` is, for the names; without a right on it there are none.
        consumers: how many consumers to return, the largest first.
        runs: how many runs to return.
    """
    latest = connection.execute(query("reporting/snapshots-latest")).fetchone()
    rows = connection.execute(
        query("reporting/snapshots-largest"),
        {"at": latest[0] if latest else None, "limit": consumers},
    ).fetchall()
    ids = [row[0] for row in rows]
    names = dict(
        permitted(
            lambda: connection.execute(
                query("reporting/names", sources), {"consumers": ids}
            ).fetchall()
        )
        or ()
    )
    return Status(
        mark=permitted(lambda: watermark.read_with_reach(connection)) or watermark.read(connection),
        latest=latest[0] if latest else None,
        system=latest[1] if latest else {},
        consumers=[ConsumerSnapshot(whom, names.get(whom), *rest) for whom, *rest in rows],
        runs=permitted(lambda: _runs(connection, runs)),
        noted_as_vanished=permitted(lambda: vanished.total(connection)),
    )


def _runs(connection: Connection, limit: int) -> list[dict[str, Any]]:
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
    recent = connection.execute(query("reporting/runs-latest"), {"limit": limit}).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in recent]
