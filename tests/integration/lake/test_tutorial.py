"""The tutorial of old events in files, as a reader goes through it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import installed
from tests.support.tutorial import follow

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial" / "old-events.md"


def test_every_step_does_what_it_says(tmp_path: Path) -> None:
    with installed() as installation:
        installation.variables = {
            "HOME": str(tmp_path),
            "CONSUMER_ANALYTICS_LAKE_URL": (tmp_path / "old-events").as_uri(),
        }
        installation.start("--no-airflow")
        installation.await_ready()
        kinds, _ = follow(TUTORIAL, installation)
        assert (kinds.count("bash"), kinds.count("sql"), kinds.count("text")) == (4, 1, 3)
        assert installation.interrupt() == 0
