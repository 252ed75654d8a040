"""Starts `consumer-analytics` without the half second that Python takes to read its packages.

A process that has imported the packages which the command needs, other people's and ours, forks for
each start: what comes of it is a process of its own, which takes its environment, folder and
streams from the caller, imports the command line itself anew, and ends as any Python does, but
for the tidying of its memory. Several hundred starts a session would else cost minutes of the
processor.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: What the commands import of other people's packages.
_PACKAGES = [
    "alembic.command",
    "alembic.config",
    "alembic.runtime.migration",
    "croniter",
    "dateutil.tz",
    "email.message",
    "jinja2",
    "logging.config",
    "platformdirs",
    "psutil",
    "psycopg.rows",
    "psycopg.sql",
    "psycopg.types.json",
    "pydantic",
    "rich.console",
    "rich.markup",
    "rich.progress",
    "rich.table",
    "smtplib",
    "sqlalchemy.dialects.postgresql.psycopg",
    "typer.rich_utils",
]
#: What they import of ours: all but the command line, which looks at the terminal as it is read,
#: and what serves or needs Airflow.
_OURS = (
    "airflow",
    "backfill",
    "calendar",
    "db",
    "etl",
    "ingest",
    "local",
    "monitoring",
    "operations",
    "reconcile",
    "reporting",
    "secret_files",
    "settings",
    "sql",
)
#: What a pipe holds that nobody reads yet.
_PIPE = 65_536
#: Read by a command when it runs, not by Python or a package when it is started or imported.
_CHANGEABLE = ("CONSUMER_ANALYTICS_", "COLUMNS", "SSL_CERT_FILE", "AIRFLOW_HOME")
_MESSAGE = 1 << 20


class WarmCommand:
    """The process that forks, started with the first command."""

    def __init__(self, command: Path) -> None:
        """Start nothing yet; `command` is the installed program."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._started_with: Mapping[str, str] = {}

    def __call__(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: str, timeout: float
    ) -> tuple[int, str, str]:
        """Run the command; return its exit code, standard output and standard error.

        Raises:
            subprocess.TimeoutExpired: it took too long, and was killed.
        """
        if self._socket is None:
            self._start(environment)
        if not self._suits(environment) or len(stdin) > _PIPE // 4:
            done = subprocess.run(
                [self._command, *arguments],
                env=environment,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
            return done.returncode, done.stdout, done.stderr
        with contextlib.ExitStack() as stack:

            def opened(descriptor: int) -> int:
                stack.callback(os.close, descriptor)
                return descriptor

            output, errors = opened(os.memfd_create("stdout")), opened(os.memfd_create("stderr"))
            fed, feed = os.pipe()
            os.write(feed, stdin.encode())
            os.close(feed)
            result, told = os.pipe()
            opened(result)
            request = [[str(self._command), *arguments], dict(environment), str(Path.cwd())]
            assert self._socket is not None
            socket.send_fds(
                self._socket, [json.dumps(request).encode()], [fed, output, errors, told]
            )
            os.close(fed)
            os.close(told)
            lines = _read(result, time.monotonic() + timeout).splitlines()
            if len(lines) < 2:
                for child in lines:
                    os.kill(int(child), signal.SIGKILL)
                raise subprocess.TimeoutExpired([self._command, *arguments], timeout)
            return int(lines[1]), _text(output), _text(errors)

    def close(self) -> None:
        """End the process that forks."""
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.wait(30)
        self._socket = self._process = None

    def _start(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE)
        self._started_with = dict(environment)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env={k: v for k, v in environment.items() if not k.startswith(_CHANGEABLE)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Out of reach of the terminal's Ctrl-C; it ends with the socket.
                start_new_session=True,
            )
        self._socket = ours

    def _suits(self, environment: Mapping[str, str]) -> bool:
        """Tell whether a start of its own would read no variable differently."""
        return all(
            name.startswith(_CHANGEABLE)
            or environment.get(name) == self._started_with.get(name)
            # Pytest's own, about the test at work.
            or name.startswith("PYTEST_")
            for name in environment.keys() | self._started_with.keys()
        )


def _read(descriptor: int, deadline: float) -> bytes:
    """Read until the other end is closed, or until the time is over."""
    found = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while selector.select(max(0, deadline - time.monotonic())):
            if not (piece := os.read(descriptor, 4096)):
                return found
            found += piece
    return found


def _text(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    # As a text file is read: ends of lines are all alike.
    return os.pread(descriptor, size, 0).decode().replace("\r\n", "\n").replace("\r", "\n")


# -- the process that forks -------------------------------------------------------


def _import_whole(name: str) -> None:
    """Import a module, and of a package each of its modules."""
    module = importlib.import_module(name)
    for below in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        _import_whole(below.name)


def _serve(requests: socket.socket) -> bool:
    """Fork for each request until there are none.

    Returns:
        True in a child, which has become the command; False at the end.
    """
    waker, wake = os.pipe()
    for end in (waker, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        selector.register(waker, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == waker:
                    os.read(waker, 4096)
                    _reap(running)
                    continue
                data, ancillary, _, _ = requests.recvmsg(_MESSAGE, socket.CMSG_SPACE(4 * 4))
                if not data:
                    for child in running:
                        os.kill(child, signal.SIGKILL)
                    return False
                descriptors = array.array("i")
                descriptors.frombytes(ancillary[0][2])
                *streams, told = descriptors
                child = os.fork()
                if child == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for descriptor in (waker, wake, told, requests.fileno(), *running.values()):
                        os.close(descriptor)
                    selector.close()
                    _become(data, streams)
                    return True
                running[child] = told
                os.write(told, b"%d\n" % child)
                for descriptor in streams:
                    os.close(descriptor)


def _reap(running: dict[int, int]) -> None:
    """Tell the callers of those that have ended."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            child, status = ended
            told = running.pop(child)
            # A caller that has lost its patience is not there.
            with contextlib.suppress(BrokenPipeError):
                os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
            os.close(told)


def _become(request: bytes, streams: list[int]) -> None:
    """Take on what the caller wants the command to have."""
    arguments, environment, folder = json.loads(request)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).parent)


def _end(reason: BaseException | None) -> None:
    """End the process as Python does, without giving back each object that packages have made."""
    code: object = 0
    if isinstance(reason, SystemExit):
        code = reason.code or 0
    elif reason is not None:
        sys.excepthook(type(reason), reason, reason.__traceback__)
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    for name in _PACKAGES:
        importlib.import_module(name)
    for name in _OURS:
        _import_whole(f"consumer_analytics.{name}")
    # What is there now need not be looked at, and so copied, by any child.
    gc.freeze()
    if _serve(socket.socket(fileno=int(sys.argv[1]))):
        try:
            from consumer_analytics.cli.main import main

            main()
        except BaseException as error:  # noqa: BLE001  (whatever it is, it ends the process)
            _end(error)
        _end(None)
