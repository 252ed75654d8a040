"""What a table format says of the archive's files: which of them are the table, as it is now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Listed:
    """A file of a table's.

    Attributes:
        bytes: its size.
        first_day: the UTC day of its first row, as `date.toordinal` numbers days.
        last_day: that of its last row; None, as the other, where the table does not say.
    """

    bytes: int
    first_day: int | None
    last_day: int | None

    def may_have(self, day: dt.date) -> bool:
        """Tell whether rows of a day may be in it."""
        if self.first_day is None or self.last_day is None:
            return True
        return self.first_day <= day.toordinal() <= self.last_day


class FileTable(Protocol):
    """A table, as it was when it was opened."""

    @property
    def named(self) -> str:
        """Return what people call one: an article and two words."""

    @property
    def version(self) -> int:
        """Return a number that each change raises; -1 where there is no table."""

    def files(self) -> Mapping[str, Listed]:
        """Return its files by their names within the table; elsewhere, by their addresses.

        Raises:
            ArchiveError: rows of them may be marked as deleted.
        """

    def add(self, name: str, day: dt.date, rows: int, size: int, columns: Any) -> int:
        """Let the table have a file more, or the same again; return the version that has it.

        Args:
            name: within the table.
            day: whose rows it has.
            rows: how many.
            size: in bytes.
            columns: of the file, as Arrow has them.

        Raises:
            ArchiveError: the log cannot be written.
        """
