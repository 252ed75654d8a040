"""What is asked for: a range of days, cut into periods, of all consumers or of some."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from consumer_analytics.calendar import periods
from consumer_analytics.calendar.intervals import interval_of
from consumer_analytics.errors import UsageError


@dataclass(frozen=True)
class FirstRow:
    """The first row of all, where it is known: the database is one of several.

    Attributes:
        at: its time, where it lies after the range's beginning; None: no period is before it.
    """

    at: dt.datetime | None


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        start: the first day.
        end: the day after the last one.
        interval: the name of one of `calendar.intervals`.
        source: provenance, `cli_backfill` or `airflow_backfill`.
        who: who asks.
        consumers: only these, and no global row; None: all and the whole system.
        first_row: periods before it are left out; None: before the first that is here.
    """

    start: dt.date
    end: dt.date
    interval: str
    source: str = "cli_backfill"
    who: str = ""
    consumers: tuple[uuid.UUID, ...] | None = None
    first_row: FirstRow | None = None

    @property
    def is_of_several(self) -> bool:
        """Whether several databases do it, and somebody has looked at all of them before."""
        return self.first_row is not None


def request_of(
    start_date: Any,
    end_date: Any,
    interval: Any,
    *,
    source: str = "cli_backfill",
    who: str = "",
    consumers: Sequence[str] | None = None,
) -> Request:
    """Make a request of what a person wrote.

    Raises:
        UsageError: something in it cannot be used; one sentence says what.
    """
    chosen: list[uuid.UUID] = []
    for text in consumers or ():
        try:
            chosen.append(uuid.UUID(text))
        except ValueError:
            raise UsageError(f"consumer {text!r} is not a UUID") from None
    request = Request(
        periods.parse_date(start_date, "start_date"),
        periods.parse_date(end_date, "end_date"),
        interval_of(interval).name,
        source,
        who,
        tuple(dict.fromkeys(chosen)) or None,
    )
    periods.require_range(request.start, request.end)
    return request
