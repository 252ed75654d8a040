"""Which consumers, days and types a command is about: the options, and what they say."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated

import typer

from consumer_analytics.errors import UsageError
from consumer_analytics.etl import vanished

AcceptPurged = Annotated[
    bool,
    typer.Option(
        "--accept-purged",
        help="What has vanished never happened: it is no longer noted, counts go down, "
        "and so do snapshots.",
    ),
]
Restored = Annotated[
    bool,
    typer.Option(
        "--restored",
        help="Rows that came to where some had vanished are these: they are no longer noted, "
        "and count once.",
    ),
]
Days = Annotated[
    list[str] | None,
    typer.Option("--day", metavar="DATE", help="Only what vanished of this UTC day; repeatable."),
]
Consumers = Annotated[
    list[str] | None,
    typer.Option(
        "--consumer",
        metavar="ID",
        help="Only what vanished of this consumer, (none) for no consumer; repeatable.",
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Only what vanished of this type; repeatable."),
]


def choice_of(
    days: list[str] | None, consumers: list[str] | None, types: list[str] | None
) -> vanished.Choice:
    """Return which notes are meant.

    Raises:
        UsageError: a day is no date, a consumer no id, or a type empty.
    """
    if any(not text.strip() for text in types or ()):
        raise UsageError(
            f"--type is empty; give a type, or '{vanished.NONE}' for events without one"
        )
    return vanished.Choice(
        days=tuple(day_of(text) for text in days or ()),
        consumers=tuple(_consumer(text) for text in consumers or ()),
        types=tuple(types or ()),
    )


def day_of(text: str) -> dt.date:
    """Read a UTC day.

    Raises:
        UsageError: it is no date.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a date; write it like 2025-11-03") from None


def consumer_id_of(text: str, *, otherwise: str = "") -> uuid.UUID:
    """Read a consumer's id.

    Args:
        text: as a person wrote it.
        otherwise: what else it might have been, for the error.

    Raises:
        UsageError: it is none.
    """
    try:
        return uuid.UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a consumer's id, which is a UUID{otherwise}") from None


def _consumer(text: str) -> str:
    if text == vanished.NONE:
        return text
    return str(consumer_id_of(text, otherwise=", nor (none)"))
