"""`up` with the real Airflow: one life of an installation, told in order.

Each test takes the system as the one before has left it; a start of Airflow
costs too much for one each.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from tests.e2e.conftest import Installation
from tests.support import lanes
from tests.support.shown import blocks, on_terminal, unlike

from consumer_analytics.airflow.api import AirflowApi
from consumer_analytics.local.home import Home

DAG = "consumer_analytics_etl"
README = Path(__file__).parents[2] / "README.md"
# Quick on a quiet machine; a busy one gets its time.
pytestmark = [pytest.mark.timeout(900), lanes.LONG]
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


@pytest.fixture(scope="module", autouse=True)
def first_start(system: Installation) -> str:
    """Bring the system up; return what it printed."""
    system.start()
    return system.await_ready()


def ask(system: Installation, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    """Query the database as a person does, with the printed login."""
    with psycopg.connect(system.postgres().url()) as connection:
        return connection.execute(statement, values).fetchall()


@pytest.fixture
def api(system: Installation) -> Iterator[AirflowApi]:
    """Return a session with the running web server."""
    password = json.loads((system.home / "airflow" / "passwords.json").read_text())["admin"]
    with AirflowApi(f"http://127.0.0.1:{system.port}", "admin", password) as session:
        yield session


def test_prints_the_snapshots_and_the_addresses(system: Installation, first_start: str) -> None:
    assert f"http://localhost:{system.port}" in first_start
    assert str(system.home) in first_start
    ((customers, events),) = ask(
        system,
        "select metrics_json ->> 'total_customers_all_consumers', "
        "metrics_json ->> 'total_events_all_consumers' from consumer_analytics "
        "where consumer_id is null order by snapshot_timestamp desc limit 1",
    )
    assert f"{int(customers):,} customers" in first_start
    assert f"{int(events):,} events" in first_start
    assert int(events) > 0
    for (name,) in ask(system, "select name from consumers"):
        assert name in first_start


def test_the_readme_shows_what_a_start_prints(system: Installation, first_start: str) -> None:
    (shown,) = [text for language, text in blocks(README) if language == "text"]
    assert unlike(shown, on_terminal(first_start, system.errors.read_text())) == []
    (query,) = [text for language, text in blocks(README) if language == "sql"]
    consumers = {consumer for (consumer,) in ask(system, "select consumer_id from consumers")}
    assert {row[0] for row in ask(system, query)} == consumers


def test_snapshots_came_from_the_dag_and_the_samples_past_from_up(system: Installation) -> None:
    assert ask(
        system,
        "select metrics_json ->> 'snapshot_source', count(distinct snapshot_timestamp) > 100 "
        "from consumer_analytics group by 1 order by 1",
    ) == [("airflow_etl", False), ("cli_backfill", True)]
    assert ask(system, "select last_run_status from etl_job_watermarks") == [("success",)]


def test_runs_are_found_by_the_guides_query(system: Installation) -> None:
    guide = (
        "SELECT dag_id, run_id, state, start_date, end_date, "
        "EXTRACT(EPOCH FROM (end_date - start_date)) AS duration_seconds "
        "FROM dag_run WHERE dag_id = 'consumer_analytics_etl' ORDER BY start_date DESC LIMIT 10"
    )
    # The schedule's latest tick, and the run that `up` triggered; either may come first, and `up`
    # waits for its own alone.
    deadline = time.monotonic() + 120
    while (found := [row[2] for row in ask(system, guide)]) != ["success", "success"]:
        assert "failed" not in found
        assert len(found) <= 2
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


def test_a_dag_that_airflow_holds_for_gone_is_not_there(
    system: Installation, api: AirflowApi
) -> None:
    """It is shown, but cannot be triggered: a start waits for it to be read."""
    change = "update dag set is_stale = %s where dag_id = %s"
    login = system.postgres().conninfo("airflow_meta")
    with psycopg.connect(login, autocommit=True) as connection:
        for _ in range(3):
            connection.execute(change, [True, DAG])
            # Airflow may read the file just then, and find it.
            if not (there := api.has_dag(DAG)):
                break
        connection.execute(change, [False, DAG])
    assert not there
    assert api.has_dag(DAG)


def test_missed_deadlines_are_found_as_sla_misses(system: Installation) -> None:
    guide = (
        "SELECT task_id, dag_id, execution_date, timestamp AS sla_miss_time FROM sla_miss "
        "WHERE dag_id = 'consumer_analytics_etl' ORDER BY timestamp DESC"
    )
    assert ask(system, guide) == []
    with psycopg.connect(system.postgres().conninfo("airflow_meta")) as connection:
        run, began, instant = connection.execute(
            "select id, start_date, coalesce(logical_date, run_after) from dag_run "
            "where run_id like 'manual%' order by id limit 1"
        ).fetchone() or (None, None, None)
        connection.execute(
            "insert into callback (id, type, fetch_method, priority_weight, created_at, data) "
            "values (gen_random_uuid(), 'triggerer', 'import_path', 1, now(), '{}')"
        )
        connection.execute(
            "insert into deadline (id, created_at, last_updated_at, dagrun_id, deadline_time, "
            "missed, callback_id) select gen_random_uuid(), now(), now(), %s, at, missed, id "
            # One that the scheduler need not look at yet.
            "from callback, "
            "(values (%s::timestamptz, true), ('infinity', false)) as v (at, missed)",
            [run, began],
        )
        connection.commit()
    # The monitor keeps what Airflow has; after Airflow's own clean-up it is still there.
    assert system.run("alerts", "check").returncode == 0
    with psycopg.connect(system.postgres().conninfo("airflow_meta")) as connection:
        connection.execute("delete from callback")
    ((task, dag, execution_date, missed_at),) = ask(system, guide)
    assert task in {"extract_customer_counts", "extract_event_counts"}
    assert (dag, execution_date, missed_at) == (DAG, instant, began)


def test_the_products_login_reads_airflows_tables_and_writes_none(system: Installation) -> None:
    with (
        psycopg.connect(system.postgres().url()) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("update dag_run set state = 'failed'")


def test_airflow_itself_never_holds_a_run_back(system: Installation) -> None:
    assert ask(
        system,
        "select count(*) from consumer_analytics_internal.runs where held_back_by <> '[]'",
    ) == [(0,)]


def test_listens_on_this_machine_only_and_on_one_port(system: Installation) -> None:
    listening = set()
    for process in system.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            listening |= {
                (connection.laddr.ip, connection.laddr.port)
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            }
    assert listening == {("127.0.0.1", system.port)}


def test_secrets_are_for_the_owner_alone(system: Installation) -> None:
    home = Home(system.home)
    for path in (home.secrets_file, home.airflow / "airflow.cfg", home.airflow / "passwords.json"):
        assert path.is_file()
    # Whatever of it has been written by now: logs of components and tasks, sockets, locks. As
    # root the server's user may pass through two folders, by its group.
    passed = {home.path, home.postgres} if os.geteuid() == 0 else set()
    wide = {
        path: oct(mode)
        for path in [home.path, *home.path.rglob("*")]
        if (mode := path.lstat().st_mode & 0o077) and not path.is_symlink() and path not in passed
    }
    assert wide == {}
    assert {path.stat().st_mode & 0o777 for path in passed} <= {0o710}
    secrets = set(json.loads(home.secrets_file.read_text()).values())
    assert len(secrets) == 5
    logs = [path for path in home.path.rglob("*.log*") if path.is_file()]
    assert {path.stem for path in logs} >= set(COMPONENTS)
    told = system.told() + "".join(path.read_text(errors="replace") for path in logs)
    assert [secret for secret in secrets if secret in told] == []


def test_a_stranger_is_not_let_in(system: Installation) -> None:
    url = f"http://127.0.0.1:{system.port}"
    page = httpx.get(url, trust_env=False, follow_redirects=True)
    assert page.status_code == 200
    assert "<html" in page.text
    assert httpx.get(f"{url}/api/v2/dags", trust_env=False).status_code == 401
    login = {"username": "admin", "password": "admin"}
    assert httpx.post(f"{url}/auth/token", json=login, trust_env=False).status_code == 401


def test_the_dashboard_is_a_page_of_airflows_interface(system: Installation) -> None:
    """Under Airflow's login, and nobody else's; its figures are the database's."""
    url = f"http://127.0.0.1:{system.port}"
    password = json.loads((system.home / "airflow" / "passwords.json").read_text())["admin"]
    login = {"username": "admin", "password": password}
    ours = f"{url}/consumer-analytics/api/v1/system"
    with httpx.Client(timeout=60, trust_env=False) as stranger:
        assert stranger.get(ours).status_code == 401
        assert stranger.get(f"{url}/consumer-analytics/").status_code == 401
        assert stranger.get(f"{url}/consumer-analytics/nowhere").status_code == 401
        token = stranger.post(f"{url}/auth/token", json=login).json()["access_token"]
        for wrong in (token[:-3] + "AAA", "nonsense", unsigned(token)):
            refused = stranger.get(ours, headers={"Authorization": f"Bearer {wrong}"})
            assert refused.status_code == 401, refused.text
    with httpx.Client(
        timeout=60, trust_env=False, headers={"Authorization": f"Bearer {token}"}
    ) as user:
        figures = user.get(ours).json()
        (page,) = [
            view
            for plugin in user.get(f"{url}/api/v2/plugins").json()["plugins"]
            for view in plugin["external_views"]
            if view["url_route"] == "consumer-analytics"
        ]
    assert page["destination"] == "nav"
    # As a browser comes, from the page's frame.
    with httpx.Client(timeout=60, trust_env=False, cookies={"_token": token}) as browser:
        framed = browser.get(f"{url}/{page['href']}", headers={"Accept": "text/html"})
        assert framed.status_code == 200, framed.text
        assert "frame-ancestors 'self'" in framed.headers["content-security-policy"]
    ((customers,),) = ask(
        system,
        "select metrics_json ->> 'total_customers_all_consumers' from consumer_analytics "
        "where consumer_id is null order by snapshot_timestamp desc limit 1",
    )
    assert figures["customers"]["value"] == int(customers)


def unsigned(token: str) -> str:
    """Return a token with the same claims and a header that says it needs no signature."""
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def test_the_task_logs_tell_the_runs_figures(system: Installation) -> None:
    ((summary,),) = ask(
        system,
        "select summary from consumer_analytics_internal.runs where state = 'success' "
        "order by opened_at desc limit 1",
    )
    run_id = summary["run_key"].split(":", 2)[2]
    folder = system.home / "airflow" / "logs" / f"dag_id={DAG}" / f"run_id={run_id}"
    (log,) = (folder / "task_id=load_consumer_analytics").glob("attempt=*.log")
    text = log.read_text()
    assert f"rows read {summary['rows_read']:,};" in text
    assert f"snapshots written {summary['snapshots_written']:,}" in text


def test_ctrl_c_stops_every_process(system: Installation) -> None:
    assert len(system.processes()) > 10
    began = time.monotonic()
    assert system.interrupt() == 0
    assert time.monotonic() - began < 40
    assert system.processes() == []
    assert "Traceback" not in system.told()
