"""The backfill DAG on the real Airflow: the guide's commands, the form, and what is refused.

The history is of 2025, as the guide's ranges are; each test takes the system as the one before
has left it.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import expect
from tests.conftest import COMMAND
from tests.e2e.conftest import Installation, beside
from tests.support import lanes
from tests.support.checks import wrong_snapshots
from tests.web.browser import chromium

DAG = "consumer_analytics_backfill"
AIRFLOW = COMMAND.with_name("airflow")
# Not beside each other: two Airflows at once are what two cores bear.
pytestmark = [pytest.mark.timeout(900), lanes.LONG]
#: As the guide has them.
OCTOBER = '{"start_date": "2025-10-01", "end_date": "2025-11-01", "interval": "daily"}'
FIRST_QUARTER = '{"start_date": "2025-01-01", "end_date": "2025-04-01", "interval": "weekly"}'
VERIFY = """
SELECT
    metrics_json->>'snapshot_source' AS source,
    COUNT(*) AS snapshot_count,
    MIN(snapshot_timestamp) AS earliest,
    MAX(snapshot_timestamp) AS latest
FROM consumer_analytics
GROUP BY metrics_json->>'snapshot_source';
"""
BY_PERIOD = (
    "select count(*), count(distinct snapshot_timestamp), min(snapshot_timestamp)::date::text, "
    "max(snapshot_timestamp)::date::text from consumer_analytics "
    "where consumer_id is null and metrics_json ->> 'snapshot_source' = 'airflow_backfill' "
    "and snapshot_timestamp between %s and %s"
)


@pytest.fixture(scope="module", autouse=True)
def airflow(system: Installation) -> None:
    """Bring the system up over a history of 2025."""
    system.postgres().start()
    assert system.run("migrate").returncode == 0
    history = ["--consumers", "4", "--customers", "150", "--events", "6000", "--days", "400"]
    simulated = system.run("simulate", *history, "--until", "2025-12-01")
    assert simulated.returncode == 0, simulated.stderr
    system.start("--no-sample")
    system.await_ready()


def ask(system: Installation, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    """Query the database as a person does, with the printed login."""
    with psycopg.connect(system.postgres().url()) as connection:
        return connection.execute(statement, values).fetchall()


class Api:
    """Airflow's HTTP interface, as another program uses it."""

    def __init__(self, system: Installation) -> None:
        password = json.loads((system.home / "airflow" / "passwords.json").read_text())["admin"]
        self.password: str = password
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{system.port}", trust_env=False, timeout=60
        )
        login = {"username": "admin", "password": password}
        token = self.client.post("/auth/token", json=login).json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {token}"

    def trigger(self, conf: dict[str, Any]) -> httpx.Response:
        return self.client.post(
            f"/api/v2/dags/{DAG}/dagRuns", json={"logical_date": None, "conf": conf}
        )

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(
            f"/api/v2/dags/{DAG}/dagRuns", params={"order_by": "run_after"}
        ).json()["dag_runs"]
        return found

    def finish(self, run_id: str, timeout: float = 240) -> dict[str, str]:
        """Wait for a DAG run to end; return its tasks' states."""
        path = f"/api/v2/dags/{DAG}/dagRuns/{run_id}"
        deadline = time.monotonic() + timeout
        while (state := self.client.get(path).json()["state"]) not in {"success", "failed"}:
            assert time.monotonic() < deadline, f"{run_id} is {state}"
            time.sleep(0.3)
        tasks = self.client.get(f"{path}/taskInstances").json()["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}


@pytest.fixture(scope="module")
def api(system: Installation, airflow: None) -> Iterator[Api]:  # noqa: ARG001  (it runs)
    """Return a session with the running web server."""
    session = Api(system)
    yield session
    session.client.close()


def trigger(system: Installation, conf: str) -> subprocess.CompletedProcess[str]:
    """Run the guide's command."""
    return beside(system, AIRFLOW, "dags", "trigger", DAG, "--conf", conf, "-o", "json")


DONE = {"check_parameters": "success", "write_snapshots": "success"}
REFUSED = {"check_parameters": "failed", "write_snapshots": "upstream_failed"}


def test_the_guides_commands_write_31_days_and_13_weeks(system: Installation, api: Api) -> None:
    # Nobody has unpaused it: it is there to be triggered.
    runs = [
        json.loads(trigger(system, conf).stdout)[0]["dag_run_id"]
        for conf in (OCTOBER, FIRST_QUARTER)
    ]
    assert [api.finish(run) for run in runs] == [DONE, DONE]
    assert ask(system, BY_PERIOD, ["2025-10-01", "2025-11-01"]) == [
        (31, 31, "2025-10-02", "2025-11-01")
    ]
    assert ask(system, BY_PERIOD, ["2025-01-01", "2025-04-01"]) == [
        (13, 13, "2025-01-08", "2025-04-01")
    ]
    # The last week is clipped: six days, where the others have seven.
    assert ask(
        system,
        "select (metrics_json #>> '{incremental_stats,window_start}')::date::text "
        "from consumer_analytics where consumer_id is null and snapshot_timestamp = '2025-04-01'",
    ) == [("2025-03-26",)]
    listed = json.loads(system.run("backfill", "list", "--json").stdout)["backfills"]
    assert [(one["interval"], one["periods_done"], one["state"]) for one in listed] == [
        ("weekly", 13, "done"),
        ("daily", 31, "done"),
    ]
    assert all(one["snapshot_source"] == "airflow_backfill" for one in listed)


def test_the_guides_query_verifies_them(system: Installation) -> None:
    ((consumers,),) = ask(system, "select count(*) from consumers where created_at < '2025-10-02'")
    found = {row[0]: row[1:] for row in ask(system, VERIFY)}
    assert set(found) == {"airflow_etl", "airflow_backfill"}
    count, earliest, latest = found["airflow_backfill"]
    assert 31 * (consumers + 1) < count <= 44 * (consumers + 1)
    assert (earliest.date().isoformat(), latest.date().isoformat()) == ("2025-01-08", "2025-11-01")


def test_they_are_what_the_sources_tell(system: Installation) -> None:
    with psycopg.connect(system.postgres().url(), autocommit=True) as connection:
        assert wrong_snapshots(connection) == []


def test_again_it_touches_no_row(system: Installation, api: Api) -> None:
    versions = "select analytics_id, ctid::text, xmin::text from consumer_analytics order by 1"
    before = ask(system, versions)
    mark = ask(system, "select last_processed_timestamp from etl_job_watermarks")
    overlapping = {"start_date": "2025-10-10", "end_date": "2025-11-01", "interval": "daily"}
    for conf in (json.loads(FIRST_QUARTER), overlapping):
        assert api.finish(api.trigger(conf).json()["dag_run_id"]) == DONE
    assert ask(system, versions) == before
    assert ask(system, "select last_processed_timestamp from etl_job_watermarks") == mark


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"interval": "yearly"}, "'yearly' is not one of ['daily', 'weekly', 'monthly', 'hourly']"),
        ({"start_date": "yesterday"}, "'yesterday' is not a 'date'"),
        ({"end_date": "2025-11-31"}, "'2025-11-31' is not a 'date'"),
        ({"end_date": None}, "end_date"),
    ],
)
def test_what_the_form_would_not_take_makes_no_run(
    system: Installation, api: Api, change: dict[str, Any], said: str
) -> None:
    before = len(api.runs())
    refused = api.trigger(json.loads(OCTOBER) | change)
    assert refused.status_code == 400
    assert said in refused.json()["detail"]
    with pytest.raises(subprocess.CalledProcessError) as command:
        trigger(system, json.dumps(json.loads(OCTOBER) | change))
    assert command.value.returncode == 1
    assert said in command.value.stdout + command.value.stderr
    assert len(api.runs()) == before


