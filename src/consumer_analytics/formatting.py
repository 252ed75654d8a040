"""How figures are written for people: a duration, an instant, a number, a ratio, a size.

One way each, for the command line, mails, the dashboard and every sentence. What machines
read (JSON, CSV, metrics) has seconds, bytes and ISO 8601 instead, and does not come by here.
"""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Literal

#: What stands where there is no figure.
NOTHING = "-"

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_KIB = 1024
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")

#: Every float in full.
_AS_SNAPSHOTS = Context(prec=400, rounding=ROUND_HALF_UP)

_LONGEST_NAME = 80
#: What sets the direction in which letters are read, for what comes after it too.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Precision = Literal["minutes", "seconds", "microseconds"]


def seconds(length: dt.timedelta) -> float:
    """Return a length of time in seconds; 0 where it is negative, as clocks may differ."""
    return max(length.total_seconds(), 0.0)


def duration(value: float | dt.timedelta | None) -> str:
    """Write how long something takes: `0.031 s`, `4.2 s`, `25 min`, `1 h 2 min`, `3 d 4 h`.

    Below a minute that is seconds with three digits, none finer than a millisecond; above it
    the two largest units, rounded to the smaller one, which is left out where it is 0.

    Args:
        value: seconds, or a length of time.
    """
    if value is None:
        return NOTHING
    total = value.total_seconds() if isinstance(value, dt.timedelta) else value
    if total < 0:
        return f"-{duration(-total)}"
    digits = 3 if total < 1 else 2 if total < 10 else 1  # noqa: PLR2004  # three in all
    short = _rounded(total * 10**digits) / 10**digits
    if short < _MINUTE:
        return f"{short:g} s"
    if _rounded(total) < _HOUR:
        return _in_two_units(_rounded(total), (_MINUTE, "min"), (1, "s"))
    if _rounded(total / _MINUTE) * _MINUTE < _DAY:
        return _in_two_units(_rounded(total / _MINUTE), (_HOUR, "h"), (_MINUTE, "min"))
    return _in_two_units(_rounded(total / _HOUR), (_DAY, "d"), (_HOUR, "h"))


