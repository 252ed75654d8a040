"""Airflow's own command, run beside it: where it is, and with which environment.

Airflow's metadata is cleaned and its DAGs unpaused through the command that
its own administrators use; nothing here imports Airflow.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from consumer_analytics.errors import AirflowCommandError
from consumer_analytics.settings import PREFIX, Settings

_MINUTES = 30
#: What Airflow puts into a task's environment to keep it from the metadata.
_BLOCKED = "airflow-db-not-allowed"
#: Where a password tears an address apart that it stands in as it is, and how long a piece has to
#: be to tell something of it.
_BETWEEN = re.compile(r"[:@/?#\s]")
_LEAST_TELLING = 3
_CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
#: What it puts there besides, and what a command on its own must not inherit.
_OF_A_TASK = frozenset({"AIRFLOW__CORE__SQL_ALCHEMY_CONN", "_AIRFLOW_PROCESS_CONTEXT"})


class Commands(Protocol):
    """Airflow's own command, where it is installed and set up on this machine."""

    def __call__(self, *arguments: str) -> str:
        """Run `airflow …`; return what it printed.

        Raises:
            ConsumerAnalyticsError: it failed; the message has its last line.
        """


def unpause(airflow: Commands, dag_id: str) -> None:
    """Let a DAG run.

    Raises:
        ConsumerAnalyticsError: Airflow refused.
    """
    airflow("dags", "unpause", dag_id)


class AirflowCommand:
    """Airflow's command on this machine.

    Attributes:
        home: its AIRFLOW_HOME; None where Airflow's own default is meant.
    """

    def __init__(self, program: Path, home: Path | None, settings: Settings) -> None:
        """Describe it; nothing is run yet."""
        self._program = program
        self._settings = settings
        self.home = home

    @classmethod
    def find(cls, settings: Settings) -> AirflowCommand | None:
        """Return the command; None where Airflow is not installed or not set up here.

        Set up is what AIRFLOW_HOME names, else what `consumer-analytics up` has made in our
        home folder, else Airflow's default in the user's.
        """
        beside = Path(sys.executable).with_name("airflow")
        program = beside if beside.exists() else shutil.which("airflow")
        if program is None:
            return None
        if named := os.environ.get("AIRFLOW_HOME"):
            return cls(Path(program), Path(named), settings)
        for home in (settings.home / "airflow", Path("~/airflow").expanduser()):
            if (home / "airflow.cfg").exists():
                return cls(Path(program), home, settings)
        # In its tasks and components it works without either.
        if any(name.startswith("AIRFLOW__") for name in os.environ):
            return cls(Path(program), None, settings)
        return None

    def environment(self) -> dict[str, str]:
        """Return what the command is run with: as its administrator would, not as a task."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _OF_A_TASK and not (name == _CONNECTION and value.startswith(_BLOCKED))
        }
        if self.home is not None:
            kept["AIRFLOW_HOME"] = str(self.home)
        if self._settings.airflow_database_url is not None:
            kept[_CONNECTION] = self._settings.airflow_database_url.get_secret_value()
        # Its warnings go to standard output, where answers are read.
        return {**kept, "PYTHONWARNINGS": "ignore", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}

    def __call__(self, *arguments: str) -> str:
        """Run `airflow …`; return what it printed to standard output.

        Raises:
            AirflowCommandError: it failed, or took too long; the message has its last line.
        """
        try:
            done = subprocess.run(
                [str(self._program), *arguments],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                # As the environment has what is no text.
                errors="surrogateescape",
                timeout=_MINUTES * 60,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise AirflowCommandError(
                f"`airflow {' '.join(arguments[:2])}` did not end within {_MINUTES} minutes"
            ) from None
        except OSError as error:
            raise AirflowCommandError(f"{self._program}: {error.strerror}") from None
        if done.returncode != 0:
            raise AirflowCommandError(
                f"`airflow {' '.join(arguments[:2])}` failed: {self._reason(done)}"
            )
        return done.stdout

    def _reason(self, done: subprocess.CompletedProcess[str]) -> str:
        text = f"{done.stdout}\n{done.stderr}"
        if _BLOCKED in text:
            return (
                "Airflow keeps tasks from its database; set "
                f"{PREFIX}AIRFLOW_DATABASE_URL for maintenance"
            )
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return self._veiled(lines[-1])[:500] if lines else f"exit code {done.returncode}"

    def _veiled(self, line: str) -> str:
        """Return a line without the password of the metadata's address.

        Libraries repeat an address that is wrong, or the piece of it that they stumbled over.
        """
        login = self.environment().get(_CONNECTION, "").partition("://")[2].rpartition("@")[0]
        password = login.partition(":")[2]
        pieces = {password, unquote(password), *_BETWEEN.split(password)}
        for piece in sorted(pieces, key=len, reverse=True):
            if len(piece) >= _LEAST_TELLING:
                line = line.replace(piece, "…")
        return line.encode("utf-8", "replace").decode()

    def setting(self, section: str, name: str) -> str:
        """Return a setting of Airflow's as it takes it itself."""
        lines = self("config", "get-value", section, name).strip().splitlines()
        return lines[-1].strip() if lines else ""
