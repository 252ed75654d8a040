"""`consumer-analytics simulate`: fill the source tables with a history made up from a seed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from consumer_analytics.calendar import instants
from consumer_analytics.cli.output import JsonFlag, print_json, progress, say
from consumer_analytics.db.connection import connected
from consumer_analytics.formatting import count, counted, duration, exactly
from consumer_analytics.ingest import simulate as simulator
from consumer_analytics.settings import settings


def simulate(
    consumers: Annotated[
        int, typer.Option(help="Tenants, of very different sizes.")
    ] = simulator.SimulationPlan.consumers,
    customers: Annotated[
        int, typer.Option(help="Customers in all, those deleted again included.")
    ] = simulator.SimulationPlan.customers,
    events: Annotated[
        int, typer.Option(help="Events in all, the customers' own histories included.")
    ] = simulator.SimulationPlan.events,
    days: Annotated[
        int, typer.Option(help="Length of the history.")
    ] = simulator.SimulationPlan.days,
    until: Annotated[
        str | None,
        typer.Option(
            help="End of the history, exclusive; by default the last midnight, UTC. "
            "Only with it does the same seed give the same rows every day.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Which of the many possible histories.")
    ] = simulator.SimulationPlan.seed,
    event_types: Annotated[
        int, typer.Option(help="Types of ordinary events.")
    ] = simulator.SimulationPlan.event_types,
    append: Annotated[
        bool, typer.Option("--append", help="Add to source tables that are not empty.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fill the source tables with a realistic history, the same for the same seed."""
    end = instants.parse(until, settings().zone) if until is not None else None
    with (
        connected(settings(), "simulate", writes_sources=True) as connection,
        progress("simulating events") as show,
    ):
        summary = simulator.simulate(
            connection,
            settings(),
            simulator.SimulationPlan(
                until=end or simulator.today(connection),
                consumers=consumers,
                customers=customers,
                events=events,
                days=days,
                seed=seed,
                event_types=event_types,
            ),
            show,
            append=append,
        )
    if as_json:
        print_json(asdict(summary))
        return
    rate = summary.events / summary.seconds if summary.seconds else 0
    say(
        f"{counted(summary.events, 'event')} of {counted(summary.customers_created, 'customer')} "
        f"({summary.customers_deleted:,} deleted again, "
        f"{counted(summary.status_changes, 'change')} of status) of "
        f"{counted(summary.consumers, 'consumer')}"
    )
    say(f"from {exactly(summary.first)} until {exactly(summary.until)}, seed {summary.seed}")
    say(f"in {duration(summary.seconds)}, {count(rate)} events/s")
    if summary.touched_days:
        say("part of it lies before the last run's instant; the next run counts that")
