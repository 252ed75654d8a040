"""`up`: from nothing to snapshots, then watched until somebody stops it.

    home ──> PostgreSQL ──> migrations ──> sample and its past ──> Airflow ──> one run ──> watch

Every step that starts something registers how it is stopped; whatever ends
`up`, they run in reverse.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import psutil
from psycopg import sql

from consumer_analytics import backfill, installation
from consumer_analytics.airflow import dag_ids, pauses, processes, states, task_logs
from consumer_analytics.airflow.configuration import PASSWORDS, USER
from consumer_analytics.airflow.dag_ids import DAGS
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.calendar import days, instants
from consumer_analytics.db.connection import Connection, connected, conninfo, scalar
from consumer_analytics.errors import LocalServerError, UpError
from consumer_analytics.etl import run
from consumer_analytics.formatting import counted, duration
from consumer_analytics.ingest import simulate
from consumer_analytics.local.embedded_postgres import (
    DATABASE,
    SUPERUSER,
    EmbeddedPostgres,
)
from consumer_analytics.local.home import Home
from consumer_analytics.local.supervision import Component, Supervision, sweep
from consumer_analytics.mapping import Sources
from consumer_analytics.operations.upgrade import upgrade
from consumer_analytics.reporting import status
from consumer_analytics.settings import PREFIX, Settings
from consumer_analytics.sql import source_table

if TYPE_CHECKING:
    from consumer_analytics.airflow.api import AirflowApi

DAG = dag_ids.ETL
#: Seconds that each process has to end by itself; the scheduler lets running tasks end.
_PATIENCE = {
    processes.API_SERVER: 2,
    processes.SCHEDULER: 10,
    processes.DAG_PROCESSOR: 3,
    processes.TRIGGERER: 3,
}
_POLL_SECONDS = 0.5
# A busy machine takes its time; what has died is noticed long before.
_START_SECONDS = 600
_RUN_SECONDS = 900
_SHOWN_CONSUMERS = 10
#: Starts of the embedded server, after it died by itself, before it is given up.
_SERVER_RESTARTS = 3


class Notifier(Protocol):
    """Shows people what is going on."""

    def step(self, label: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show a step for a `with` block; gives a function that takes its present detail."""

    def say(self, line: str) -> None:
        """Print a line that stays."""

    def warn(self, line: str) -> None:
        """Print a line about something that went wrong."""

    def snapshots(self, latest: status.Status) -> None:
        """Print the latest snapshots."""


@dataclass(frozen=True)
class UpOptions:
    """What the caller wants.

    Attributes:
        airflow: start Airflow; without it the engine runs by itself.
        once: run, and end; instead of staying up.
        sample: load sample data where the sources are empty; None: only into
            the embedded server, never unasked into a user's own.
    """

    airflow: bool = True
    once: bool = False
    sample: bool | None = None


def up(settings: Settings, options: UpOptions, notifier: Notifier) -> None:
    """Bring the system up, run it once, and watch it until it is interrupted.

    Raises:
        UpError: something is in the way, or did not stay up.
        KeyboardInterrupt: it was interrupted before it was up.
    """
    home = Home(settings.home)
    home.prepare()
    settings = settings.replaced({"home": home.path})
    with (
        _for_this_user_alone(),
        home.held(),
        _Interrupts(notifier) as interrupts,
        ExitStack() as stack,
    ):
        # The last thing done: nothing that ran in this home outlives it.
        stack.callback(sweep, home)
        system = _System(home, settings, options, notifier, stack)
        try:
            system.run()
        finally:
            interrupts.hold_off()


