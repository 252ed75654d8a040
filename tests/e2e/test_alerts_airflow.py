"""A failing task and a missed deadline, on the real Airflow, to a real mail server.

Each test takes the system as the one before has left it; a start of Airflow
costs too much for one each.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.conftest import COMMAND, command_environment
from tests.e2e.conftest import Installation, beside
from tests.support import lanes
from tests.support.mail_server import PASSWORD, RECIPIENT, SENDER, MailServer, mail_server

from consumer_analytics.airflow.api import AirflowApi
from consumer_analytics.db import locks, tags
from consumer_analytics.db.locks import Lock
from consumer_analytics.db.tags import Tag
from consumer_analytics.settings import PREFIX

DAG = "consumer_analytics_etl"
MONITOR = "consumer_analytics_monitor"
#: How much later the web server comes than the other components: longer than a task that cannot
#: report to it goes on trying.
LATE_SECONDS = 20
#: A plugin of Airflow's, which the web server loads before it listens.
LATE = f"""
import sys, time
if sys.argv[1:2] == ["api-server"]:
    time.sleep({LATE_SECONDS})
"""
#: Long, for a busy machine's sake: the test that wants it missed moves it.
DEADLINE = 300
TICK = dt.datetime(2026, 1, 15, tzinfo=dt.UTC)
GUIDE = (
    "SELECT task_id, dag_id, execution_date, timestamp AS sla_miss_time FROM sla_miss "
    "WHERE dag_id = 'consumer_analytics_etl' ORDER BY timestamp DESC"
)
# Quick on a quiet machine; a busy one gets its time.
# Not beside each other: two Airflows at once are what two cores bear.
pytestmark = [pytest.mark.timeout(900), lanes.LONG]


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def started(system: Installation, mails: MailServer) -> None:
    """Bring the system up as a slow machine does, with somebody to get mail."""
    plugins = system.home / "airflow" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "late.py").write_text(LATE)
    settings = {
        "retries": 1,
        "retry_delay": 1,
        "deadline": DEADLINE,
        # Passes come when a test asks for one; a busy machine's runs are no incident.
        "monitor_schedule": "0 0 1 1 *",
        "runtime_warning": 800,
        "runtime_critical": 900,
    }
    system.variables = {
        **mails.environment,
        **{f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()},
    }
    system.start()
    system.await_ready()
    # The other DAGs have a run each, at their start; what is broken here is not for them.
    deadline = time.monotonic() + 300
    # In one look: the last one may begin between two.
    first_runs = (
        "select count(distinct dag_id), "
        "count(*) filter (where state not in ('success', 'failed')) from dag_run"
    )
    while (found := rows(system, first_runs)) != [(4, 0)]:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


@pytest.fixture
def api(system: Installation) -> Iterator[AirflowApi]:
    """Return a session with the running web server."""
    password = json.loads((system.home / "airflow" / "passwords.json").read_text())["admin"]
    with AirflowApi(f"http://127.0.0.1:{system.port}", "admin", password) as session:
        yield session


def database(system: Installation) -> psycopg.Connection[Any]:
    return psycopg.connect(system.postgres().url(), autocommit=True)


def finish(api: AirflowApi, dag: str, run_id: str, timeout: float = 300) -> str:
    """Wait for a DAG run to end; return its state."""
    deadline = time.monotonic() + timeout
    while (state := api.run_state(dag, run_id)[0]) not in {"success", "failed"}:
        assert time.monotonic() < deadline, f"{run_id} is {state}: {api.task_states(dag, run_id)}"
        time.sleep(0.2)
    return state


def watch(api: AirflowApi) -> None:
    """Have the monitor's DAG do a pass."""
    api.unpause(MONITOR)
    assert finish(api, MONITOR, api.trigger(MONITOR)) == "success"


def parts(message: EmailMessage) -> tuple[str, str]:
    """Return a mail's text and HTML."""
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def airflow(system: Installation, *arguments: str) -> None:
    """Run a command of Airflow's."""
    try:
        beside(system, COMMAND.with_name("airflow"), *arguments)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error}\n{error.stdout[-3000:]}\n{error.stderr[-3000:]}")


def let_clear(system: Installation) -> None:
    """Have the deadlines so far be passed: Airflow 3.3 cannot clear a run before that."""
    with psycopg.connect(system.postgres().conninfo("airflow_meta")) as connection:
        connection.execute("update deadline set missed = true")


def rows(system: Installation, statement: str) -> list[tuple[Any, ...]]:
    with database(system) as connection:
        return connection.execute(statement).fetchall()


# -- a slow start ------------------------------------------------------------------


