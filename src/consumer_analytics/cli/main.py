"""The entry point of `consumer-analytics`: how errors end it."""

from __future__ import annotations

import logging
import os
import signal
import sys


def main() -> None:
    """Run the command line; errors meant for people end it with one line.

    SIGINT ends it as Ctrl-C does, wherever it was started.
    """
    _heed_interrupts()
    try:
        _run()
    except KeyboardInterrupt:
        # Before a command is at work: while modules are being read.
        sys.stderr.write("stopped\n")
        sys.exit(130)


def _heed_interrupts() -> None:
    """Take SIGINT for Ctrl-C also where it was ignored at the start.

    That is how a shell that runs a script starts everything in the background; whoever sends it
    to this command means it. What the command starts itself inherits the default again.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run() -> None:
    import psycopg
    from rich.markup import escape

    from consumer_analytics.cli.commands import app
    from consumer_analytics.cli.output import err
    from consumer_analytics.errors import ConsumerAnalyticsError, one_line

    def fail(text: str, exit_code: int = 1) -> None:
        err.print(f"[red]error:[/red] {escape(text)}")
        sys.exit(exit_code)

    # That it met a second error while it ended a COPY after the first, which is told.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        try:
            app()
        finally:
            # Output that finds no room is an error of the command, not of Python's end.
            if sys.stdout is not None:
                sys.stdout.flush()
    except ConsumerAnalyticsError as error:
        fail(str(error), error.exit_code)
    except psycopg.errors.InsufficientPrivilege as error:
        fail(
            f"database: {error.diag.message_primary}; `consumer-analytics doctor` lists the "
            "rights that a run needs and this login lacks"
        )
    except psycopg.Error as error:
        fail(f"database: {error.diag.message_primary or one_line(error)}")
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        where = f": {error.filename}" if error.filename else ""
        fail(f"{error.strerror or one_line(error)}{where}")
