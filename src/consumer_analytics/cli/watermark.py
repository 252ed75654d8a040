"""`consumer-analytics watermark`: show it, set it, reset it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from consumer_analytics import caller
from consumer_analytics.calendar import instants
from consumer_analytics.cli.consent import Yes, confirm
from consumer_analytics.cli.output import JsonFlag, print_json, print_table, say, warn
from consumer_analytics.db import schema
from consumer_analytics.db.connection import connected, permitted
from consumer_analytics.etl import watermark
from consumer_analytics.formatting import exactly, moment
from consumer_analytics.settings import settings
from consumer_analytics.sql import JOB

app = typer.Typer(no_args_is_help=True, help="Show or move the watermark.")

Reason = Annotated[str, typer.Option("--reason", help="Why; kept with who and when.")]


@app.command()
def show(as_json: JsonFlag = False) -> None:
    """Show the watermark and who moved it by hand."""
    with connected(settings(), "watermark show") as connection:
        # A reader may see the watermark, and not by whom it was moved.
        permitted(lambda: schema.require_current(connection))
        mark = permitted(lambda: watermark.read_with_reach(connection)) or watermark.read(
            connection
        )
        moves = permitted(lambda: watermark.moves(connection))
    if as_json:
        changes = None if moves is None else [one.as_json() for one in moves]
        print_json(mark.as_json() | {"changes": changes})
        return
    say(f"job                {JOB}")
    say(f"processed up to    {exactly(mark.reach)}")
    if mark.is_ahead:
        say(f"ahead              {mark.ahead}")
    say(f"last run           {mark.last_run_status} at {moment(mark.last_run_at)}")
    say(f"records processed  {mark.records_processed:,}")
    if moves is None:
        say("moved by hand      not told to this login: it may read snapshots alone")
    elif moves:
        say("")
        print_table(
            ["moved at", "by", "from", "to", "reason"],
            [[moment(one.at), one.who, one.before, one.after, one.reason] for one in moves],
        )


@app.command("set")
def set_(
    time: Annotated[str, typer.Argument(metavar="TIME", help="Such as 2025-11-03.")],
    reason: Reason = "",
    yes: Yes = False,
    as_json: JsonFlag = False,
) -> None:
    """Set the watermark: the next run reads from there. Totals stay exact whatever it is."""
    _move(instants.parse(time, settings().zone), reason, yes=yes, as_json=as_json)


@app.command()
def reset(reason: Reason = "", yes: Yes = False, as_json: JsonFlag = False) -> None:
    """Set the watermark to 1970: the next run reads everything again."""
    _move(watermark.EPOCH, reason, yes=yes, as_json=as_json)


def _move(to: dt.datetime, reason: str, *, yes: bool, as_json: bool) -> None:
    with connected(settings(), "watermark set") as connection:
        schema.require_current(connection)
        if not yes:
            confirm(f"Set the watermark to {exactly(to)}?")
        before, after = watermark.move(
            connection, to, who=caller.name(), reason=reason or "no reason given"
        )
        mark = watermark.read_with_reach(connection)
    if as_json:
        print_json({"from": before, "to": after})
    else:
        say(f"watermark moved from {exactly(before)} to {exactly(after)}")
        if mark.is_ahead:
            future = "lies in the future" if after > mark.read_at else "is beyond what is processed"
            warn(f"that {future}: the next run reads from where the counts end, instead")
        else:
            say("the next run reads from there: `consumer-analytics run`")
