"""`consumer-analytics doctor`: what is wrong, why, and what makes it good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.markup import escape

from consumer_analytics.airflow.command import AirflowCommand
from consumer_analytics.cli.findings import EXIT_CODES, show, sum_up, summary
from consumer_analytics.cli.output import JsonFlag, err, print_json
from consumer_analytics.db.connection import connect
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.local import doctor as local
from consumer_analytics.operations.doctor import CHECKS, examine
from consumer_analytics.operations.doctor.findings import Context, Examined, Verdict
from consumer_analytics.settings import settings


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
    with _context() as context, err.status("looking") as shown:
        examined = []
        for one in examine(
            context,
            (*CHECKS, *local.CHECKS),
            fix=fix,
            notify=lambda text: shown.update(escape(text)),
        ):
            examined.append(one)
            if not as_json:
                show(one)
    worst = max(one.verdict for one in examined)
    if as_json:
        print_json(summary(examined, worst))
    else:
        _sum_up(examined, fix=fix)
    if code := EXIT_CODES[worst]:
        raise typer.Exit(code)


@contextmanager
def _context() -> Iterator[Context]:
    """Connect where that can be done; where not, the checks that need it will say so."""
    here: dict[str, Any] = {
        "airflow": AirflowCommand.find(settings()),
        "restart": local.restarter(settings()),
    }
    try:
        connection = connect(settings(), "doctor", as_admin=True)
    except ConsumerAnalyticsError as error:
        yield Context(settings(), refusal=error, **here)
        return
    with connection:
        yield Context(settings(), connection, **here)


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
