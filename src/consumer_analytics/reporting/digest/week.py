"""A week's digest: composed from snapshots, and due on Mondays."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any, NamedTuple

from consumer_analytics.calendar import days, instants
from consumer_analytics.db.connection import Connection, consistent, scalar, scalar_of
from consumer_analytics.formatting import moment, named
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.notifications import outbox
from consumer_analytics.monitoring.notifications.channels import configured
from consumer_analytics.monitoring.notifications.digest import (
    Digest,
    DigestConsumer,
    DigestDay,
    DigestFigure,
)
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

_WEEK = 7
#: Days that are drawn.
_DRAWN = 4 * _WEEK
#: Consumers that rose, and that fell.
_NAMED = 5
_MOST_UNUSUAL = 10


class _End(NamedTuple):
    """The system at the end of a day, by the last snapshot of it or before it."""

    at: dt.datetime | None
    events: int | None
    customers: int | None
    active: int | None
    consumers: int | None


def put_if_due(
    connection: Connection, settings: Settings, *, now: dt.datetime | None = None
) -> bool:
    """Write the digest of the week that ended last, where somebody wants it and has not had it.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: who wants it, and from which hour of Monday on.
        now: the instant it is; None for the server's clock.

    Returns:
        Whether it was written: the next delivery sends it.
    """
    wanting = [one for one in configured(settings) if "digest" in one.selection.kinds]
    if not wanting:
        return False
    at = now or instants.now(connection)
    monday = last_monday(at, settings)
    key = f"digest {monday.isoformat()}"
    told = scalar_of(
        connection,
        "reporting/digest/told",
        {"keys": [f"{one.name}: {key}" for one in wanting]},
    )
    if told:
        return False
    message = compose(connection, settings, monday, at)
    if message is None:
        return False
    with connection.transaction():
        return bool(outbox.put(connection, key, message, wanting))


def compose(
    connection: Connection, settings: Settings, monday: dt.date, at: dt.datetime
) -> Message | None:
    """Return the digest of the week before a Monday; None where there is no snapshot of it.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: for the zone and the sources' names.
        monday: the day after the week's last.
        at: when it is written.
    """
    with consistent(connection):
        ends = _ends(connection, settings, monday)
        now, before, earlier = ends[-1], ends[-1 - _WEEK], ends[-1 - 2 * _WEEK]
        if now.at is None or now.at <= days.start_of_day(_ago(monday, _WEEK), settings.zone):
            return None
        digest = Digest(
            first=_ago(monday, _WEEK),
            last=_ago(monday, 1),
            as_of=now.at,
            figures=_figures(now, before, earlier),
            **_movers(connection, settings, now, before, earlier),
            days=_drawn(monday, ends),
            unusual=_unusual(connection, settings, monday),
            fresh=_fresh(connection, settings, monday, (before.at, now.at), at),
        )
        database = scalar(connection, "select current_database()")
    return Message("digest", at, database, digest=digest)


def last_monday(at: dt.datetime, settings: Settings) -> dt.date:
    """Return the Monday whose digest is due, of the week before it; it is not before its hour."""
    wall = days.clock(at, settings.zone) - dt.timedelta(hours=settings.digest_hour)
    return wall.date() - dt.timedelta(days=wall.weekday())


def _ago(day: dt.date, number: int) -> dt.date:
    return day - dt.timedelta(days=number)


def _ends(connection: Connection, settings: Settings, monday: dt.date) -> list[_End]:
    """Return the system at the midnights of four weeks, and at the one before them."""
    midnights = [
        days.start_of_day(_ago(monday, number), settings.zone) for number in range(_DRAWN, -1, -1)
    ]
    rows = connection.execute(query("reporting/digest/days"), {"midnights": midnights}).fetchall()
    return [_End(*row) for row in rows]


def _between(later: int | None, earlier: int | None) -> int | None:
    return None if later is None or earlier is None else max(later - earlier, 0)


def _figures(now: _End, before: _End, earlier: _End) -> tuple[DigestFigure, ...]:
    week = _between(now.events, before.events)
    told = [
        # Without a snapshot from before it the week's own events are not known.
        ("Events in all", now.events, None)
        if week is None
        else ("Events", week, _between(before.events, earlier.events)),
        ("Customers", now.customers, before.customers),
        ("Active customers", now.active, before.active),
        ("Consumers", now.consumers, before.consumers),
    ]
    return tuple(DigestFigure(label, value, old) for label, value, old in told)


def _movers(
    connection: Connection, settings: Settings, now: _End, before: _End, earlier: _End
) -> dict[str, Any]:
    """Return the consumers that rose and fell most, in events."""
    if before.at is None or earlier.at is None:
        return {"rose": (), "fell": ()}
    rows = connection.execute(
        query("reporting/digest/movers", settings.sources),
        {"now": now.at, "before": before.at, "earlier": earlier.at, "most": _NAMED},
    ).fetchall()
    moved = [DigestConsumer(named(name), events, old) for name, events, old in rows]
    return {
        "rose": tuple(one for one in moved if one.events > one.before),
        "fell": tuple(one for one in reversed(moved) if one.events < one.before),
    }


def _drawn(monday: dt.date, ends: list[_End]) -> tuple[DigestDay, ...]:
    """Return the days that are drawn: of each, what its two midnights tell."""
    return tuple(
        DigestDay(
            day=_ago(monday, _DRAWN - place),
            # Two ends by one snapshot tell nothing of what came between.
            events=None if end.at == begin.at else _between(end.events, begin.events),
            customers=None if end.at == begin.at else end.customers,
        )
        for place, (begin, end) in enumerate(pairwise(ends))
    )


def _unusual(connection: Connection, settings: Settings, monday: dt.date) -> tuple[str, ...]:
    from consumer_analytics.monitoring.anomalies import Anomaly

    if not settings.anomalies:
        return ()
    rows = connection.execute(
        query("reporting/digest/unusual", settings.sources),
        {
            "since": days.start_of_day(_ago(monday, _WEEK), settings.zone),
            "until": days.start_of_day(monday, settings.zone),
            "most": _MOST_UNUSUAL,
        },
    )
    return tuple(f"{named(name)}: {Anomaly(*values).text}" for name, *values in rows)


def _fresh(
    connection: Connection,
    settings: Settings,
    monday: dt.date,
    between: tuple[dt.datetime | None, dt.datetime],
    at: dt.datetime,
) -> str:
    """Say whether the figures are of the week from its beginning to its end, and what health is."""
    judged = health.read(connection, settings, now=at)
    since, as_of = between
    begins = days.start_of_day(_ago(monday, _WEEK), settings.zone)
    told = []
    if since is None:
        told.append("There is no snapshot from before the week")
    elif since != begins:
        told.append(f"The week's events count from {moment(since, to='minutes')}")
    if as_of < days.start_of_day(monday, settings.zone):
        told.append(
            f"The figures reach {moment(as_of, to='minutes')} only, not the end of the week"
        )
    reach = ". ".join(told) or "The figures are of the whole week"
    return f"{reach}; health is {judged.state}: {judged.why}"
