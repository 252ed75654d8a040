"""Airflow's upkeep: metadata and task logs that are old enough go."""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

import psycopg

from consumer_analytics.airflow.command import AirflowCommand
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: What a log is called: `attempt=1.log`, `attempt=1.log.trigger.7.log`, `etl.py.log`, `x.log.1`.
_LOG = re.compile(r"\.log(\.|$)")
#: What `airflow db clean` prints about each table.
_CHECKED = re.compile(r"Checking table (\w+)\s+Found (\d+) rows meeting deletion criteria")


@dataclass(frozen=True)
class Upkeep:
    """What upkeep removed.

    Attributes:
        removed: how many rows or files, or, in a dry run, how many it would.
        bytes_removed: their own size; 0 where that cannot be told.
        bytes_before: what all of it took before; None where that cannot be told.
        bytes_after: what it takes now.
        notes: what a person should know besides.
        skipped: why nothing was looked at; None where it was.
    """

    removed: int = 0
    bytes_removed: int = 0
    bytes_before: int | None = None
    bytes_after: int | None = None
    notes: tuple[str, ...] = ()
    skipped: str | None = None


def metadata(
    command: AirflowCommand,
    connection: Connection | None,
    settings: Settings,
    now: dt.datetime,
    *,
    dry_run: bool,
) -> Upkeep:
    """Remove old rows of Airflow's metadata, by its own `airflow db clean`.

    Args:
        command: Airflow's.
        connection: to look at the size of its tables; None where that cannot be told.
        settings: how many days are kept.
        now: the instant to count them from.
        dry_run: only count.

    Raises:
        AirflowCommandError: it failed.
    """
    before = now - dt.timedelta(days=settings.keep_airflow_days)
    size = _size(connection)
    output = command(
        "db",
        "clean",
        "--clean-before-timestamp",
        before.isoformat(timespec="seconds"),
        "-y",
        "--skip-archive",
        "--error-on-cleanup-failure",
        *(["--dry-run"] if dry_run else []),
    )
    rows = {table: int(n) for table, n in _CHECKED.findall(output) if n != "0"}
    return Upkeep(
        sum(rows.values()),
        bytes_before=size,
        bytes_after=size if dry_run else _size(connection),
        notes=tuple(f"{n:,} of {table}" for table, n in sorted(rows.items())),
    )


def _size(connection: Connection | None) -> int | None:
    """Return what Airflow's tables take, where they are in our database and can be seen."""
    if connection is None:
        return None
    try:
        tables = AirflowTables.find(connection)
        if tables is None:
            return None
        row = connection.execute(query("airflow/upkeep/size"), {"schema": tables.schema}).fetchone()
    except psycopg.Error:
        return None
    return row[0] if row else None


def logs(
    command: AirflowCommand,
    connection: Connection | None,
    settings: Settings,
    now: dt.datetime,
    *,
    dry_run: bool,
) -> Upkeep:
    """Remove old log files from Airflow's log folder on this machine.

    Raises:
        ConsumerAnalyticsError: the folder that Airflow is configured with is none for logs.
    """
    folder = Path(command.setting("logging", "base_log_folder"))
    notes = _elsewhere(connection, settings)
    if command.setting("logging", "remote_logging").lower() in {"true", "1", "t"}:
        notes.append(
            "remote logging is on: what was sent to "
            f"{command.setting('logging', 'remote_base_log_folder')} is kept by its own rules"
        )
    if not folder.is_dir():
        return Upkeep(
            skipped=f"the log folder {folder} is not on this machine: run "
            "`consumer-analytics maintenance` where it is",
            notes=tuple(notes),
        )
    _require_logs_only(folder, command.home)
    cleaned = clean(folder, now - dt.timedelta(days=settings.keep_airflow_days), dry_run=dry_run)
    return Upkeep(
        cleaned.files,
        bytes_removed=cleaned.removed,
        bytes_before=cleaned.before,
        bytes_after=cleaned.before if dry_run else cleaned.before - cleaned.removed,
        notes=(f"in {folder}", *notes),
    )


def _elsewhere(connection: Connection | None, settings: Settings) -> list[str]:
    """Say which other machines have run tasks, and so may have logs that are not seen here."""
    if connection is None:
        return []
    try:
        tables = AirflowTables.find(connection)
        if tables is None:
            return []
        rows = connection.execute(
            query("airflow/upkeep/task-hosts", None, **tables.named("task_instance")),
            {"days": settings.keep_airflow_days},
        ).fetchall()
    except psycopg.Error:
        return []
    here = {socket.gethostname(), socket.getfqdn(), "localhost"}
    return [
        f"tasks ran on {host}, too: logs that are there are removed by "
        "`consumer-analytics maintenance` there"
        for (host,) in rows
        if host not in here
    ]


def _require_logs_only(folder: Path, home: Path | None) -> None:
    """Refuse a folder that holds more than logs: a slip in the configuration."""
    real = folder.resolve()
    precious = {Path(real.anchor), Path.home().resolve(), Path.cwd().resolve()}
    if home is not None:
        precious.add(home.resolve())
    if any(real == one or real in one.parents for one in precious):
        raise ConsumerAnalyticsError(
            f"the log folder {folder} holds more than logs; nothing was removed: set Airflow's "
            "[logging] base_log_folder to a folder of its own"
        )


@dataclass
class Cleaned:
    """What cleaning a folder removed.

    Attributes:
        files: how many files.
        removed: their bytes.
        before: bytes of all files that there were.
    """

    files: int = 0
    removed: int = 0
    before: int = 0


def clean(folder: Path, before: dt.datetime, *, dry_run: bool = False) -> Cleaned:
    """Remove log files last written before an instant, and folders that this leaves empty.

    No link is followed, and none is removed: every file is reached by the handle of
    the folder that it is in, so that a folder which is replaced by a link meanwhile
    leads nowhere.
    """
    cleaned = Cleaned()
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _clean(handle, before.timestamp(), cleaned, dry_run=dry_run)
    finally:
        os.close(handle)
    return cleaned


def _clean(handle: int, before: float, cleaned: Cleaned, *, dry_run: bool) -> bool:
    """Clean the folder behind a handle; tell whether it is empty and was old."""
    was_old = os.fstat(handle).st_mtime < before
    left = 0
    with os.scandir(handle) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        try:
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(status.st_mode):
            left += not _clean_folder(handle, name, before, cleaned, dry_run=dry_run)
        elif stat.S_ISREG(status.st_mode):
            cleaned.before += status.st_size
            if status.st_mtime < before and _LOG.search(name):
                cleaned.files += 1
                cleaned.removed += status.st_size
                if not dry_run:
                    os.unlink(name, dir_fd=handle)
            else:
                left += 1
        else:
            left += 1
    return was_old and not left


def _clean_folder(
    parent: int, name: str, before: float, cleaned: Cleaned, *, dry_run: bool
) -> bool:
    """Clean a folder in another one; tell whether it is gone."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError:
        # It is gone, has become a link, or is not ours to read.
        return False
    try:
        empty = _clean(handle, before, cleaned, dry_run=dry_run)
    finally:
        os.close(handle)
    if not empty or dry_run:
        return empty
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        # A task has begun to write there just now.
        return False
    return True
