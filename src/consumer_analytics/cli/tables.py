"""How a table is laid out: in columns where they fit, else each row over several lines.

Ids, times and numbers with their unit stay in one piece as long as any arrangement lets them: first
headers and texts go on in their next line, between words, then a row goes on in lines of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from rich.cells import cell_len, chop_cells

#: Words up to this long stay whole.
_LONG_WORD = 24
#: Longer ones are broken no shorter than this: an id after its third group.
_PART_OF_WORD = 19
#: No terminal is narrower: who has one is shown lines that are too long.
_NARROWEST = 20
_GAP = "  "
#: Where a row goes on in a line of its own.
_INDENT = "  "
#: Rows by which an arrangement is chosen.
_SAMPLE = 100
#: Stands for a blank that is no place for a break.
_WHOLE = "\0"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12},?")
#: A command, which is copied; a time; a number with its unit, or what it is compared by: their
#: blanks are no places for a break.
_TOGETHER = re.compile(
    r"`[^`]+`"
    r"|\d{4,}-\d\d-\d\d \d\d:\d\d\S*( UTC)?( BC)?"
    r"|([<>]=? )?\d[\d,.]* (%|s|min|h|d|days?|B|[KMGT]iB)(?!\w)"
    r"|[<>]=? \d[\d,.]*"
)


@dataclass(frozen=True)
class _TableColumn:
    """A column, and how wide it is.

    Attributes:
        title: what stands above it.
        cells: what stands in it.
        is_numeric: whether it stands to the right.
        least: its longest word, or so much of it as a long one may be broken to.
        whole: its longest word.
        most: its longest line.
    """

    title: str
    cells: list[str]
    is_numeric: bool
    least: int
    whole: int
    most: int


@dataclass(frozen=True)
class _Part:
    """Columns that stand in a line beside each other, and how wide each is."""

    columns: Sequence[_TableColumn]
    widths: Sequence[int]
    indent: str

    @property
    def breaks_words(self) -> bool:
        """Whether a word goes on in the next line."""
        return any(width < one.whole for one, width in zip(self.columns, self.widths, strict=True))

    def lines(self, row: int | None) -> list[str]:
        """Return the lines of a row, or of what stands above them all."""
        cells = [
            wrapped(one.title if row is None else one.cells[row], width)
            for one, width in zip(self.columns, self.widths, strict=True)
        ]
        return [
            self.indent
            + _GAP.join(
                _padded(lines[at] if at < len(lines) else "", width, to_right=one.is_numeric)
                for one, width, lines in zip(self.columns, self.widths, cells, strict=True)
            )
            for at in range(max(map(len, cells)))
        ]


@dataclass(frozen=True)
class Layout:
    """A table's lines: what stands above the rows, and the rows."""

    header: list[str]
    rows: list[str]


def laid_out(
    titles: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool], width: int
) -> Layout:
    """Lay a table out for a terminal.

    Args:
        titles: what stands above each column.
        rows: what stands in them.
        numeric: whether each column stands to the right.
        width: of the terminal.
    """
    columns = [
        _column(title, [row[at] for row in rows], is_numeric=numeric[at])
        for at, title in enumerate(titles)
    ]
    parts = _arranged(columns, max(width, _NARROWEST))
    return Layout(
        header=_lines(parts, [None]),
        rows=_lines(parts, range(len(rows))),
    )


def together(text: str) -> str:
    """Return a text in which what has to stay in one piece has no blanks: see `apart`."""
    return _TOGETHER.sub(lambda found: found[0].replace(" ", _WHOLE), text)


def apart(text: str) -> str:
    """Return a text with the blanks that `together` took out."""
    return text.replace(_WHOLE, " ")


def _column(title: str, cells: list[str], *, is_numeric: bool) -> _TableColumn:
    words = [word for text in (title, *cells) for word in together(text).split()]
    lines = [line for text in (title, *cells) for line in text.split("\n")]
    return _TableColumn(
        title=title,
        cells=cells,
        is_numeric=is_numeric,
        least=max(map(_least, words), default=0),
        whole=max(map(cell_len, map(apart, words)), default=0),
        most=max(map(cell_len, lines), default=0),
    )


