"""Parameters that cannot be used: what is told of one, in one line.

What checks a request tells a program of it, in words of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from consumer_analytics.errors import UsageError

#: What a parameter must be, by the beginning of the check's name; with what the check was held to.
_NEEDED = {
    "int": "must be a whole number",
    "greater_than_equal": "must be {ge:,} or more",
    "less_than_equal": "must be {le:,} or less",
    "string_too_long": "must have {max_length} characters at most",
    "string": "must be a text",
    "uuid": "must be a consumer's id, such as 7c944c72-0142-4000-8000-040000000001",
    "date": "must be a time; write 2025-10-01 or 2025-10-01T06:00:00Z",
    "literal": "must be {expected}",
}
#: As the others, where it is how often it is given.
_TIMES = {
    "missing": "is missing: give it at least once",
    "too_short": "is missing: give it at least once",
    "too_long": "may be given {max_length} times at most",
}
#: Of a value that is told, no more.
_MOST_TOLD = 40
#: The one zone that an address can name: pages show times in the browser's own without it.
_ZONE = "UTC"


def refused(error: Mapping[str, Any]) -> str:
    """Say what a parameter must be, and what it is, of a check that failed."""
    name = str(error["loc"][1]) if len(error["loc"]) > 1 else str(error["loc"][0])
    limits = error.get("ctx", {})
    for kind, words in _TIMES.items():
        if error["type"] == kind:
            return f"{name} {words.format_map(limits)}"
    needed = next(
        (words for kind, words in _NEEDED.items() if error["type"].startswith(kind)),
        "cannot be used",
    )
    value = error.get("input")
    told = f", and is {value[:_MOST_TOLD]!r}" if isinstance(value, str) else ""
    return f"{name} {needed.format_map(limits)}{told}"


async def require_known_zone(request: Request) -> None:
    """Refuse a zone that times cannot be shown in: they would be taken for that zone's.

    Raises:
        UsageError: the address names another zone than UTC.
    """
    for zone in request.query_params.getlist("tz"):
        if zone not in ("", _ZONE):
            raise UsageError(
                f"tz {zone[:_MOST_TOLD]!r} cannot be used; write tz=UTC, or leave it out: "
                "the API tells times in UTC, pages show them in the browser's zone"
            )
