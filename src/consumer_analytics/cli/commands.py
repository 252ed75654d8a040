"""The commands of `consumer-analytics`, each read when it is called and not before."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from consumer_analytics.cli.options import convert_only_what_must_be, show_what_is_given


class Registered(NamedTuple):
    """A command before it is read.

    Attributes:
        module: its file. It has a Typer `app` of subcommands, or a function of its own name.
        summary: what the list of commands says of it: the first sentence of its own help.
        stopped: what became of its work where Ctrl-C has ended it.
    """

    module: str
    summary: str
    stopped: str = "nothing is half-written; the same command does it again"


#: By what they are for, as the overview lists them.
GROUPS = {
    "Set up": {
        "check": Registered(
            "check",
            "Tell whether a run can use your database, and what it will take; nothing is written.",
            "nothing was written",
        ),
        "migrate": Registered(
            "migrate",
            "Create or update the product's tables; done twice, the second does nothing.",
            "the migrations before the one at work are applied; the same command does the others",
        ),
        "roles": Registered(
            "roles",
            "Create the roles owner, etl, maintenance, reader, dashboard and tenant, with "
            "their rights.",
        ),
        "import": Registered(
            "import_",
            "Import CSV files into the source tables: all or nothing, each id once.",
            "nothing was imported",
        ),
        "simulate": Registered(
            "simulate",
            "Fill the source tables with a realistic history, the same for the same seed.",
        ),
    },
    "Figures": {
        "run": Registered(
            "run",
            "Process what is new and write the snapshot of every consumer and of the whole system.",
            "nothing is half-written; the next run does it",
        ),
        "backfill": Registered(
            "backfill", "Write the snapshots of a past range, or list what was backfilled."
        ),
        "snapshots": Registered(
            "snapshots",
            "List the snapshots, or take back a mistaken one.",
            "whole snapshots are removed or are not, and `snapshots list` tells which; the same "
            "range removes the rest",
        ),
        "watermark": Registered("watermark", "Show or move the watermark."),
    },
    "Trust": {
        "sweep": Registered(
            "sweep",
            "Find rows that came in late, were changed or deleted, and make the figures right.",
            "what it has put right stays, nothing is half-written; the same command does the rest",
        ),
        "capture": Registered(
            "capture",
            "Note rows that come in late, change or go, so that the next run repairs them.",
            "`consumer-analytics capture status` tells what is on; the same command does the rest",
        ),
        "audit": Registered(
            "audit",
            "Recount everything from the source tables and compare it with all that is kept.",
            "nothing is half-written, and what `--repair` has put right stays; the same command "
            "does the rest",
        ),
        "vanished": Registered(
            "vanished",
            "List events that stay counted though the source no longer has them.",
        ),
        "archive": Registered(
            "archive",
            "Write closed days of customer_events to the lake, and prove that they are there.",
            "days before the one at work are archived, nothing is half-written; the same command "
            "does the rest",
        ),
    },
    "Watch": {
        "status": Registered(
            "status",
            "Show the watermark, the latest runs and snapshots, and what storage is needed.",
        ),
        "health": Registered("health", "Judge the measures of health and name the cause."),
        "incidents": Registered(
            "incidents", "Show the open incidents, those that are over, and each of their changes."
        ),
        "doctor": Registered(
            "doctor", "Find what commonly breaks: each with verdict, evidence, cause and fix."
        ),
        "alerts": Registered("alerts", "Test the channels, and do a pass of the monitor."),
        "metrics": Registered("metrics", "Print the metrics once, or serve them to Prometheus."),
    },
    "Look and serve": {
        "serve": Registered(
            "serve",
            "Serve the dashboard and its HTTP API, on this machine alone unless told otherwise.",
        ),
        "tokens": Registered("tokens", "Make, list and revoke the dashboard's tokens."),
        "docs": Registered("docs", "Show a page of the documentation, or list the pages."),
    },
    "On one machine": {
        "up": Registered(
            "up", "Start everything on this machine, run the ETL, print the snapshots, and stay up."
        ),
        "maintenance": Registered(
            "maintenance",
            "Remove old logs, Airflow metadata, snapshots and internal state; say what room that "
            "made.",
            "what it has removed is gone, nothing is half-done; the same command does the rest",
        ),
    },
}
COMMANDS = {name: one for group in GROUPS.values() for name, one in group.items()}


#: As shells have it for a process that SIGINT has ended.
_INTERRUPTED = 130


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Let what a command is called with and cannot use end it with one line."""
    try:
        yield
    except typer.TyperException as error:
        # A group of commands alone is no mistake: it has shown its help.
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        from consumer_analytics.cli import arguments

        raise arguments.refused(error) from None


