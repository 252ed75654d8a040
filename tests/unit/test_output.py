"""Tables: whole on any terminal, a row a line for other programs."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from consumer_analytics.cli import output, up
from consumer_analytics.formatting import moment
from consumer_analytics.operations.doctor.findings import Check, Examined, ok
from consumer_analytics.settings import Settings

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
    words = " ".join(text.split())
    for word in (*HEADER, "Beacon", "Bank", "0001", "12,345", "asked", "once"):
        assert word in words
    assert ID in "".join(text.split()) if width < len(ID) else ID in text
    assert max(map(len, text.splitlines())) <= width


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
    """What `tokens list` has to say on 80 columns."""
    file = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=file, width=80, soft_wrap=True))
    ids = [ID, ID.replace("7", "8"), ID.replace("7", "9")]
    made = "2026-12-01 10:00:00 UTC"
    output.print_table(
        ["name", "sees", "made", "valid until", ""], [["me", ", ".join(ids), made, made, ""]]
    )
    lines = file.getvalue().splitlines()
    assert all(any(one in line for line in lines) for one in ids)
    assert file.getvalue().count(made) == 2
    assert all(line.strip() for line in lines)
    assert max(map(len, lines)) <= 80


def test_an_id_without_room_is_broken_between_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = table(monkeypatch, 30, ["consumer", "name"], [[ID, "Beacon Bank 0001"]])
    assert [line.strip() for line in lines[2:4]] == [ID[:19], ID[19:]]


#: What commands have to say where names are long: columns, a row.
AT = dt.datetime(2026, 12, 3, 5, 42, 37, 558194, tzinfo=dt.UTC)
NAME = "Donaudampfschifffahrtsgesellschaft of the United Kingdoms, Limited"
TABLES: dict[str, tuple[list[str], list[Any]]] = {
    "status": (
        ["consumer", "name", "customers", "active", "events", "new in window"],
        [ID, NAME, 681_000, 399_000, 20_580_000, 20_580],
    ),
    "status, runs": (
        ["run opened", "source", "state", "processed up to", "new events", "snapshots"],
        [moment(AT), "airflow_backfill", "interrupted", AT, 50_000, 9],
    ),
    "status, shards": (
        ["shard", "counted up to", "latest snapshot", "vanished", "database"],
        ["europe-west-and-central", AT, AT, 12, "the database cannot be reached: no such host"],
    ),
    "audit": (
        ["where", "consumer", "figure", "at", "kept", "recounted"],
        ["snapshot", ID, "events_by_type", AT, '{"customer_creation": 12}', "none"],
    ),
    "vanished": (
        ["consumer", "type", "since", "until", "events", "came back", "noted at", "by"],
        [
            ID, "customer_status_changed_by_batch", "2026-12-03 05:42:37.558194 UTC",
            "2026-12-04 00:00:00 UTC", 1_234_567, 3, moment(AT), "capture",
        ],
    ),
    "incidents": (
        ["incident", "subject", "state", "opened", "over", "cause"],
        [12, "watermark_lag", "critical", moment(AT), "open", "no run has ended since yesterday"],
    ),
    "sweep": (
        ["consumer", "type", "day", "was counted", "source has", "stay counted"],
        [ID, "customer_status_changed_by_batch", AT.date(), 1_234_567, 1_234_560, 7],
    ),
    "snapshots list": (
        ["instant", "window", "source", "state", "rows", "revisions"],
        [AT, "20,790 d 6 h", "airflow_backfill", "owed, next run", 9, 0],
    ),
    "check": (
        ["what it will take, about", "events", "snapshots", "time", "disk"],
        ["a daily backfill of 365 days", 49_960_000, 1_080_000, "25 min - 1 h 40 min", "1.3 GiB"],
    ),
}  # fmt: skip


def table(
    monkeypatch: pytest.MonkeyPatch, width: int, columns: list[str], rows: list[list[Any]]
) -> list[str]:
    """Return the lines of a table on a terminal of this width."""
    file = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=file, width=width, soft_wrap=True))
    output.print_table(columns, rows)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("command", TABLES)
def test_ids_and_times_stay_whole(
    monkeypatch: pytest.MonkeyPatch, command: str, width: int
) -> None:
    columns, row = TABLES[command]
    lines = table(monkeypatch, width, columns, [row])
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for cell in map(output.shown, row):
        is_one = cell.endswith(" UTC") or cell == ID
        for piece in [cell] if is_one else cell.split():
            # A longer word goes on in the next line, beside which other columns stand.
            assert (piece if is_one or len(piece) <= 24 else piece[:19]) in text
    for title in columns:
        assert all(word in text for word in title.split())


def test_a_row_that_needs_more_room_goes_on_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures stand under their titles, as in any table, and the rows are told apart."""
    columns, row = TABLES["status"]
    other = [ID.replace("7", "8"), "Beacon Bank 0001", 1, 1, 2, 2]
    lines = table(monkeypatch, 80, columns, [[*row[:1], "Ember Bank", *row[2:]], other])
    assert [line.rstrip() for line in lines] == [
        "consumer                              name",
        "  customers   active      events  new in window",
        f"{ID}  Ember Bank",
        "    681,000  399,000  20,580,000         20,580",
        f"{other[0]}  Beacon Bank 0001",
        "          1        1           2              2",
    ]


