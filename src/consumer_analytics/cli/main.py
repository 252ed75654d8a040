"""The entry point of `consumer-analytics`: how errors end it."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def main() -> None:
    """Run the command line; errors meant for people end it with one line.

    SIGINT ends it as Ctrl-C does, wherever it was started.
    """
    _heed_interrupts()
    try:
        _run()
    except KeyboardInterrupt:
        # Before a command is at work: while modules are being read.
        sys.stderr.write("stopped: nothing was begun\n")
        sys.exit(130)


def _heed_interrupts() -> None:
    """Take SIGINT for Ctrl-C also where it was ignored at the start.

    That is how a shell that runs a script starts everything in the background; whoever sends it
    to this command means it. What the command starts itself inherits the default again.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run() -> None:
    from consumer_analytics.cli.commands import app

    try:
        try:
            # A byte that is no UTF-8 is refused here, not by whoever comes to write it down.
            " ".join(sys.argv).encode()
            app()
        finally:
            # Output that finds no room is an error of the command, not of Python's end.
            if sys.stdout is not None:
                sys.stdout.flush()
            # What has ended cannot be stopped any more.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except Exception as error:
        _end(error)
        raise


def _end(error: Exception) -> None:
    """End the command with one line, where the error is one that people are meant to read."""
    from consumer_analytics.errors import ConsumerAnalyticsError, one_line

    if isinstance(error, ConsumerAnalyticsError):
        _fail(str(error), error.exit_code)
    if isinstance(error, UnicodeEncodeError):
        _fail("what was given, as an argument or by a setting, is no text in UTF-8", 2)
    if isinstance(error, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        where = f": {error.filename}" if error.filename else ""
        _fail(f"{error.strerror or one_line(error)}{where}")
    if "psycopg" not in sys.modules:
        # Nothing has been asked of a database, and to import it takes longer than most commands.
        return
    import psycopg

    if isinstance(error, psycopg.Error):
        _fail(one_line(error))


def _fail(text: str, exit_code: int = 1) -> NoReturn:
    from rich.markup import escape

    from consumer_analytics.cli.output import err, harmless, laid_out

    told = laid_out(harmless(text), err, before=len("error: "))
    err.print(f"[red]error:[/red] {escape(told)}")
    sys.exit(exit_code)