def _least(word: str) -> int:
    """Return how narrow a word may be."""
    length = cell_len(apart(word))
    whole = length <= _LONG_WORD or _WHOLE in word or _ID.fullmatch(word) is not None
    return length if whole else _PART_OF_WORD


def _arranged(columns: Sequence[_TableColumn], room: int) -> list[_Part]:
    """Return the arrangement of the fewest lines; of several, one that breaks no word."""
    fits = [_Part(columns, [one.most for one in columns], "")]
    if _needed([one.most for one in columns]) <= room:
        return fits
    found: list[list[_Part]] = []
    for breaks in range(len(columns)):
        is_last = bool(found)
        found += _broken(columns, breaks, room)
        # One break more may save lines, where a text would have to go on in many.
        if is_last:
            break
    sample = [None, *range(min(_SAMPLE, len(columns[0].cells)))] if columns else [None]
    if found:
        return min(
            found,
            key=lambda parts: (
                len(_lines(parts, sample)),
                any(part.breaks_words for part in parts),
                len(parts),
                _widest(parts),
            ),
        )
    return [
        _Part([one], [_broken_width(one, room - len(_indent(at)))], _indent(at))
        for at, one in enumerate(columns)
    ]


def _broken(columns: Sequence[_TableColumn], breaks: int, room: int) -> Iterator[list[_Part]]:
    """Yield the arrangements with so many breaks that fit."""
    for places in combinations(range(1, len(columns)), breaks):
        parts = []
        for part, (first, end) in enumerate(pairwise((0, *places, len(columns)))):
            of_part, indent = columns[first:end], _indent(part)
            if _needed([one.least for one in of_part]) > room - len(indent):
                break
            parts.append(_Part(of_part, _widths(of_part, room - len(indent)), indent))
        else:
            yield parts


def _indent(part: int) -> str:
    return _INDENT if part else ""


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _widest(parts: Sequence[_Part]) -> int:
    """Return the widest line that an arrangement would have, were there room for all."""
    return max(len(part.indent) + _needed([one.most for one in part.columns]) for part in parts)


def _widths(columns: Sequence[_TableColumn], room: int) -> list[int]:
    """Share a line's room out: each column has its least, those that lack little all.

    First, where there is room for that, words that are longer than a column's least stay whole.
    """
    widths = [one.least for one in columns]
    left = room - _needed(widths)
    for wanted in ([one.whole for one in columns], [one.most for one in columns]):
        for at in sorted(range(len(columns)), key=lambda at: wanted[at] - widths[at]):
            more = max(0, min(wanted[at] - widths[at], left))
            widths[at] += more
            left -= more
    return widths


def _broken_width(column: _TableColumn, room: int) -> int:
    """Return the width of a column that has a line for itself, and is wider even so."""
    if column.least <= room:
        return min(column.most, room)
    return min(_PART_OF_WORD, room)


def _lines(parts: Sequence[_Part], rows: Sequence[int | None]) -> list[str]:
    lines = (line for row in rows for part in parts for line in part.lines(row))
    # What has nothing to say in a line of its own has none.
    return [line for line in lines if len(parts) == 1 or line.strip()]


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines, between words, and words that are too long anywhere."""
    return [line for given in text.split("\n") for line in _wrapped(given, width)]


def _wrapped(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in map(apart, together(text).split()):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines += _parts(word, width)
    return lines[1:] if len(lines) > 1 and not lines[0] else lines


def _parts(word: str, width: int) -> list[str]:
    """Return a word in as many pieces as it needs; a time where it has a blank."""
    if cell_len(word) <= width:
        return [word]
    if " " in word:
        before, _, after = word.rpartition(" ")
        return [*_parts(before, width), *_parts(after, width)]
    return chop_cells(word, width)


def _padded(text: str, width: int, *, to_right: bool) -> str:
    blanks = " " * (width - cell_len(text))
    return f"{blanks}{text}" if to_right else f"{text}{blanks}"
