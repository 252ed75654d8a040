"""How measured values are written in a sentence."""

from __future__ import annotations

import datetime as dt
from typing import Any

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def amount(value: float, unit: str) -> str:
    """Write a measured value as people read it: `4.2 s`, `25 min`, `6 h`, `3 d`, `1,200`."""
    if unit != "seconds":
        return f"{value:,.0f}"
    for size, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if value >= size * (2 if size == _DAY else 1):
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} s"


def between(low: str, high: str) -> str:
    """Write a range, with the unit once where both have the same."""
    if low == high:
        return low
    (number, _, unit), (_, _, other) = low.partition(" "), high.partition(" ")
    return f"{number}-{high}" if unit == other else f"{low} - {high}"


def seconds(length: dt.timedelta) -> float:
    """Return a length of time in seconds; none where it is negative."""
    return max(length.total_seconds(), 0.0)


def error(summary: dict[str, Any]) -> str:
    """Write the error that a failed run noted."""
    return f"{summary.get('error_type')}: {summary.get('error')}"
