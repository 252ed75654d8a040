"""What an audit found, and what a repair has changed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from consumer_analytics.db.connection import MINUS_INFINITY

#: What adds up, of what several steps have found.
_SUMMED = (
    "counted",
    "in_source",
    "vanished",
    "snapshots",
    "rows",
    "missing",
    "double",
    "differences",
    "untold_snapshots",
    "doubled_rows",
    "written_otherwise",
    "snapshots_on_trust",
    "snapshots_not_recountable",
)
#: Longer numbers in a document are shown as they stand there: Python would not read them.
_MOST_DIGITS = 1000


@dataclass(frozen=True)
class AuditDifference:
    """One figure that is not what it must be.

    Attributes:
        where: `day` or `total` (the internal counts), `snapshot`, or `revision`.
        consumer_id: whose; None for rows without a consumer and for the whole system.
        figure: the event type, or the key in `metrics_json`, such as `events_by_type.login`;
            `row` for a row that is missing, doubled or one too many; `document` where a row holds
            none; `customers` where figures that only a digest tells were edited; `revisions`.
        at: the day or the snapshot's instant; None for a total.
        kept: what the database says.
        recounted: what it must say.
        lasting: why no repair can put it right; None where one can.
    """

    where: str
    consumer_id: str | None
    figure: str
    at: dt.datetime | str | None
    kept: Any
    recounted: Any
    lasting: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        told = asdict(self)
        if self.lasting is None:
            del told["lasting"]
        return told


@dataclass(frozen=True)
class SinceLast:
    """What an audit went on from.

    Attributes:
        audited_at: when the last clean audit was.
        base: the instant before which nothing was read but the snapshots; None where everything
            had to be read.
        unread: how many snapshots are as they were then, and were not recounted.
    """

    audited_at: dt.datetime
    base: dt.datetime | None
    unread: int

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "last_clean_audit_at": self.audited_at,
            "read_from": self.base,
            "snapshots_not_recounted": self.unread,
        }


@dataclass
class AuditResult:
    """What an audit found.

    Attributes:
        processed_through: up to where runs have counted.
        counted: how many events before that they have counted.
        in_source: how many of these the source holds.
        vanished: how many it no longer holds, by the notes of them.
        noted: when the first and the last of these notes were made; None where there is none.
        snapshots: how many snapshots were compared.
        rows: how many of their rows.
        missing: events that the source has and the counts by day lack.
        double: events that the counts by day have, and neither the source nor a note.
        differences: how many figures differ.
        listed: the first of them.
        lasting: why some of the differences cannot be repaired, each reason once.
        wrong_snapshots: instants with a difference.
        untold_snapshots: those whose figures of customers only a digest tells, and not these.
        doubled_rows: rows that are there more than once, each further one counted.
        written_otherwise: numbers that are right and written otherwise, such as 2.0 for 2.
        snapshots_on_trust: snapshots with figures of customers that the source can no longer
            tell, and that are held to a digest.
        snapshots_not_recountable: snapshots around which events have vanished, on either side:
            they are not compared.
        awaiting: notes of late rows, or an interrupted restating, that the next run repairs by
            itself.
        since: what it went on from; None where it looked at everything. Then `counted` and what
            follows are of events since.
    """

    processed_through: dt.datetime = MINUS_INFINITY
    counted: int = 0
    in_source: int = 0
    vanished: int = 0
    noted: tuple[dt.datetime, dt.datetime] | None = None
    snapshots: int = 0
    rows: int = 0
    missing: int = 0
    double: int = 0
    differences: int = 0
    listed: list[AuditDifference] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)
    wrong_snapshots: list[dt.datetime] = field(default_factory=list)
    untold_snapshots: list[dt.datetime] = field(default_factory=list)
    doubled_rows: int = 0
    written_otherwise: int = 0
    snapshots_on_trust: int = 0
    snapshots_not_recountable: int = 0
    awaiting: bool = False
    since: SinceLast | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return self.differences == 0

    @classmethod
    def together(cls, parts: Sequence[AuditResult], limit: int) -> AuditResult:
        """Put together what steps have found, in their order; list no more than `limit`."""
        whole = cls()
        for part in parts:
            for name in _SUMMED:
                setattr(whole, name, getattr(whole, name) + getattr(part, name))
            whole.processed_through = max(whole.processed_through, part.processed_through)
            whole.noted = whole.noted or part.noted
            whole.awaiting = whole.awaiting or part.awaiting
            whole.listed += part.listed[: limit - len(whole.listed)]
            whole.lasting += [one for one in part.lasting if one not in whole.lasting]
        wrong = {at for part in parts for at in part.wrong_snapshots}
        whole.wrong_snapshots = sorted(wrong)
        return whole

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "clean": self.clean,
            "processed_through": self.processed_through,
            "events_counted": self.counted,
            "events_in_source": self.in_source,
            "events_vanished": self.vanished,
            "vanished_noted": self.noted,
            "snapshots_compared": self.snapshots,
            "rows_compared": self.rows,
            "missing": self.missing,
            "double": self.double,
            "differences": self.differences,
            "first_differences": [one.as_json() for one in self.listed],
            "not_repairable": self.lasting,
            "wrong_snapshots": self.wrong_snapshots,
            "snapshots_on_trust": self.snapshots_on_trust,
            "snapshots_not_recountable": self.snapshots_not_recountable,
            "awaiting_next_run": self.awaiting,
        } | ({"since_last": self.since.as_json()} if self.since is not None else {})


class Collector:
    """Takes in differences: all are counted, the first are listed."""

    def __init__(self, result: AuditResult, limit: int) -> None:
        """Add to a result, which lists no more than `limit`."""
        self._result = result
        self._limit = limit

    def add(self, difference: AuditDifference) -> None:
        """Take one in."""
        self._result.differences += 1
        if len(self._result.listed) < self._limit:
            self._result.listed.append(difference)
        if difference.lasting is not None and difference.lasting not in self._result.lasting:
            self._result.lasting.append(difference.lasting)


@dataclass(frozen=True)
class RepairResult:
    """What a repair has changed.

    Attributes:
        events_found: events that the counts lacked.
        events_vanished: events that the counts had and the source does not.
        totals_corrected: totals that were not the sum of their days.
        rows_removed: rows that were there twice, or that nobody has written.
        rows_relabelled: rows whose window or provenance was not the one they were written with,
            or with a number that was written otherwise, and that tell the same figures.
        snapshots_restated: snapshot rows that said something else.
    """

    events_found: int
    events_vanished: int
    totals_corrected: int
    rows_removed: int
    rows_relabelled: int
    snapshots_restated: int

    def as_json(self) -> dict[str, int]:
        """Return it for `--json`."""
        return asdict(self)


def read_document(text: str) -> Any:
    """Return what a document's text says; the text itself where Python cannot take it in.

    Fractions keep the digits that they are written with.
    """
    try:
        return json.loads(
            text,
            parse_int=lambda digits: int(digits) if len(digits) < _MOST_DIGITS else digits,
            parse_float=lambda digits: Decimal(digits) if len(digits) < _MOST_DIGITS else digits,
        )
    except (RecursionError, ValueError):
        return text


def flat(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a document's values with their paths, such as `events_by_type.login`."""
    if isinstance(document, dict) and document:
        for key, value in document.items():
            yield from flat(value, f"{path}.{key}" if path else key)
    else:
        yield path or "document", document
