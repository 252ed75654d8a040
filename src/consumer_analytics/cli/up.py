"""`consumer-analytics up`: the whole system on this machine, from one command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from consumer_analytics import installation
from consumer_analytics.cli.output import err, say, warn
from consumer_analytics.cli.status import print_status
from consumer_analytics.formatting import duration
from consumer_analytics.reporting.status import Status
from consumer_analytics.settings import settings

#: Where there is no terminal: a step that lasts tells what has changed, or that nothing has.
_CHANGE_SECONDS = 2
_REMIND_SECONDS = 10


class _Notifier:
    """Shows steps on standard error, results on standard output."""

    @contextmanager
    def step(self, label: str) -> Iterator[Callable[[str], None]]:
        began = time.monotonic()
        last = ""

        def took() -> str:
            return duration(time.monotonic() - began)

        if err.is_terminal:
            with Progress(
                SpinnerColumn(),
                # Names of processes that do not fit go on in the next line.
                TextColumn("{task.description}", table_column=Column()),
                TimeElapsedColumn(),
                console=err,
                transient=True,
            ) as spinner:
                task = spinner.add_task(escape(label))

                def detail(text: str) -> None:
                    nonlocal last
                    last = text
                    spinner.update(task, description=escape(f"{label}: {text}" if text else label))

                yield detail
        else:
            err.print(f"{escape(label)} ...")
            told_at = began

            def detail(text: str) -> None:
                nonlocal last, told_at
                since = time.monotonic() - told_at
                if text and since > (_REMIND_SECONDS if text == last else _CHANGE_SECONDS):
                    told_at = time.monotonic()
                    err.print(f"  {escape(text)} ({took()})")
                last = text

            yield detail
        err.print(
            f"[green]done[/green] {escape(label)}{escape(f': {last}' if last else '')} ({took()})"
        )

    def say(self, line: str) -> None:
        say(line)

    def warn(self, line: str) -> None:
        warn(line)

    def snapshots(self, latest: Status) -> None:
        say("")
        print_status(latest)
        say("")


def up(
    once: Annotated[
        bool,
        typer.Option("--once", help="Start, run once, print the snapshots, stop."),
    ] = False,
    no_airflow: Annotated[
        bool,
        typer.Option("--no-airflow", help="The engine alone: a snapshot within seconds."),
    ] = False,
    sample: Annotated[
        bool | None,
        typer.Option(
            "--sample/--no-sample",
            help="Fill empty source tables with sample data. Default: only those of the "
            "embedded server.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start everything on this machine, run the ETL, print the snapshots, and stay up.

    PostgreSQL (embedded, unless CONSUMER_ANALYTICS_DATABASE_URL names another one), the schema,
    sample data, Airflow's web server, scheduler, DAG processor and triggerer. All of its data is
    kept in CONSUMER_ANALYTICS_HOME and found again by the next start. Ctrl-C stops every process.
    """
    with installation.of_extra("embedded", "`up`"):
        from consumer_analytics.local import up as local
    options = local.UpOptions(airflow=not no_airflow, once=once, sample=sample)
    try:
        local.up(settings(), options, _Notifier())
    except KeyboardInterrupt:
        err.print("stopped: it was not up yet")
        raise typer.Exit(130) from None
    if not once:
        say("stopped")