def _in_two_units(smalls: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    """Write so many of a small unit, as many of them as make it up in a larger one."""
    whole, rest = divmod(smalls, large[0] // small[0])
    return f"{whole:,} {large[1]} {rest} {small[1]}" if rest else f"{whole:,} {large[1]}"


def _rounded(value: float) -> int:
    """Return the nearest whole number, a half rounded up: as browsers do it."""
    return math.floor(value + 0.5)


def amount(value: float | None, unit: str) -> str:
    """Write a measured value: `seconds` as a duration, whatever else as a number without a unit."""
    return duration(value) if unit == "seconds" else count(value)


def between(low: str, high: str) -> str:
    """Write a range of two amounts, with the unit once where both have the same: `5-15 s`."""
    if low == high:
        return low
    (number, _, unit), (_, _, other) = low.partition(" "), high.partition(" ")
    return f"{number}-{high}" if unit == other and " " not in unit else f"{low} - {high}"


def moment(at: dt.datetime | str | None, *, to: Precision = "seconds") -> str:
    """Write an instant, in UTC: `2025-11-03 06:00:00 UTC`.

    Args:
        at: the instant, or its text in ISO 8601, as JSON keeps it. The first and the last year
            of the calendar stand for "the beginning" and "never".
        to: what is finer is left out; microseconds, where there are none.
    """
    if at is None:
        return NOTHING
    if isinstance(at, str):
        at = dt.datetime.fromisoformat(at)
    if at.year in (dt.MINYEAR, dt.MAXYEAR):
        return "never" if at.year == dt.MAXYEAR else "the beginning"
    # strftime writes years before 1000 with fewer than four digits.
    plain = at.astimezone(dt.UTC).replace(tzinfo=None)
    if to == "microseconds" and plain.microsecond:
        return f"{plain.isoformat(' ', to).rstrip('0')} UTC"
    return f"{plain.isoformat(' ', 'minutes' if to == 'minutes' else 'seconds')} UTC"


def exactly(at: dt.datetime | str | None) -> str:
    """Write an instant up to which something was counted: as `moment`, with its microseconds."""
    return moment(at, to="microseconds")


def count(value: float | None) -> str:
    """Write a number as a whole one, its thousands apart: `1,200`."""
    if value is None:
        return NOTHING
    try:
        return f"{value:,.0f}"
    except OverflowError:
        # One that somebody wrote may be larger than any float.
        return f"{Decimal(value):.3E}"


def counted(value: int | None, thing: str, things: str | None = None) -> str:
    """Write how many there are of something: `1 day`, `1,200 days`.

    Args:
        value: how many; None where that is not known.
        thing: what one of them is called.
        things: what more of them are called; the same with an s where nothing is said.
    """
    number = NOTHING if value is None else f"{value:,}"
    return f"{number} {thing if value == 1 else things or f'{thing}s'}"


def named(name: str) -> str:
    """Write a name that others chose, in a text for people: one line of 80 characters at most.

    Nothing in it ends a line, or turns the reading of what follows around: else a name could say
    in an alert that all is well.
    """
    kept = "".join(
        " " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char
        for char in name
        if char not in _TURNING
    )
    line = " ".join(kept.split())
    return (line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…") or NOTHING


def one_of(things: Sequence[str]) -> str:
    """Write what there is to choose from: `day`, `day or week`, `day, week or month`."""
    *others, last = things
    return f"{', '.join(others)} or {last}" if others else last


def signed(value: float | None) -> str:
    """Write a difference of numbers with its sign: `+1,200`, `-3`, `±0`."""
    return NOTHING if value is None else f"{value:+,.0f}" if value else "±0"


def percent(ratio: float | None) -> str:
    """Write a ratio in per cent with two decimals, the four that a snapshot's has: `15.63 %`."""
    return NOTHING if ratio is None else f"{fixed(ratio * 100, 2):,} %"


def points(change: float | None) -> str:
    """Write a ratio's change, in percentage points: `+0.25 points`."""
    return NOTHING if change is None else f"{_with_sign(fixed(change * 100, 2))} points"


def percent_signed(value: float | None) -> str:
    """Write a change that is in per cent already, with its sign: `+2.5 %`."""
    return NOTHING if value is None else f"{_with_sign(fixed(value, 1))} %"


def percent_of(change: float, whole: float) -> float:
    """Return what a change is in per cent of what it changed, with one decimal."""
    return float(fixed(Decimal(str(change)) * 100 / Decimal(str(whole)), 1))


def days(value: float | None) -> str:
    """Write a figure that is a number of days, such as a mean age: `12.5 days`."""
    return NOTHING if value is None else f"{fixed(value, 1):,} days"


def size(n: float) -> str:
    """Write a number of bytes: `512 B`, `1.5 GiB`."""
    if fixed(abs(n), 0) < _KIB:
        return f"{fixed(n, 0)} B"
    power = 1
    while fixed(abs(n) / _KIB**power, 1) >= _KIB and power < len(_SIZES) - 1:
        power += 1
    return f"{fixed(n / _KIB**power, 1)} {_SIZES[power]}"


def fixed(value: float | Decimal, digits: int) -> Decimal:
    """Return a number with so many decimals, a half rounded away from zero: as snapshots are.

    Neither `round` nor a format does that: 12.25 is 12.2 to them.
    """
    number = Decimal(str(value))
    if not number.is_finite():
        return number
    short = number.quantize(Decimal(1).scaleb(-digits), context=_AS_SNAPSHOTS)
    return short or abs(short)


def _with_sign(value: Decimal) -> str:
    return f"{value:+,}" if value else f"±{value}"
