"""`consumer-analytics check`: whether a database of one's own can be used, before any writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import typer
from rich.markup import escape

from consumer_analytics.cli.findings import EXIT_CODES, show, sum_up, summary
from consumer_analytics.cli.output import JsonFlag, above, err, print_json, print_table, say
from consumer_analytics.db.connection import connect
from consumer_analytics.errors import ConsumerAnalyticsError, one_line
from consumer_analytics.formatting import between, counted, duration, moment, size
from consumer_analytics.operations import check as checking
from consumer_analytics.operations.check.estimate import Cost, Costs, estimate
from consumer_analytics.operations.doctor.findings import Context, Examined, Verdict
from consumer_analytics.settings import settings

#: An estimate is told as what lies around it.
_AROUND = 2


def check(as_json: JsonFlag = False) -> None:
    """Tell whether a run can use your database, and what it will take; nothing is written.

    For the time before `migrate`: a login that may only SELECT the three source tables is enough.
    Each finding has what mends it. Exits 0 where all is well, 1 where there is a warning or
    something cannot be told, 2 where a run would be refused.
    """
    with _context() as context, err.status("looking") as shown:
        examined = []
        for one in checking.examine(context, lambda text: shown.update(escape(text))):
            examined.append(one)
            if not as_json:
                with above(shown):
                    show(one, evidence=True)
        shown.update("counting a sample")
        costs, untold = _estimate(context, examined)
    worst = max(one.verdict for one in examined)
    if as_json:
        print_json(
            summary(examined, worst) | {"estimates": None if costs is None else costs.as_json()}
        )
    else:
        _sum_up(examined, costs, untold)
    if code := EXIT_CODES[worst]:
        raise typer.Exit(code)


@contextmanager
def _context() -> Iterator[Context]:
    """Connect where that can be done, for reading alone."""
    try:
        connection = connect(settings(), "check", as_admin=True)
    except ConsumerAnalyticsError as error:
        yield Context(settings(), refusal=error)
        return
    with connection:
        checking.read_only(connection)
        yield Context(settings(), connection)


def _estimate(context: Context, examined: list[Examined]) -> tuple[Costs | None, str]:
    """Return what it will take; or None, and why that cannot be told."""
    verdicts = {one.check.name: one.verdict for one in examined}
    if context.connection is None or verdicts["source-columns"] is not Verdict.OK:
        return None, "the source tables cannot be read"
    try:
        return (
            estimate(
                context.connection,
                context.settings,
                indexed=verdicts["source-index"] is Verdict.OK,
            ),
            "",
        )
    except psycopg.Error as error:
        return None, error.diag.message_primary or one_line(error)


def _sum_up(examined: list[Examined], costs: Costs | None, untold: str) -> None:
    say("")
    if costs is None:
        say(f"what it will take cannot be told: {untold}")
    else:
        rows = ", ".join(f"{n:,} {table}" for table, n in costs.rows.items())
        span = (
            f" from {moment(costs.first, to='minutes')} to {moment(costs.last, to='minutes')}"
            if costs.first is not None
            else ""
        )
        say(f"about {rows}{span}")
        print_table(
            ["what it will take, about", "events", "snapshots", "time", "disk"],
            [
                _row("the first run", costs.first_run),
                _row(f"a daily backfill of {counted(min(costs.days, 365), 'day')}", costs.year),
            ],
        )
        if costs.first is None and costs.rows["customer_events"]:
            say("how many days there are is not known: ANALYZE the events, or give them the index")
    sum_up(examined)
    if all(one.finding.verdict is Verdict.OK for one in examined):
        say("next: `consumer-analytics docs own-database`")


def _row(name: str, cost: Cost) -> list[object]:
    low, high = (max(1, round(n)) for n in (cost.seconds / _AROUND, cost.seconds * _AROUND))
    around = between(duration(low), duration(high))
    return [name, cost.events, cost.snapshots, around, size(cost.bytes)]
