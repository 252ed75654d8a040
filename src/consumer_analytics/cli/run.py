"""`consumer-analytics run`: one ETL run."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from consumer_analytics.calendar import instants
from consumer_analytics.cli.output import JsonFlag, living, print_json, print_table, say, tell, warn
from consumer_analytics.db.connection import connected
from consumer_analytics.etl import vanished
from consumer_analytics.etl.models import RunSummary
from consumer_analytics.etl.run import run as run_etl
from consumer_analytics.formatting import counted, duration, exactly
from consumer_analytics.settings import settings


def run(
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="TIME",
            help="Instant of the snapshot, such as 2025-11-03 or 2025-11-03T06:00:00Z. "
            "Default: the server's now.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Process what is new and write the snapshot of every consumer and of the whole system.

    Done again at the same instant it changes nothing. An instant at or before what is
    processed is restated; the watermark stays.
    """
    at = instants.parse(as_of, settings().zone) if as_of is not None else None
    if settings().shards_file is not None:
        _over_shards(at, as_json=as_json)
        return
    with (
        living("processing what is new"),
        connected(settings(), "run", works_long=True) as connection,
    ):
        summary = run_etl(connection, settings(), at=at, named=at is not None, notify=tell)
    if as_json:
        print_json(summary.as_json())
    else:
        print_summary(summary)


def _over_shards(at: dt.datetime | None, *, as_json: bool) -> None:
    from consumer_analytics.shards import runs

    with living("processing what is new in the shards"):
        summary = runs.run(settings(), at=at, named=at is not None, notify=tell)
    if as_json:
        print_json(summary.as_json())
        return
    print_summary(summary.whole)
    print_table(
        ["shard", "events read", "events", "customers", "vanished"],
        [
            [
                name,
                one["rows_read"],
                one["new_events"],
                one["new_customers"],
                one["noted_as_vanished"],
            ]
            for name, one in summary.shards.items()
        ],
    )


def print_summary(summary: RunSummary) -> None:
    """Tell people what a run did."""
    if summary.not_recountable:
        warn(
            f"not written: {vanished.named(summary.not_recountable)}, as events have vanished from "
            "the source that the snapshot would need; `consumer-analytics vanished` lists them"
        )
    if summary.window is None:
        if not summary.not_recountable:
            say("nothing could be processed yet")
    else:
        start, end = summary.window
        say(f"window     {exactly(start)} to {exactly(end)}")
        say(
            f"read       {counted(summary.rows_read, 'event')}; "
            f"{counted(summary.new_events, 'event')} and "
            f"{counted(summary.new_customers, 'customer')} "
            "are new in the window"
        )
        restated = summary.snapshots_restated
        say(
            f"snapshots  {summary.snapshots_written:,} written"
            + (f", {restated:,} restated" if restated else "")
        )
    corrections = summary.corrections
    if corrections.first_day is not None:
        say(
            f"corrected  days from {corrections.first_day}: "
            f"{counted(corrections.found, 'event')} found, "
            f"{corrections.vanished:,} gone"
        )
    if corrections.noted:
        say(
            f"vanished   {counted(corrections.noted, 'event is', 'events are')} "
            "gone from the source, though nobody corrected that: noted, and still counted"
        )
    if corrections.came_back:
        say(
            f"came back  {counted(corrections.came_back, 'event')}, late or restored, "
            f"to where some had "
            "vanished: they count beside those"
        )
    if summary.noted_as_vanished:
        say(f"noted      {counted(summary.noted_as_vanished, 'event')} as vanished, in all")
    for kind, value in summary.bad_rows.as_json().items():
        shown = (
            f"{len(value):,}: {', '.join(value[:3])}" if isinstance(value, list) else f"{value:,}"
        )
        warn(f"{kind.replace('_', ' ')}: {shown}")
    if summary.held_back_by:
        warn(
            f"stopped short of {exactly(summary.requested)}; the next run takes in the rest "
            f"({counted(len(summary.held_back_by), 'open transaction')}, named above)"
        )
    print_table(
        ["step", "took"], [[step, duration(took)] for step, took in summary.seconds.items()]
    )
