"""The real backfill command in small steps, to be met in the middle: on a pipe or a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.conftest import Database, command_environment
from tests.support import crashes

from consumer_analytics.db.connection import Connection

#: The command itself, in smaller steps than it takes where there is much to do.
SMALL_STEPS = """
import sys
from consumer_analytics.cli.main import main
from consumer_analytics.backfill import sessions, writing
writing._ROWS_AT_ONCE = 20
sessions._ROWS_FOR_TWO = int(sys.argv.pop(1))
main()
"""
ONE_SESSION, TWO_SESSIONS = 10**9, 0


@dataclass
class Backfill:
    """A backfill at work, and all that it printed."""

    process: subprocess.Popen[bytes]
    #: The terminal's other end, where it runs on one.
    terminal: int | None = None
    told: bytearray = field(default_factory=bytearray)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        if self.terminal is not None:
            os.write(self.terminal, b"\x03")
        else:
            self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for its end; return the exit code."""
        if self.terminal is not None:
            # A terminal whose last process is gone answers with an error.
            with contextlib.suppress(OSError):
                while piece := os.read(self.terminal, 65536):
                    self.told += piece
        else:
            self.told += self.process.communicate(timeout=60)[0]
        return self.process.wait(60)

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.told.decode()


@contextlib.contextmanager
def started(
    database: Database,
    rows_for_two: int,
    *,
    on_a_terminal: bool = False,
    dates: tuple[str, str],
) -> Iterator[Backfill]:
    """Start a backfill in small steps; it is gone when the block ends."""
    command = [sys.executable, "-c", SMALL_STEPS, str(rows_for_two), "backfill"]
    command += ["--start-date", dates[0], "--end-date", dates[1]]
    environment = command_environment({"CONSUMER_ANALYTICS_DATABASE_URL": database.url})
    if on_a_terminal:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command,
            env={**environment, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        made = Backfill(process, ours)
    else:
        made = Backfill(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        if made.terminal is not None:
            os.close(made.terminal)


def await_periods(watcher: Connection, least: int) -> None:
    """Wait until a backfill has written so many periods."""
    crashes.wait_for(
        watcher,
        "select periods_done from consumer_analytics_internal.backfills where periods_done >= %s",
        [least],
    )


def await_parked(watcher: Connection, locker: Connection, sessions: int) -> None:
    """Wait until so many sessions of ours wait for what the locker holds."""
    deadline = time.monotonic() + crashes.PATIENCE
    while time.monotonic() < deadline:
        row = watcher.execute(
            "select count(*) from pg_stat_activity where %s = any(pg_blocking_pids(pid)) "
            "and application_name like 'consumer-analytics backfill%%'",
            [locker.info.backend_pid],
        ).fetchone()
        if row is not None and row[0] >= sessions:
            return
        time.sleep(0.01)
    raise TimeoutError("the sessions do not come to that point")
