"""`consumer-analytics maintenance`: remove what is older than the settings keep."""

from __future__ import annotations

from typing import Annotated

import typer

from consumer_analytics import caller
from consumer_analytics.cli.output import JsonFlag, print_json, say, warn, working
from consumer_analytics.orchestration import maintenance as work
from consumer_analytics.settings import settings


def maintenance(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be removed; remove nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove old logs, Airflow metadata, snapshots and internal state; say what room that made.

    Snapshots are thinned only where CONSUMER_ANALYTICS_KEEP_SNAPSHOTS_DAYS is set. What was
    removed is recorded. Exits 1 where a part failed; the others are done all the same.
    """
    with working() as notify:
        parts = work.maintain(settings(), f"cli:{caller.name()}", dry_run=dry_run, notify=notify)
    if as_json:
        print_json({"dry_run": dry_run, "parts": [part.as_json() for part in parts]})
    else:
        for part in parts:
            (warn if part.failed else say)(work.describe(part, dry_run=dry_run))
            for note in part.notes:
                say(f"  {note}")
    work.require_whole(parts)
