"""How long a command takes before and after its work, of this build and of another beside it.

python -m benchmarks.startup                         this build
python -m benchmarks.startup --beside /path/.venv    side by side with the build installed there

Processor time of the process, the least of all rounds: what else the machine does hardly shows.
Of `run` and `status` four parts: the connection (to import psycopg, and to open and close it),
the engine (its modules' import, and all that happens between), and the rest, which is start-up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psycopg

from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres

#: What the overview of the commands is held against: the libraries that draw it.
_LIBRARIES = "import typer, rich.console"
_WORKS = {"run": ["run"], "status": ["status"]}
#: The engine of each command, by whichever names a build has for its modules.
_ENGINE = {
    "run": ["etl.run", "engine.run"],
    "status": [
        *("reporting.status", "operations.storage", "etl.revisions", "db.schema"),
        *("engine.status", "engine.storage", "engine.revisions", "engine.schema"),
    ],
}
_PARTS = ("whole", "connection", "engine", "start-up")
_PROBE = """
import sys, time
clock = time.process_time
began = clock()
import psycopg
connection = clock() - began
from consumer_analytics.settings import settings
settings()
before = clock()
import importlib, importlib.util
for name in sys.argv.pop(1).split(","):
    package, _, module = name.partition(".")
    if importlib.util.find_spec("consumer_analytics." + package):
        importlib.import_module("consumer_analytics." + name)
engine = clock() - before
work = []
connect, close = psycopg.connect, psycopg.Connection.close
def connecting(*args, **kwargs):
    global connection
    at = clock()
    made = connect(*args, **kwargs)
    connection += clock() - at
    work.append(clock())
    return made
def closing(self):
    global connection
    at = clock()
    close(self)
    connection += clock() - at
    work.append(at)
psycopg.connect, psycopg.Connection.close = connecting, closing
psycopg.Connection.connect = staticmethod(connecting)
from consumer_analytics.cli.main import main
try:
    main()
except SystemExit:
    pass
engine += work[-1] - work[0]
import json, os
whole = clock()
json.dump([whole, connection, engine, whole - connection - engine], sys.stderr)
"""


def _processor_seconds(command: list[str], environment: Mapping[str, str]) -> float:
    """Return the processor time that a command takes, its start and its end included."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _parts(python: Path, name: str, environment: Mapping[str, str]) -> list[float]:
    """Return a command's processor time: whole, connection, engine, start-up."""
    done = subprocess.run(
        [python, "-c", _PROBE, ",".join(_ENGINE[name]), *_WORKS[name]],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[float] = json.loads(done.stderr.splitlines()[-1])
    return found


def _prepare(command: Path, environment: Mapping[str, str]) -> None:
    for arguments in (
        ["migrate"],
        ["simulate", "--customers", "2000", "--events", "20000", "--days", "30"],
        ["run"],
    ):
        subprocess.run([command, *arguments], env=environment, capture_output=True, check=True)


def _measure(builds: Mapping[str, Path], rounds: int) -> dict[str, dict[str, float]]:
    """Return the least processor time of everything, by build."""
    least: dict[str, dict[str, float]] = {build: {} for build in builds}

    def note(build: str, what: str, seconds: float) -> None:
        least[build][what] = min(seconds, least[build].get(what, seconds))

    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            environments = {}
            for place, (build, bin_) in enumerate(builds.items()):
                name = f"startup_{place}"
                with psycopg.connect(
                    server.conninfo(SUPERUSER, "postgres"), autocommit=True
                ) as admin:
                    admin.execute(f"create database {name} owner analytics")
                environments[build] = {
                    **{k: v for k, v in os.environ.items() if "CONSUMER_ANALYTICS" not in k},
                    "CONSUMER_ANALYTICS_DATABASE_URL": server.conninfo(database=name),
                    "CONSUMER_ANALYTICS_HOME": folder,
                }
                _prepare(bin_ / "consumer-analytics", environments[build])
            for _ in range(rounds):
                for build, bin_ in builds.items():
                    python, environment = bin_ / "python", environments[build]
                    libraries = [str(python), "-c", _LIBRARIES]
                    note(build, "libraries", _processor_seconds(libraries, environment))
                    overview = [str(bin_ / "consumer-analytics"), "--help"]
                    note(build, "--help", _processor_seconds(overview, environment))
                    for work in _WORKS:
                        times = _parts(python, work, environment)
                        for part, seconds in zip(_PARTS, times, strict=True):
                            note(build, f"{work}: {part}", seconds)
        finally:
            server.stop()
    return least


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--beside", type=Path, metavar="VENV", help="another build's environment")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    builds = {"this build": Path(sys.executable).parent}
    if arguments.beside:
        builds["the other"] = arguments.beside / "bin"
    least = _measure(builds, arguments.rounds)
    print(f"{'ms of processor time':24}" + "".join(f"{build:>14}" for build in builds) + "   ratio")
    for what in least["this build"]:
        row = [1000 * least[build][what] for build in builds]
        ratio = f"{row[0] / row[1]:8.2f}" if len(row) > 1 else ""
        print(f"{what:24}" + "".join(f"{ms:14.0f}" for ms in row) + ratio)
    times = "".join(
        f"{least[build]['--help'] / least[build]['libraries']:14.2f}" for build in builds
    )
    print(f"{'--help ÷ libraries':24}{times}")


if __name__ == "__main__":
    main()
