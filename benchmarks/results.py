"""What was measured, kept as JSON so that works can be measured one at a time."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured

FLOOR, ENGINE, COMMAND = "floor", "ours, engine", "ours, command"
#: What wrote the snapshots that are audited.
BACKFILL = "ours, backfill"
#: In which the tables list them.
ORDER = (FLOOR, BACKFILL, ENGINE, COMMAND, "loop", "SQLMesh", "dbt")


@dataclass
class Row:
    """What one system did at one work.

    Attributes:
        variant: which of the work's sizes; empty where there is one.
        system: its name.
        less: what it does less than ours.
        seconds: what was measured in each round that it took part in, by the round's number.
        peak_mb: the most memory that its process had; None for bare SQL.
        equal: whether its counts by consumer and type are ours; None where it keeps none.
        detail: of the last round.
    """

    variant: str
    system: str
    less: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: int | None = None
    equal: bool | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The median of its rounds."""
        return statistics.median(self.seconds.values())

    def ratios(self, other: Row) -> list[float]:
        """Return its time over another's, for the rounds that both took part in."""
        return [took / other.seconds[n] for n, took in self.seconds.items() if n in other.seconds]


@dataclass
class Work:
    """A work, as it was measured.

    Attributes:
        name: what `--only` calls it.
        title: what is done.
        measured_at: when it ended.
        took: how long all of it took, seconds, preparations included.
        rows: the systems.
        facts: what follows from them, in words.
    """

    name: str
    title: str
    measured_at: str = ""
    took: float = 0.0
    rows: list[Row] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    def add(self, system: str, number: int, measured: Measured, *, variant: str = "") -> None:
        """Take a measurement in, and say it."""
        row = self.row(system, variant) or Row(variant, system)
        if row not in self.rows:
            self.rows.append(row)
        row.seconds[str(number)] = measured.seconds
        if measured.peak_mb is not None:
            row.peak_mb = max(row.peak_mb or 0, measured.peak_mb)
        row.detail = dict(measured.detail)
        told = f"  {variant:>12}  " if variant else "  "
        print(f"{told}round {number}  {system:14} {measured.seconds:9.3f} s", flush=True)

    def row(self, system: str, variant: str = "") -> Row | None:
        """Return a system's row."""
        return next((r for r in self.rows if (r.system, r.variant) == (system, variant)), None)

    def variants(self) -> list[str]:
        """Return its sizes, in order."""
        return list(dict.fromkeys(row.variant for row in self.rows))

    def finish(self, took: float) -> None:
        """Note the end, and bring the systems into the order of the tables."""
        variants = self.variants()
        order = {system: place for place, system in enumerate(ORDER)}
        self.rows.sort(key=lambda row: (variants.index(row.variant), order.get(row.system, 0)))
        self.took = round(took, 1)
        self.measured_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")

    def times_ours(self, row: Row) -> float | None:
        """Return how many times ours' time it took: a command's that of our command."""
        ours = self.row(ENGINE if row.system == "loop" else COMMAND, row.variant)
        if row.system in (FLOOR, BACKFILL, ENGINE, COMMAND) or ours is None:
            return None
        return row.median / ours.median


@dataclass
class Results:
    """All works, and what they were measured on."""

    machine: dict[str, Any]
    works: dict[str, Work] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write them as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what was written."""
        raw = json.loads(path.read_text())
        works = {
            name: Work(**{**work, "rows": [Row(**row) for row in work["rows"]]})
            for name, work in raw["works"].items()
        }
        return cls(raw["machine"], works)

    def wrong(self) -> list[str]:
        """Return who counted otherwise than ours."""
        return [
            f"{work.name}: {row.system} {row.variant}".strip()
            for work in self.works.values()
            for row in work.rows
            if row.equal is False
        ]


def span(values: Iterable[float]) -> str:
    """Write the least and the most of some ratios."""
    found = list(values)
    return f"{min(found):.2f} to {max(found):.2f}" if found else "-"
