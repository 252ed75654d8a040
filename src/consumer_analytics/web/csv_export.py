"""Tables as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

#: What a spreadsheet takes for the beginning of a formula, in any of a sign's widths.
_SIGNS = frozenset("=+-@")
#: What one takes for the next cell or line, where it takes it for anything.
_BREAKS = frozenset("\t\r\n")
#: Kinds of characters that are not seen: separators, controls and formats, what has no meaning,
#: and marks, which here have nothing to stand upon.
_UNSEEN = ("Z", "C", "M")
#: Letters and symbols that are blank.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_IN_MEMORY = 4_000_000
_CHUNK = 65_536


def cell(value: Any) -> Any:
    """Return a value as a cell holds it.

    Text that a spreadsheet would take for a formula gets an apostrophe before
    it; numbers, negative ones too, stay numbers.
    """
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and _is_formula(value):
        return f"'{value}"
    return value


def _is_formula(text: str) -> bool:
    """Tell whether the first thing to be seen in a text begins a formula, or it begins a cell."""
    for character in text:
        if character in _BREAKS:
            return True
        if character in _BLANK or unicodedata.category(character).startswith(_UNSEEN):
            continue
        return unicodedata.normalize("NFKC", character)[0] in _SIGNS
    return False


class CsvResponse(StreamingResponse):
    """A CSV file to keep.

    It is made whole before the first byte is sent, on disk where it is large:
    a slow client then holds no session with the database, and what goes wrong
    is told instead of cut off.
    """

    media_type = "text/csv"

    def __init__(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        status_code: int = 200,
    ) -> None:
        """Exports all rows.

        Args:
            name: the file's, without `.csv`; ASCII.
            columns: the header.
            rows: as many values each.
            status_code: HTTP's; FastAPI's description of the API reads the default.
        """
        file = tempfile.SpooledTemporaryFile(  # noqa: SIM115  # closed when it is sent
            max_size=_IN_MEMORY, mode="w+", encoding="utf-8", newline=""
        )
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([cell(column) for column in columns])
        writer.writerows([cell(value) for value in row] for row in rows)
        file.seek(0)
        super().__init__(
            iter(lambda: file.read(_CHUNK), ""),
            status_code,
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
            background=BackgroundTask(file.close),
        )


def flat(
    kind: type, rows: Iterable[Any], spread: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> tuple[list[str], Iterator[list[Any]]]:
    """Return dataclasses as columns and rows.

    Args:
        kind: their class.
        rows: its instances; they are taken one by one, as they are written.
        spread: fields that are dictionaries, with the keys that become columns of their own.
    """
    names = [field.name for field in dataclasses.fields(kind)]
    columns: list[str] = []
    for name in names:
        columns += [f"{name}.{key}" for key in spread[name]] if name in spread else [name]

    def record(row: Any) -> list[Any]:
        values: list[Any] = []
        for name in names:
            value = getattr(row, name)
            values += [value.get(key) for key in spread[name]] if name in spread else [value]
        return values

    return columns, map(record, rows)
