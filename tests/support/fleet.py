"""An Airflow whose tasks run on two Celery workers with homes of their own, as on two machines.

In an environment of its own below build/, with the extra `celery`, which what `make setup` installs
has not. Redis is Debian's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
from tests.conftest import command_environment
from tests.support import scratch, tools
from tests.support.reaper import Reaper

from consumer_analytics.airflow.api import AirflowApi
from consumer_analytics.airflow.configuration import FILE, USER, Configuration
from consumer_analytics.local.embedded_postgres import DATABASE, SUPERUSER, EmbeddedPostgres
from consumer_analytics.local.home import Secrets
from consumer_analytics.local.metadata import Metadata
from consumer_analytics.settings import PREFIX

ROOT = Path(__file__).parents[2]
UV = ROOT / "build" / "bootstrap" / "bin" / "uv"
ENVIRONMENT = ROOT / "build" / "celery"
WORKERS = ("worker-1", "worker-2")
#: Seconds without a heartbeat after which what a worker was at counts as lost.
LOST_AFTER = 20
#: What each component believes to be its machine.
_HOSTS = 'import os\n\n\ndef name() -> str:\n    return os.environ["FLEET_HOST"]\n'
_COMMANDS = {
    "web": "api-server",
    "scheduler": "scheduler --skip-serve-logs",
    "dags": "dag-processor",
    **{
        name: f"celery worker --skip-serve-logs --celery-hostname {name} --concurrency 1"
        for name in WORKERS
    },
}
#: Ends what a killed test process has left.
_CLOSE = """
import pathlib
from tests.support.fleet import Fleet
Fleet(pathlib.Path(arguments[0])).close()
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def install() -> Path:
    """Make the environment, or bring it up to date; return its programs."""
    subprocess.run(
        [
            *(UV, "sync", "--quiet", "--frozen", "--no-default-groups"),
            *("--extra", "airflow", "--extra", "celery"),
        ],
        cwd=ROOT,
        env={
            **command_environment(),
            "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT),
            "UV_COMPILE_BYTECODE": "1",
            "UV_LINK_MODE": "copy",
        },
        check=True,
    )
    return ENVIRONMENT / "bin"


