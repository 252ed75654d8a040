"""What people and machines are shown: tables, JSON, progress, one-line errors."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import sys
import textwrap
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import NOTHING, count, exactly, size
from consumer_analytics.messages import Information

#: A file or another program gets each row on one line, to be searched.
_ENDLESS = 10_000


def _width() -> int | None:
    """Return how wide tables may be; None: as the terminal is."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return None if terminal or os.environ.get("COLUMNS") else _ENDLESS


# What somebody has called `:bank:` stays what it is.
out = Console(highlight=False, soft_wrap=True, width=_width(), emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

#: What takes less is not worth a line; what takes long says so this often.
_SECONDS_BETWEEN_LINES = 2.0
#: Where a list goes on in its next line.
_HANGING = 6
#: What a line begins with that the next ones go on beside: `watermark  `, `run 7: `.
_LABEL = re.compile(r" *\S+ {2,}(?=\S)")
#: A program's path, with variables before it or without: a line for a shell.
_FOR_A_SHELL = re.compile(r"([A-Z_]+=\S+ )*/\S+ ")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def print_text(text: str) -> None:
    """Print `text` for machines, as it is."""
    out.file.write(text)


def print_json(value: Any) -> None:
    """Print `value` as one JSON document; times as ISO 8601."""
    print_text(json.dumps(value, indent=2, default=_jsonable) + "\n")


def _jsonable(value: Any) -> Any:
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    return str(value)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table that fits the terminal, as `tables` lays it out; numbers to the right."""
    from consumer_analytics.cli import tables

    numeric = [
        bool(rows) and all(isinstance(row[at], (int, float)) or row[at] is None for row in rows)
        for at in range(len(columns))
    ]
    cells = [[harmless(shown(value)) for value in row] for row in rows]
    layout = tables.laid_out(columns, cells, numeric, out.width)
    for line in layout.header:
        out.print(line, style="bold", markup=False)
    for line in layout.rows:
        out.print(line, markup=False)


def shown(value: Any) -> str:
    """Write a value as tables have it."""
    if value is None:
        return NOTHING
    if isinstance(value, dt.datetime):
        return exactly(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value)
    return str(value)


def harmless(text: str) -> str:
    """Show control characters as what they are: a name must not steer the terminal."""
    return "".join(
        char if char == "\n" or unicodedata.category(char) != "Cc" else repr(char)[1:-1]
        for char in text
    )


def say(text: str) -> None:
    """Print a line to people, markup left alone, broken between words where a terminal ends."""
    out.print(escape(laid_out(harmless(text), out)))


def laid_out(text: str, console: Console, before: int = 0) -> str:
    """Break a line where the terminal ends, between words, and go on below where its text began.

    Args:
        text: the line; a label and two blanks at its start are what the next ones stand beside.
        console: where it goes; a file or another program gets it whole.
        before: columns that are taken already in the first line, and stay free in the next ones.
    """
    if not console.is_terminal:
        return text
    return "\n".join(_laid_out(line, console.width, before) for line in text.split("\n"))


def _laid_out(line: str, width: int, before: int) -> str:
    if before + len(line) <= width:
        return line
    label = _LABEL.match(line)
    hanging = before + (label.end() if label else len(line) - len(line.lstrip()))
    if hanging > width // 2 or _FOR_A_SHELL.match(line, hanging - before):
        return line
    from consumer_analytics.cli.tables import apart, together

    filled = textwrap.fill(
        together(line[hanging - before :]),
        width - hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return line[: hanging - before] + apart(filled).replace("\n", "\n" + " " * hanging)


def say_wrapped(label: str, things: Sequence[str]) -> None:
    """Print a list to people, wrapped within the terminal's width between its things."""
    line = label
    for place, thing in enumerate(things):
        told = thing if place == len(things) - 1 else f"{thing},"
        if line.strip() and len(line) + len(told) > out.width:
            say(line.rstrip())
            line = " " * _HANGING
        line += f"{told} "
    say(line.rstrip())


def parse_size(text: str) -> int:
    """Read a number of bytes: `500000`, `40GiB`, `40 GB` (of 1,000 each), `1.5T`.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)(i?)[bB]?", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a size; write it like 40GiB or 500GB")
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " "))


def note(text: str) -> None:
    """Print a line about what is under way to standard error."""
    err.print(escape(laid_out(harmless(text), err)))


@contextmanager
def working() -> Iterator[Callable[[str], None]]:
    """Show what a job is at that cannot tell how long it will take.

    Yields:
        A function that takes what it is at: one line that comes and goes on a terminal, else a
        line for the first, and for what it is at now and then.
    """
    if not err.is_terminal:
        with _lines() as take:
            yield take
        return
    with err.status("") as status:
        yield lambda text: status.update(escape(harmless(text)))


@contextmanager
def _lines() -> Iterator[Callable[[str], None]]:
    """Print the first of what a job is at, and later what it has come to, now and then."""
    ended = threading.Event()
    told: list[str] = []
    at_work: list[threading.Thread] = []

    def take(text: str) -> None:
        told.append(text)
        if len(told) == 1:
            note(text)
            # What comes soon after it may be what takes long, and nobody calls when that is due.
            at_work.append(threading.Thread(target=tell_later, daemon=True))
            at_work[0].start()

    def tell_later() -> None:
        said = told[0]
        while not ended.wait(_SECONDS_BETWEEN_LINES):
            if told[-1] != said:
                said = told[-1]
                note(said)

    try:
        yield take
    finally:
        ended.set()
        for one in at_work:
            one.join()


@contextmanager
def living(text: str) -> Iterator[None]:
    """Show on a terminal that a job lives which tells nothing until it is done."""
    if not err.is_terminal:
        yield
        return
    with err.status(escape(text)):
        yield


@contextmanager
def above(turning: Status) -> Iterator[None]:
    """Print to standard output while something turns on standard error: it makes way for that.

    Neither console knows of the other, and the line would go on behind what turns.
    """
    turning.stop()
    try:
        yield
    finally:
        turning.start()


def warn(text: str) -> None:
    """Print a warning line to standard error."""
    told = laid_out(harmless(text), err, before=len("warning: "))
    err.print(f"[yellow]warning:[/yellow] {escape(told)}")


def tell(text: str) -> None:
    """Print what work tells to standard error: what is done as it is, all else as a warning."""
    (note if isinstance(text, Information) else warn)(text)


@contextmanager
def progress(
    label: str, before: str = "", *, of_bytes: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """Show how far a long job is: a bar with ETA on a terminal, else plain lines.

    Args:
        label: what is counted.
        before: what goes on before the first of it is done, where that takes long.
        of_bytes: whether it is bytes, too many for a terminal's line as they are.

    Yields:
        A function that takes how much is done and how much there is.
    """
    if not err.is_terminal:
        said = time.monotonic()

        def lines(done: int, total: int) -> None:
            nonlocal said
            if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                share = f" ({done / total:.0%})" if total else ""
                of = f"{size(done)} of {size(total)}" if of_bytes else f"{done:,} of {total:,}"
                err.print(f"{escape(label)}: {of}{share}")

        if before:
            err.print(escape(before))
        yield lines
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True) if of_bytes else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    ) as bar:
        task = bar.add_task(escape(before or label), total=None)

        def show(done: int, total: int) -> None:
            # Until there is something to judge by, the bar says no more than that it lives.
            known = bool(done) or not before
            bar.update(
                task,
                description=escape(label if known else before),
                completed=done,
                total=total if known else None,
            )

        yield show
