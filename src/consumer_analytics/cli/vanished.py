"""`consumer-analytics vanished`: events that are counted and that the source no longer has."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from consumer_analytics.cli.choice import Consumers, Types, choice_of, day_of
from consumer_analytics.cli.output import JsonFlag, print_json, print_table, say
from consumer_analytics.db import schema
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import federation
from consumer_analytics.etl import vanished as engine
from consumer_analytics.formatting import counted, moment
from consumer_analytics.settings import settings

_NOTHING = "nothing is noted as vanished"


def vanished(
    consumer: Consumers = None,
    type_: Types = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="The first UTC day.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="The last UTC day, included.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Notes to list; all are counted.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List events that stay counted though the source no longer has them.

    Nobody corrected them: they were purged. `sweep --accept-purged` takes them off,
    `sweep --restored` those of which the rows are back.
    """
    choice = replace(
        choice_of(None, consumer, type_),
        first=None if since is None else day_of(since),
        last=None if until is None else day_of(until),
    )
    if choice.first is not None and choice.last is not None and choice.last < choice.first:
        raise UsageError(f"--until {until} lies before --since {since}")
    with connected(settings(), "vanished") as connection:
        schema.require_current(connection)
        federation.require_rows(connection, "ask each shard, by its own address")
        found = engine.listing(connection, choice, limit=limit)
    if as_json:
        print_json(found.as_json())
        return
    if not found.notes:
        asked = since or until or consumer or type_
        say("nothing that you ask for is noted as vanished" if asked else _NOTHING)
        return
    stay = counted(found.events, "event stays", "events stay")
    say(f"vanished   {stay} counted that the source no longer has")
    if found.came_back:
        say(f"came back  {counted(found.came_back, 'event')}, late or restored, beside those")
    print_table(
        ["consumer", "type", "since", "until", "events", "came back", "noted at", "by"],
        [
            [
                one.consumer_id or engine.NONE,
                one.event_type,
                _at(one.since),
                _at(one.until),
                one.events,
                one.came_back or None,
                moment(one.noted_at),
                one.noted_by,
            ]
            for one in found.listed
        ],
    )
    more = found.notes - len(found.listed)
    if more > 0:
        say(f"… and {counted(more, 'more note')}")


def _at(text: str) -> str:
    """Write for people what PostgreSQL, in UTC, wrote: years that Python has no dates for too."""
    return text.replace("+00", " UTC", 1)
