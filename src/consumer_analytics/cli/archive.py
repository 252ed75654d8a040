"""`consumer-analytics archive`: write closed days to the lake, and prove that they are there."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, note, print_json, progress, say
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import counted
from consumer_analytics.operations.archive import ArchiveResult
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
    nothing is deleted. Done twice, the second writes what has come late, or nothing. Over shards
    each has an archive of its own, below the lake's address by its name.
    """
    try:
        last = dt.date.fromisoformat(through)
    except ValueError:
        raise UsageError(f"{through!r} is not a day; write it like 2025-12-31") from None
    if settings().shards_file is not None:
        from consumer_analytics.shards import archives

        with progress("days") as show:
            over_all = archives.archive(settings(), last, notify=note, progress=show)
        if as_json:
            print_json(over_all.as_json())
            return
        for name, one in over_all.shards.items():
            _tell(one, f"shard {name}: ")
        _tell_reach(over_all.whole, "in every shard")
        return
    with (
        connected(settings(), "archive") as connection,
        progress("days") as show,
    ):
        result = archive_days(connection, settings(), last, notify=note, progress=show)
    if as_json:
        print_json(result.as_json())
        return
    _tell(result)
    _tell_reach(result, "here")


def _tell(result: ArchiveResult, where: str = "") -> None:
    say(
        f"archived   {where}{counted(result.days, 'day')}, {counted(result.rows, 'row')}, "
        f"{counted(result.bytes, 'byte')}: "
        f"counted here and there"
    )
    if result.late_rows:
        say(
            f"late       {where}{result.late_rows:,} of the rows had come to days that were "
            "archived"
        )
    if result.rows_before_calendar:
        say(
            f"left       {where}{counted(result.rows_before_calendar, 'row')} of 0001-01-01 and "
            "before, -infinity too: no file holds them, so purge from 0001-01-02 on"
        )


def _tell_reach(result: ArchiveResult, where: str) -> None:
    say(
        f"the lake   {counted(result.files, 'file')}: all days before {result.first_day}, which "
        f"may be purged {where}"
    )
