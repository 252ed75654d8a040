"""`consumer-analytics docs`: as it is written for programs, in the pager for people."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from tests.conftest import COMMAND, command_environment

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "doctor.md"


def docs(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Call it as a program does."""
    return subprocess.run(
        [COMMAND, "docs", *arguments],
        env=command_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_page_as_it_is_written_and_the_list() -> None:
    assert docs("doctor").stdout == PAGE.read_text("utf-8")
    listed = docs().stdout.splitlines()
    assert any(
        line.split(maxsplit=1) == ["how-to/doctor", "Ask the doctor"]
        for line in map(str.rstrip, listed)
    )
    assert not any(line.startswith("decisions/0") for line in listed)
    refused = docs("nothing")
    assert (refused.returncode, refused.stdout) == (2, "")


def test_a_terminal_gets_it_in_the_pager() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "docs", "doctor"],
        env={**command_environment({"PAGER": "sed s/^/paged:/", "TERM": "xterm"})},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:
                break
            shown += more
        assert process.wait(timeout=60) == 0
    os.close(ours)
    text = shown.decode()
    assert all(line.startswith("paged:") for line in text.splitlines())
    # Drawn, not as it is written.
    assert "Ask the doctor" in text
    assert "# Ask the doctor" not in text
