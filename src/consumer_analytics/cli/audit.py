"""`consumer-analytics audit`: recount everything, compare, and repair on demand."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import typer

from consumer_analytics.calendar import instants
from consumer_analytics.cli.output import JsonFlag, print_json, print_table, say, working
from consumer_analytics.cli.sweep import AcceptPurged
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import exactly
from consumer_analytics.reconcile import audit as engine
from consumer_analytics.settings import settings


def audit(
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Compare snapshots and days from here on."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Compare up to here, this instant included."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Differences to list; all are counted.")] = 50,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Make good what differs, keep what was reported, audit again."
        ),
    ] = False,
    accept_purged: AcceptPurged = False,
    as_json: JsonFlag = False,
) -> None:
    """Recount everything from the source tables and compare it with all that is kept.

    Read-only, unless told to repair. Exits 1 where anything differs.
    """
    lower, upper = _instant(from_), _instant(to)
    if lower is not None and upper is not None and upper < lower:
        raise UsageError(f"--to {to} lies before --from {from_}")
    options: dict[str, Any] = {
        "lower": lower,
        "upper": upper,
        "limit": limit,
        "accept_purged": accept_purged,
    }
    repaired: dict[str, int] | None = None
    with connected(settings(), "audit") as connection:
        with working() as notify:
            found = engine.audit(connection, settings(), **options, notify=notify)
        if repair and not found.clean:
            if not as_json:
                _print(found)
            with working() as notify:
                repaired = engine.repair(
                    connection, settings(), found, accept_purged=accept_purged, notify=notify
                )
                found = engine.audit(connection, settings(), **options, notify=notify)
    if as_json:
        print_json(found.as_json() | ({"repaired": repaired} if repaired is not None else {}))
    else:
        if repaired is not None:
            say(
                f"repaired   {repaired['events_found']:,} events found, "
                f"{repaired['events_vanished']:,} gone; {repaired['totals_corrected']:,} totals "
                f"corrected, {repaired['rows_removed']:,} doubled rows removed, "
                f"{repaired['snapshots_restated']:,} snapshot rows restated; audited again:"
            )
        _print(found)
    if not found.clean:
        raise typer.Exit(1)


def _instant(text: str | None) -> dt.datetime | None:
    return None if text is None else instants.parse(text, settings().zone)


def _print(found: engine.Audit) -> None:
    say(
        f"audited    {found.events:,} events before {exactly(found.processed_through)}, "
        f"{found.snapshots:,} snapshots of {found.rows:,} rows"
    )
    say(f"counts     {found.missing:,} missing, {found.double:,} double")
    if found.clean:
        say("nothing differs")
    else:
        print_table(
            ["where", "consumer", "figure", "at", "kept", "recounted"],
            [
                [
                    one.where,
                    one.consumer_id,
                    one.figure,
                    one.at,
                    _show(one.kept),
                    _show(one.recounted),
                ]
                for one in found.listed
            ],
        )
        say(f"{found.differences:,} figures differ" + _more(found))
        if found.awaiting:
            say("late rows have been noted: the next run repairs what they concern")
    if found.purged_before is not None:
        say(
            f"purged     rows from before {exactly(found.purged_before)} are no longer all in the "
            f"source: {found.days_not_recountable:,} days and {found.snapshots_not_recountable:,} "
            "snapshots can no longer be recounted"
        )


def _more(found: engine.Audit) -> str:
    hidden = found.differences - len(found.listed)
    return f", {hidden:,} of them not listed" if hidden else ""


def _show(value: Any) -> Any:
    return "-" if value is None else value if isinstance(value, int) else str(value)
