"""What engines write differently: a statement is written once, with places for these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How an engine writes what others write otherwise.

    Attributes:
        text: the type of texts.
        microseconds: of an instant's column: microseconds since 1970; one without a zone is UTC.
        day: the UTC day of microseconds since 1970, its number since then.
        number: of a text `hexadecimal` of at most 15 digits: its number.
        identity: of a column and its type: a UUID, which may be text, bytes or a UUID, as text in
            lower case.
    """

    text: str
    microseconds: str
    day: str
    number: str
    identity: Callable[[str, str], str]


def _duckdb_identity(column: str, kind: str) -> str:
    if kind == "BLOB":
        return f"cast(lower(hex({column})) as uuid)::varchar"
    return f"cast({column} as uuid)::varchar"


def _spark_identity(column: str, kind: str) -> str:
    digits = f"hex({column})" if kind == "binary" else f"replace({column}, '-', '')"
    begins = (1, 9, 13, 17, 21)
    lengths = (8, 4, 4, 4, 12)
    dash = ", '-', "
    parts = (f"substr({digits}, {at}, {n})" for at, n in zip(begins, lengths, strict=True))
    # Of NULL nothing but NULL is put together.
    return f"lower(concat({dash.join(parts)}))"


#: Neither casts an instant to a date, which would follow a session's zone, or a file's; and no
#: division is one of floating numbers, which are wrong at the ends of the calendar.
DUCKDB = Dialect(
    text="varchar",
    microseconds="epoch_us({column})",
    day="({us} - (({us} % 86400000000) + 86400000000) % 86400000000) // 86400000000",
    number="cast('0x' || hexadecimal as bigint)",
    identity=_duckdb_identity,
)
SPARK = Dialect(
    text="string",
    microseconds="unix_micros(cast({column} as timestamp))",
    day="({us} - pmod({us}, 86400000000)) div 86400000000",
    number="cast(conv(hexadecimal, 16, 10) as bigint)",
    identity=_spark_identity,
)
