"""What an engine answers: rows, or the batches of Arrow that they come in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Answer:
    """An iterator of rows, to be read once; nothing is asked before somebody reads it."""

    def __init__(self, batches: Iterator[Any]) -> None:
        """Take Arrow's record batches, or tables."""
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows."""
        for batch in self.batches:
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
