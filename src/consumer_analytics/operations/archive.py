"""Archiving: days of `customer_events` that are closed, written as files, counted on both sides.

A day is written in one transaction under the job's lock: its rows are what was counted of it, the
file is read back and has the same rows, and only then the manifest says that it is archived.
Nothing is deleted, neither here nor there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, consistent, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import ArchiveError, UsageError
from consumer_analytics.etl import archived, federation, job_state, sources
from consumer_analytics.formatting import counted
from consumer_analytics.lake import engine, folder, manifest, stores
from consumer_analytics.lake.loading import unload
from consumer_analytics.lake.writing import columns_read, file_schema, write
from consumer_analytics.settings import Settings, variable
from consumer_analytics.sql import query, text

#: Opens some files.
OpenFiles = Callable[[Sequence[str]], engine.Engine]
_ONE_DAY = dt.timedelta(days=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class ArchiveResult:
    """What was archived.

    Attributes:
        first_day: the first UTC day that is the source table's: those before are the archive's.
        days: days that were archived now.
        rows: rows that were written now.
        late_rows: those of them that came to days that had been archived before.
        bytes: the sizes of the files that were written now.
        files: how many files the archive has.
        rows_before_calendar: rows of 0001-01-01 and before, `-infinity` too, which no file holds:
            they are the source table's for good.
    """

    first_day: dt.date
    days: int = 0
    rows: int = 0
    late_rows: int = 0
    bytes: int = 0
    files: int = 0
    rows_before_calendar: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


def archive(
    connection: Connection,
    settings: Settings,
    through: dt.date,
    *,
    notify: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> ArchiveResult:
    """Archive all days up to one, this one included, and late rows of days that are archived.

    Args:
        connection: in autocommit.
        settings: where the source and the archive are.
        through: the last UTC day.
        notify: told what a person should know.
        progress: told how many days are done, of how many.

    Raises:
        UsageError: the day is still open, or nothing says where the archive is.
        ArchiveError: a day cannot be archived as it is, or an archived one has changed.
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
        MissingExtraError: what writes and reads the files is not installed.
        BusyError: a run would not end.
    """
    require_ready(connection, settings, through, notify)
    folder.checked(settings, manifest.files(connection), unfinished=True)
    # Each day is looked at again when it has its turn; until then runs go on.
    with consistent(connection):
        first_day = manifest.first_own_day(connection)
        days = _days(connection, settings, through, first_day)
    reached = through + _ONE_DAY
    result = ArchiveResult(max(reached, first_day or reached))
    with engine.started() as open_files:
        for done, day in enumerate(days):
            progress(done, len(days))
            result = _archive_day(connection, settings, open_files, day, result)
    with job_lock(connection, settings):
        connection.execute(query("operations/archive/reach"), {"first_day": reached})
        result = replace(
            result,
            files=len(manifest.files(connection)),
            rows_before_calendar=scalar_of(
                connection, "operations/archive/before-calendar", sources=settings.sources
            ),
        )
    progress(len(days), len(days))
    return result


def require_lake(settings: Settings) -> None:
    """Check that something says where the archive is.

    Raises:
        UsageError: nothing does.
    """
    if settings.lake_url is None:
        raise UsageError(f"nothing says where to: set {variable('lake_url')}=file:///folder")


def require_ready(
    connection: Connection,
    settings: Settings,
    through: dt.date,
    notify: Callable[[str], None] = lambda _: None,
) -> None:
    """Check that all days up to one can be archived, as far as can be told without reading them.

    Raises:
        ConsumerAnalyticsError: as `archive`, but for what days hold.
    """
    require_lake(settings)
    schema.require_current(connection)
    federation.require_own(connection)
    sources.require_usable(connection, settings, notify)
    _require_closed(connection, settings, through)


def _require_closed(connection: Connection, settings: Settings, through: dt.date) -> None:
    """Refuse a day that runs or sweeps still change.

    Raises:
        UsageError: it is one.
    """
    processed = job_state.read(connection).processed_through
    if processed == MINUS_INFINITY:
        raise UsageError("no run has counted anything yet: there is nothing to archive")
    swept = instants.day_of(processed).toordinal() - settings.sweep_days
    if through.toordinal() >= swept:
        last = "none" if swept <= 1 else dt.date.fromordinal(swept - 1).isoformat()
        raise UsageError(
            f"{through} is still open, as sweeps recount "
            f"{counted(settings.sweep_days, 'day')} before {instants.day_of(processed)}: "
            f"the last day that can be archived is {last}"
        )


def _days(
    connection: Connection, settings: Settings, through: dt.date, first_day: dt.date | None
) -> list[dt.date]:
    """Return the days of which rows are to be written, in order."""
    where = settings.sources
    days = [
        day
        for (day,) in connection.execute(
            query("operations/archive/days-new", where), {"through": through}
        )
    ]
    if first_day is None:
        return days
    return archived.days_with_strays(connection, settings) + days


def _archive_day(
    connection: Connection,
    settings: Settings,
    open_files: OpenFiles,
    day: dt.date,
    result: ArchiveResult,
) -> ArchiveResult:
    """Write what the archive lacks of a day, prove it, and say so in the manifest."""
    with job_lock(connection, settings):
        first_day = manifest.first_own_day(connection)
        is_late = first_day is not None and day < first_day
        _require_counted(connection, settings, day)
        _lay_apart(connection, settings, day, is_late=is_late)
        rows, digest = connection.execute(query("operations/archive/sums")).fetchone() or (0, 0)
        if not rows:
            return result
        part = scalar_of(connection, "operations/archive/parts", {"day": day}) + 1
        name = folder.name_of(day, part)
        store = stores.of(settings)
        with store.placing(name) as path:
            write(path, unload(connection, query("operations/archive/rows"), columns_read()))
            _require_same(connection, open_files([str(path)]), day, rows, int(digest))
            size, sha256 = path.stat().st_size, stores.digest_of_path(path)
        stored = store.looked_at([name])[name]
        connection.execute(
            query("operations/archive/file-note"),
            {
                "name": name,
                "day": day,
                "bytes": size,
                "sha256": sha256,
                "etag": stored and stored.etag,
                "version": _added(settings, name, day, rows, size),
            },
        )
        if is_late:
            _tell_late(connection, settings)
        else:
            connection.execute(query("operations/archive/tell", settings.sources))
            connection.execute(query("operations/archive/reach"), {"first_day": day + _ONE_DAY})
    return replace(
        result,
        days=result.days + (not is_late),
        rows=result.rows + rows,
        late_rows=result.late_rows + rows * is_late,
        bytes=result.bytes + size,
    )


def _added(settings: Settings, name: str, day: dt.date, rows: int, size: int) -> int | None:
    """Let the table have a file; return its version, or None where there is no table."""
    if (table := folder.table_of(settings)) is None:
        return None
    within = name.removeprefix(f"{folder.TABLE}/")
    return table.add(within, day, rows, size, file_schema())


def _require_counted(connection: Connection, settings: Settings, day: dt.date) -> None:
    """Refuse a day whose rows are not what was counted of it: it would stay wrong for good.

    Raises:
        ArchiveError: it is one.
    """
    held = archived.held(connection, settings, f"{{[{day},{day}]}}", ())
    statement = query("operations/archive/differs", settings.sources, **held)
    vanished, uncounted, lacking = (
        connection.execute(statement, {"day": day}).fetchone() or (0,) * 3
    )
    if vanished:
        raise ArchiveError(
            f"{counted(vanished, 'event')} of {day} vanished and stayed counted, "
            f"so it cannot be "
            "archived: restore them and take the note off by `consumer-analytics sweep --restored`"
        )
    if uncounted or lacking:
        raise ArchiveError(
            f"{day} is not what was counted, {counted(uncounted, 'row')} more and "
            f"{lacking:,} fewer: "
            f"`consumer-analytics sweep --since {day}` puts it right, then archive again"
        )


def _lay_apart(connection: Connection, settings: Settings, day: dt.date, *, is_late: bool) -> None:
    wanted = sql.SQL(text("operations/archive/unfiled")) if is_late else sql.SQL("true")
    connection.execute("drop table if exists pg_temp.archiving")
    connection.execute(
        query("operations/archive/rows-apart", settings.sources, wanted=wanted), {"day": day}
    )
    connection.execute("analyze pg_temp.archiving")


def _require_same(
    connection: Connection, file: engine.Engine, day: dt.date, rows: int, digest: int
) -> None:
    """Read a file back, and hold it to the rows that were to be written.

    Raises:
        ArchiveError: it has others.
    """
    kinds = {tuple(one) for one in connection.execute(query("operations/archive/kinds"))}
    found = [(number, n, sum_) for number, n, sum_, _ in file.digests()]
    counted = {(consumer, kind, n) for consumer, _, kind, n in file.counts()}
    if found != [(day.toordinal() - _EPOCH.toordinal(), rows, digest)] or counted != kinds:
        raise ArchiveError(
            f"what was written of {day} is not what is read back; nothing of it is archived: "
            "check the folder's disk, then archive again"
        )


def _tell_late(connection: Connection, settings: Settings) -> None:
    """Keep what late rows tell of customers' lives, and what others tell now beside them."""
    concerned = connection.execute(
        query("operations/archive/tell-late", settings.sources)
    ).fetchall()
    if not concerned:
        return
    connection.execute("drop table if exists pg_temp.archiving_told")
    connection.execute(
        "create temporary table archiving_told (like pg_temp.archiving) on commit drop"
    )
    with engine.opened(settings, manifest.files(connection)) as everything:
        archived.load_events(
            connection, "archiving_told", everything.of_customers(one for (one,) in concerned)
        )
    connection.execute(query("operations/archive/tell-all"))
