"""A Spark Connect server in a process of its own: Sail, from the extra `sail`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consumer_analytics.fields import Secret

_PROGRAM = """
import sys
from pysail.spark import SparkConnectServer

server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
"""


@dataclass
class Server:
    """A server that runs.

    Attributes:
        port: where it listens.
    """

    port: int
    process: subprocess.Popen[str]

    @property
    def remote(self) -> Secret:
        """Return its address, as the setting has it."""
        return Secret(f"sc://127.0.0.1:{self.port}")

    def kill(self) -> None:
        """End it at once, as a loss of power does."""
        self.process.kill()
        self.process.wait()

    def stand_still(self) -> None:
        """Let it answer nothing any more, with all its connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def busy(self, seconds: float = 1.0) -> float:
        """Return how many cores it uses, over some time."""
        before = self._processor_time()
        time.sleep(seconds)
        return (self._processor_time() - before) / seconds

    def _processor_time(self) -> float:
        told = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        fields = told.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def started() -> Iterator[Server]:
    """Start one for the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Server(int(process.stdout.readline()), process)
    finally:
        process.kill()
        process.communicate()
