"""`consumer-analytics capture`: triggers that note late, changed and deleted rows."""

from __future__ import annotations

from typing import Any

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, say, warn
from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.etl import capture, federation, sources
from consumer_analytics.etl.capture import CaptureStatus
from consumer_analytics.formatting import counted, exactly
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
    if settings().shards_file is not None:
        from consumer_analytics.shards import repairs

        _over_shards("capture enable", repairs.enable, as_json=as_json)
        return
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
    if settings().shards_file is not None:
        from consumer_analytics.shards import repairs

        _over_shards("capture disable", repairs.disable, as_json=as_json)
        return
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
    if settings().shards_file is not None:
        _over_shards("capture status", None, as_json=as_json)
        return
    with connected(settings(), "capture status") as connection:
        schema.require_current(connection)
        federation.require_own(connection)
        _print(connection, as_json=as_json)


def _over_shards(purpose: str, change: Any, *, as_json: bool) -> None:
    from consumer_analytics.shards import repairs

    found, left = repairs.capture(settings(), purpose, change)
    if as_json:
        print_json({"shards": {name: one.as_json() for name, one in found.items()}})
        return
    for name, one in found.items():
        say(f"shard      {name}")
        _print_status(one)
        for trigger in left[name]:
            warn(f"shard {name}: trigger {trigger} is off, and still there")


def _print(connection: Connection, *, as_json: bool) -> None:
    found = capture.status(connection, settings())
    if as_json:
        print_json(found.as_json())
        return
    _print_status(found)


def _print_status(found: CaptureStatus) -> None:
    say(f"capture    {found.state}")
    for fault in found.faults:
        warn(f"{fault}; run `consumer-analytics capture enable`")
    if found.state != "off":
        say(f"threshold  rows from before {exactly(found.threshold)} leave a note")
        say(
            f"awaiting   {counted(found.day_notes, 'note')} of days, "
            f"{found.customer_notes:,} of customers; "
            f"{counted(found.unsure_writers, 'open transaction')} to look at later"
        )
