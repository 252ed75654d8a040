"""`consumer-analytics incidents`: what was not well, since when, why, who was told."""

from __future__ import annotations

from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, print_table, say
from consumer_analytics.db import schema
from consumer_analytics.db.connection import connected
from consumer_analytics.formatting import moment
from consumer_analytics.monitoring.incidents import history, latest, open_incidents
from consumer_analytics.settings import settings


def incidents(
    limit: Annotated[
        int, typer.Option(min=1, help="How many incidents, and how many of their changes.")
    ] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Show the open incidents, those that are over, and each of their changes."""
    with connected(settings(), "incidents") as connection:
        schema.require_current(connection)
        still = open_incidents(connection)
        newest = latest(connection, limit)
        changes = history(connection, limit)
    if as_json:
        print_json(
            {
                "open": [one.as_json() for one in still],
                "incidents": [one.as_json() for one in newest],
                "history": [one.as_json() for one in changes],
            }
        )
        return
    if not newest:
        say("there was no incident")
        return
    say(f"{len(still)} open" if still else "none is open")
    print_table(
        ["incident", "subject", "state", "opened", "over", "cause"],
        [
            [
                one.incident_id,
                one.subject,
                one.worst,
                moment(one.opened_at),
                moment(one.closed_at) if one.closed_at else "open",
                one.cause,
            ]
            for one in newest
        ],
    )
    say("")
    print_table(
        ["at", "incident", "what", "state", "mail"],
        [
            [
                moment(one.at),
                one.incident_id,
                one.what,
                one.state,
                "-" if one.mail_id is None else "sent" if one.sent_at else "waits",
            ]
            for one in changes
        ],
    )
