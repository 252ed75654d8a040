"""The record of a backfill: opened before it reads, kept up with each chunk, closed with its end.

As long as a backfill is at work its session is tagged: where the record is open and
no session has the tag that it names, it was killed.
"""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from consumer_analytics.backfill.request import Request
from consumer_analytics.backfill.result import SnapshotCounts
from consumer_analytics.db import schema, tags
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.db.tags import Tag
from consumer_analytics.errors import one_line
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Characters of an error's message that are kept.
_LONGEST_MESSAGE = 2000


def begin(connection: Connection, settings: Settings, request: Request, periods: int) -> int:
    """Record what is asked for, tag the session, and return the record's id."""
    connection.execute(query("backfill/stale"), {"tag": Tag.BACKFILL.value})
    # It tells a backfill at work from one that was killed.
    key = tags.put(connection, Tag.BACKFILL)
    backfill_id: int = scalar_of(
        connection,
        "backfill/open",
        {
            "start": request.start,
            "end": request.end,
            "interval": request.interval,
            "timezone": settings.timezone,
            "consumers": list(request.consumers) if request.consumers else None,
            "source": request.source,
            "who": request.who,
            "periods": periods,
            "tag": key,
        },
    )
    return backfill_id


def revise(connection: Connection, backfill_id: int, periods: int) -> None:
    """Record that it has another number of periods than it had, before any is done."""
    connection.execute(query("backfill/revise"), {"id": backfill_id, "periods": periods})


def advance(connection: Connection, backfill_id: int, written: SnapshotCounts) -> None:
    """Add to what is done."""
    connection.execute(
        query("backfill/advance"),
        {
            "id": backfill_id,
            "periods": written.periods,
            "written": written.new,
            "untouched": written.untouched,
            "restated": written.restated,
        },
    )


def untag(connection: Connection, backfill_id: int) -> None:
    """Take the tag off: this session no longer works on it."""
    values = {"tag": Tag.BACKFILL.value, "id": backfill_id}
    connection.execute(query("backfill/untag"), values)


def close(
    connection: Connection,
    backfill_id: int,
    state: str,
    seconds: dict[str, float],
    error: BaseException | None = None,
) -> None:
    """Record the end, as far as the connection still works.

    Args:
        connection: the backfill's own.
        backfill_id: which.
        state: `done`, `failed` or `interrupted`.
        seconds: by step.
        error: what ended it, where something did.
    """
    if connection.closed:
        return
    summary: dict[str, Any] = {"seconds": seconds}
    if error is not None:
        summary |= {
            "error_type": type(error).__name__,
            "error": one_line(error)[:_LONGEST_MESSAGE],
        }
    with suppress(psycopg.Error):
        connection.execute(
            query("backfill/close"),
            {"id": backfill_id, "state": state, "summary": Jsonb(summary)},
        )


@dataclass(frozen=True)
class BackfillRecord:
    """A backfill that was asked for, as it is kept.

    Attributes:
        backfill_id: its number.
        start_date: the first day.
        end_date: the day after the last one.
        interval: the name of the interval.
        timezone: the IANA name of the zone whose days are meant.
        consumers: only these; None: all and the whole system.
        snapshot_source: provenance, `cli_backfill` or `airflow_backfill`.
        requested_by: who asked.
        state: `running`, `done`, `failed` or `interrupted`.
        periods: how many there are.
        periods_done: how many of them are written.
        snapshots_written: rows that were not there.
        snapshots_untouched: rows that were there and right.
        snapshots_restated: rows that were there and are now as the sources say.
        started_at: when it began.
        finished_at: when it ended; None where it is at work or was killed.
        summary: `seconds` by step, and `error_type` and `error` where one ended it.
    """

    backfill_id: int
    start_date: dt.date
    end_date: dt.date
    interval: str
    timezone: str
    consumers: list[uuid.UUID] | None
    snapshot_source: str
    requested_by: str
    state: str
    periods: int
    periods_done: int
    snapshots_written: int
    snapshots_untouched: int
    snapshots_restated: int
    started_at: dt.datetime
    finished_at: dt.datetime | None
    summary: dict[str, Any]

    @property
    def error(self) -> str | None:
        """What ended it; None where nothing did."""
        error: str | None = self.summary.get("error")
        return error

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


def records(connection: Connection, limit: int = 20) -> list[BackfillRecord]:
    """Return the latest backfills, the newest first."""
    schema.require_current(connection)
    rows = connection.execute(
        query("shared/backfill-list"), {"tag": Tag.BACKFILL.value, "limit": limit}
    )
    return [BackfillRecord(*row) for row in rows]
