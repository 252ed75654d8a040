"""The real system, brought up by the real command in a home of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from tests.conftest import COMMAND, command_environment
from tests.support import scratch
from tests.support.reaper import Reaper

from consumer_analytics.local.embedded_postgres import EmbeddedPostgres
from consumer_analytics.settings import PREFIX

#: What the last line of a start says.
READY = "Ctrl-C stops it"
#: Ends what a killed test process has left.
CLOSE = """
import pathlib
from tests.e2e.conftest import Installation
Installation(pathlib.Path(arguments[0])).close()
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """A home, and what runs in it."""

    def __init__(self, folder: Path) -> None:
        """Describe it; nothing runs yet."""
        self.home = folder
        self.port = free_port()
        #: Further settings, as environment variables.
        self.variables: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None
        self.output = folder.with_name(f"{folder.name}.out")
        self.errors = folder.with_name(f"{folder.name}.err")

    def environment(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the command's environment."""
        ours = {f"{PREFIX}HOME": str(self.home), f"{PREFIX}AIRFLOW_PORT": str(self.port)}
        return command_environment({**ours, **self.variables, **(changes or {})})

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run the command and wait for its end."""
        return subprocess.run(
            [str(COMMAND), *arguments],
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> None:
        """Start `up` in a session of its own, as a terminal does."""
        with self.output.open("w") as output, self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [str(COMMAND), "up", *arguments],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def await_ready(self, timeout: float = 600) -> str:
        """Wait until it is up; return what it has printed."""
        self.await_text(self.output, READY, timeout)
        return self.output.read_text()

    def await_text(self, path: Path, text: str, timeout: float) -> None:
        """Wait until a file of its output holds a text."""
        deadline = time.monotonic() + timeout
        while text not in path.read_text():
            assert self.process is not None
            assert self.process.poll() is None, self.evidence()
            assert time.monotonic() < deadline, self.evidence()
            time.sleep(0.1)

    def told(self) -> str:
        """Return all that it has printed."""
        return self.output.read_text() + self.errors.read_text()

    def evidence(self) -> str:
        """Return what it has printed and the ends of its logs, for a failed test's message."""
        logs = [
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-25:])
            for path in sorted((self.home / "logs").glob("*.log"))
        ]
        return "\n".join([self.told(), *logs])

    def interrupt(self, number: int = signal.SIGINT) -> int:
        """Press Ctrl-C: the signal goes to the terminal's whole foreground group."""
        assert self.process is not None
        os.killpg(self.process.pid, number)
        return self.process.wait(60)

    def processes(self) -> list[psutil.Process]:
        """Return everything that runs in this home, found by what it has to do with it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                places = [process.cwd(), *process.cmdline(), *process.environ().values()]
                if process.pid != os.getpid() and any(str(self.home) in one for one in places):
                    found.append(process)
        return found

    def postgres(self) -> EmbeddedPostgres:
        """Return its embedded server."""
        return EmbeddedPostgres(self.home / "postgres")

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
        # While some of them are there, they may start others.
        while left := self.processes():
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=5)
        shutil.rmtree(self.home, ignore_errors=True)
        self.output.unlink(missing_ok=True)
        self.errors.unlink(missing_ok=True)


@contextlib.contextmanager
def installed() -> Iterator[Installation]:
    """Make a home for a `with` block."""
    made = Installation(scratch.folder("ca-e2e-"))
    reaper = Reaper(CLOSE, made.home)
    try:
        yield made
    finally:
        made.close()
        reaper.reap()


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Return a new home."""
    with installed() as made:
        yield made


@pytest.fixture(scope="module")
def system() -> Iterator[Installation]:
    """Return a home that the module's tests share, in the order in which they stand."""
    with installed() as made:
        yield made


def beside(
    system: Installation, program: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of Airflow's as `up` tells people to: with AIRFLOW_HOME alone."""
    return subprocess.run(
        [str(program), *arguments],
        env={
            **command_environment(),
            "AIRFLOW_HOME": str(system.home / "airflow"),
            # Its warnings go to standard output.
            "PYTHONWARNINGS": "ignore",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
