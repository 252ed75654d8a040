"""Tables: whole on any terminal, a row a line for other programs."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from consumer_analytics.cli import output

ID = "7c944c72-0142-8000-8000-040000000001"
HEADER = ["consumer", "name", "customers", "reason"]
REASON = "somebody has asked for it, and it was done at once"
ROW = [ID, "Beacon Bank 0001", 12_345, REASON]


def shown(monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    """Return the table as a terminal of this width gets it."""
    file = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=file, width=width, soft_wrap=True))
    output.print_table(HEADER, [ROW])
    return file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100])
def test_a_narrow_terminal_loses_nothing(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = shown(monkeypatch, width)
    for word in (*HEADER, "Beacon Bank 0001", "12,345", "asked", "once"):
        assert word in text
    column = text.splitlines()[0].index("name")
    assert "".join(line[:column].strip() for line in text.splitlines()[1:]) == ID


@pytest.mark.parametrize("width", [80, 100])
def test_a_table_fits_its_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    assert max(map(len, shown(monkeypatch, width).splitlines())) <= width


def test_another_program_gets_each_row_on_a_line() -> None:
    program = (
        f"from consumer_analytics.cli.output import print_table\nprint_table({HEADER!r}, [{ROW!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={}
    )
    _, row = done.stdout.splitlines()
    assert row.split("  ")[0] == ID
    assert REASON in row
