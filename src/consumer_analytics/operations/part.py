"""What came of one part of a maintenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MaintenancePart:
    """What one part of a maintenance removed.

    Attributes:
        name: what it looked after.
        removed: how many, or, in a dry run, how many it would.
        unit: of what: rows or files.
        bytes_removed: their own size.
        bytes_before: what all of it took before, indexes included; None where
            that cannot be told.
        bytes_after: what it takes now.
        notes: what a person should know besides.
        skipped: why nothing was looked at; None where it was.
        failed: what went wrong; None where nothing did.
    """

    name: str
    removed: int = 0
    unit: str = "rows"
    bytes_removed: int = 0
    bytes_before: int | None = None
    bytes_after: int | None = None
    notes: tuple[str, ...] = ()
    skipped: str | None = None
    failed: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and for the record."""
        return {
            "part": self.name,
            "removed": self.removed,
            "unit": self.unit,
            "bytes_removed": self.bytes_removed,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "notes": list(self.notes),
            "skipped": self.skipped,
            "failed": self.failed,
        }
