"""Ratios, where a snapshot does not have them: as the database computes those that it has."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

_FOUR_DECIMALS = Decimal("0.0001")


def ratio(part: int, whole: int) -> float:
    """Return part ÷ whole, four decimals; 0 where there is no whole.

    Exact, a half rounded away from zero: 5 of 32 are 0.1563, as PostgreSQL's `round` has it,
    and not the 0.1562 of a binary fraction.
    """
    if not whole:
        return 0.0
    return float((Decimal(part) / whole).quantize(_FOUR_DECIMALS, ROUND_HALF_UP))
