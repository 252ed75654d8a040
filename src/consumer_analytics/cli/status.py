"""`consumer-analytics status`: watermark, last runs, latest snapshots."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, moment, print_json, print_table, say
from consumer_analytics.engine import revisions, schema
from consumer_analytics.engine import status as engine
from consumer_analytics.engine.database import connected
from consumer_analytics.settings import settings

_REVISIONS = 20


def status(
    consumers: Annotated[
        int,
        typer.Option(min=0, help="How many consumers to show, those with most events first."),
    ] = 10,
    show_revisions: Annotated[
        bool,
        typer.Option("--revisions", help="Show the latest restatements instead: what, when, why."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the watermark, the latest runs and the latest snapshots."""
    if show_revisions:
        _revisions(as_json=as_json)
        return
    with connected(settings(), "status") as connection:
        schema.require_current(connection)
        found = engine.read(connection, settings().source_schema, consumers=consumers)
    if as_json:
        print_json(
            {
                "watermark": found.mark.as_json(),
                "latest_snapshot": found.latest,
                "system": found.system,
                "consumers": [asdict(one) for one in found.consumers],
                "runs": found.runs,
            }
        )
        return
    print_status(found)


def _revisions(*, as_json: bool) -> None:
    with connected(settings(), "status") as connection:
        schema.require_current(connection)
        found = revisions.latest(connection, _REVISIONS)
    if as_json:
        print_json({"revisions": [one.as_json() for one in found]})
        return
    if not found:
        say("no snapshot was ever restated")
        return
    print_table(
        ["restated at", "why", "snapshot", "consumer", "figure", "reported", "known now"],
        [
            [one.at, one.reason, one.snapshot, one.consumer_id or "(all)", key, before, after]
            for one in found
            for key, (before, after) in (
                {"row": ("reported", "withdrawn")} if one.withdrawn else one.changed
            ).items()
        ],
    )


def print_status(found: engine.Status) -> None:
    """Show a status to people."""
    mark = found.mark
    say(f"watermark  {moment(mark.last_processed_timestamp)}")
    say(f"last run   {mark.last_run_status} at {moment(mark.last_run_at)}")
    if mark.last_run_status == "failed":
        say(f"           {mark.metadata.get('error_type')}: {mark.metadata.get('error')}")
    if found.latest is None:
        say("no snapshot yet: run `consumer-analytics run`")
        return
    system = found.system
    say(f"snapshot   {moment(found.latest)}")
    say(
        f"system     {system['consumers_in_system']:,} consumers, "
        f"{system['total_customers_all_consumers']:,} customers "
        f"({system['active_customers_all_consumers']:,} active, "
        f"ratio {system['system_wide_active_ratio']}), "
        f"{system['total_events_all_consumers']:,} events"
    )
    print_table(
        ["consumer", "name", "customers", "active", "events", "new in window"],
        [
            [one.consumer_id, one.name, one.customers, one.active, one.events, one.new_events]
            for one in found.consumers
        ],
    )
    more = system["consumers_in_system"] - len(found.consumers)
    if more > 0:
        say(f"… and {more:,} more")
    say("")
    print_table(
        ["run opened", "source", "state", "processed up to", "events", "snapshots"],
        [
            [
                run["opened_at"],
                run["snapshot_source"],
                run["state"],
                run["reached_at"],
                run["summary"].get("new_events"),
                run["summary"].get("snapshots_written"),
            ]
            for run in found.runs
        ],
    )