def test_a_slow_start_is_no_failure(system: Installation, mails: MailServer) -> None:
    """The monitor's DAG is never paused: its first run is there before the web server is."""
    assert "waiting for api-server" in system.told()
    # A task that could not report to it has failed, and is tried again; or nobody would be told.
    assert rows(
        system, "select dag_id, state, try_number from task_instance where task_id = 'watch'"
    ) == [(MONITOR, "success", 1)]
    assert rows(system, "select dag_id, event from log where event = 'state mismatch'") == []
    assert rows(system, "select * from consumer_analytics_internal.incidents") == []
    assert mails.mails == []


# -- a failing task ----------------------------------------------------------------


@pytest.fixture(scope="module")
def failed_run(system: Installation, mails: MailServer, started: None) -> str:  # noqa: ARG001
    """Have the load fail, in a run that has a logical date; return the run's id."""
    assert [str(mail["Subject"]) for mail in mails.mails] == []
    with database(system) as connection:
        connection.execute("alter table consumer_analytics rename metrics_json to renamed")
    password = json.loads((system.home / "airflow" / "passwords.json").read_text())["admin"]
    try:
        with AirflowApi(f"http://127.0.0.1:{system.port}", "admin", password) as api:
            answer = api._call("POST", f"dags/{DAG}/dagRuns", {"logical_date": TICK.isoformat()})
            run_id = str(answer["dag_run_id"])
            tried_again = False
            deadline = time.monotonic() + 300
            while api.run_state(DAG, run_id)[0] not in {"success", "failed"}:
                assert time.monotonic() < deadline
                state = api.task_states(DAG, run_id).get("load_consumer_analytics")
                if state == "up_for_retry":
                    # Failed, and to be tried again: nobody is told.
                    tried_again = True
                    assert mails.mails == []
                time.sleep(0.1)
            assert tried_again
            assert api.run_state(DAG, run_id)[0] == "failed"
    finally:
        with database(system) as connection:
            connection.execute("alter table consumer_analytics rename renamed to metrics_json")
    return run_id


def test_one_mail_after_the_last_try_with_everything(
    system: Installation, mails: MailServer, failed_run: str
) -> None:
    (mail,) = mails.mails
    assert mails.tls == [True]
    assert mails.logins == ["alerts"]
    assert SENDER in str(mail["From"])
    assert mail["To"] == RECIPIENT
    assert mail["Subject"] == (
        f"[consumer-analytics] FAILED: {DAG} / load_consumer_analytics, 2026-01-15 00:00 UTC"
    )
    url = (
        f"http://localhost:{system.port}/dags/{DAG}/runs/{failed_run.replace(':', '%3A')}"
        "/tasks/load_consumer_analytics?try_number=2"
    )
    url = url.replace("+", "%2B")
    for part in parts(mail):
        for wanted in (
            DAG,
            "load_consumer_analytics",
            "2026-01-15 00:00:00 UTC",
            failed_run,
            "2 of 2",
            "UndefinedColumn: a column is missing",
            "metrics_json",
            "does not exist",
            "consumer-analytics doctor",
        ):
            assert wanted in part, (wanted, part)
        assert url in part, part


def test_the_link_leads_to_the_log(
    system: Installation, mails: MailServer, failed_run: str
) -> None:
    """The page is the web interface's own; what it shows of the log comes from its API."""
    text, _ = parts(mails.mails[0])
    (link,) = {word for word in text.split() if word.startswith("http")}
    assert httpx.get(link, trust_env=False, follow_redirects=True).status_code == 200
    password = json.loads((system.home / "airflow" / "passwords.json").read_text())["admin"]
    with AirflowApi(f"http://127.0.0.1:{system.port}", "admin", password) as api:
        log = api._call(
            "GET",
            f"dags/{DAG}/dagRuns/{failed_run}/taskInstances/load_consumer_analytics/logs/2",
        )
    assert "metrics_json" in json.dumps(log)


def test_the_monitor_tells_nothing_that_was_notice(
    system: Installation, mails: MailServer, api: AirflowApi
) -> None:
    watch(api)
    assert len(mails.mails) == 1, [mail["Subject"] for mail in mails.mails]
    shown = system.run("incidents", "--json")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)
    assert [one["subject"] for one in told["open"]] == ["failures"]
    assert system.run("health").returncode in (1, 2)


