"""`consumer-analytics snapshots`: list them by their instants, and take one back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from consumer_analytics import caller
from consumer_analytics.calendar import instants
from consumer_analytics.cli.choice import consumer_id_of
from consumer_analytics.cli.consent import Yes, confirm
from consumer_analytics.cli.output import (
    JsonFlag,
    print_json,
    print_table,
    progress,
    say,
    tell,
    warn,
)
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, connected
from consumer_analytics.errors import UsageError
from consumer_analytics.etl.vanished import named
from consumer_analytics.formatting import counted, duration
from consumer_analytics.operations import snapshots as engine
from consumer_analytics.settings import settings

app = typer.Typer(no_args_is_help=True, help="List the snapshots, or take back a mistaken one.")

From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Snapshots from here on.")]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="Snapshots up to here, this instant included."),
]
Source = Annotated[
    str | None,
    typer.Option("--source", metavar="etl|backfill", help="Only what runs, or backfills, wrote."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many to list; all are counted.")]
_SOURCES = ("etl", "backfill")


@app.command("list")
def list_(
    from_: From = None,
    to: To = None,
    source: Source = None,
    limit: Limit = 20,
    as_json: JsonFlag = False,
) -> None:
    """List instants with their snapshots, the latest first.

    The state is whole, or chosen where only chosen consumers have rows; thinned by maintenance,
    removed by the command beside this one, owed by the next run, or lost.
    """
    lower, upper = _range(from_, to)
    selection = engine.Selection(lower=lower, upper=upper, source=_source(source))
    with connected(settings(), "snapshots list") as connection:
        found = engine.listing(connection, selection, limit=limit)
    if as_json:
        print_json(found.as_json())
    elif found.entries:
        _print(found.entries, found.total)
    else:
        say("no snapshot" if from_ is None and to is None else "no snapshot in that range")


@app.command()
def remove(
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="TIME", help="The instant. May be given several times."),
    ] = None,
    from_: From = None,
    to: To = None,
    source: Source = None,
    consumer: Annotated[
        list[str] | None,
        typer.Option(
            "--consumer",
            metavar="ID",
            help="Only this consumer's rows, where it was backfilled by itself. May be given "
            "several times.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with who and when.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")
    ] = False,
    limit: Limit = 50,
    yes: Yes = False,
    as_json: JsonFlag = False,
) -> None:
    """Take snapshots back that were a mistake: by their instants, or all of a range.

    What they said is kept among the revisions, the watermark and all other snapshots stay as they
    are, and no audit misses them. Written again, they are as they would have been.
    """
    lower, upper = _range(from_, to)
    if not at and (from_ is None or to is None):
        raise UsageError("give --at, or --from and --to")
    if at and (from_ is not None or to is not None):
        raise UsageError("give --at, or --from and --to, not both")
    selection = engine.Selection(
        tuple(dict.fromkeys(_instant(one) for one in at or ())),
        lower,
        upper,
        _source(source),
        tuple(dict.fromkeys(consumer_id_of(one) for one in consumer or ())),
    )
    how: dict[str, Any] = {"who": caller.name(), "reason": reason}
    ask = not (yes or dry_run)
    done, told = _take_back(selection, how | {"dry_run": dry_run or ask})
    if not as_json:
        _print(done.entries[:limit], len(done.entries))
    if ask:
        if not as_json:
            _print_losses(done)
        confirm(f"Remove {_these(done)}?")
        done, told = _take_back(selection, how)
    if as_json:
        print_json({"dry_run": dry_run, **told})
        return
    _print_removal(done, dry_run=dry_run)
    if not ask:
        _print_losses(done)
    if done.passes_mark:
        say("the watermark stays: the window of the next run begins where it did")


def _take_back(
    selection: engine.Selection, how: dict[str, Any]
) -> tuple[engine.Removal, dict[str, Any]]:
    """Take back, or look what would be, in sessions of its own: no run waits for an answer."""
    if settings().shards_file is not None:
        return _over_shards(selection, how)
    with (
        connected(settings(), "snapshots remove") as connection,
        progress("snapshots") as show,
    ):
        done = engine.remove(connection, settings(), selection, progress=show, **how)
    return done, done.as_json()


def _over_shards(
    selection: engine.Selection, how: dict[str, Any]
) -> tuple[engine.Removal, dict[str, Any]]:
    from consumer_analytics.shards import removals

    with progress("snapshots", before="taking back in the shards") as show:
        result = removals.remove(settings(), selection, notify=tell, progress=show, **how)
    return result.whole, result.as_json()


def _these(done: engine.Removal) -> str:
    return f"{counted(len(done.entries), 'snapshot')}, {counted(done.rows, 'row')}"


def _print_removal(done: engine.Removal, *, dry_run: bool) -> None:
    if dry_run:
        say(f"would remove {_these(done)}; nothing was changed")
    else:
        say(f"removed {_these(done)}; what they said is kept in consumer_analytics_revisions")
    if done.no_longer_owed:
        say(
            f"no longer owed: {named(done.no_longer_owed)}; the next run "
            f"{'would' if dry_run else 'does'} not write it"
        )


def _print_losses(done: engine.Removal) -> None:
    """Say what does not go, and what would not come back: before it is asked for a yes."""
    if done.left:
        warn(
            f"left as they are, since all consumers have their rows there: {named(done.left)}; "
            "such a snapshot goes as a whole, without --consumer"
        )
    if done.not_writable:
        warn(
            f"nobody can write these again, as events have vanished since: "
            f"{named(done.not_writable)}"
        )


def _print(entries: Sequence[engine.SnapshotEntry], total: int) -> None:
    print_table(
        ["instant", "window", "source", "state", "rows", "revisions"],
        [
            [
                one.at,
                duration(one.window),
                one.snapshot_source,
                one.state,
                one.rows,
                one.revisions,
            ]
            for one in entries
        ],
    )
    if total > len(entries):
        say(f"… and {total - len(entries):,} more")


def _range(from_: str | None, to: str | None) -> tuple[dt.datetime, dt.datetime]:
    lower = MINUS_INFINITY if from_ is None else _instant(from_)
    upper = INFINITY if to is None else _instant(to)
    if upper < lower:
        raise UsageError(f"--to {to} lies before --from {from_}")
    return lower, upper


def _instant(text: str) -> dt.datetime:
    return instants.parse(text, settings().zone)


def _source(text: str | None) -> str | None:
    if text is not None and text not in _SOURCES:
        raise UsageError(f"--source {text!r} is neither {' nor '.join(_SOURCES)}")
    return text
