"""One ETL run: open it, extract twice, load. The DAG's tasks and the command line share it.

    open ──> extract customers ─┐
         └─> extract events ────┴─> load (fold, snapshots, watermark)

Opening decides, once for all steps, up to which instant the run may read.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from consumer_analytics.calendar import instants
from consumer_analytics.db import locks, schema
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.errors import BusyError, SchemaError, UsageError, one_line
from consumer_analytics.etl import capture, federation, holdback, load, sources, watermark
from consumer_analytics.etl.models import Run, RunSummary
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

Notify = Callable[[str], None]
#: How long a failed run waits to note its failure while another one is at work.
_FAILURE_SECONDS = 5.0


def _silent(_: str) -> None:
    return


def open_run(
    connection: Connection,
    settings: Settings,
    *,
    at: dt.datetime | None,
    run_key: str | None = None,
    source: str = "cli_etl",
    named: bool = False,
    whole: bool = False,
    notify: Notify = _silent,
) -> Run:
    """Open a run, or find it open: the first step decides, the others follow.

    A finished run is opened again, as when its DAG run is cleared; so is one
    that was opened by a try that is gone.

    Args:
        connection: in autocommit.
        settings: for the holdback's patience.
        at: the instant to process up to; None for the server's now.
        run_key: the same for all steps and tries of a run.
        source: provenance for the snapshots.
        named: whether a person names the instant; a schedule's tick may be from before
            the first row, and writes zeros.
        whole: whether this session does all of the run: where it ends without a word, the
            run was killed.
        notify: told what the run waits for.

    Raises:
        UsageError: the instant lies in the future; or before the first row, though a
            person names it.
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
        HoldbackBlindError: this login cannot see other transactions.
    """
    schema.require_current(connection)
    federation.require_own(connection)
    sources.require_usable(connection, settings, notify)
    now = instants.now(connection)
    requested = at or now
    require_past(requested, now)
    if named:
        _require_rows_until(connection, settings, requested)
    key = run_key or new_key(now)
    opened = find(connection, key, state="open")
    if opened is not None:
        return opened
    reached, holders = settle(connection, settings, requested, notify)
    return begin(
        connection,
        settings,
        Opening(
            key,
            source,
            requested,
            reached,
            at is not None,
            tuple(holder.as_json() for holder in holders),
        ),
        whole=whole,
        notify=notify,
    )


@dataclass(frozen=True)
class Opening:
    """What a run is opened with.

    Attributes:
        key: the same for all steps and tries of a run.
        source: provenance for the snapshots.
        requested: the instant asked for.
        reached: up to where all is settled.
        named: whether somebody named the instant.
        held_back_by: who held it back, as `metadata_json` tells it.
    """

    key: str
    source: str
    requested: dt.datetime
    reached: dt.datetime
    named: bool
    held_back_by: tuple[dict[str, Any], ...] = ()


def require_past(requested: dt.datetime, now: dt.datetime) -> None:
    """Refuse an instant that has not come.

    Raises:
        UsageError: it lies in the future.
    """
    if requested > now:
        raise UsageError(
            f"{requested.isoformat()} lies in the future; the server's clock says {now.isoformat()}"
        )


def new_key(now: dt.datetime) -> str:
    """Return a key for a run that nobody has given one."""
    return f"cli:{now.isoformat()}:{uuid.uuid4().hex[:8]}"


def settle(
    connection: Connection, settings: Settings, requested: dt.datetime, notify: Notify
) -> tuple[dt.datetime, list[holdback.Holder]]:
    """Wait for transactions from before an instant; say how far a run may go, and who holds it."""
    processed = watermark.processed_through(connection)
    holders: list[holdback.Holder] = []
    if requested > processed:
        holders = holdback.wait_until_settled(connection, requested, settings, notify)
    reached = min([requested, *(holder.began for holder in holders)])
    reached = max(reached, min(processed, requested))
    for holder in holders:
        notify(f"held back by {holder.describe()}")
    return reached, holders


def begin(
    connection: Connection, settings: Settings, opening: Opening, *, whole: bool, notify: Notify
) -> Run:
    """Open a run that is settled, or find that another step has opened it.

    Raises:
        BusyError: a run is at work.
    """
    capture.publish(connection, settings, opening.reached, notify)
    return record(connection, settings, opening, whole=whole)


def record(connection: Connection, settings: Settings, opening: Opening, *, whole: bool) -> Run:
    """Note a run as open, or find that another step has opened it.

    Raises:
        BusyError: a run is at work.
    """
    try:
        opened = _record(connection, settings, opening, whole=whole)
    except psycopg.errors.LockNotAvailable:
        # A run at work holds the watermark's row until it ends.
        raise locks.busy(connection, settings) from None
    # Steps that begin together look each for itself; the one that is first decides.
    return opened or _require(connection, opening.key)


def _require(connection: Connection, run_key: str) -> Run:
    opened = find(connection, run_key)
    if opened is None:
        raise LookupError(f"run {run_key} is gone")
    return opened


def _require_rows_until(connection: Connection, settings: Settings, at: dt.datetime) -> None:
    """Check that there is anything to say of an instant that a person has named.

    A snapshot of a mistyped year would stand before all others, in every chart.

    Raises:
        UsageError: it lies before the first row that is or was there.
    """
    first = sources.first_row_after(connection, settings, at)
    if first is not None:
        raise UsageError(
            f"{at.isoformat()} lies before the first row, of {first.isoformat()}: "
            "there is nothing to write; name a later instant"
        )


def _record(
    connection: Connection, settings: Settings, opening: Opening, *, whole: bool
) -> Run | None:
    """Note the run as open; return it, or None where another step has opened it meanwhile."""
    with connection.transaction():
        locks.limit_waiting(connection, settings.lock_wait, in_transaction=True)
        connection.execute(query("etl/run/settle"))
        run_id = scalar_of(
            connection,
            "etl/run/open",
            {
                "key": opening.key,
                "source": opening.source,
                "requested": opening.requested,
                "reached": opening.reached,
                "named": opening.named,
                "held_back_by": Jsonb(list(opening.held_back_by)),
                "whole": whole,
            },
        )
        if run_id is None:
            return None
        connection.execute(query("shared/watermark-status"), {"status": "running"})
    return Run(
        run_id,
        opening.key,
        opening.source,
        opening.requested,
        opening.reached,
        opening.named,
        opening.held_back_by,
    )


def find(connection: Connection, run_key: str, *, state: str | None = None) -> Run | None:
    """Return the run with this key, in this state where one is named; None without."""
    row = connection.execute(query("etl/run/find"), {"key": run_key, "state": state}).fetchone()
    if row is None:
        return None
    columns: list[Any] = list(row)
    columns[-1] = tuple(columns[-1])
    return Run(*columns)


@dataclass(frozen=True)
class Asked:
    """What a run was asked for, to note it by where it fails before it is opened.

    Attributes:
        key: the same for all tries.
        source: provenance for the snapshots.
        requested: the instant asked for; None: that at which it failed.
        named: whether somebody named the instant.
    """

    key: str
    source: str
    requested: dt.datetime | None
    named: bool = False


def record_failure(
    connection: Connection,
    run_key: str | None,
    error: BaseException,
    asked: Asked | None = None,
) -> None:
    """Note that a run failed or was stopped: status, the error's type and message, nothing else.

    A run that gave up its turn is noted among the runs only, where it was opened: the watermark's
    row tells of the run that has it.

    Args:
        connection: in autocommit.
        run_key: of the run; None where it was not opened.
        error: what ended it.
        asked: what it was asked for, where it may not have been opened: it has failed all the same.
    """
    stopped = isinstance(error, KeyboardInterrupt)
    failure = {
        "error_type": "Stopped" if stopped else type(error).__name__,
        "error": "somebody stopped it" if stopped else one_line(error)[:2000],
    }
    with connection.transaction():
        locks.limit_waiting(connection, _FAILURE_SECONDS, in_transaction=True)
        if not isinstance(error, BusyError):
            connection.execute(
                query("etl/run/watermark-failed"),
                {"failure": Jsonb({"run_key": run_key, **failure})},
            )
        if asked is not None and isinstance(error, Exception) and not isinstance(error, BusyError):
            connection.execute(query("etl/run/failed-unopened"), vars(asked))
            run_key = asked.key
        connection.execute(
            query("etl/run/failed"),
            {
                "state": "interrupted" if stopped else "failed",
                "failure": Jsonb(failure),
                "key": run_key,
            },
        )


def run(
    connection: Connection,
    settings: Settings,
    *,
    at: dt.datetime | None = None,
    run_key: str | None = None,
    source: str = "cli_etl",
    named: bool = False,
    notify: Notify = _silent,
) -> RunSummary:
    """Do a whole run in this session: without steps to share it, the load extracts.

    Raises:
        ConsumerAnalyticsError: as `open_run` and `load` do; the failure is
            noted in `etl_job_watermarks` where the database still answers.
    """
    opened: Run | None = None
    try:
        opened = open_run(
            connection,
            settings,
            at=at,
            run_key=run_key,
            source=source,
            named=named,
            whole=True,
            notify=notify,
        )
        return load.load(connection, settings, opened, notify)
    except UsageError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        asked = None
        if opened is None:
            asked = Asked(run_key or new_key(dt.datetime.now(dt.UTC)), source, at, named)
        try_to_record(connection, opened, error, asked)
        raise


def try_to_record(
    connection: Connection, opened: Run | None, error: BaseException, asked: Asked | None = None
) -> None:
    """Note that a run failed, where the database still answers."""
    if connection.closed or isinstance(error, SchemaError):
        return
    try:
        record_failure(connection, opened.run_key if opened else None, error, asked)
    except psycopg.Error:
        return