@contextlib.contextmanager
def _for_this_user_alone() -> Iterator[None]:
    """Let what is made in a `with` block, and by what it starts, be open to nobody else."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


class _System:
    """One `up`, from start to end."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        options: UpOptions,
        notifier: Notifier,
        stack: ExitStack,
    ) -> None:
        self._home = home
        self._settings = settings
        self._options = options
        self._notifier = notifier
        self._stack = stack
        self._server: EmbeddedPostgres | None = None
        self._server_restarts = 0
        self._supervision: Supervision | None = None

    def run(self) -> None:
        self._clear_leftovers()
        if self._options.airflow:
            _require_airflow()
            _require_port(self._settings.airflow_port)
        self._start_database()
        self._fill()
        if self._options.airflow:
            self._start_airflow()
        else:
            self._run_engine()
        with connected(self._settings, "up") as connection:
            self._notifier.snapshots(
                status.read(connection, self._settings.sources, consumers=_SHOWN_CONSUMERS)
            )
        if self._options.once:
            return
        self._tell_addresses()
        with contextlib.suppress(KeyboardInterrupt):
            self._watch()

    # -- steps -----------------------------------------------------------------

    def _clear_leftovers(self) -> None:
        """End what a killed `up` left running in this home."""
        # Told to stop when theirs was killed, they may be doing so just now.
        if killed := sweep(self._home, patience=15):
            self._notifier.warn(f"ended {killed} processes that an earlier `up` had left")

    def _start_database(self) -> None:
        if self._settings.database_url is None:
            self._server = EmbeddedPostgres(self._home.postgres, notify=self._notifier.say)
            with self._notifier.step("starting PostgreSQL") as detail:
                self._stack.callback(self._stop_server)
                if not self._server.start():
                    detail("found running")
        with self._notifier.step("bringing the schema up to date") as detail:
            applied = upgrade(self._settings, self._notifier.say)
            detail(counted(len(applied), "migration") if applied else "it was already")

    def _stop_server(self) -> None:
        if self._server is not None:
            with self._notifier.step("stopping PostgreSQL"):
                self._server.stop()

    def _fill(self) -> None:
        """Load sample data where the sources are empty."""
        wanted = self._options.sample
        if wanted is None:
            wanted = self._settings.database_url is None
        with connected(self._settings, "up", writes_sources=True) as connection:
            if not _sources_are_empty(connection, self._settings.sources):
                return
            if not wanted:
                self._notifier.say(
                    "the source tables are empty; --sample fills them with sample data"
                )
                return
            with self._notifier.step("making sample data") as detail:
                made = _make_sample(connection, self._settings)
                detail(
                    f"{counted(made.consumers, 'consumer')}, "
                    f"{counted(made.customers, 'customer')}, "
                    f"{counted(made.events, 'event')}"
                )
        self._backfill(made)

    def _backfill(self, sample: simulate.SimulationResult) -> None:
        """Write the snapshots of the sample's days: a dashboard of one point shows nothing."""
        zone = self._settings.zone
        first, today = (days.day_of(at, zone) for at in (sample.first, sample.until))
        request = backfill.request_of(first, today, "daily", who="up")
        with (
            self._notifier.step("backfilling the sample's past") as detail,
            connected(self._settings, "up") as connection,
        ):
            result = backfill.backfill(
                connection,
                self._settings,
                request,
                notify=self._notifier.say,
                progress=lambda done, total: detail(f"{done} of {total} days"),
            )
            detail(
                f"{counted(result.periods, 'day')}, "
                f"{counted(result.snapshots_written, 'snapshot')} written"
            )

    def _run_engine(self) -> None:
        with (
            self._notifier.step("running the ETL") as detail,
            connected(self._settings, "up") as connection,
        ):
            summary = run.run(connection, self._settings, notify=self._notifier.say)
            detail(
                f"{counted(summary.rows_read, 'event')} read, "
                f"{counted(summary.snapshots_written, 'snapshot')} written"
            )

    def _start_airflow(self) -> None:
        from consumer_analytics.airflow.api import AirflowApi
        from consumer_analytics.local.airflow_home import AirflowHome
        from consumer_analytics.local.metadata import Metadata

        secrets = self._home.secrets()
        own = conninfo(self._settings)
        admin = self._server.conninfo(SUPERUSER, DATABASE) if self._server else own
        metadata = Metadata(admin, own, secrets.metadata_password)
        airflow = AirflowHome(self._home, self._settings, secrets, metadata)
        with self._notifier.step("preparing Airflow's tables") as detail:
            metadata.prepare()
            airflow.write()
            if not airflow.migrate():
                detail("they were there")
        self._supervision = Supervision(
            self._home,
            [
                Component(name, command, patience=_PATIENCE[name])
                for name, command in processes.COMMANDS.items()
            ],
            airflow.environment(),
        )
        self._stack.callback(self._stop_airflow)
        with AirflowApi(airflow.configuration.api_url, USER, secrets.admin_password) as api:
            with self._notifier.step("starting Airflow") as detail:
                self._supervision.start()
                self._wait(api.unhealthy, _START_SECONDS, detail, "Airflow did not become healthy")
            with self._notifier.step(f"reading the DAG {DAG}") as detail:
                self._wait(
                    lambda: [] if api.has_dag(DAG) else [processes.DAG_PROCESSOR],
                    _START_SECONDS,
                    detail,
                    "Airflow did not read the DAG",
                )
            with self._notifier.step(f"running the DAG {DAG}") as detail:
                if self._let_run(api, [DAG]):
                    self._await_run(api, api.trigger(DAG), detail)
                elif self._options.once:
                    raise UpError(f"the DAG {DAG} is paused: nothing can be run")
                else:
                    detail("it is paused")
            if not self._options.once:
                self._let_others_run(api)

    def _let_run(self, api: AirflowApi, dags: Sequence[str]) -> bool:
        """Let DAGs run that are paused for being new; tell of those that somebody has paused.

        Returns:
            Whether all of them may run.
        """
        with connected(self._settings, "up") as connection:
            tables = AirflowTables.find(connection)
            paused = pauses.read(connection, tables, dags) if tables is not None else []
        decided = [pause for pause in paused if not pause.is_new]
        for pause in paused:
            if pause.is_new:
                api.unpause(pause.dag_id)
        for pause in decided:
            self._notifier.warn(
                f"{pause.dag_id} was paused {pause.describe()}, and stays so; "
                f"`{pause.command}` lets it run"
            )
        return not decided

    def _let_others_run(self, api: AirflowApi) -> None:
        """Let our other DAGs run as well: new ones are paused."""
        others = sorted({*DAGS} - {DAG})
        with self._notifier.step("letting the other DAGs run") as detail:
            self._wait(
                lambda: [dag for dag in others if not api.has_dag(dag)],
                _START_SECONDS,
                detail,
                "Airflow did not read the DAGs",
            )
            self._let_run(api, others)

    def _stop_airflow(self) -> None:
        if self._supervision is not None:
            with self._notifier.step("stopping Airflow"):
                self._supervision.stop()

    def _await_run(self, api: AirflowApi, run_id: str, detail: Callable[[str], None]) -> None:
        """Wait for a DAG run to end, and for those before it; a try that failed is told."""
        deadline = time.monotonic() + _RUN_SECONDS
        reported: set[Path] = set()
        while True:
            state, seconds = api.run_state(DAG, run_id)
            if state == states.SUCCESS:
                detail(f"{duration(seconds)} from start to end" if seconds is not None else "")
                return
            # One run at a time: the schedule's may be at work before ours.
            at_work = (api.run_ahead(DAG) if state == states.QUEUED else None) or run_id
            tasks = api.task_states(DAG, at_work)
            for task, its_state in tasks.items():
                log = task_logs.latest(task_logs.folder(self._home.airflow), DAG, at_work, task)
                if (
                    its_state in (states.UP_FOR_RETRY, states.FAILED)
                    and log is not None
                    and log not in reported
                ):
                    reported.add(log)
                    again = ", it is tried again" if its_state == states.UP_FOR_RETRY else ""
                    self._notifier.warn(f"{task_logs.first_error(log)}{again}; the log is {log}")
            if state == states.FAILED:
                raise UpError(f"the run {run_id} of {DAG} failed")
            if time.monotonic() > deadline:
                raise UpError(f"the run {run_id} of {DAG} is {state} after {_RUN_SECONDS} s")
            shown = ", ".join(f"{task} {of}" for task, of in tasks.items() if of != states.SUCCESS)
            detail(f"after {at_work}: {shown or state}" if at_work != run_id else shown or state)
            self._look()
            time.sleep(0.2)

    def _wait(
        self,
        missing: Callable[[], list[str]],
        seconds: float,
        detail: Callable[[str], None],
        what: str,
    ) -> None:
        """Wait until nothing is missing; a component that dies meanwhile is told."""
        deadline = time.monotonic() + seconds
        while True:
            self._look()
            waiting_for = missing()
            if not waiting_for:
                detail("")
                return
            if time.monotonic() > deadline:
                raise UpError(
                    f"{what} within {seconds:.0f} s (waiting for {', '.join(waiting_for)}); "
                    f"the logs are in {self._home.logs}"
                )
            detail(f"waiting for {', '.join(waiting_for)}")
            time.sleep(_POLL_SECONDS)

    # -- staying up ------------------------------------------------------------

    def _tell_addresses(self) -> None:
        if self._options.airflow:
            self._notifier.say(
                f"Airflow   http://localhost:{self._settings.airflow_port}  "
                f"user {USER}, password in {self._home.airflow / PASSWORDS}"
            )
            self._notifier.say(
                f"          AIRFLOW_HOME={shlex.quote(str(self._home.airflow))} "
                f"{shlex.quote(str(Path(sys.executable).with_name('airflow')))} dags list"
            )
            self._notifier.say(
                f"dashboard http://localhost:{self._settings.airflow_port}/plugin/consumer-analytics"
            )
        if self._server is not None:
            psql = shlex.quote(str(self._server.binaries / "psql"))
            self._notifier.say(f"database  {psql} '{self._server.url()}'")
        self._notifier.say(f"home      {self._home.path}")
        self._notifier.say("up; Ctrl-C stops it")

    def _watch(self) -> None:
        while True:
            self._look()
            time.sleep(_POLL_SECONDS)

    def _look(self) -> None:
        """Look after everything that was started."""
        if self._server is not None and self._server.pid is None:
            self._server_restarts += 1
            if self._server_restarts > _SERVER_RESTARTS:
                raise LocalServerError(
                    f"PostgreSQL keeps dying; its log is {self._server.data / 'log'}"
                )
            self._notifier.warn(
                f"PostgreSQL died, starting it again; its log is {self._server.data / 'log'}"
            )
            self._server.start()
        if self._supervision is not None:
            for line in self._supervision.check():
                self._notifier.warn(line)


