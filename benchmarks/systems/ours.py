"""Ours: the engine in one session, and the command from its start to its end."""

from __future__ import annotations

import datetime as dt

from benchmarks.measure import BIN, Measured, Worker, run_command
from benchmarks.server import Database, instant
from benchmarks.systems import System

COMMAND = BIN / "consumer-analytics"


def _empty(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("truncate consumer_analytics, consumer_analytics_revisions")
        connection.execute("checkpoint")


class Engine(System):
    """The engine, in a process that keeps its session."""

    name = "ours, engine"

    def __init__(self, **settings: object) -> None:
        """Start its process when there is a database; `settings` other than their defaults."""
        self._settings = settings
        self._worker: Worker | None = None

    def prepare(self, database: Database, until: dt.date | None) -> None:
        """Take the history in with one run."""
        if until is None:
            return
        self._worker = Worker(database, **self._settings)
        self._worker("run", at=instant(until).isoformat())
        with database.connect() as connection:
            connection.execute("vacuum analyze")

    def day(self, database: Database, day: dt.date) -> Measured:
        """Run as of the day's end."""
        self._worker = self._worker or Worker(database, **self._settings)
        return self._worker("run", at=instant(day + dt.timedelta(days=1)).isoformat())

    def now(self) -> Measured:
        """Run as of now, as live runs do."""
        if self._worker is None:
            raise RuntimeError("prepare it first")
        return self._worker("run")

    def backfill(self, database: Database, start: dt.date, end: dt.date) -> Measured:
        """Backfill in a new process, into an empty table."""
        _empty(database)
        with Worker(database, **self._settings) as worker:
            return worker("backfill", start=start.isoformat(), end=end.isoformat())

    def audit(self, database: Database, *, since_last: bool = False) -> Measured:
        """Audit all, or what has changed since, in a new process; a difference is an error."""
        with Worker(database, **self._settings) as worker:
            return worker("audit", since_last=since_last)

    def capture(self) -> None:
        """Let changes be noted from here on."""
        if self._worker is None:
            raise RuntimeError("prepare it first")
        self._worker("capture")

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.__exit__(None, None, None)
            self._worker = None


class Command(System):
    """`consumer-analytics`, its start included."""

    name = "ours, command"

    def prepare(self, database: Database, until: dt.date | None) -> None:
        """Nothing: the engine has taken the history in."""

    def _run(self, database: Database, *arguments: str) -> Measured:
        return run_command([COMMAND, *arguments], {"CONSUMER_ANALYTICS_DATABASE_URL": database.url})

    def day(self, database: Database, day: dt.date) -> Measured:
        """`run --as-of` the day's end."""
        return self._run(database, "run", "--as-of", (day + dt.timedelta(days=1)).isoformat())

    def backfill(self, database: Database, start: dt.date, end: dt.date) -> Measured:
        """`backfill`, into an empty table."""
        _empty(database)
        return self._run(
            database,
            "backfill",
            "--start-date",
            start.isoformat(),
            "--end-date",
            end.isoformat(),
        )