def test_a_text_goes_on_in_its_column_where_that_takes_fewer_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns, row = TABLES["snapshots list"]
    rows = [[row[0], "1 d", "cli_backfill", "whole", 9, 0]] * 5
    lines = table(monkeypatch, 80, columns, [[*row[:2], *rows[0][2:]], *rows])
    assert len(lines) == 1 + 2 + 5


def test_what_somebody_calls_themselves_is_no_picture() -> None:
    program = (
        "from consumer_analytics.cli import output\n"
        "output.print_table(['name'], [[':bank: [red]']])\noutput.say(':bank: [red]')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert [line.rstrip() for line in done.stdout.splitlines()] == ["name", *[":bank: [red]"] * 2]


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
    "a time stays whole, and a number with its unit": (
        "watermark  it is due 2026-12-03 00:00:00 UTC, of which 58.59 % are done",
        [
            "watermark  it is due",
            "           2026-12-03 00:00:00 UTC,",
            "           of which 58.59 %",
            "           are done",
        ],
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


def test_what_up_waits_for_is_named_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four processes the last ones were cut from the line of a terminal."""
    file = io.StringIO()
    monkeypatch.setattr(up, "err", Console(file=file, width=60, force_terminal=True))
    waiting_for = ["api-server", "dag-processor", "scheduler", "triggerer"]
    with up._Notifier().step("starting Airflow") as detail:
        detail(f"waiting for {', '.join(waiting_for)}")
        for _ in range(200):
            if "triggerer" in file.getvalue():
                break
            time.sleep(0.02)
        during = file.getvalue()
    assert all(name in during for name in waiting_for)
    assert "…" not in during


@pytest.mark.parametrize("command", ["doctor", "check"])
def test_a_finding_is_not_printed_behind_what_turns(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """It was, in one line with the question, where a check took a moment."""
    module = importlib.import_module(f"consumer_analytics.cli.{command}")
    terminal = io.StringIO()
    console = Console(file=terminal, width=80, soft_wrap=True, force_terminal=True)
    err = Console(file=terminal, width=80, soft_wrap=True, force_terminal=True)
    monkeypatch.setattr(output, "out", console)
    monkeypatch.setattr("consumer_analytics.cli.findings.out", console)
    monkeypatch.setattr(output, "err", err)
    monkeypatch.setattr(module, "err", err)
    check = Check("database-clock", "what time is it?", lambda _: ok("it is late"))

    def examine(*_: Any, **__: Any) -> Iterator[Examined]:
        time.sleep(0.3)
        yield Examined(check, ok("it is late"))

    context = contextlib.nullcontext(SimpleNamespace(connection=None))
    monkeypatch.setattr(module, "_context", lambda *_: context)
    if command == "doctor":
        monkeypatch.setattr(module, "examine", examine)
        module._examined(Settings(), [check], fix=False, as_json=False)
    else:
        monkeypatch.setattr(module.checking, "examine", examine)
        monkeypatch.setattr(module, "_estimate", lambda *_: (None, "it cannot be"))
        module.check()
    text = re.sub(r"[^\n]*\x1b\[2K", "", terminal.getvalue())
    (line,) = [line for line in text.splitlines() if "it is late" in line]
    assert "looking" in terminal.getvalue()
    assert re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", line).startswith("ok"), repr(line)