class LazyCommands(TyperGroup):
    """Lists the commands as they are registered; imports one's module when it is called."""

    def __init__(self, **attributes: Any) -> None:
        """Register the commands by name and summary."""
        super().__init__(**attributes)
        for name, registered in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=registered.summary))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read `help`, which many type first, as `--help`: of all commands, or of one."""
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return list(super().parse_args(ctx, args))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return a command, read from its module; None where there is none of the name."""
        return _read(cmd_name) if cmd_name in COMMANDS else None

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read what stands before the command."""
        with _in_one_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Do a command; where Ctrl-C ends it, say what was kept."""
        try:
            with _in_one_line():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            # While its module was still being read, there is no command yet.
            begun = ctx.invoked_subcommand
            kept = COMMANDS[begun].stopped if begun else "nothing was begun"
            typer.echo(f"stopped: {' '.join(interrupt.args) or kept}", err=True)
            raise typer.Exit(_INTERRUPTED) from None

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Print the help, for which no command is read."""
        from consumer_analytics.cli import help as overview

        overview.show(self, ctx, GROUPS)


class _Warnings(logging.Handler):
    """Prints what is logged as a warning of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        from consumer_analytics.cli.output import warn

        warn(record.getMessage())


class _Databases(logging.Handler):
    """Prints, on a terminal alone, which database a command works on, once, and waits for.

    And, wherever it prints to, that another one was named as well.
    """

    _has_warned = False

    def emit(self, record: logging.LogRecord) -> None:
        from consumer_analytics.cli.output import err, harmless, warn

        if record.levelno >= logging.WARNING:
            # Of the first session: whatever else the command opens is the same server's.
            if not self._has_warned:
                warn(record.getMessage())
            self._has_warned = True
            return
        if record.levelno < logging.INFO:
            logging.getLogger(record.name).removeHandler(self)
        if err.is_terminal and "--json" not in sys.argv:
            err.print(harmless(record.getMessage()), style="dim", markup=False)


@cache
def _tell_which_database() -> None:
    """Print which database the command's first session is of, opened far below it."""
    # By its name: most of what it takes to connect is read with the command, or not at all.
    log = logging.getLogger("consumer_analytics.db.connection")
    log.addHandler(_Databases())
    log.setLevel(logging.DEBUG)
    log.propagate = False


@cache
def _tell_of_open_secrets() -> None:
    """Print what is noticed where files of secrets are read, far below any command."""
    from consumer_analytics import secret_files

    secret_files.log.addHandler(_Warnings())
    # A server's own log would have it again.
    secret_files.log.propagate = False


@cache
def _read(name: str) -> Any:
    # It would tell that it met a second error while it ended a COPY after the first, which is told.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    _tell_of_open_secrets()
    _tell_which_database()
    module = import_module(f"consumer_analytics.cli.{COMMANDS[name].module}")
    if hasattr(module, "app"):
        group = typer.main.get_group(module.app)
        group.name = name
        for command in (group, *group.commands.values()):
            _let_flow(command)
        return group
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name)(getattr(module, COMMANDS[name].module))
    return _let_flow(typer.main.get_command(alone))


def _let_flow(command: Any) -> Any:
    """Let a command's help break its lines where the terminal ends, not where its source does."""
    paragraphs = (command.help or "").split("\n\n")
    command.help = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    return command


convert_only_what_must_be()
show_what_is_given()
app = typer.Typer(
    name="consumer-analytics",
    cls=LazyCommands,
    help="Exact customer and event snapshots per consumer, on PostgreSQL and Airflow.",
    no_args_is_help=True,
    # Every command below has them from here.
    context_settings={"help_option_names": ["--help", "-h"]},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        import consumer_analytics

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
