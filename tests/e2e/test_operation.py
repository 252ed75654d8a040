"""Operating the real system: the doctor's Airflow faults, maintenance, and every runbook command.

One life of an installation, told in order: each test leaves it healthy for the next.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from tests.conftest import COMMAND
from tests.e2e.conftest import Installation, beside
from tests.support import lanes
from tests.support.mail_server import mail_server

from consumer_analytics.airflow.api import AirflowApi

pytestmark = [pytest.mark.timeout(900), lanes.LONG]
ETL, MAINTENANCE = "consumer_analytics_etl", "consumer_analytics_maintenance"
MONITOR, SWEEP = "consumer_analytics_monitor", "consumer_analytics_sweep"
AIRFLOW = COMMAND.with_name("airflow")
RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
DAYS_AGO = 40


@pytest.fixture(scope="module")
def own_dags(system: Installation) -> Iterator[Path]:
    """Return a second folder of DAG files, such as an operator's own."""
    folder = system.home.with_name(f"{system.home.name}.dags")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module", autouse=True)
def up(system: Installation, own_dags: Path) -> None:
    """Bring the system up, with both DAG folders."""
    system.variables["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(
        [
            {"name": "dags-folder", "classpath": LOCAL_BUNDLE, "kwargs": {}},
            {"name": "own", "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(own_dags)}},
        ]
    )
    # Its runs would fall into the faults that are made here, and be findings of their own.
    system.variables["CONSUMER_ANALYTICS_MONITOR_SCHEDULE"] = "@daily"
    system.start()
    system.await_ready()
    # Unpausing gave each DAG a run of its own.
    await_settled(system)


@pytest.fixture
def api(system: Installation) -> Iterator[AirflowApi]:
    password = json.loads((system.home / "airflow" / "passwords.json").read_text())["admin"]
    with AirflowApi(f"http://127.0.0.1:{system.port}", "admin", password) as session:
        yield session


def ask(system: Installation, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    with psycopg.connect(system.postgres().url()) as connection:
        return connection.execute(statement, values).fetchall()


def doctor(system: Installation, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the doctor's exit code, and what it found, by check."""
    done = system.run("doctor", "--json", *arguments)
    assert done.stdout, done.stderr
    checks = json.loads(done.stdout)["checks"]
    return done.returncode, {one["check"]: one for one in checks if one["verdict"] != "ok"}


def assert_healthy(system: Installation, *arguments: str) -> None:
    code, found = doctor(system, *arguments)
    assert found == {}, json.dumps(found, indent=1) + last_errors(system)
    assert code == 0


def last_errors(system: Installation) -> str:
    """Return the errors in the tasks' logs, for a failed test's message."""
    return "\n".join(
        line
        for path in (system.home / "airflow" / "logs").rglob("attempt=*.log")
        for line in path.read_text(errors="replace").splitlines()
        if '"level":"error"' in line.replace(" ", "")
    )[-4000:]


def wait(until: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def await_settled(system: Installation) -> None:
    """Wait until no DAG run is queued or running."""
    settled = "select count(*) from dag_run where state in ('queued', 'running')"
    wait(lambda: ask(system, settled) == [(0,)], 240)


def component(system: Installation, *ending: str) -> psutil.Process:
    """Return a component's main process."""
    of_airflow = [
        process
        for process in system.processes()
        if process.cwd() == str(system.home / "run")
        and tuple(ending) == tuple(process.cmdline()[-len(ending) :])
    ]
    oldest: psutil.Process = min(of_airflow, key=lambda process: process.create_time())
    return oldest


def stop(process: psutil.Process) -> None:
    """Let a process and its children hang."""
    for one in [process, *process.children(recursive=True)]:
        one.send_signal(signal.SIGSTOP)


def test_a_healthy_system_has_no_finding_and_fix_changes_nothing(system: Installation) -> None:
    before = ask(system, "select dag_id, is_paused from dag order by 1")
    assert [paused for _, paused in before] == [False] * 5
    assert_healthy(system, "--fix")
    assert ask(system, "select dag_id, is_paused from dag order by 1") == before


def pause(api: AirflowApi, dag: str) -> None:
    """Pause a DAG as its page does."""
    api._call("PATCH", f"dags/{dag}", {"is_paused": True}, update_mask="is_paused")


def test_a_triggerer_that_hangs_and_paused_dags(system: Installation, api: AirflowApi) -> None:
    stop(component(system, "triggerer", "--skip-serve-logs"))
    api._call(
        "PATCH", "dags", {"is_paused": True}, update_mask="is_paused", dag_id_pattern="analytics_m"
    )
    beside(system, AIRFLOW, "dags", "pause", ETL)
    pause(api, SWEEP)
    code, found = doctor(system)
    assert code == 2
    assert found["airflow-paused"]["verdict"] == "problem"
    assert found["airflow-paused"]["says"] == f"paused: {ETL}, {SWEEP}, {MAINTENANCE}, {MONITOR}"
    told = [
        re.sub(r" at [-0-9]+ [0-9:]+ UTC", " at …", line)
        for line in found["airflow-paused"]["evidence"]
    ]
    assert told == [
        f"{ETL}: paused by {getpass.getuser()} at …, with `airflow dags pause`",
        f"{SWEEP}: paused by admin at …, in the web interface or through the API",
        f"{MAINTENANCE}: paused by admin at …, through the API, with others",
        f"{MONITOR}: paused by admin at …, through the API, with others",
    ]

    def silent() -> bool:
        age = "select now() - max(latest_heartbeat) > interval '61 s' from job where job_type = %s"
        return ask(system, age, ["TriggererJob"]) == [(True,)]

    wait(silent, 120)
    code, found = doctor(system)
    assert set(found) == {"airflow-components", "airflow-paused"}
    assert found["airflow-components"]["says"] == "no heartbeat: triggerer"
    assert "was last heard of at" in found["airflow-components"]["evidence"][0]

    code, found = doctor(system, "--fix")
    assert code == 2
    assert found["airflow-components"]["treatment"]["done"] == "restarted triggerer"
    assert found["airflow-components"]["treatment"]["worked"]
    # What people decided is left to them.
    assert found["airflow-paused"]["treatment"] is None
    paused = "select dag_id from dag where is_paused order by 1"
    assert ask(system, paused) == [(ETL,), (MAINTENANCE,), (MONITOR,), (SWEEP,)]
    commands = found["airflow-paused"]["fix"]["command"].splitlines()
    assert [line.split("  ")[0] for line in commands] == [
        f"airflow dags unpause {dag}" for dag in (ETL, SWEEP, MAINTENANCE, MONITOR)
    ]
    every = ("--treat-dag-id-as-regex", "--yes", "consumer_analytics_.*")
    beside(system, AIRFLOW, "dags", "unpause", *every)
    assert_healthy(system)


def test_a_dag_that_airflow_sees_for_the_first_time(system: Installation) -> None:
    beside(system, AIRFLOW, "dags", "delete", "--yes", SWEEP)
    paused = "select is_paused from dag where dag_id = %s and not is_stale"
    wait(lambda: ask(system, paused, [SWEEP]) == [(True,)], 90)
    code, found = doctor(system, "--fix")
    assert code == 0, found
    assert found["airflow-dags"]["says"] == f"never let run: {SWEEP}"
    assert "paused since Airflow first saw it at " in found["airflow-dags"]["evidence"][0]
    assert found["airflow-dags"]["treatment"]["done"] == f"unpaused {SWEEP}"
    assert ask(system, paused, [SWEEP]) == [(False,)]
    await_settled(system)
    assert_healthy(system)


@lanes.HOURS
def test_a_web_server_that_hangs(system: Installation) -> None:
    for process in system.processes():
        if "api-server" in " ".join(process.cmdline()) or "api_server" in " ".join(
            process.cmdline()
        ):
            process.send_signal(signal.SIGSTOP)
    code, found = doctor(system)
    assert code == 2
    assert "does not answer" in found["machine-system"]["says"]
    code, found = doctor(system, "--fix")
    assert code == 0, found
    assert found["machine-system"]["treatment"]["worked"]


def test_a_broken_dag_file(system: Installation, own_dags: Path) -> None:
    broken = own_dags / "consumer_analytics_own.py"
    broken.write_text("# airflow DAG\nfrom consumer_analytics import nothing_of_that_name\n")
    wait(lambda: ask(system, "select count(*) from import_error") == [(1,)], 90)
    code, found = doctor(system, "--fix")
    assert code == 2
    assert list(found) == ["airflow-import-errors"]
    (line,) = found["airflow-import-errors"]["evidence"]
    assert line.startswith("consumer_analytics_own.py: ImportError")
    assert "nothing_of_that_name" in line
    broken.unlink()
    wait(lambda: ask(system, "select count(*) from import_error") == [(0,)], 90)
    assert_healthy(system)


def test_maintenance_in_a_live_task(system: Installation, api: AirflowApi) -> None:
    logs = system.home / "airflow" / "logs"
    long_ago = time.time() - DAYS_AGO * 86400
    old = logs / "dag_id=gone" / "run_id=1" / "task_id=t" / "attempt=1.log"
    old.parent.mkdir(parents=True)
    precious = system.home / "precious.log"
    for path in (old, precious):
        path.write_text("x" * 1000)
        os.utime(path, (long_ago, long_ago))
    link = logs / "dag_id=gone" / "link"
    link.symlink_to(system.home)
    recent = {path for path in logs.rglob("attempt=*.log") if path != old}
    assert recent
    with psycopg.connect(system.postgres().conninfo("airflow_meta")) as connection:
        connection.execute(
            "insert into log (dttm, event) values (now() - %s * interval '1 day', 'long ago')",
            [DAYS_AGO],
        )
    with psycopg.connect(system.postgres().url()) as connection:
        connection.execute(
            "insert into consumer_analytics_internal.runs "
            "(run_id, run_key, snapshot_source, state, requested_at, reached_at, named, opened_at) "
            "overriding system value values (-1, 'long ago', 'cli_etl', 'failed', now(), now(), "
            "true, now() - interval '2 years')"
        )
    run = api.trigger(MAINTENANCE)
    wait(lambda: api.run_state(MAINTENANCE, run)[0] in {"success", "failed"}, 240)
    folder = logs / f"dag_id={MAINTENANCE}" / f"run_id={run}" / "task_id=maintain"
    text = "".join(path.read_text() for path in folder.glob("attempt=*.log"))
    assert api.run_state(MAINTENANCE, run)[0] == "success", text

    assert not old.exists()
    assert precious.exists()
    assert link.is_symlink()
    assert {path for path in recent if not path.exists()} == set()
    assert ask(system, "select count(*) from log where event = 'long ago'") == [(0,)]
    kept = "select count(*) from consumer_analytics_internal.runs where run_key = 'long ago'"
    assert ask(system, kept) == [(0,)]
    ((parts,),) = ask(
        system,
        "select parts from consumer_analytics_internal.maintenance where requested_by = %s",
        [f"airflow:{MAINTENANCE}:{run}"],
    )
    by_name = {part["part"]: part for part in parts}
    assert (by_name["Airflow's logs"]["removed"], by_name["Airflow's logs"]["bytes_removed"]) == (
        1,
        1000,
    )
    assert by_name["Airflow's metadata"]["removed"] >= 1
    assert by_name["Airflow's metadata"]["bytes_before"] > 0
    assert by_name["internal state"]["removed"] >= 1
    assert "Airflow's logs: removed 1 file of 1000 B" in text
    assert "Airflow's metadata: removed" in text
    precious.unlink()
    link.unlink()


def blocks() -> list[tuple[str, str]]:
    """Return the runbook's commands: (language, text), in their order."""
    found = re.findall(
        r"^( *)```(\w+)\n(.*?)^\1```$", RUNBOOK.read_text(), re.DOTALL | re.MULTILINE
    )
    return [(language, textwrap.dedent(text)) for _, language, text in found]


def test_every_command_of_the_runbook(
    system: Installation, api: AirflowApi, tmp_path: Path
) -> None:
    kinds = [language for language, _ in blocks()]
    assert set(kinds) == {"bash", "sql"}
    assert min(kinds.count("bash"), kinds.count("sql")) >= 7
    # What it shows is told of: nothing that looks like a command stands outside of a block.
    assert not re.search(r"^\s*\$ ", RUNBOOK.read_text(), re.MULTILINE)
    with mail_server(tmp_path) as mails:
        environment = {
            **system.environment(mails.environment),
            # How fast this machine is is not the runbook's business.
            "CONSUMER_ANALYTICS_RUNTIME_WARNING": "600",
            "CONSUMER_ANALYTICS_RUNTIME_CRITICAL": "900",
            "AIRFLOW_HOME": str(system.home / "airflow"),
            "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}",
        }
        failed = []
        for language, text in blocks():
            if language == "sql":
                with psycopg.connect(system.postgres().url(), autocommit=True) as connection:
                    try:
                        connection.execute(text.encode())
                    except psycopg.Error as error:
                        failed.append(f"{text}\n{error}")
                continue
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                env=environment,
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if done.returncode != 0 or "Traceback" in done.stderr:
                failed.append(f"{text}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}")
    assert failed == [], "\n\n".join(failed)
    assert len(mails.mails) >= 1
    await_settled(system)
    failures = "select dag_id, run_id from dag_run where state = 'failed'"
    assert ask(system, failures) == []
    # Whatever was reset on the way: the next run is exact.
    assert system.run("run").returncode == 0
    assert system.run("audit").returncode == 0
    assert_healthy(system)
    del api


def test_everything_stopped(system: Installation, api: AirflowApi) -> None:
    pause(api, ETL)
    assert system.interrupt() == 0
    code, found = doctor(system)
    assert code == 2
    assert found["database"]["cause"] == "the embedded server is not running"
    assert "`consumer-analytics up` is not running" in found["machine-system"]["says"]
    assert found["machine-system"]["fix"]["command"] == "consumer-analytics up"


def test_a_start_leaves_a_paused_dag_to_who_paused_it(system: Installation) -> None:
    done = system.run("up", "--once")
    assert done.returncode == 1
    told = " ".join(done.stderr.split())
    assert f"{ETL} was paused by admin at " in told
    assert f"and stays so; `airflow dags unpause {ETL}` lets it run" in told
    assert f"error: the DAG {ETL} is paused: nothing can be run" in told
    assert system.processes() == []
