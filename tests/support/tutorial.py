"""Go through a tutorial as a reader does: each command, and what the page says it prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from tests.conftest import COMMAND
from tests.support.shown import blocks, on_terminal, unlike


def follow(page: Path, installation: Any) -> tuple[list[str], list[tuple[str, ...]]]:
    """Do what a page says beside a system that is up; return its blocks' languages, and answers.

    Args:
        page: a tutorial.
        installation: which has been started, and is ready.
    """
    environment = {
        **installation.environment(),
        "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}",
    }
    printed = on_terminal(installation.output.read_text(), installation.errors.read_text())
    answers: list[tuple[str, ...]] = []
    failed = []
    kinds = []
    with psycopg.connect(installation.postgres().url(), autocommit=True) as connection:
        for language, text in blocks(page):
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
    return kinds, answers
