"""Airflow's components under supervisord: started, watched, restarted, and gone at the end.

Each component leads a process group of its own. What a component leaves
behind when it is killed is found by the folder that everything of ours runs
in, which every child inherits and no process title overwrites.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
import sys
import time
import xmlrpc.client
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from consumer_analytics.errors import UpError
from consumer_analytics.local import private
from consumer_analytics.local.home import Home, socket_folder

#: What supervisord may need to end, beyond its most patient component.
_STOP_SECONDS = 5
#: A component that dies this often within this time is given up.
_DEATHS, _WITHIN_SECONDS = 3, 600


@dataclass(frozen=True)
class Component:
    """A process to keep running.

    Attributes:
        name: what people call it; its log is `<name>.log`.
        command: program and arguments, as the shell would take them.
        patience: seconds it is given to end when it is asked to, before it is killed.
    """

    name: str
    command: str
    patience: int


@dataclass
class _Watched:
    """What was last seen of a component."""

    pid: int = 0
    deaths: deque[float] = field(default_factory=deque)


class Supervision:
    """supervisord and the components that it keeps running."""

    def __init__(
        self, home: Home, components: Sequence[Component], environment: Mapping[str, str]
    ) -> None:
        """Describe it; nothing is started yet."""
        self._home = home
        self._components = components
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._watched: defaultdict[str, _Watched] = defaultdict(_Watched)
        self._socket = socket_folder(home.run) / "supervisor.sock"

    def log(self, name: str) -> Path:
        """Return the log of a component."""
        return self._home.logs / f"{name}.log"

    # -- starting --------------------------------------------------------------

    def start(self) -> None:
        """Start supervisord, which starts the components.

        Raises:
            UpError: the folder of its socket is somebody else's.
        """
        try:
            private.make_folder(self._socket.parent)
        except OSError as error:
            raise UpError(
                f"{self._socket.parent} cannot hold supervisord's socket: {error.strerror}"
            ) from None
        self._socket.unlink(missing_ok=True)
        configuration = self._home.run / "supervisord.conf"
        with configuration.open("w", encoding="utf-8") as file:
            self._configuration().write(file)
        with self.log("supervisord").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "consumer_analytics.local.supervisord",
                    str(os.getpid()),
                    configuration.name,
                ],
                cwd=self._home.run,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # The terminal's Ctrl-C is ours to answer, not each component's.
                start_new_session=True,
            )

    def _configuration(self) -> ConfigParser:
        """Return supervisord's configuration; paths are relative, so nothing needs quoting."""
        parser = ConfigParser(interpolation=None)
        parser["supervisord"] = {
            "nodaemon": "true",
            "umask": "077",
            "silent": "true",
            "logfile": "../logs/supervisord.log",
            "logfile_maxbytes": "1MB",
            "logfile_backups": "1",
            "pidfile": "supervisord.pid",
            "nocleanup": "true",
        }
        if os.geteuid() == 0:
            parser["supervisord"]["user"] = "root"
        parser["unix_http_server"] = {
            "file": str(self._socket)
            if self._socket.parent != self._home.run
            else self._socket.name,
            "chmod": "0700",
        }
        parser["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": ("supervisor.rpcinterface:make_main_rpcinterface")
        }
        # One group: members are stopped together, not one after the other.
        parser["group:airflow"] = {"programs": ",".join(one.name for one in self._components)}
        for one in self._components:
            parser[f"program:{one.name}"] = {
                "command": one.command,
                "autorestart": "true",
                "startsecs": "1",
                "startretries": "3",
                "stopsignal": "TERM",
                "stopasgroup": "true",
                "killasgroup": "true",
                "stopwaitsecs": str(one.patience),
                "redirect_stderr": "true",
                "stdout_logfile": f"../logs/{one.name}.log",
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "2",
            }
        return parser

    # -- watching --------------------------------------------------------------

    def check(self) -> list[str]:
        """Look at every component, clear up after those that died.

        Returns:
            A line for each component that died and is being started again.

        Raises:
            UpError: one keeps dying, or supervisord itself is gone.
        """
        if self._process is None or self._process.poll() is not None:
            raise UpError(f"supervisord died; its log is {self.log('supervisord')}")
        messages = []
        died = False
        for state in self._states():
            name, seen = state["name"], self._watched[state["name"]]
            log = self.log(name)
            if state["statename"] == "FATAL":
                raise UpError(f"{name} does not start; its log is {log}")
            if seen.pid and state["pid"] != seen.pid:
                died = True
                how = self._how_it_ended(name)
                now = time.monotonic()
                seen.deaths.append(now)
                while now - seen.deaths[0] > _WITHIN_SECONDS:
                    seen.deaths.popleft()
                if len(seen.deaths) >= _DEATHS:
                    raise UpError(
                        f"{name} keeps dying ({how}; {len(seen.deaths)} times in "
                        f"{_WITHIN_SECONDS // 60} minutes); its log is {log}"
                    )
                messages.append(f"{name} died ({how}), starting it again; its log is {log}")
            seen.pid = state["pid"] or 0
        if died:
            # What a component started does not end with it: workers, and their tasks.
            self._kill_orphans()
        return messages

    def _kill_orphans(self) -> None:
        """End what supervisord has inherited; what it started itself it knows."""
        while self._process is not None:
            try:
                # In this order: one that is started in between is known by the second.
                children = psutil.Process(self._process.pid).children()
            except psutil.Error:
                return
            known = {state["pid"] for state in self._states()}
            orphans = [child for child in children if known and child.pid not in known]
            if not orphans:
                return
            _kill(orphans)

    def _states(self) -> list[dict[str, Any]]:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://supervisor", transport=transport)
        try:
            states: Any = proxy.supervisor.getAllProcessInfo()
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            # Not listening yet, or just ending, which the caller sees next time.
            return []
        else:
            return list(states)
        finally:
            transport.close()

    def _how_it_ended(self, name: str) -> str:
        """Return how a component ended last; once it runs again only the log knows."""
        with contextlib.suppress(OSError):
            text = self.log("supervisord").read_text(encoding="utf-8", errors="replace")
            if ends := re.findall(rf"exited: {re.escape(name)} \(([^;)]+)", text):
                return str(ends[-1])
        return "for an unknown reason"

    # -- stopping --------------------------------------------------------------

    def stop(self) -> None:
        """Stop the components and supervisord, and whatever of them is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(one.patience for one in self._components) + _STOP_SECONDS)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        sweep(self._home)
        self._socket.unlink(missing_ok=True)


def sweep(home: Home, patience: float = 0) -> int:
    """End every process that runs in a home's folder; return how many had to be killed.

    Args:
        home: whose.
        patience: seconds to let them end by themselves.
    """
    _, alive = psutil.wait_procs(list(_ours(home)), timeout=patience)
    killed = 0
    # Those that were just being started are seen the next time round.
    while alive:
        killed += len(alive)
        _kill(alive)
        alive = list(_ours(home))
    return killed


def _ours(home: Home) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (
                process.cwd() == str(home.run)
                # Not a shell that somebody left in this folder.
                and os.path.realpath(process.exe()) == os.path.realpath(sys.executable)
                and process.status() != psutil.STATUS_ZOMBIE
                and process.pid != os.getpid()
            ):
                yield process


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=5)
