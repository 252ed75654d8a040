"""The commands of `consumer-analytics`, each read when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import consumer_analytics

#: Each command's module. It has a Typer `app` of subcommands, or a function of its own name.
COMMANDS = {
    "migrate": "migrate",
    "import": "import_",
    "simulate": "simulate",
    "run": "run",
    "sweep": "sweep",
    "audit": "audit",
    "status": "status",
    "health": "health",
    "incidents": "incidents",
    "alerts": "alerts",
    "doctor": "doctor",
    "maintenance": "maintenance",
    "metrics": "metrics",
    "roles": "roles",
    "serve": "serve",
    "tokens": "tokens",
    "up": "up",
    "backfill": "backfill",
    "watermark": "watermark",
    "capture": "capture",
}


class _Commands(TyperGroup):
    """Imports a command's module when it is asked for: a run starts with what a run needs."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        # One that is unknown is compared with all, to suggest what was meant.
        for name in (cmd_name,) if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                self.add_command(_command(name), name)
        return self.commands.get(cmd_name)


def _command(name: str) -> Any:
    module = import_module(f"consumer_analytics.cli.{COMMANDS[name]}")
    if hasattr(module, "app"):
        group = typer.main.get_group(module.app)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name)(getattr(module, COMMANDS[name]))
    return typer.main.get_command(alone)


app = typer.Typer(
    name="consumer-analytics",
    cls=_Commands,
    help="Exact customer and event snapshots per consumer, on PostgreSQL and Airflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


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
