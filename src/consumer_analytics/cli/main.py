"""The command `consumer-analytics`: its commands, and how errors end it."""

from __future__ import annotations

import sys
from typing import Annotated

import psycopg
import typer
from rich.markup import escape

import consumer_analytics
from consumer_analytics.cli import (
    audit,
    backfill,
    capture,
    import_,
    migrate,
    roles,
    run,
    simulate,
    status,
    sweep,
    up,
    watermark,
)
from consumer_analytics.cli.output import err
from consumer_analytics.errors import ConsumerAnalyticsError

app = typer.Typer(
    name="consumer-analytics",
    help="Exact customer and event snapshots per consumer, on PostgreSQL and Airflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("migrate")(migrate.migrate)
app.command("import")(import_.import_)
app.command("simulate")(simulate.simulate)
app.command("run")(run.run)
app.command("sweep")(sweep.sweep)
app.command("audit")(audit.audit)
app.command("status")(status.status)
app.command("roles")(roles.roles)
app.command("up")(up.up)
app.add_typer(backfill.app, name="backfill")
app.add_typer(watermark.app, name="watermark")
app.add_typer(capture.app, name="capture")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(consumer_analytics.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; errors meant for people end it with one line."""
    try:
        app()
    except ConsumerAnalyticsError as error:
        err.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(error.exit_code)
    except psycopg.Error as error:
        text = error.diag.message_primary or " ".join(str(error).split())
        err.print(f"[red]error:[/red] database: {escape(text)}")
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(130)