def test_what_only_the_database_can_tell_fails_the_first_task(
    system: Installation, api: Api
) -> None:
    before = ask(system, "select count(*) from consumer_analytics_internal.backfills")
    october = json.loads(OCTOBER)
    sentences = {
        "end_date 2025-09-01 is not after start_date 2025-10-01": {"end_date": "2025-09-01"},
        "end_date 2999-01-01 lies in the future": {"end_date": "2999-01-01"},
        "parameter 'intervall' is unknown; there are start_date": {"intervall": "weekly"},
    }
    runs = {
        sentence: api.trigger(october | change).json()["dag_run_id"]
        for sentence, change in sentences.items()
    }
    for sentence, run in runs.items():
        assert api.finish(run) == REFUSED
        folder = system.home / "airflow" / "logs" / f"dag_id={DAG}" / f"run_id={run}"
        # One try: another one would not help.
        (log,) = (folder / "task_id=check_parameters").glob("attempt=*.log")
        assert f"refused: {sentence}" in log.read_text()
    assert ask(system, "select count(*) from consumer_analytics_internal.backfills") == before


def test_the_dashboard_starts_one_as_whoever_asks_and_shows_how_far_it_is(
    system: Installation, api: Api
) -> None:
    known = {run["dag_run_id"] for run in api.runs()}
    here = "/consumer-analytics/backfills"
    asked = {"start_date": "2025-06-01", "end_date": "2025-06-08", "interval": "daily"}
    # Nobody, and another site in the name of somebody.
    nobody = httpx.post(
        f"http://127.0.0.1:{system.port}{here}", data=asked, trust_env=False, timeout=60
    )
    assert nobody.status_code == 401
    elsewhere = api.client.post(here, data=asked, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    # What Airflow itself refuses comes back in its words.
    assert {run["dag_run_id"] for run in api.runs()} == known
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{system.port}")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", api.password)
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
        page.get_by_text("Stats").first.wait_for()
        page.goto(
            f"http://127.0.0.1:{system.port}/consumer-analytics/?from=2025-06-01&to=2025-06-07"
        )
        page.get_by_role("button", name="Backfill these days").click()
        page.wait_for_url("**/backfills?**")
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/backfills?run=manual**")
        results = page.locator("#results")
        expect(results.locator("[data-told]")).to_contain_text("success", timeout=240_000)
        expect(results.locator("tbody tr").first).to_contain_text("7 of 7")
        expect(results.locator("tbody tr").first).to_contain_text("by admin")
    (run,) = (run for run in api.runs() if run["dag_run_id"] not in known)
    assert run["conf"] == asked
    assert run["triggering_user_name"] == "admin"
    assert ask(system, BY_PERIOD, ["2025-06-02", "2025-06-08"]) == [
        (7, 7, "2025-06-02", "2025-06-08")
    ]


