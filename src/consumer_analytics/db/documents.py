"""What a snapshot's document tells, whatever somebody wrote into it by hand.

A figure that is no number, or larger than any count, is missing: no error, and no nought. In SQL
the paths `{a_number}` and `{an_object}` tell the same.
"""

from __future__ import annotations

import json
import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

#: What no count reaches: what the path `{a_number}` has, too.
_LARGEST = 10**18
#: Digits of a number that Python reads.
_MOST_DIGITS = 4_000


def _fraction(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) < _MOST_DIGITS else None


_PLAIN = json.JSONDecoder(parse_float=_fraction)
_CAREFUL = json.JSONDecoder(parse_float=_fraction, parse_int=_whole)


def read(text: bytes | str) -> Any:
    """Return what a document's text says, with None where Python cannot take a value in."""
    said = text if isinstance(text, str) else text.decode()
    try:
        return _PLAIN.decode(said)
    except RecursionError:
        return None
    except ValueError:
        return _CAREFUL.decode(said)


def number(value: Any) -> int | float | None:
    """Return a figure; None where a document has no number there."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_LARGEST < value < _LARGEST else None


def count(value: Any) -> int | None:
    """Return a figure that counts something, a fraction rounded as the database does it."""
    figure = number(value)
    if not isinstance(figure, float):
        return figure
    return int(Decimal(repr(figure)).quantize(Decimal(1), ROUND_HALF_UP))


def counts(value: Any) -> dict[str, int] | None:
    """Return counts by name; None where a document has none there, or one of them is no number."""
    if not isinstance(value, dict):
        return None
    # What was never edited is handed on as it is: a page has thousands of them.
    if not value or (
        set(map(type, value.values())) == {int}
        and min(value.values()) > -_LARGEST
        and max(value.values()) < _LARGEST
    ):
        return value
    read_again = {name: count(one) for name, one in value.items()}
    found = {name: one for name, one in read_again.items() if one is not None}
    return found if len(found) == len(value) else None
