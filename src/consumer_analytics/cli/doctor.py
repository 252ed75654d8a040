"""`consumer-analytics doctor`: what is wrong, why, and what makes it good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.markup import escape

from consumer_analytics.airflow.command import AirflowCommand
from consumer_analytics.cli.findings import EXIT_CODES, show, sum_up, summary
from consumer_analytics.cli.output import JsonFlag, above, err, print_json, say
from consumer_analytics.db.connection import connect
from consumer_analytics.errors import ConsumerAnalyticsError, SettingsError
from consumer_analytics.formatting import counted
from consumer_analytics.local import doctor as local
from consumer_analytics.operations.doctor import CHECKS, OF_DATABASES, examine
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Examined,
    Finding,
    Verdict,
    ok,
)
from consumer_analytics.settings import Settings, settings


def _shards(_: Context) -> Finding:
    """Tell whether the file of shards can be read."""
    from consumer_analytics.shards import addresses

    try:
        named = addresses.read(settings())
    except SettingsError as error:
        return Finding(Verdict.PROBLEM, str(error), cause="no shard is looked at")
    return ok(f"the file names {counted(len(named), 'shard')}")


_SHARDS = Check("shards-file", "can the file of shards be read?", _shards)


def doctor(
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Apply the fixes that are safe, and look again."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Find what commonly breaks: each with verdict, evidence, cause and fix.

    Looks and changes nothing, unless told to fix. Exits 0 where all is well, 1 where there is a
    warning or a check could not be made, 2 where there is a problem; with --fix, by what is left.
    """
    own, by_shard = settings(), dict[str, list[Examined]]()
    checks = (*CHECKS, *local.CHECKS)
    if own.shards_file is not None:
        from consumer_analytics.shards import addresses

        own, checks = addresses.of_analytics(own), (*checks, _SHARDS)
    examined = _examined(own, checks, fix=fix, as_json=as_json)
    if own.shards_file is not None and examined[-1].verdict is Verdict.OK:
        by_shard = _examined_shards(fix=fix, as_json=as_json)
    everything = [*examined, *(one for of in by_shard.values() for one in of)]
    worst = max(one.verdict for one in everything)
    if as_json:
        told = summary(examined, max(one.verdict for one in examined))
        if by_shard:
            told |= {
                "shards": {
                    name: summary(of, max(one.verdict for one in of))
                    for name, of in by_shard.items()
                }
            }
        print_json(told)
    else:
        examined = everything
        _sum_up(examined, fix=fix)
    if code := EXIT_CODES[worst]:
        raise typer.Exit(code)


def _examined(
    own: Settings, checks: Sequence[Check], *, fix: bool, as_json: bool, shard: str | None = None
) -> list[Examined]:
    """Examine a database, and show what is found as it is."""
    found = []
    with _context(own, shard) as context, err.status("looking") as shown:
        for one in examine(
            context,
            checks,
            fix=fix,
            notify=lambda text: shown.update(escape(text)),
        ):
            found.append(one)
            if not as_json:
                with above(shown):
                    show(one)
    return found


def _examined_shards(*, fix: bool, as_json: bool) -> dict[str, list[Examined]]:
    """Examine each shard by the checks that look at a database."""
    from consumer_analytics.shards import addresses

    found = {}
    for address in addresses.read(settings()):
        if not as_json:
            say(f"\nshard {address.name}")
        own = address.settings(settings())
        found[address.name] = _examined(
            own, OF_DATABASES, fix=fix, as_json=as_json, shard=address.name
        )
    return found


@contextmanager
def _context(own: Settings, shard: str | None) -> Iterator[Context]:
    """Connect where that can be done; where not, the checks that need it will say so."""
    here: dict[str, Any] = {
        "airflow": AirflowCommand.find(own),
        "restart": local.restarter(own),
    }
    try:
        connection = connect(own, "doctor", as_admin=True)
    except ConsumerAnalyticsError as error:
        yield Context(own, refusal=error, **here)
        return
    with connection:
        connection.shard = shard
        yield Context(own, connection, **here)


def _sum_up(examined: list[Examined], *, fix: bool) -> None:
    found = [one for one in examined if one.finding.verdict is not Verdict.OK]
    fixable = sum(
        one.finding.fix is not None and one.finding.fix.apply is not None for one in found
    )
    if fix and found:
        fixed = sum(one.treatment is not None and one.treatment.worked for one in found)
        sum_up(examined, f", {fixed} of them fixed")
    else:
        sum_up(examined, f"; --fix makes {fixable} of them good" if fixable else "")
