"""The benchmark itself, on tiny sizes and without the peers: it works, and it compares."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.measure import ROOT, Measured, environment
from benchmarks.results import Results, Work
from tests.support import lanes, scratch
from tests.support.reaper import Reaper

STOP = """
import pathlib, shutil
from consumer_analytics.local.embedded_postgres import EmbeddedPostgres
folder = pathlib.Path(arguments[0])
EmbeddedPostgres(folder / "postgres").stop()
shutil.rmtree(folder)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not below pytest's own folder: as root, the server's user must get through.
    made = scratch.folder("ca-benchmark-")
    reaper = Reaper(STOP, made)
    try:
        yield made
    finally:
        reaper.reap()


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-m", "benchmarks", "--tiny", "--folder", str(folder),
            "--results", str(folder / "results"), *arguments,
        ],
        cwd=ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )  # fmt: skip


@lanes.LONG
def test_works_are_measured_compared_and_kept(folder: Path) -> None:
    done = bench(folder, "--only", "month")
    assert done.returncode == 0, done.stdout + done.stderr
    done = bench(folder, "--only", "day", "--rounds", "1")
    assert done.returncode == 0, done.stdout + done.stderr

    results = Results.read(folder / "results" / "results.json")
    assert list(results.works) == ["day", "month"]
    for work in results.works.values():
        assert [row.equal for row in work.rows if row.system == "loop"] == [True]
        assert {row.system for row in work.rows} == {
            "floor",
            "ours, engine",
            "ours, command",
            "loop",
        }
        assert all(row.median > 0 for row in work.rows)
        assert all(row.peak_mb for row in work.rows if row.system != "floor")
    assert results.machine["postgresql"].startswith("18.")
    page = (folder / "results" / "results.md").read_text()
    assert "Does less than ours: **floor**" in page


def test_a_system_that_counts_otherwise_ends_in_an_error() -> None:
    work = Work("day", "a day")
    work.add("loop", 1, Measured(1.0))
    row = work.row("loop")
    assert row is not None
    row.equal = False
    assert Results({}, {"day": work}).wrong() == ["day: loop"]


def test_ratios_are_of_the_same_round() -> None:
    work = Work("day", "a day")
    for number, (ours, floor) in enumerate([(4.0, 2.0), (9.0, 3.0)]):
        work.add("ours, engine", number, Measured(ours))
        work.add("floor", number, Measured(floor))
    work.add("ours, engine", 2, Measured(5.0))
    engine, floor_row = work.row("ours, engine"), work.row("floor")
    assert engine is not None
    assert floor_row is not None
    assert engine.ratios(floor_row) == [2.0, 3.0]
    assert json.loads(json.dumps(engine.seconds)) == {"0": 4.0, "1": 9.0, "2": 5.0}
