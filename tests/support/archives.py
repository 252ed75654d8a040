"""A database whose old days are in an archive alone."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from typing import Any

from tests.support.history import random_history

from consumer_analytics import backfill
from consumer_analytics.etl import run, vanished
from consumer_analytics.operations.archive import ArchiveResult, archive
from consumer_analytics.reconcile import audit

BEGIN = dt.datetime(2025, 3, 20, tzinfo=dt.UTC)
END = dt.datetime(2025, 4, 20, tzinfo=dt.UTC)
THROUGH = dt.date(2025, 4, 8)
#: Its clocks were put forward on one of these days.
CUTTING = "Europe/Berlin"


def fill(database: Any) -> None:
    """Let there be a history, and snapshots of each day."""
    with database.connect() as connection:
        random_history(connection, random.Random(3), BEGIN, END, customers=40, events=300)
    go(database, END)
    filled_in(database)


def go(database: Any, at: dt.datetime) -> None:
    with database.session("run") as connection:
        run.run(connection, database.settings, at=at)


def archived(database: Any, through: dt.date = THROUGH) -> ArchiveResult:
    with database.session("archive") as connection:
        return archive(connection, database.settings, through)


def purge(database: Any) -> int:
    with database.connect() as connection:
        where = "created_at < '2025-04-09'"
        return int(connection.execute(f"delete from customer_events where {where}").rowcount)


def filled_in(database: Any) -> None:
    with database.session("backfill") as connection:
        request = backfill.request_of(BEGIN.date(), END.date(), "daily")
        backfill.backfill(connection, replace(database.settings, timezone=CUTTING), request)


def computed_again(database: Any, before: list[Any]) -> None:
    """Take back what was reported before the end, and hold a backfill of it to what it was."""
    database.execute(
        "delete from consumer_analytics where snapshot_timestamp < '2025-04-20'; "
        "delete from consumer_analytics_revisions"
    )
    filled_in(database)
    assert shown(database) == before
    clean(database)


def shown(database: Any) -> list[Any]:
    found: list[Any] = database.rows(
        "select consumer_id, snapshot_timestamp, metrics_json::text from consumer_analytics "
        "order by 1, 2"
    )
    return found


def clean(database: Any) -> None:
    with database.session("audit") as connection:
        found = audit.audit(connection, database.settings)
        assert (found.differences, found.listed) == (0, [])
        assert vanished.total(connection) == 0
