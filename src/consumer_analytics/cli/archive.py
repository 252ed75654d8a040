"""`consumer-analytics archive`: write closed days to the lake, and prove that they are there."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, note, print_json, progress, say
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import counted
from consumer_analytics.operations.archive import archive as archive_days
from consumer_analytics.settings import settings


def archive(
    through: Annotated[
        str,
        typer.Option("--through", metavar="DAY", help="The last UTC day, such as 2025-12-31."),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Write closed days of customer_events to the lake, and prove that they are there.

    A file for each day, read back and counted on both sides before it is said to be archived;
    nothing is deleted. Done twice, the second writes what has come late, or nothing.
    """
    try:
        last = dt.date.fromisoformat(through)
    except ValueError:
        raise UsageError(f"{through!r} is not a day; write it like 2025-12-31") from None
    with (
        connected(settings(), "archive") as connection,
        progress("days") as show,
    ):
        result = archive_days(connection, settings(), last, notify=note, progress=show)
    if as_json:
        print_json(result.as_json())
        return
    say(
        f"archived   {counted(result.days, 'day')}, {counted(result.rows, 'row')}, "
        f"{counted(result.bytes, 'byte')}: "
        f"counted here and there"
    )
    if result.late_rows:
        say(f"late       {result.late_rows:,} of the rows had come to days that were archived")
    say(
        f"the lake   {counted(result.files, 'file')}: all days before {result.first_day}, which "
        "may be purged here"
    )
