"""`consumer-analytics capture`: triggers that note late, changed and deleted rows."""

from __future__ import annotations

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, say, warn
from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.etl import capture, federation, sources
from consumer_analytics.formatting import exactly
from consumer_analytics.settings import settings

app = typer.Typer(
    no_args_is_help=True,
    help="Note rows that come in late, change or go, so that the next run repairs them.",
)


@app.command()
def enable(as_json: JsonFlag = False) -> None:
    """Put triggers on the source tables; needs the login that owns them.

    Tries for at most 5 seconds to lock each table against writers, who wait half a second at most.
    """
    with connected(settings(), "capture enable") as connection:
        schema.require_current(connection)
        federation.require_own(connection)
        sources.require_usable(connection, settings())
        capture.enable(connection, settings())
        _print(connection, as_json=as_json)
    if not as_json:
        say("what came in late before now it has not seen: `consumer-analytics audit` finds it")


@app.command()
def disable(as_json: JsonFlag = False) -> None:
    """Take the triggers off; the next run still repairs what they noted."""
    with connected(settings(), "capture disable") as connection:
        schema.require_current(connection)
        federation.require_own(connection)
        left = capture.disable(connection, settings())
        _print(connection, as_json=as_json)
    for name in left:
        warn(
            f"trigger {name} is off, and still there, as its table is being read; "
            "`consumer-analytics capture disable` drops it when nobody does"
        )


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """Show whether capture is on and whole, and what awaits the next run."""
    with connected(settings(), "capture status") as connection:
        schema.require_current(connection)
        federation.require_own(connection)
        _print(connection, as_json=as_json)


def _print(connection: Connection, *, as_json: bool) -> None:
    found = capture.status(connection, settings())
    if as_json:
        print_json(found.as_json())
        return
    say(f"capture    {found.state}")
    for name in found.missing:
        warn(f"trigger {name} is missing or disabled; run `consumer-analytics capture enable`")
    if found.state != "off":
        say(f"threshold  rows from before {exactly(found.threshold)} leave a note")
        say(
            f"awaiting   {found.day_notes:,} notes of days, {found.customer_notes:,} of customers; "
            f"{found.unsure_writers:,} open transactions to look at when they end"
        )
