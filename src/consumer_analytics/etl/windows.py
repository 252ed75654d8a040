"""Windows of snapshots that are there: what was noted of them; and their snapshots restated."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl.apply import apply
from consumer_analytics.etl.customers import extract_customers
from consumer_analytics.etl.events import extract_events
from consumer_analytics.etl.extract import OWN
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.plan import plan_restatement
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def windows(
    connection: Connection, snapshots: list[dt.datetime]
) -> list[tuple[dt.datetime, dt.datetime | None]]:
    """Return some snapshots, ascending, each with the start of its window as it was noted."""
    return connection.execute(query("etl/windows/noted"), {"snapshots": snapshots}).fetchall()


def in_a_row(rows: list[tuple[Any, ...]]) -> list[tuple[dt.datetime, dt.datetime | None]]:
    """Return the first snapshots whose windows follow each other, so that one pass counts them."""
    chunk: list[tuple[dt.datetime, dt.datetime | None]] = []
    for at, window_start in rows:
        if chunk and window_start not in (None, chunk[-1][0]):
            break
        chunk.append((at, window_start))
    return chunk


def all_in_a_row(
    rows: list[tuple[Any, ...]], most: int | None = None
) -> Iterator[list[tuple[dt.datetime, dt.datetime | None]]]:
    """Yield snapshots as `in_a_row` parts them, `most` at a time."""
    while rows:
        chunk = in_a_row(rows[:most])
        yield chunk
        rows = rows[len(chunk) :]


def restate_beside(
    connection: Connection,
    settings: Settings,
    state: JobState,
    held: Sequence[tuple[dt.datetime, uuid.UUID]],
    reason: str,
) -> int:
    """Restate snapshots with rows that are held and that have another window than the whole system.

    Such a row does not say how many of its consumer's customers were new in the whole system's
    window: there it is those that are known, who may be fewer now though the row stays.

    Returns:
        Snapshot rows restated.
    """
    values = {
        "instants": [at for at, _ in held],
        "consumers": [consumer for _, consumer in held],
    }
    rows = connection.execute(query("etl/windows/held-beside"), values).fetchall() if held else []
    return sum(
        restate_window(connection, settings, state, chunk, reason) for chunk in all_in_a_row(rows)
    )


def restate_window(
    connection: Connection,
    settings: Settings,
    state: JobState,
    chunk: list[tuple[dt.datetime, dt.datetime | None]],
    reason: str,
    *,
    accepts_gone: Sequence[str] | None = (),
    of_chosen: bool = False,
) -> int:
    """Restate snapshots whose windows follow each other, each given with the start of its window.

    Within the caller's transaction, under the job's lock. `accepts_gone` and `of_chosen` as `apply`
    has them.

    Returns:
        Snapshot rows restated, and inserted where they were missing.
    """
    plan = plan_restatement(connection, state, [at for at, _ in chunk], chunk[0][1])
    extract_customers(connection, settings, plan)
    extract_events(connection, settings, plan)
    # Rows that come in now take their provenance from what was noted of the snapshot.
    written = apply(
        connection,
        settings,
        OWN,
        plan,
        "cli_etl",
        reason,
        {},
        accepts_gone=accepts_gone,
        of_chosen=of_chosen,
    )
    return written.inserted + written.restated
