"""A page's range, and the addresses of the same page with another one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from consumer_analytics.calendar import days
from consumer_analytics.reporting import ranges
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.web import rendering
from consumer_analytics.web.rendering import Parameter, address


@dataclass(frozen=True)
class View:
    """A page's range, and the addresses of the same page with another one.

    Attributes:
        range: its name, or `custom`.
        ranges: name and address of the others.
        kept: the page's other parameters, for forms.
        from_day: the first day of a range of dates, for its form.
        to_day: the last one.
        zone: whose days these are.
        pinned: the address of the page with its range fixed.
    """

    range: str
    ranges: list[tuple[str, str]]
    kept: list[tuple[str, str]]
    from_day: str
    to_day: str
    zone: str
    pinned: str


def view(
    path: str,
    span: Range,
    since: dt.datetime | None,
    until: dt.datetime | None,
    kept: Mapping[str, Parameter],
    zone: dt.tzinfo,
) -> View:
    """Return a page's view.

    Args:
        path: the page's own, relative to itself.
        span: as it was asked for.
        since: what came of it: the beginning.
        until: and the end.
        kept: the page's parameters besides the range.
        zone: whose days are offered.
    """
    return View(
        range=span.name,
        ranges=[(name, address(path, {"range": name, **kept})) for name in ranges.NAMED],
        kept=fields(kept),
        from_day=_first_day(since, zone),
        to_day=_last_day(until, zone),
        zone=str(zone),
        pinned=address(path, {**dates(since, until), **kept}),
    )


def fields(parameters: Mapping[str, Parameter]) -> list[tuple[str, str]]:
    """Return parameters as the hidden fields of a form."""
    made: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if value is None or value == "":
            continue
        several = [str(value)] if isinstance(value, str | int) else value
        made += [(name, each) for each in several]
    return made


def dates(since: dt.datetime | None, until: dt.datetime | None) -> dict[str, Parameter]:
    """Return a range as parameters that always mean the same."""
    return {
        "from": rendering.iso(since) if since else None,
        "to": rendering.iso(until) if until else None,
    }


def asked(span: Range) -> dict[str, Parameter]:
    """Return a range as the parameters that asked for it."""
    return {"range": span.name} if span.name != "custom" else dates(span.since, span.until)


def _first_day(at: dt.datetime | None, zone: dt.tzinfo) -> str:
    return _day(at, zone) if at else ""


def _last_day(at: dt.datetime | None, zone: dt.tzinfo) -> str:
    """Return the last day that a range holds: one ending at midnight ends with the day before."""
    if at is None or at == dt.datetime.min.replace(tzinfo=dt.UTC):
        return ""
    return _day(at - dt.timedelta(microseconds=1), zone)


def _day(at: dt.datetime, zone: dt.tzinfo) -> str:
    try:
        return days.day_of(at, zone).isoformat()
    except OverflowError:
        return ""
