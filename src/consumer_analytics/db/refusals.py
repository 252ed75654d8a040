"""Why no session began, in a line: libpq says it of each address that a name has, with hints."""

from __future__ import annotations

import re
from collections.abc import Iterator

from consumer_analytics.errors import one_line

#: What psycopg puts behind its last error where it has tried several addresses.
_SEVERAL = "Multiple connection attempts failed. All failures were:"
_ATTEMPT = re.compile(
    r"^- host: (?:None|'(?P<host>.*?)'), port: (?:None|'?(?P<port>\d*)'?), "
    r"hostaddr: (?:None|'(?P<address>.*?)'): (?P<said>.*?)(?=^- host: |\Z)",
    re.MULTILINE | re.DOTALL,
)
_FAILED = re.compile(
    r'connection to server (?:at|on socket) "(?P<address>[^"]*)"(?: \([^)]*\))?'
    r"(?:, port (?P<port>\d+))? failed: (?P<said>.*?)(?=\s*connection to server |\Z)",
    re.DOTALL,
)
#: What to do about it is said once, behind all of them.
_HINT = re.compile(r"\s+Is the server running [^?]*\?")
_BEGINNING = re.compile(r"^connection (?:failed|is bad): ")


def told(error: BaseException) -> str:
    """Return what an error of connecting says: `127.0.0.1 port 5432: Connection refused`.

    Addresses of which the same is said share it.
    """
    places: dict[str, list[str]] = {}
    for place, said in _reasons(str(error)):
        of_reason = places.setdefault(" ".join(_HINT.sub("", said).split()), [])
        if place and place not in of_reason:
            of_reason.append(place)
    lines = [f"{', '.join(of)}: {said}" if of else said for said, of in places.items() if said]
    return ", and ".join(lines) or one_line(error)


def _reasons(text: str) -> Iterator[tuple[str, str]]:
    """Yield each address that was tried, and what was said of it."""
    last, several, all_of_them = text.partition(_SEVERAL)
    if not several:
        yield from _of_attempt("", last)
    for attempt in _ATTEMPT.finditer(all_of_them):
        place = attempt["address"] or attempt["host"] or ""
        yield from _of_attempt(_place(place, attempt["port"]), attempt["said"])


def _of_attempt(place: str, said: str) -> Iterator[tuple[str, str]]:
    """Yield what was said of an address: with encryption, and without, where both were tried."""
    failures = [*_FAILED.finditer(said)]
    if not failures:
        yield place, _BEGINNING.sub("", said)
    for one in failures:
        yield _place(one["address"], one["port"]), one["said"]


def _place(address: str, port: str | None) -> str:
    return f"{address} port {port}" if port and address else address
