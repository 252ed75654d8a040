"""The tutorial, as a reader goes through it: each command, and what the page says it prints."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import Installation
from tests.support import lanes
from tests.support.tutorial import follow

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-hour.md"


@lanes.LONG
def test_every_step_of_the_tutorial_does_what_it_says(installation: Installation) -> None:
    installation.start("--no-airflow")
    installation.await_ready()
    kinds, answers = follow(TUTORIAL, installation)
    assert (kinds.count("bash"), kinds.count("sql"), kinds.count("text")) >= (8, 4, 8)
    # Both questions of the late row have their answers, one event apart.
    (now,), (first,) = answers[-2:]
    assert int(now) == int(first) + 1
    assert installation.interrupt() == 0
