"""`consumer-analytics status`: watermark, last runs, latest snapshots, storage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consumer_analytics.cli.output import (
    JsonFlag,
    parse_size,
    print_json,
    print_table,
    say,
    shown,
    warn,
)
from consumer_analytics.db import documents, own_names, schema
from consumer_analytics.db.connection import connected, permitted
from consumer_analytics.errors import UsageError, noted
from consumer_analytics.etl import archived, revisions, sources
from consumer_analytics.etl.revisions import Revision
from consumer_analytics.formatting import count, counted, exactly, moment, percent, size
from consumer_analytics.operations import storage
from consumer_analytics.reporting.status import Status
from consumer_analytics.reporting.status import read as read_status
from consumer_analytics.settings import settings

if TYPE_CHECKING:
    from consumer_analytics.shards.standing import ShardStanding

_REVISIONS = 20
#: Keys up to this width stand with their figures in columns.
_KEY = 40


def status(
    consumers: Annotated[
        int,
        typer.Option(min=0, help="How many consumers to show, those with most events first."),
    ] = 10,
    show_revisions: Annotated[
        bool,
        typer.Option("--revisions", help="Show the latest restatements instead: what, when, why."),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="With --revisions: how many to show, 20 where nothing is said; all are counted.",
        ),
    ] = None,
    disk_free: Annotated[
        str | None,
        typer.Option(
            "--disk-free",
            metavar="SIZE",
            help="Room on the server's disk, such as 40GiB: say when it is used up.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the watermark, the latest runs and snapshots, and what storage is needed."""
    free = None if disk_free is None else parse_size(disk_free)
    if show_revisions:
        _revisions(limit or _REVISIONS, as_json=as_json)
        return
    if limit is not None:
        raise UsageError("--limit goes with --revisions; --consumers is how many consumers to show")
    own, shards = settings(), None
    if own.shards_file is not None:
        from consumer_analytics.shards import addresses, standing

        shards = standing.read(own)
        own = addresses.of_analytics(own)
    with connected(own, "status") as connection, own_names.explaining(connection, own):
        # Who may read snapshots is told of these; what else there is needs more rights.
        permitted(lambda: schema.require_current(connection))
        found = read_status(connection, own.sources, consumers=consumers)
        stored = permitted(lambda: storage.measure(connection, own))
        concerns = permitted(lambda: sources.concerns(connection, own.sources)) or ()
        unread = permitted(lambda: archived.lacks_address(connection, own))
    if as_json:
        print_json(
            {
                "watermark": found.mark.as_json(),
                "latest_snapshot": found.latest,
                "system": found.system,
                "consumers": [asdict(one) for one in found.consumers],
                "runs": found.runs,
                "noted_as_vanished": found.noted_as_vanished,
                "storage": stored and stored.as_json() | _full_as_json(stored, free),
                "source_concerns": [concern.describe() for concern in concerns],
                "archive": unread,
            }
            | ({"shards": [one.as_json() for one in shards]} if shards is not None else {})
        )
        return
    print_status(found)
    if shards is not None:
        _print_shards(shards)
    if unread is not None:
        warn(unread)
    for concern in concerns:
        warn(concern.describe())
    if stored is None:
        say("storage    not told to this login: it may read snapshots alone")
    else:
        _print_storage(stored, free)


def _print_shards(shards: Sequence[ShardStanding]) -> None:
    say("")
    print_table(
        ["shard", "counted up to", "latest snapshot", "vanished", "database"],
        [
            [
                one.name,
                one.processed_through,
                one.latest,
                one.vanished,
                one.error or size(one.bytes),
            ]
            for one in shards
        ],
    )
    for one in shards:
        if one.archive is not None:
            warn(f"shard {one.name}: {one.archive}")


def _full_as_json(stored: storage.Storage, free: int | None) -> dict[str, Any]:
    if free is None:
        return {}
    days = stored.days_until_grown_by(free)
    return {"disk_free_bytes": free, "disk_full_in_days": days}


