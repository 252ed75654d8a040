"""`consumer-analytics audit`: recount everything, compare, and repair on demand."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consumer_analytics.calendar import instants
from consumer_analytics.cli.choice import AcceptPurged
from consumer_analytics.cli.output import JsonFlag, print_json, print_table, say, working
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import vanished
from consumer_analytics.formatting import counted, exactly
from consumer_analytics.reconcile.audit import AuditResult, RepairResult
from consumer_analytics.reconcile.audit import audit as audit_all
from consumer_analytics.reconcile.audit import repair as repair_found
from consumer_analytics.reconcile.audit.models import SinceLast
from consumer_analytics.settings import settings

if TYPE_CHECKING:
    from consumer_analytics.shards.audits import ShardedAudit

#: Characters of a value: a row may hold anything.
_LONGEST_SHOWN = 80


def audit(
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Compare snapshots and days from here on."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Compare up to here, this instant included."),
    ] = None,
    since_last: Annotated[
        bool,
        typer.Option(
            "--since-last",
            help="Recount only what has changed since the last clean audit; needs capture.",
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Differences to list; all are counted.")] = 50,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Repair what differs, keep what was reported, audit again."),
    ] = False,
    accept_purged: AcceptPurged = False,
    as_json: JsonFlag = False,
) -> None:
    """Recount everything from the source tables and compare it with all that is kept.

    Changes nothing that it looks at, unless told to repair. Exits 1 where anything differs, and 2
    where the range named has no snapshot, or no clean audit can be gone on from: then nothing was
    compared.
    """
    lower, upper = _instant(from_), _instant(to)
    if lower is not None and upper is not None and upper < lower:
        raise UsageError(f"--to {to} lies before --from {from_}")
    if since_last and (from_ or to or repair or accept_purged):
        raise UsageError(
            "--since-last goes with none of --from, --to, --repair and --accept-purged: "
            "these look at everything"
        )
    options: dict[str, Any] = {
        "since_last": since_last,
        "lower": lower,
        "upper": upper,
        "limit": limit,
        "accept_purged": accept_purged,
    }
    nothing = _no_snapshots(from_, to) if from_ or to else None
    if settings().shards_file is not None:
        _over_shards(options, nothing, repair=repair, as_json=as_json)
        return
    repaired: RepairResult | None = None
    with connected(settings(), "audit", works_long=True) as connection:
        with working() as notify:
            result = audit_all(connection, settings(), **options, notify=notify)
        _require_compared(result, nothing)
        accepted = vanished.EVERYTHING if accept_purged else None
        if repair and (accepted is not None or not result.clean):
            if not as_json:
                _print(result, repairing=True)
            with working() as notify:
                repaired = repair_found(
                    connection, settings(), result, accepted=accepted, notify=notify
                )
                result = audit_all(connection, settings(), **options, notify=notify)
    if as_json:
        print_json(
            result.as_json() | ({"repaired": repaired.as_json()} if repaired is not None else {})
        )
    else:
        if repaired is not None:
            say(
                f"repaired   {counted(repaired.events_found, 'event')} found, "
                f"{repaired.events_vanished:,} gone; {counted(repaired.totals_corrected, 'total')} "
                f"corrected, {counted(repaired.rows_removed, 'row')} too many removed, "
                f"{repaired.rows_relabelled:,} labelled as they were written, "
                f"{repaired.snapshots_restated:,} restated; audited again:"
            )
        _print(result)
    if not result.clean:
        raise typer.Exit(1)


def _over_shards(
    options: dict[str, Any], nothing: str | None, *, repair: bool, as_json: bool
) -> None:
    from consumer_analytics.shards import audits

    with working() as notify:
        result = audits.audit(settings(), **options, repair=repair, notify=notify)
    _require_compared(result, nothing)
    if as_json:
        print_json(result.as_json())
    else:
        for name, one in result.shards.items():
            say(f"shard      {name}")
            _print(one)
        if result.repaired is not None:
            say(
                f"repaired   {counted(len(result.repaired), 'shard')}; "
                f"{counted(result.restated, 'published row')} restated; audited again, as above"
            )
        say("published  what was put together, held to the sum of the shards:")
        _print_published(result.together)
        if result.customers_in_several:
            named = "; ".join(f"{one} in {', '.join(names)}" for one, names in result.listed[:3])
            say(
                f"customers  {result.customers_in_several:,} have their id in several shards, and "
                f"count in each: {named}"
            )
    if not result.clean:
        raise typer.Exit(1)


def _print_published(result: AuditResult) -> None:
    say(f"compared   {counted(result.snapshots, 'snapshot')} of {counted(result.rows, 'row')}")
    if result.clean:
        say("nothing differs" if result.snapshots else "nothing to compare: there is no snapshot")
        return
    _print_differences(result)


def _require_compared(result: AuditResult | ShardedAudit, nothing: str | None) -> None:
    """Take no audit of a range for a proof that had nothing to compare."""
    if nothing is not None and not result.snapshots and result.clean:
        raise UsageError(f"nothing to compare: {nothing}")


def _no_snapshots(from_: str | None, to: str | None) -> str:
    span = [f"from {from_} on"] if to is None else [] if from_ is None else [f"from {from_}"]
    if to is not None:
        span.append(f"up to {to}")
    return f"no snapshot was written {' '.join(span)}"


def _instant(text: str | None) -> dt.datetime | None:
    return None if text is None else instants.parse(text, settings().zone)


def _print(result: AuditResult, *, repairing: bool = False) -> None:
    base = result.since.base if result.since is not None else None
    since = f" since {exactly(base)}" if base is not None else ""
    say(
        f"audited    {counted(result.snapshots, 'snapshot')} of {counted(result.rows, 'row')}, "
        f"and all{since} before "
        f"{exactly(result.processed_through)}"
    )
    if result.since is not None:
        say(_unread(result.since))
    noted = ""
    if result.noted is not None:
        first, last = (f"{at:%Y-%m-%d}" for at in result.noted)
        noted = f" (noted {first})" if first == last else f" (noted {first} to {last})"
    say(
        f"events     {result.counted:,} counted{since}: {result.in_source:,} in the source, "
        f"{result.vanished:,} vanished{noted}, {result.missing:,} missing, {result.double:,} double"
    )
    if result.snapshots_on_trust:
        say(
            f"on trust   {counted(result.snapshots_on_trust, 'snapshot has', 'snapshots have')} "
            f"figures of customers that "
            "the source can no longer tell; they were held to a digest"
        )
    if result.snapshots_not_recountable:
        say(
            f"left out   {counted(result.snapshots_not_recountable, 'snapshot')} around "
            f"which events have "
            "vanished: nobody can tell which were before them"
        )
    if result.clean:
        there = result.snapshots or (result.since is not None and result.since.unread)
        say("nothing differs" if there else "nothing to compare: there is no snapshot")
        return
    _print_differences(result)
    if result.awaiting and not repairing:
        say("late rows have been noted: the next run repairs what they concern")
    for reason in result.lasting:
        say(f"no repair  {reason}")


def _print_differences(result: AuditResult) -> None:
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
            for one in result.listed
        ],
    )
    differ = counted(result.differences, "figure differs", "figures differ")
    say(differ + _more(result))


def _unread(since: SinceLast) -> str:
    """Return the line that says what was not read again, and why that is no gap."""
    at = f"{since.audited_at:%Y-%m-%d %H:%M} UTC"
    if since.base is None:
        return (
            f"read again everything: what was noted since the clean audit of {at} reaches back "
            "before every snapshot that is as it was"
        )
    return (
        f"not again  {counted(since.unread, 'snapshot')}, whose rows are those of "
        f"the clean audit of {at}, "
        f"and events, their counts and customers before {exactly(since.base)}: capture has been on "
        "without a gap, and noted no change of them"
    )


def _more(result: AuditResult) -> str:
    hidden = result.differences - len(result.listed)
    return f", {hidden:,} of them not listed" if hidden else ""


def _show(value: Any) -> Any:
    if value is None:
        return "-"
    return value if isinstance(value, int) else str(value)[:_LONGEST_SHOWN]
