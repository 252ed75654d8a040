"""`consumer-analytics backfill`: the snapshots of a past range, and what was backfilled."""

from __future__ import annotations

from typing import Annotated

import typer

from consumer_analytics import caller
from consumer_analytics.backfill import (
    BackfillRecord,
    BackfillResult,
    Estimate,
    Request,
    describe_skipped,
    describe_skipped_days,
    estimate_of,
    request_of,
)
from consumer_analytics.backfill import backfill as write_snapshots
from consumer_analytics.backfill import (
    records as records_of,
)
from consumer_analytics.calendar import intervals
from consumer_analytics.cli.output import JsonFlag, print_json, progress, say, tell
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import counted, duration, exactly, moment, size
from consumer_analytics.settings import settings

app = typer.Typer(help="Write the snapshots of a past range, or list what was backfilled.")


@app.callback(invoke_without_command=True)
def backfill(
    context: typer.Context,
    start_date: Annotated[
        str | None,
        typer.Option("--start-date", metavar="DATE", help="First day, such as 2025-10-01."),
    ] = None,
    end_date: Annotated[
        str | None,
        typer.Option("--end-date", metavar="DATE", help="The day after the last one."),
    ] = None,
    interval: Annotated[
        str,
        typer.Option(
            "--interval", metavar="|".join(intervals.INTERVALS), help="Length of a period."
        ),
    ] = intervals.default(),
    consumer: Annotated[
        list[str] | None,
        typer.Option(
            "--consumer",
            metavar="ID",
            help="Only this consumer, and no row of the whole system. May be given several times.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write the snapshot at the end of every period of a range.

    What is there and right is not touched. Stopped with Ctrl-C or killed, the same command
    goes on where it was. Days are those of CONSUMER_ANALYTICS_TIMEZONE.
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context, context.invoked_subcommand)
        return
    if start_date is None or end_date is None:
        raise UsageError("give --start-date and --end-date, or `backfill list`")
    request = request_of(start_date, end_date, interval, who=caller.name(), consumers=consumer)
    work = _alone if settings().shards_file is None else _over_shards
    work(request, dry_run=dry_run, as_json=as_json)


def _refuse_options_before(context: typer.Context, command: str) -> None:
    """Refuse options that stand before a command which has its own: they would say nothing."""
    given = [
        param.opts[0]
        for param in context.command.params
        if (source := context.get_parameter_source(str(param.name))) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        belongs = "belongs" if len(given) == 1 else "belong"
        raise UsageError(
            f"{', '.join(given)} before `{command}` {belongs} to `{context.command_path}` alone, "
            f"which writes snapshots; `{context.command_path} {command} --help` tells what may "
            f"stand after `{command}`"
        )


def _alone(request: Request, *, dry_run: bool, as_json: bool) -> None:
    reached = periods = 0
    try:
        with connected(settings(), "backfill", works_long=True) as connection:
            estimate = estimate_of(connection, settings(), request)
            periods = estimate.periods
            if dry_run and as_json:
                print_json(estimate.as_json(request))
            if not as_json:
                print_estimate(estimate, request)
            if dry_run:
                if not as_json:
                    print_left_out(estimate, request)
                return
            with progress("periods", before="reading the source") as show:

                def shown(count: int, total: int) -> None:
                    nonlocal reached
                    reached = count
                    show(count, total)

                result = write_snapshots(
                    connection, settings(), request, notify=tell, progress=shown
                )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{reached:,} of {periods:,} periods are written, and whole; "
            "the same command goes on from there"
            if reached
            else "nothing was written"
        ) from None
    if as_json:
        print_json(result.as_json())
    else:
        print_result(result)


def _over_shards(request: Request, *, dry_run: bool, as_json: bool) -> None:
    from consumer_analytics.shards import backfills

    def told(estimate: Estimate) -> None:
        if as_json and dry_run:
            print_json(estimate.as_json(request))
        elif not as_json:
            print_estimate(estimate, request)
            if dry_run:
                print_left_out(estimate, request)

    try:
        with progress("periods", before="reading the shards") as show:
            result = backfills.backfill(
                settings(), request, dry_run=dry_run, told=told, notify=tell, progress=show
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "what is published is whole; the same command goes on from there"
        ) from None
    if result is None:
        return
    if as_json:
        print_json(result.as_json())
    else:
        print_result(result.whole)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List the backfills that were asked for, with their state and counts."""
    with connected(settings(), "backfill list") as connection:
        records = records_of(connection, limit)
    if as_json:
        print_json({"backfills": [record.as_json() for record in records]})
        return
    if not records:
        say("no backfill yet")
        return
    for record in records:
        print_record(record)


def print_record(record: BackfillRecord) -> None:
    """Tell of one backfill, within the width of a terminal."""
    asked = record.consumers
    whose = "all consumers" if asked is None else counted(len(asked), "consumer")
    took = ""
    if record.finished_at is not None:
        took = f", {duration(record.finished_at - record.started_at)}"
    say(
        f"{record.backfill_id:>4}  {record.state:<11}  "
        f"{record.start_date} to {record.end_date}, {record.interval}, {whose}"
    )
    written, untouched = record.snapshots_written, record.snapshots_untouched
    details = [
        f"{record.periods_done:,} of {counted(record.periods, 'period')}",
        f"{written:,} written, {untouched:,} untouched, {record.snapshots_restated:,} restated",
        f"{moment(record.started_at)}{took}",
        f"by {record.requested_by}, {record.snapshot_source}, days of {record.timezone}",
        record.error,
    ]
    for line in filter(None, details):
        say(f"{'':19}{line}")


def print_estimate(estimate: Estimate, request: Request) -> None:
    """Say what a backfill will do."""
    say(
        f"range      {request.start} to {request.end}, {request.interval}: "
        f"{counted(estimate.periods, 'period')}"
    )
    if estimate.periods:
        say(f"stamped    {exactly(estimate.bounds[1])} to {exactly(estimate.bounds[-1])}")
    whole = request.consumers is None
    say(
        f"snapshots  about {estimate.snapshots:,}, "
        f"of {counted(estimate.consumers, 'consumer')}"
        + (" and the whole system" if whole else ", none of the whole system")
    )
    if estimate.there:
        say(f"there      {counted(estimate.there, 'period')} already with snapshots")
    say(
        f"reads      about {counted(estimate.rows_to_scan, 'event')} of the source, "
        "as the planner estimates"
    )
    say(f"writes     about {size(estimate.bytes_to_write)} to disk, indexes included")


def print_left_out(estimate: Estimate, request: Request) -> None:
    """Say what of a range a backfill will write nothing for."""
    if estimate.empty:
        say(f"left out   {counted(estimate.empty, 'period')} before the first row")
    if estimate.is_skipped:
        say(f"left out   {describe_skipped(request, settings().timezone)}")
    if estimate.skipped:
        say(f"left out   {describe_skipped_days(estimate, settings().timezone)}")


def print_result(result: BackfillResult) -> None:
    """Say what a backfill did."""
    say(
        f"done       {counted(result.periods, 'period')}: "
        f"{counted(result.snapshots_written, 'snapshot')} written, "
        f"{result.snapshots_untouched:,} untouched, {result.snapshots_restated:,} restated"
    )
