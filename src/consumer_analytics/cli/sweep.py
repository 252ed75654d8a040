"""`consumer-analytics sweep`: recount the trailing days, repair and restate what differs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from consumer_analytics.calendar import instants
from consumer_analytics.cli.choice import AcceptPurged, Consumers, Restored, Types, choice_of
from consumer_analytics.cli.output import JsonFlag, living, note, print_json, print_table, say
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import counted, exactly
from consumer_analytics.reconcile.sweep import SweepResult
from consumer_analytics.reconcile.sweep import sweep as sweep_days
from consumer_analytics.settings import settings


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
    restored: Restored = False,
    day: Annotated[
        list[str] | None,
        typer.Option(
            "--day",
            metavar="DATE",
            help="Only this UTC day; repeatable. With --accept-purged or --restored: only what "
            "vanished of it.",
        ),
    ] = None,
    consumer: Consumers = None,
    type_: Types = None,
    as_json: JsonFlag = False,
) -> None:
    """Find rows that came in late, were changed or deleted, and make the figures right.

    Recounts the trailing days against the source and restates exactly the snapshots that
    change; what they said before is kept. With nothing to do it changes nothing. Where the days
    are known, `--day` looks at them alone.
    """
    if days is not None and since is not None:
        raise UsageError("give --days or --since, not both")
    if accept_purged and restored:
        raise UsageError("give --accept-purged or --restored, not both")
    choice = choice_of(day, consumer, type_)
    takes_off = accept_purged or restored
    if (choice.consumers or choice.types) and not takes_off:
        raise UsageError(
            "--consumer and --type say which notes --accept-purged or --restored take off: "
            "give one of the two"
        )
    dates = () if takes_off else choice.days
    if dates and (days is not None or since is not None):
        raise UsageError("give --day, or one of --days and --since, not both")
    first = instants.day_of(instants.parse(since, settings().zone)) if since is not None else None
    options: dict[str, Any] = {
        "days": days,
        "since": first,
        "dates": dates,
        "accepted": choice if accept_purged else None,
        "restored": choice if restored else None,
    }
    if settings().shards_file is not None:
        from consumer_analytics.shards import repairs

        with living("recounting days of the shards"):
            over_all = repairs.sweep(settings(), note, **options)
        if as_json:
            print_json(over_all.as_json())
        else:
            print_result(over_all.whole, taking_off=takes_off)
        return
    with (
        living("recounting days"),
        connected(settings(), "sweep", works_long=True) as connection,
    ):
        result = sweep_days(connection, settings(), **options, notify=note)
    if as_json:
        print_json(result.as_json())
    else:
        print_result(result, taking_off=takes_off)


def print_result(result: SweepResult, *, taking_off: bool) -> None:
    """Tell people what a sweep found and did, and where it was to take notes off and did not."""
    if result.dates:
        say(f"swept      {', '.join(map(str, result.dates))}")
    else:
        say(f"swept      {result.since or 'the beginning'} to {exactly(result.processed_through)}")
    if result.events_noted:
        say(
            f"vanished   {counted(result.events_noted, 'event is', 'events are')} "
            "gone from the source, though nobody corrected that: noted, and still counted"
        )
    if result.events_came_back:
        say(
            f"came back  {counted(result.events_came_back, 'event')}, late or restored, "
            f"to where some had "
            "vanished: they count beside those (--restored: instead)"
        )
    if result.events_taken_off:
        say(f"taken off  {counted(result.events_taken_off, 'event')}: no longer noted, nor counted")
    elif taking_off:
        say("taken off  0 events: `consumer-analytics vanished` lists what is noted")
    if result.days_corrected:
        say(
            f"corrected  {counted(result.days_corrected, 'day')}, "
            f"{counted(result.consumers_corrected, 'consumer')}, "
            f"{counted(result.types_corrected, 'type')}: {counted(result.events_found, 'event')} "
            f"found, {result.events_vanished:,} gone"
        )
        print_table(
            ["consumer", "type", "day", "was counted", "source has", "stay counted"],
            [
                [
                    one.consumer_id,
                    one.event_type,
                    one.day,
                    one.counted,
                    one.source,
                    one.vanished or None,
                ]
                for one in result.differences
            ],
        )
    if result.snapshots_with_other_customers:
        say(
            f"customers  differ at {counted(result.snapshots_with_other_customers, 'snapshot')} "
            "from what was reported"
        )
    if not (
        result.days_corrected
        or result.events_noted
        or result.events_taken_off
        or result.snapshots_with_other_customers
    ):
        say("nothing differs")
    say(f"restated   {counted(result.snapshots_restated, 'snapshot row')}")
    if result.noted_as_vanished:
        say(f"noted      {counted(result.noted_as_vanished, 'event')} as vanished, in all")
