"""The watermark: reading it, and moving it by hand with a record of who and why."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar_of
from consumer_analytics.errors import SchemaError
from consumer_analytics.formatting import exactly, moment, named
from consumer_analytics.sql import JOB, query

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Watermark:
    """The job's row in `etl_job_watermarks`.

    Attributes:
        last_processed_timestamp: exclusive upper bound of what was processed.
        last_run_at: when the last run ended or failed; None before the first.
        last_run_status: pending, running, success or failed.
        records_processed: events and customers new in the last run's window.
        metadata: what the last run, or the last person, noted.
        read_at: the server's clock when it was read.
        processed_through: how far the counts themselves reach; None where nobody asked.
    """

    last_processed_timestamp: dt.datetime
    last_run_at: dt.datetime | None
    last_run_status: str
    records_processed: int
    metadata: dict[str, Any]
    read_at: dt.datetime
    processed_through: dt.datetime | None = None

    @property
    def reach(self) -> dt.datetime:
        """Up to where all is processed: set by hand to beyond that, the watermark says nothing."""
        if self.processed_through is None:
            return self.last_processed_timestamp
        return min(self.last_processed_timestamp, max(self.processed_through, EPOCH))

    @property
    def is_ahead(self) -> bool:
        """Whether somebody set it to beyond what has been processed."""
        return self.last_processed_timestamp > self.reach

    @property
    def ahead(self) -> str:
        """What to say of one that is ahead, and why it does not count; empty where it is not."""
        if not self.is_ahead:
            return ""
        to = "the end of time"
        if self.last_processed_timestamp.year < dt.MAXYEAR:
            to = exactly(self.last_processed_timestamp)
        moved = self.moved_by_hand
        when = f" at {moment(moved[0])} ({moved[1]})" if moved is not None else ""
        only = f"only what is before {exactly(self.reach)} is processed"
        if self.reach <= EPOCH:
            only = "nothing is processed yet"
        return f"the watermark was set by hand{when} to {to}, but {only}"

    @property
    def moved_by_hand(self) -> tuple[dt.datetime, str] | None:
        """When somebody set it, and who or by what; None where none did, or a run came since."""
        if self.last_run_status != "pending":
            return None
        for key in ("override_at", "reset_at"):
            try:
                at = dt.datetime.fromisoformat(str(self.metadata[key]))
                at = (at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
            except (KeyError, TypeError, ValueError, OverflowError):
                continue
            who = self.metadata.get("override_by") or self.metadata.get("reset_reason") or "SQL"
            # Whoever may write the row may have written anything.
            return at, named(str(who))
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the row under its columns' names, and how far the counts reach, where asked."""
        through = self.processed_through
        reach = None if through is None or through == MINUS_INFINITY else through
        return {
            "job_name": JOB,
            "last_processed_timestamp": self.last_processed_timestamp,
            "last_run_at": self.last_run_at,
            "last_run_status": self.last_run_status,
            "records_processed": self.records_processed,
            "metadata_json": self.metadata,
            "processed_through": reach,
        }


def read_with_reach(connection: Connection) -> Watermark:
    """Read the job's row, and how far the counts themselves reach.

    Raises:
        SchemaError: as `read`.
    """
    # In this order: a run that ends in between moves both, and leaves none ahead.
    mark = read(connection)
    return replace(mark, processed_through=processed_through(connection))


def read(connection: Connection, *, for_update: bool = False) -> Watermark:
    """Read the job's row, locked until the transaction's end where asked.

    Raises:
        SchemaError: somebody deleted the row.
    """
    lock = sql.SQL("for update" if for_update else "")
    row = connection.execute(query("etl/watermark/read", lock=lock)).fetchone()
    if row is None:
        raise SchemaError(
            f"etl_job_watermarks has no row {JOB}; set it with `consumer-analytics watermark reset`"
        )
    return Watermark(*row)


def processed_through(connection: Connection) -> dt.datetime:
    """Return how far the counts themselves reach, wherever the watermark is."""
    through: dt.datetime | None = scalar_of(connection, "etl/watermark/state-processed-through")
    return MINUS_INFINITY if through is None else through


def move(
    connection: Connection, to: dt.datetime, *, who: str, reason: str
) -> tuple[dt.datetime, dt.datetime]:
    """Set the watermark by hand and record it.

    Whatever it is set to, the next run's totals are exact: the watermark says
    what a run reads, the counts themselves know how far they reach.

    Returns:
        The watermark before and after.
    """
    with connection.transaction():
        row = connection.execute(query("etl/watermark/lock")).fetchone()
        before: dt.datetime = row[0] if row else EPOCH
        connection.execute(
            query("etl/watermark/move"),
            {
                "to": to,
                "metadata": Jsonb(
                    {
                        "manual_override": True,
                        "override_by": who,
                        "override_reason": reason,
                        "override_at": dt.datetime.now(dt.UTC).isoformat(),
                        "moved_from": before.isoformat(),
                    }
                ),
            },
        )
        connection.execute(
            query("etl/watermark/changes-put"),
            {"who": who, "from": before, "to": to, "reason": reason},
        )
    return before, to


@dataclass(frozen=True)
class WatermarkMove:
    """A move of the watermark by our command.

    Attributes:
        at: when.
        who: the system user and the database login.
        before: where it was.
        after: where it went.
        reason: as given.
    """

    at: dt.datetime
    who: str
    before: dt.datetime
    after: dt.datetime
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "changed_at": self.at,
            "changed_by": self.who,
            "from": self.before,
            "to": self.after,
            "reason": self.reason,
        }


def moves(connection: Connection, limit: int = 10) -> list[WatermarkMove]:
    """Return the latest moves by our command, the newest first."""
    rows = connection.execute(query("etl/watermark/changes-list"), {"limit": limit})
    return [WatermarkMove(*row) for row in rows]
