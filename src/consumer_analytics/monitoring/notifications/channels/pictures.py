"""Small charts as PNG: mail programs show no SVG, and load nothing from elsewhere.

Bars and a line, without text: what is written beside them, mail programs write themselves. Each
pixel is one of five colours, so that a chart takes a few kilobytes and no library.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise

#: As shown; drawn twice as large, for screens that are as fine.
WIDTH, HEIGHT = 590, 120
_SCALE = 2
#: White, what was before, what it is about, a grid line, a line.
_PALETTE = ("ffffff", "c3d0dc", "2563eb", "e5e7eb", "0f766e")
_BACK, _BEFORE, _NOW, _GRID, _LINE = range(len(_PALETTE))
_THICK = 5


def bars(values: Sequence[float | None], newest: int) -> bytes:
    """Draw bars from zero on.

    Args:
        values: from left to right; None leaves a gap.
        newest: how many of the last ones are what it is about.

    Returns:
        A PNG of twice `WIDTH` by `HEIGHT`.
    """
    rows = _canvas()
    width, height = WIDTH * _SCALE, HEIGHT * _SCALE
    highest = max((value for value in values if value is not None), default=0) or 1
    for place, value in enumerate(values):
        if not value or value < 0:
            continue
        left = round(place * width / len(values)) + _SCALE
        right = max(round((place + 1) * width / len(values)) - _SCALE, left + 1)
        colour = _NOW if place >= len(values) - newest else _BEFORE
        top = height - max(round(value / highest * height), 1)
        for row in rows[top:]:
            row[left:right] = bytes([colour]) * (right - left)
    return _png(rows)


def line(values: Sequence[float | None]) -> bytes:
    """Draw a line between the least and the largest value, gaps where there is none.

    Returns:
        A PNG of twice `WIDTH` by `HEIGHT`.
    """
    rows = _canvas()
    width, height = WIDTH * _SCALE, HEIGHT * _SCALE
    there = [value for value in values if value is not None]
    least, span = min(there, default=0), (max(there, default=0) - min(there, default=0)) or 1

    def level(value: float) -> float:
        return (height - 1 - _THICK) * (1 - (value - least) / span) + _THICK / 2

    steps = max(len(values) - 1, 1)
    for place, (one, other) in enumerate(pairwise(values)):
        if one is None or other is None:
            continue
        left, right = round(place * (width - 1) / steps), round((place + 1) * (width - 1) / steps)
        for x in range(left, right + 1):
            share = (x - left) / max(right - left, 1)
            middle = level(one) * (1 - share) + level(other) * share
            # As thick where it is steep: all levels between this column's and the next one's.
            slope = abs(level(other) - level(one)) / max(right - left, 1)
            half = (_THICK + slope) / 2
            for y in range(max(round(middle - half), 0), min(round(middle + half), height - 1) + 1):
                rows[y][x] = _LINE
    return _png(rows)


def _canvas() -> list[bytearray]:
    width, height = WIDTH * _SCALE, HEIGHT * _SCALE
    rows = [bytearray(width) for _ in range(height)]
    for quarter in range(5):
        y = min(round(quarter * height / 4), height - 1)
        rows[y][:] = bytes([_GRID]) * width
    return rows


def _png(rows: Sequence[bytearray]) -> bytes:
    """Return rows of palette numbers as a PNG with eight bits for each."""
    header = struct.pack(">2I5B", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, held)
        for name, held in (
            (b"IHDR", header),
            (b"PLTE", bytes.fromhex("".join(_PALETTE))),
            (b"IDAT", data),
            (b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