class Fleet:
    """The machines, which are folders here, and what runs on them."""

    def __init__(self, folder: Path) -> None:
        """Describe it; nothing runs yet."""
        self.folder = folder
        self.variables: dict[str, str] = {}
        self.server = EmbeddedPostgres(folder / "postgres")
        self._port, self._redis_port = _free_port(), _free_port()
        self._secrets = Secrets.generate()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._programs = ENVIRONMENT / "bin"

    # -- what it is made of ------------------------------------------------------

    @property
    def metadata(self) -> Metadata:
        """Airflow's metadata, beside the figures."""
        return Metadata(
            self.server.conninfo(SUPERUSER, DATABASE),
            self.server.url(),
            self._secrets.metadata_password,
        )

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a machine's processes."""
        url = self.metadata.sqlalchemy_url
        return {
            **command_environment(),
            "AIRFLOW_HOME": str(self.folder / name),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "fleet_hosts.name",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{self._redis_port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{url}",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(LOST_AFTER),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "FLEET_HOST": name,
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{self.folder / 'lib'}",
            "TMPDIR": str(self.folder / name / "tmp"),
            f"{PREFIX}DATABASE_URL": self.server.url(),
            f"{PREFIX}HOME": str(self.folder / name / "product"),
            **self.variables,
        }

    def _prepare(self, name: str) -> None:
        """Make a machine: its AIRFLOW_HOME, with a folder of logs of its own."""
        home = self.folder / name
        ours = Configuration(
            folder=home,
            product_home=home / "product",
            port=self._port,
            metadata_url=self.metadata.sqlalchemy_url,
            fernet_key=self._secrets.fernet_key,
            jwt_secret=self._secrets.jwt_secret,
            api_secret_key=self._secrets.api_secret_key,
            admin_password=self._secrets.admin_password,
            mail=None,
        )
        for folder in (home, home / "config", home / "tmp"):
            folder.mkdir()
        (home / FILE).write_text(ours.configuration_file())
        (home / "config" / "airflow_local_settings.py").write_text(ours.local_settings())
        ours.passwords_file.write_text(ours.passwords())

    # -- starting and stopping ---------------------------------------------------

    def start(self) -> None:
        """Start all of it, and wait until it is well."""
        (self.folder / "lib").mkdir()
        (self.folder / "lib" / "fleet_hosts.py").write_text(_HOSTS)
        self.server.start()
        for name in _COMMANDS:
            self._prepare(name)
        self.command("consumer-analytics", "migrate")
        self.metadata.prepare()
        self.command("airflow", "db", "migrate")
        # The server's program by the name under which it is one.
        self._spawn(
            "redis",
            ["redis-server", "--port", str(self._redis_port), "--bind", "127.0.0.1", "--save", ""],
            executable=tools.require("redis-server"),
        )
        for name, command in _COMMANDS.items():
            self._spawn(name, [str(self._programs / "airflow"), *command.split()])
        with self.api() as api:
            self.wait(lambda: set(api.unhealthy()) <= {"triggerer"})

    def _spawn(self, name: str, command: list[str], executable: Path | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                executable=executable,
                env=self.environment(name),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def lose(self, name: str) -> None:
        """Take a machine's power away: all that runs there is gone at once."""
        process = psutil.Process(self._processes.pop(name).pid)
        for one in [process, *process.children(recursive=True)]:
            one.kill()
        process.wait(10)

    def _running(self) -> list[psutil.Process]:
        """Return everything that runs here; some of it writes over its environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                places = [process.cwd(), *process.cmdline(), *process.environ().values()]
                if process.pid != os.getpid() and any(str(self.folder) in one for one in places):
                    found.append(process)
        return found

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3)
        self.server.stop()
        # While some of them are there, they may start others.
        while left := self._running():
            for one in left:
                with contextlib.suppress(psutil.Error):
                    one.kill()
            psutil.wait_procs(left, timeout=5)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- using it ----------------------------------------------------------------

    def command(self, program: str, *arguments: str, on: str = "scheduler") -> str:
        """Run a program on a machine; return what it printed."""
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            env=self.environment(on),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def api(self) -> AirflowApi:
        """Return a session with the web server."""
        url = f"http://127.0.0.1:{self._port}"
        return AirflowApi(url, USER, self._secrets.admin_password)

    def database(self) -> psycopg.Connection[Any]:
        """Return a session with the figures' database, in autocommit."""
        return psycopg.connect(self.server.url(), autocommit=True)

    def superuser(self) -> psycopg.Connection[Any]:
        """Return a session of the server's superuser."""
        return psycopg.connect(self.server.conninfo(SUPERUSER, DATABASE), autocommit=True)

    def ask(self, statement: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return what a query answers, of Airflow's tables too."""
        with self.database() as connection:
            return connection.execute(statement, values).fetchall()

    def wait(self, until: Callable[[], Any], seconds: float = 300) -> None:
        """Wait until something holds; a process that ends meanwhile is told."""
        deadline = time.monotonic() + seconds
        while not until():
            ended = [name for name, one in self._processes.items() if one.poll() is not None]
            assert not ended, self.evidence()
            assert time.monotonic() < deadline, self.evidence()
            time.sleep(0.3)

    def finish(self, api: AirflowApi, dag_id: str, run_id: str) -> str:
        """Wait for a DAG run to end; return its state."""
        self.wait(lambda: api.run_state(dag_id, run_id)[0] in {"success", "failed"})
        return api.run_state(dag_id, run_id)[0]

    def hosts(self, run_id: str) -> dict[str, str]:
        """Return on which machine each task of a run ran last."""
        rows = self.ask(
            "select task_id, hostname from task_instance where run_id = %(run_id)s",
            {"run_id": run_id},
        )
        return dict(rows)

    def evidence(self) -> str:
        """Return the ends of its logs, for a failed test's message."""
        logs = [*self.folder.glob("*.log"), *self.folder.glob("*/logs/dag_id=*/**/*.log")]
        return "\n".join(
            f"--- {path.relative_to(self.folder)}\n"
            + "\n".join(path.read_text(errors="replace").splitlines()[-25:])
            for path in sorted(logs)
        )


@contextmanager
def running(variables: Mapping[str, str]) -> Iterator[Fleet]:
    """Run one for a `with` block, with these settings."""
    install()
    made = Fleet(scratch.folder("ca-fleet-"))
    made.variables = dict(variables)
    reaper = Reaper(_CLOSE, made.folder)
    try:
        made.start()
        yield made
    finally:
        made.close()
        reaper.reap()
