"""dbt and SQLMesh, each in an environment of its own, as their documentation recommends."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from pathlib import Path

from benchmarks.measure import BIN, BUILD, ROOT, Measured, environment, run_command
from benchmarks.server import FIRST_DAY, Database
from benchmarks.systems import System

HERE = Path(__file__).parents[1] / "peers"
UV = ROOT / "build" / "bootstrap" / "bin" / "uv"
_LESS = (
    "no state of customers as of T, no late rows, no rows in flight, no revisions, "
    "no row of the whole system"
)


def install(name: str) -> Path:
    """Install a peer from its pinned requirements, once; return its environment's programs."""
    folder = BUILD / "peers" / name
    wanted = (HERE / name / "requirements.txt").read_text()
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"  installing {name} into {folder.relative_to(ROOT)}", flush=True)
        uv = UV if UV.exists() else Path(shutil.which("uv") or "uv")
        quiet = environment({"UV_COMPILE_BYTECODE": "1", "UV_LINK_MODE": "copy"})
        for arguments in (
            ["venv", "--quiet", "--clear", "--python", BIN / "python", folder],
            [
                "pip", "sync", "--quiet", "--python", folder / "bin" / "python",
                HERE / name / "requirements.txt",
            ],
        ):  # fmt: skip
            subprocess.run([str(uv), *map(str, arguments)], check=True, env=quiet)
        stamp.write_text(wanted)
    return folder / "bin"


def _project(name: str) -> Path:
    """Copy a peer's project to where it may write its own files."""
    folder = BUILD / "projects" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / name, folder)
    return folder


class Dbt(System):
    """dbt-core with dbt-postgres: microbatch by event time, an incremental model for snapshots."""

    name = "dbt"
    less = _LESS
    table = "dbt.consumer_snapshots"

    def __init__(self) -> None:
        """Install it where it is not there."""
        self._programs = install("dbt")
        self._folder = Path()

    def _dbt(self, database: Database, *arguments: str) -> Measured:
        return run_command(
            [self._programs / "dbt", "--quiet", *arguments],
            {
                "BENCHMARK_HOST": str(database.socket),
                "BENCHMARK_DATABASE": database.name,
                "DBT_PROFILES_DIR": str(self._folder),
            },
            self._folder,
        )

    def prepare(self, database: Database, until: dt.date | None) -> None:
        """Take the history in, in one batch; let it read its project once."""
        self._folder = _project("dbt")
        with database.connect() as connection:
            connection.execute("drop schema if exists dbt cascade")
        if until is not None:
            variables = f"{{batch_size: year, first_day: '{until - dt.timedelta(days=1)}'}}"
            self._run(database, FIRST_DAY, until, "--vars", variables)
            with database.connect() as connection:
                connection.execute("vacuum analyze dbt.event_counts")
        self._dbt(database, "parse")

    def day(self, database: Database, day: dt.date) -> Measured:
        """Run the day's batch and the snapshot at its end."""
        return self._run(database, day, day + dt.timedelta(days=1))

    def backfill(self, database: Database, start: dt.date, end: dt.date) -> Measured:
        """Run a batch for each day, and all snapshots."""
        return self._run(database, start, end)

    def _run(self, database: Database, start: dt.date, end: dt.date, *more: str) -> Measured:
        return self._dbt(
            database,
            "run",
            "--event-time-start",
            start.isoformat(),
            "--event-time-end",
            end.isoformat(),
            *more,
        )


class SqlMesh(System):
    """SQLMesh: both models incremental by time range."""

    name = "SQLMesh"
    less = _LESS
    table = "sqlmesh_models.consumer_snapshots"

    def __init__(self) -> None:
        """Install it where it is not there."""
        self._programs = install("sqlmesh")
        self._folder = Path()
        self._first_day = FIRST_DAY
        self._planned = False

    def _sqlmesh(self, database: Database, *arguments: str) -> Measured:
        return run_command(
            [self._programs / "sqlmesh", *arguments],
            {
                "BENCHMARK_HOST": str(database.socket),
                "BENCHMARK_DATABASE": database.name,
                "BENCHMARK_FIRST_DAY": self._first_day.isoformat(),
                "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true",
            },
            self._folder,
        )

    def _plan(self, database: Database, end: dt.date) -> Measured:
        """Create the models and fill them up to a day."""
        return self._sqlmesh(
            database,
            "plan",
            "--auto-apply",
            "--no-prompts",
            "--execution-time",
            end.isoformat(),
        )

    def prepare(self, database: Database, until: dt.date | None) -> None:
        """Take the history in with one plan."""
        self._folder = _project("sqlmesh")
        self._planned = until is not None
        with database.connect() as connection:
            for schema in ("sqlmesh", "sqlmesh__sqlmesh_models", "sqlmesh_models"):
                connection.execute(f"drop schema if exists {schema} cascade")
        if until is None:
            self._first_day = FIRST_DAY
            return
        self._first_day = until - dt.timedelta(days=1)
        self._plan(database, until)
        with database.connect() as connection:
            connection.execute("vacuum analyze")

    def day(self, database: Database, day: dt.date) -> Measured:
        """Run what is missing up to the day's end."""
        return self._sqlmesh(database, "run", "--ignore-cron", "--end", day.isoformat())

    def backfill(self, database: Database, start: dt.date, end: dt.date) -> Measured:  # noqa: ARG002
        """Run what is missing up to the range's end, or plan it where nothing is there."""
        if self._planned:
            return self.day(database, end - dt.timedelta(days=1))
        return self._plan(database, end)