def test_the_mails_own_command_runs_it_again_and_then_it_is_over(
    system: Installation, mails: MailServer, api: AirflowApi, failed_run: str
) -> None:
    text, _ = parts(mails.mails[0])
    (command,) = re.findall(r": (until airflow tasks clear .*; do sleep 20; done)", text)
    trying = subprocess.Popen(
        ["bash", "-c", command.replace("sleep 20", "sleep 1")],
        env={
            **command_environment(),
            "AIRFLOW_HOME": str(system.home / "airflow"),
            "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert trying.stderr is not None
        # The run's deadline is still to come: Airflow cannot clear it, and the command goes on.
        assert any("TypeError" in line for line in trying.stderr)
        let_clear(system)
        trying.communicate(timeout=240)
        assert trying.returncode == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(trying.pid, signal.SIGKILL)
    assert finish(api, DAG, failed_run) == "success"
    watch(api)
    subjects = [str(mail["Subject"]) for mail in mails.mails[1:]]
    assert subjects == ["[consumer-analytics] OVER: runs are well again"]
    assert system.run("health").returncode == 0


def test_a_run_without_a_logical_date_whose_tasks_fail_together(
    system: Installation, mails: MailServer, api: AirflowApi
) -> None:
    mails.mails.clear()
    with database(system) as connection:
        connection.execute("alter table customer_events rename payload_json to renamed")
    try:
        run_id = api.trigger(DAG)
        assert finish(api, DAG, run_id) == "failed"
    finally:
        with database(system) as connection:
            connection.execute("alter table customer_events rename renamed to payload_json")
    (mail,) = mails.mails
    ((run_after,),) = rows(system, f"select run_after from dag_run where run_id = '{run_id}'")
    at = run_after.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    for part in parts(mail):
        assert f"{at} (run after; the run has no logical date)" in part
        assert "SourceError: " in part
        assert "payload_json" in part
    noted = rows(
        system,
        "select distinct task_id, mail_id is not null "
        f"from consumer_analytics_internal.task_failures where run_id = '{run_id}' order by 1",
    )
    assert noted == [("extract_customer_counts", True), ("extract_event_counts", True)]
    let_clear(system)
    airflow(system, "tasks", "clear", DAG, "--only-failed", "--yes")
    assert finish(api, DAG, run_id) == "success"
    watch(api)
    mails.mails.clear()


# -- a missed deadline -----------------------------------------------------------------


def test_a_missed_deadline_is_mailed_and_kept_when_airflow_cleans_up(
    system: Installation, mails: MailServer, api: AirflowApi
) -> None:
    with database(system) as other:
        # As a run of ours: no other one waits for its transaction to end.
        other.execute("set application_name = 'consumer-analytics test'")
        tags.put(other, Tag.READER)
        other.execute("begin")
        locks.take(other, Lock.JOB)
        run_id = api.trigger(DAG)
        deadline = time.monotonic() + 240
        while api.task_states(DAG, run_id).get("load_consumer_analytics") != "running":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        with psycopg.connect(system.postgres().conninfo("airflow_meta")) as connection:
            ((deadline_at,),) = connection.execute(
                "update deadline set deadline_time = now() from dag_run "
                "where dag_run.id = dagrun_id and run_id = %s returning deadline_time",
                [run_id],
            ).fetchall()
        while not mails.mails:
            assert time.monotonic() < deadline, rows(system, "select * from deadline")
            time.sleep(0.3)
    (mail,) = mails.mails
    assert str(mail["Subject"]).startswith(
        f"[consumer-analytics] LATE: {DAG} missed its deadline, "
    )
    for part in parts(mail):
        assert run_id in part
        assert "has not ended 5 min after it was queued" in part
    finish(api, DAG, run_id)
    ((run_after,),) = rows(system, f"select run_after from dag_run where run_id = '{run_id}'")
    expected = [("load_consumer_analytics", DAG, run_after, deadline_at)]
    assert rows(system, GUIDE) == expected
    airflow(
        system,
        *("db", "clean", "--clean-before-timestamp", "2100-01-01T00:00:00+00:00"),
        *("--tables", "dag_run,deadline", "--skip-archive", "--yes"),
    )
    assert rows(system, "select count(*) from deadline") == [(0,)]
    assert rows(system, GUIDE) == expected


# -- Airflow's own mails -----------------------------------------------------------------


def test_airflow_itself_is_set_up_for_the_same_server(
    system: Installation, mails: MailServer
) -> None:
    code = (
        "from airflow.providers.smtp.hooks.smtp import SmtpHook\n"
        "with SmtpHook() as hook:\n"
        f"    hook.send_email_smtp(to='{RECIPIENT}', subject='by Airflow', html_content='hello')\n"
    )
    mails.mails.clear()
    beside_with(system, code, {"SSL_CERT_FILE": str(mails.folder / "authority.pem")})
    (mail,) = mails.mails
    assert (mail["Subject"], mail["From"]) == ("by Airflow", f"Analytics <{SENDER}>")
    file = system.home / "airflow" / "connections.json"
    assert file.stat().st_mode & 0o077 == 0


def beside_with(system: Installation, code: str, variables: dict[str, str]) -> None:
    """Run Python beside the system as `up` tells people to, with more variables."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **command_environment(),
            "AIRFLOW_HOME": str(system.home / "airflow"),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_password_is_told_anywhere(system: Installation) -> None:
    logs = [path for path in Path(system.home).rglob("*.log*") if path.is_file()]
    told = system.told() + "".join(path.read_text(errors="replace") for path in logs)
    assert logs
    assert PASSWORD not in told
