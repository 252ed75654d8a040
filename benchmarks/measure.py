"""What one measurement is, and how processes are measured."""

from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.server import Database

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "benchmark"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        seconds: how long it took.
        peak_mb: the most memory that its process ever had, MB; None for bare SQL.
        detail: what it says of itself.
    """

    seconds: float
    peak_mb: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


class CommandFailedError(Exception):
    """A measured command failed; the message is the end of its output."""


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return a plain environment for what is measured: nobody's settings, compiled byte code."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CONSUMER_ANALYTICS_", "AIRFLOW", "PG", "DBT_", "SQLMESH"))
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**plain, "NO_COLOR": "1", "COLUMNS": "200", **changes}


def peak_mb(process: int | str = "self") -> int:
    """Return the most memory that a process has had so far, MB; 0 where it has ended."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) // 1024 if found else 0
    return 0


def run_command(
    arguments: Sequence[str | Path], changes: Mapping[str, str], cwd: Path = ROOT
) -> Measured:
    """Run a command from its start to its end.

    Raises:
        CommandFailedError: it did not end well.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    peak = 0
    log = BUILD / "command.log"
    with log.open("w") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, arguments)),
            env=environment(changes),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # Known only while it lives: what the kernel tells at its end holds our own memory, too.
        while process.poll() is None:
            peak = max(peak, peak_mb(process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        took = time.perf_counter() - began
    if process.returncode != 0:
        said = log.read_text(errors="replace")[-3000:]
        raise CommandFailedError(f"{' '.join(map(str, arguments))}\n{said}")
    return Measured(took, peak)


class Worker:
    """A process of its own that works in one session, measured from inside."""

    def __init__(self, database: Database, **settings: object) -> None:
        """Start it, in a database, with settings of the product other than their defaults."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", database.url, json.dumps(settings)],
            env=environment({}),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(30)

    def __call__(self, work: str, **values: object) -> Measured:
        """Let it do something; dates are given as ISO 8601.

        Raises:
            CommandFailedError: it failed; what it said is on standard error.
        """
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(json.dumps({"work": work, **values}, default=str) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise CommandFailedError(f"the worker failed at {work}")
        return Measured(**json.loads(answer))


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return median, least and most."""
    return statistics.median(values), min(values), max(values)
