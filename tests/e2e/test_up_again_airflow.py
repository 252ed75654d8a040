"""`up` with the real Airflow, later in its life: deaths, starts again, Airflow's own commands.

Each test takes the system as the one before has left it; a start of Airflow
costs too much for one each.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.conftest import COMMAND
from tests.e2e.conftest import Installation, beside
from tests.support import lanes

from consumer_analytics.airflow.api import AirflowApi
from consumer_analytics.db import locks, tags
from consumer_analytics.db.locks import Lock
from consumer_analytics.db.tags import Tag

DAG = "consumer_analytics_etl"
# Quick on a quiet machine; a busy one gets its time.
pytestmark = [pytest.mark.timeout(900), lanes.LONG]
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


@pytest.fixture(scope="module", autouse=True)
def first_start(system: Installation) -> None:
    """Bring the system up."""
    system.start()
    system.await_ready()


@pytest.fixture
def api(system: Installation) -> Iterator[AirflowApi]:
    """Return a session with the running web server."""
    password = json.loads((system.home / "airflow" / "passwords.json").read_text())["admin"]
    with AirflowApi(f"http://127.0.0.1:{system.port}", "admin", password) as session:
        yield session


def finish(api: AirflowApi, run_id: str, timeout: float = 300) -> str:
    """Wait for a DAG run to end; return its state."""
    deadline = time.monotonic() + timeout
    while (state := api.run_state(DAG, run_id)[0]) not in {"success", "failed"}:
        assert time.monotonic() < deadline, f"{run_id} is {state}: {api.task_states(DAG, run_id)}"
        time.sleep(0.2)
    return state


def test_airflows_own_commands_work_beside_it(system: Installation) -> None:
    listed = beside(system, COMMAND.with_name("airflow"), "dags", "list", "-o", "json")
    paused = {dag["dag_id"]: dag["is_paused"] for dag in json.loads(listed.stdout)}
    assert paused[DAG] == "False"
    # One that runs a task itself finds the same home.
    code = "import os, airflow; print(os.environ['CONSUMER_ANALYTICS_HOME'])"
    found = beside(system, Path(sys.executable), "-c", code)
    assert found.stdout.splitlines()[-1] == str(system.home)


def test_a_scheduler_killed_in_the_middle_of_a_run(system: Installation, api: AirflowApi) -> None:
    """It is told and started again; its workers and tasks are gone; the run is finished."""
    assert "died" not in system.told(), system.evidence()
    with psycopg.connect(system.postgres().url(), autocommit=True) as other:
        # As a run of ours: no other one waits for its transaction to end.
        other.execute("set application_name = 'consumer-analytics test'")
        tags.put(other, Tag.READER)
        other.execute("begin")
        locks.take(other, Lock.JOB)
        run_id = api.trigger(DAG)
        deadline = time.monotonic() + 120
        while api.task_states(DAG, run_id).get("load_consumer_analytics") != "running":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (scheduler,) = [
            process
            for process in system.processes()
            if process.cmdline()[-2:] == ["scheduler", "--skip-serve-logs"]
        ]
        workers = scheduler.children(recursive=True)
        # Eight that wait for work, and the task that one of them has started.
        assert len(workers) > 8
        scheduler.kill()
        system.await_text(system.errors, "warning: scheduler died", 30)
        assert psutil.wait_procs(workers, timeout=20)[1] == []
    (line,) = [line for line in system.errors.read_text().splitlines() if "scheduler died" in line]
    assert "SIGKILL" in line
    assert str(system.home / "logs" / "scheduler.log") in line
    assert finish(api, run_id) == "success"


def test_killed_while_it_starts_it_takes_its_components_along(system: Installation) -> None:
    assert system.interrupt() == 0
    system.start()
    system.await_text(system.errors, "starting Airflow", 60)
    deadline = time.monotonic() + 60
    while len(started := components(system)) < len(COMPONENTS):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert system.process is not None
    system.process.kill()
    system.process.wait()
    assert psutil.wait_procs(started, timeout=60)[1] == []


def components(system: Installation) -> list[psutil.Process]:
    """Return Airflow's processes: those that run where only they run."""
    return [one for one in system.processes() if one.cwd() == str(system.home / "run")]


def test_a_second_start_finds_its_data_and_clears_up(system: Installation) -> None:
    passwords = (system.home / "airflow" / "passwords.json").read_text()
    done = system.run("up", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "found running" in done.stderr
    assert "sample data" not in done.stderr
    assert "they were there" in done.stderr
    assert (system.home / "airflow" / "passwords.json").read_text() == passwords
    assert system.processes() == []
    # Both runs of the first start, the one after the scheduler's death, and this one.
    assert len(re.findall(r"airflow_etl +success", done.stdout)) == 4
