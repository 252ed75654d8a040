"""Tables: whole on any terminal, a row a line for other programs."""

from __future__ import annotations

import io
import subprocess
import sys
import time

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


def test_a_table_of_several_long_cells_fits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `watermark show` has to say on 80 columns."""
    file = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=file, width=80, soft_wrap=True))
    row = [
        "2026-12-01 15:27:29 UTC", "root (analytics)", "2026-12-01 15:27:25.92998 UTC",
        "1970-01-01 00:00:00 UTC", "what happens then?",
    ]  # fmt: skip
    output.print_table(["moved at", "by", "from", "to", "reason"], [row])
    assert max(map(len, file.getvalue().splitlines())) <= 80
    assert sorted(file.getvalue().split()[6:]) == sorted(" ".join(row).split())


def test_a_list_of_ids_has_them_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `tokens list` has to say on 80 columns: one id a line."""
    file = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=file, width=80, soft_wrap=True))
    ids = [ID, ID.replace("7", "8"), ID.replace("7", "9")]
    made = "2026-12-01 10:00:00 UTC"
    output.print_table(
        ["name", "sees", "made", "valid until"], [["me", ", ".join(ids), made, made]]
    )
    lines = file.getvalue().splitlines()
    assert [line[6:43].strip(" ,") for line in lines[1:]] == ids
    assert max(map(len, lines)) <= 80


def test_an_id_without_room_is_broken_between_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=file, width=38, soft_wrap=True))
    output.print_table(["consumer", "name"], [[ID, "Beacon Bank 0001"]])
    _, first, second = (line.split()[0] for line in file.getvalue().splitlines())
    assert (first, second) == (ID[:19], ID[19:])


def test_another_program_is_told_what_takes_long_though_it_began_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(output, "err", Console(file=file, width=80))
    monkeypatch.setattr(output, "_SECONDS_BETWEEN_LINES", 0.02)
    with output.working() as take:
        for text in ("first", "soon after", "and long"):
            take(text)
        for _ in range(500):
            if "long" in file.getvalue():
                break
            time.sleep(0.01)
    assert file.getvalue().splitlines() == ["first", "and long"]
    with output.working():
        "Who says nothing is not told of."
    assert file.getvalue().count("\n") == 2


def test_wide_letters_have_their_room(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=file, width=120, soft_wrap=True))
    output.print_table(["name", "customers"], [["株式会社データ銀行", 7], ["[/] [bold]", 1]])
    assert "株式会社データ銀行          7" in file.getvalue()
    assert "[/] [bold]" in file.getvalue()


LINES = {
    "what has a label goes on beside it": (
        "system     8 consumers, 1,848 customers, 50,000 events",
        ["system     8 consumers, 1,848", "           customers, 50,000", "           events"],
    ),
    "what has none goes on at the edge": (
        "nothing was changed, run it as a superuser",
        ["nothing was changed, run it as", "a superuser"],
    ),
    "a command stays whole": (
        "see it by `consumer-analytics status --json`",
        ["see it by", "`consumer-analytics status --json`"],
    ),
    "what is to be copied into a shell stays whole": (
        "database  /opt/postgres/bin/psql 'postgresql://analytics@/analytics'",
        ["database  /opt/postgres/bin/psql 'postgresql://analytics@/analytics'"],
    ),
    "with variables before it too": (
        "          AIRFLOW_HOME=/srv/airflow /opt/bin/airflow dags list",
        ["          AIRFLOW_HOME=/srv/airflow /opt/bin/airflow dags list"],
    ),
    "what fits": ("up to date", ["up to date"]),
}


@pytest.mark.parametrize("what", LINES)
def test_a_line_is_broken_between_words(what: str) -> None:
    text, lines = LINES[what]
    terminal = Console(file=io.StringIO(), width=30, force_terminal=True)
    assert output.laid_out(text, terminal).split("\n") == lines


def test_what_stands_before_a_line_takes_its_room() -> None:
    terminal = Console(file=io.StringIO(), width=20, force_terminal=True)
    assert output.laid_out("one two three four", terminal, before=7) == (
        "one two three\n       four"
    )


def test_another_program_gets_a_line_whole() -> None:
    text = "word " * 50
    assert output.laid_out(text, Console(file=io.StringIO(), width=30)) == text


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


def test_bytes_are_told_short_enough_for_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file of 105 MiB the whole is cut from 80 columns, and the part looks like more."""
    file = io.StringIO()
    monkeypatch.setattr(output, "err", Console(file=file, width=80, force_terminal=True))
    with output.progress("reading customer_events.csv", of_bytes=True) as show:
        show(48_701_440, 110_400_055)
    assert "46.4/105.3 MiB" in file.getvalue()
    assert "…" not in file.getvalue()