def _print_storage(stored: storage.Storage, free: int | None) -> None:
    """Show people what is there, what it grows by, and how large it will be."""
    growth = sum(
        n
        for kind, n in stored.growth_by_kind.items()
        if kind in ("snapshots", "revisions", "counts")
    )
    kinds = ", ".join(
        f"{kind} {size(stored.bytes_by_kind[kind])}"
        for kind in ("snapshots", "revisions", "counts", "state")
        if stored.bytes_by_kind.get(kind)
    )
    say("")
    say(f"storage    {size(stored.ours)} ({kinds}), grows by {size(growth)} a day")
    thinning = stored.policy.thins
    print_table(
        ["in", "ours", *(["without thinning"] if thinning else []), "the whole database"],
        [
            [
                f"{days} days",
                size(stored.ours_in(days)),
                *([size(stored.ours_in(days, thinning=False))] if thinning else []),
                size(stored.database_in(days)),
            ]
            for days in storage.HORIZONS
        ],
    )
    if free is not None:
        days_left = stored.days_until_grown_by(free)
        if days_left is None:
            say(f"disk       {size(free)} free last for more than ten years")
        else:
            day = stored.at + dt.timedelta(days=days_left)
            left = counted(days_left, "day")
            say(f"disk       {size(free)} free last for {left}, until {day:%Y-%m-%d}")


def _revisions(limit: int, *, as_json: bool) -> None:
    with connected(settings(), "status") as connection:
        # Who may read snapshots may read what they said before.
        permitted(lambda: schema.require_current(connection))
        latest = revisions.latest(connection, limit)
        total = revisions.total(connection)
    if as_json:
        print_json({"total": total, "revisions": [one.as_json() for one in latest]})
        return
    if not latest:
        say("no snapshot was ever restated")
        return
    said = None
    for one in latest:
        if said != (one.at, one.reason):
            said = (one.at, one.reason)
            say(f"restated {moment(one.at)}: {one.reason}")
        _print_revision(one)
    if (more := total - len(latest)) > 0:
        say(
            f"… and {counted(more, 'earlier one', 'earlier ones')}: "
            f"`consumer-analytics status --revisions --limit {total}` shows all"
        )


def _print_revision(one: Revision) -> None:
    """Tell of one restated row, within the width of a terminal: a table of all is too wide."""
    say(f"  {exactly(one.snapshot)}  {one.consumer_id or 'the whole system'}")
    if one.withdrawn:
        say("    withdrawn: the row is gone")
        return
    width = min(_KEY, max(map(len, one.changed), default=0))
    for key, (before, after) in one.changed.items():
        say(f"    {key:<{width}}  {shown(before)} reported, {shown(after)} known now")


def print_status(found: Status) -> None:
    """Show a status to people."""
    mark = found.mark
    say(f"watermark  {exactly(mark.last_processed_timestamp)}")
    if mark.is_ahead:
        say(f"ahead      {mark.ahead}")
    # What the row says of a run that was killed, nobody could set right.
    latest = found.runs[0] if found.runs else None
    killed = mark.last_run_status == "running" and latest and latest["state"] == "interrupted"
    if latest and killed:
        say(f"last run   interrupted, opened at {moment(latest['opened_at'])}")
    elif mark.last_run_at is None:
        say("last run   none yet")
    else:
        say(f"last run   {mark.last_run_status} at {moment(mark.last_run_at)}")
    if mark.last_run_status == "failed":
        say(f"           {noted(mark.metadata)}")
    if found.noted_as_vanished:
        say(
            f"vanished   {counted(found.noted_as_vanished, 'event stays', 'events stay')} counted "
            f"that the source no longer "
            "has"
        )
    if found.latest is None:
        say("no snapshot yet: run `consumer-analytics run`")
        return
    # Somebody may have edited it.
    system = found.system if isinstance(found.system, dict) else {}
    consumers = documents.count(system.get("consumers_in_system"))
    customers = documents.count(system.get("total_customers_all_consumers"))
    active = documents.count(system.get("active_customers_all_consumers"))
    events = documents.count(system.get("total_events_all_consumers"))
    say(f"snapshot   {exactly(found.latest)}")
    say(
        f"system     {counted(consumers, 'consumer')}, {counted(customers, 'customer')} "
        f"({count(active)} active, "
        f"{percent(documents.number(system.get('system_wide_active_ratio')))}), "
        f"{counted(events, 'event')}"
    )
    print_table(
        ["consumer", "name", "customers", "active", "events", "new in window"],
        [
            [one.consumer_id, one.name, one.customers, one.active, one.events, one.new_events]
            for one in found.consumers
        ],
    )
    more = (consumers or 0) - len(found.consumers)
    if more > 0:
        say(f"… and {more:,} more")
    if found.runs is None:
        return
    say("")
    print_table(
        ["run opened", "source", "state", "processed up to", "new events", "snapshots"],
        [
            [
                moment(run["opened_at"]),
                run["snapshot_source"],
                run["state"],
                run["reached_at"],
                run["summary"].get("new_events"),
                run["summary"].get("snapshots_written"),
            ]
            for run in found.runs
        ],
    )
