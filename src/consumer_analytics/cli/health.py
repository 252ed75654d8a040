"""`consumer-analytics health`: the measures, judged, and the cause."""

from __future__ import annotations

import typer

from consumer_analytics.cli.output import JsonFlag, out, print_json, print_table, say
from consumer_analytics.db import own_names, schema
from consumer_analytics.db.connection import connected, permitted
from consumer_analytics.etl import archived
from consumer_analytics.formatting import amount, counted, duration, exactly, moment
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.health import read as read_health
from consumer_analytics.monitoring.incidents import is_of_consumer, open_incidents
from consumer_analytics.settings import settings

#: The exit codes that monitoring systems expect. What cannot be known is not well.
EXIT_CODES = {"normal": 0, "unknown": 1, "warning": 1, "critical": 2}
_COLOURS = {"normal": "green", "unknown": "yellow", "warning": "yellow", "critical": "red"}


def health(as_json: JsonFlag = False) -> None:
    """Judge the measures of health and name the cause.

    Open incidents are named beside it. Exits with 0 where all is normal, 1 at a warning or where a
    measure cannot be taken, 2 where something is critical. (Where the command itself fails: 1, with
    one line on standard error.)
    """
    own = settings()
    with connected(own, "health") as connection, own_names.explaining(connection, own):
        schema.require_current(connection)
        judged = read_health(connection, own)
        incidents = open_incidents(connection)
        lacking = permitted(lambda: archived.lacks_address(connection, own))
    if own.shards_file is None:
        unread: tuple[str, ...] = () if lacking is None else (lacking,)
    else:
        from consumer_analytics.shards import standing

        unread = standing.lacking_addresses(own)
    if as_json:
        archive = "; ".join(unread) or None
        told = {"incidents": [one.as_json() for one in incidents], "archive": archive}
        print_json(judged.as_json() | told)
    else:
        print_health(judged)
        for said in unread:
            say(f"archive    {said}")
        odd = [one for one in incidents if is_of_consumer(one)]
        for one in incidents:
            if one in odd:
                continue
            say(f"incident   {one.subject}, {one.state} since {moment(one.opened_at)}: {one.cause}")
        if odd:
            say(f"odd        {counted(len(odd), 'consumer')}: see consumer-analytics incidents")
    raise typer.Exit(EXIT_CODES[judged.state])


def print_health(judged: Health) -> None:
    """Show health to people."""
    colour = _COLOURS[judged.state]
    out.print(f"health     [{colour}]{judged.state}[/{colour}]")
    say(f"figures    {judged.cause.text}")
    age = duration(judged.watermark_age_seconds)
    say(f"watermark  {exactly(judged.watermark)}, {age} old; due {moment(judged.due)}")
    say(f"backlog    {counted(judged.backlog_events, 'event')} after the watermark")
    say(f"next due   {moment(judged.next_due)}")
    print_table(
        ["measure", "value", "normal", "warning", "critical", "state"],
        [
            [
                one.name,
                amount(one.value, one.unit),
                *one.limits.values(),
                one.state,
            ]
            for one in judged.measures
        ],
    )
    for one in judged.measures:
        if one.state != "normal":
            say(f"{one.name}: {one.cause}")