# -- what is in the way ----------------------------------------------------------


def _require_airflow() -> None:
    for module in ("airflow", "supervisor"):
        if importlib.util.find_spec(module) is None:
            raise installation.missing(
                module, "airflow,embedded", "`up` with Airflow (there is --no-airflow)"
            )


def _require_port(port: int) -> None:
    """Check that the web server can have its port, on every address of `localhost`."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                reason = "is taken" + _by_whom(port)
                if error.errno == errno.EACCES:
                    reason = "is not for this user"
                raise UpError(
                    f"port {port}, which Airflow's web server needs, {reason}; "
                    f"set {PREFIX}AIRFLOW_PORT to another one"
                ) from None
            # No IPv6 here, or none on this interface.


def _by_whom(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                name = psutil.Process(connection.pid).name()
                return f" by {name} (pid {connection.pid})"
    return ""


def _sources_are_empty(connection: Connection, sources: Sources) -> bool:
    return not any(
        scalar(
            connection,
            sql.SQL("select exists (select from {})").format(source_table(sources, table)),
        )
        for table in ("consumers", "customers", "customer_events")
    )


def _make_sample(connection: Connection, settings: Settings) -> simulate.SimulationResult:
    """Make a small history that leads up to the present."""
    # The current day has rows too, so that a run by day and one right now differ.
    until = instants.now(connection).replace(second=0, microsecond=0)
    return simulate.simulate(
        connection,
        settings,
        simulate.SimulationPlan(until, consumers=8, customers=2_000, events=50_000),
    )


# -- signals ---------------------------------------------------------------------


class _Interrupts:
    """Lets a termination, or the terminal's end, be what Ctrl-C is; until it is held off."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._interrupt) for number in self._SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @staticmethod
    def _interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def hold_off(self) -> None:
        """Let nothing interrupt the stopping of what was started; it is bounded in time."""
        for number in self._SIGNALS:
            signal.signal(number, lambda *_: self._notifier.say("stopping already"))