def test_the_form_has_date_pickers_and_a_choice(
    system: Installation, api: Api, tmp_path: Path
) -> None:
    known = {run["dag_run_id"] for run in api.runs()}
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{system.port}")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", api.password)
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
        page.get_by_text("Stats").first.wait_for()
        page.goto(f"http://127.0.0.1:{system.port}/dags/{DAG}")
        page.get_by_role("button", name="Trigger").first.click()
        form = page.get_by_role("dialog")
        start, end = (form.locator(f"input[name=element_{name}_date]") for name in ("start", "end"))
        start.wait_for()
        assert start.get_attribute("type") == end.get_attribute("type") == "date"
        send = form.get_by_role("button", name="Trigger")
        # Nothing can be sent while a date is missing.
        assert send.is_disabled()
        start.fill("2025-05-01")
        end.fill("2025-06-01")
        form.get_by_role("combobox").first.click()
        page.get_by_role("option", name="weekly").click()
        page.screenshot(path=tmp_path / "form.png")
        send.click()
        form.wait_for(state="hidden")
    (run,) = (run for run in api.runs() if run["dag_run_id"] not in known)
    assert run["conf"] == {
        "start_date": "2025-05-01",
        "end_date": "2025-06-01",
        "interval": "weekly",
    }
    assert api.finish(run["dag_run_id"]) == DONE
    assert ask(system, BY_PERIOD, ["2025-05-02", "2025-06-01"]) == [
        (5, 5, "2025-05-08", "2025-06-01")
    ]
    # Who asked is on record.
    (latest, *_) = json.loads(system.run("backfill", "list", "--json").stdout)["backfills"]
    assert latest["requested_by"].startswith("admin (")
