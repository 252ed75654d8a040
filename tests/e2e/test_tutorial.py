"""The tutorial, as a reader goes through it: each command, and what the page says it prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
from tests.conftest import COMMAND
from tests.e2e.conftest import Installation
from tests.support import lanes
from tests.support.shown import blocks, on_terminal, unlike

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-hour.md"


@lanes.LONG
def test_every_step_of_the_tutorial_does_what_it_says(installation: Installation) -> None:
    installation.start("--no-airflow")
    installation.await_ready()
    environment = {
        **installation.environment(),
        "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}",
    }
    printed = on_terminal(installation.output.read_text(), installation.errors.read_text())
    answers: list[tuple[str, ...]] = []
    failed = []
    kinds = []
    with psycopg.connect(installation.postgres().url(), autocommit=True) as connection:
        for language, text in blocks(TUTORIAL):
            kinds.append(language)
            if language == "sql":
                cursor = connection.execute(text.encode())
                while True:
                    if cursor.description:
                        answers.append(tuple(str(row[0]) for row in cursor.fetchall()))
                    if not cursor.nextset():
                        break
            elif language == "bash":
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", text],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                printed = done.stdout
                if done.returncode:
                    failed.append(f"{text}\nexit {done.returncode}\n{done.stderr}")
            elif language == "text" and (wrong := unlike(text, printed)):
                failed.append("\n".join(["not as shown:", *wrong, "but:", printed]))
    assert failed == [], "\n\n".join(failed)
    assert (kinds.count("bash"), kinds.count("sql"), kinds.count("text")) >= (8, 4, 8)
    # Both questions of the late row have their answers, one event apart.
    (now,), (first,) = answers[-2:]
    assert int(now) == int(first) + 1
    assert installation.interrupt() == 0
