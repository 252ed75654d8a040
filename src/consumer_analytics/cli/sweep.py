"""`consumer-analytics sweep`: recount the trailing days, repair and restate what differs."""

from __future__ import annotations

from typing import Annotated

import typer

from consumer_analytics.calendar import instants
from consumer_analytics.cli.output import JsonFlag, note, print_json, print_table, say
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import exactly
from consumer_analytics.reconcile.sweep import SweepResult
from consumer_analytics.reconcile.sweep import sweep as sweep_days
from consumer_analytics.settings import settings

AcceptPurged = Annotated[
    bool,
    typer.Option(
        "--accept-purged",
        help="Take the source at its word where rows were purged: counts may go down, "
        "and so may snapshots.",
    ),
]


def sweep(
    days: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trailing days to recount. Default: CONSUMER_ANALYTICS_SWEEP_DAYS."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", help="First UTC day to recount, instead."),
    ] = None,
    accept_purged: AcceptPurged = False,
    as_json: JsonFlag = False,
) -> None:
    """Find rows that came in late, were changed or deleted, and make the figures right.

    Recounts the trailing days against the source and restates exactly the snapshots that
    change; what they said before is kept. With nothing to do it changes nothing.
    """
    if days is not None and since is not None:
        raise UsageError("give --days or --since, not both")
    first = instants.day_of(instants.parse(since, settings().zone)) if since is not None else None
    with connected(settings(), "sweep") as connection:
        result = sweep_days(
            connection,
            settings(),
            days=days,
            since=first,
            accept_purged=accept_purged,
            notify=note,
        )
    if as_json:
        print_json(result.as_json())
    else:
        print_result(result)


def print_result(result: SweepResult) -> None:
    """Tell people what a sweep found and did."""
    say(f"swept      {result.since or 'the beginning'} to {exactly(result.processed_through)}")
    if result.days_corrected:
        say(
            f"corrected  {result.days_corrected:,} days, {result.consumers_corrected:,} "
            f"consumers, {result.types_corrected:,} types: {result.events_found:,} events "
            f"found, {result.events_vanished:,} gone"
        )
        print_table(
            ["consumer", "type", "day", "was counted", "source has"],
            [
                [one.consumer_id, one.event_type, one.day, one.counted, one.source]
                for one in result.differences
            ],
        )
    if result.snapshots_with_other_customers:
        say(
            f"customers  differ at {result.snapshots_with_other_customers:,} snapshots "
            "from what was reported"
        )
    if not result.days_corrected and not result.snapshots_with_other_customers:
        say("nothing differs")
    say(f"restated   {result.snapshots_restated:,} snapshot rows")
    if result.purged_before is not None:
        say(
            f"purged     rows from before {exactly(result.purged_before)} are no longer all in "
            f"the source: older days can no longer be recounted, and "
            f"{result.snapshots_not_recountable:,} snapshots stay as they were reported"
        )
