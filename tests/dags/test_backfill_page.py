"""The page of backfills within Airflow's own web application: whom it asks, and for what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

from consumer_analytics.settings import settings

RANGE = {"start_date": "2025-03-01", "end_date": "2025-03-02", "interval": "daily"}
PAGE = "/consumer-analytics/backfills"


@pytest.fixture
def airflow(
    database: Any,
    airflow_database: None,  # noqa: ARG001  (made before it is asked for)
    parse: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TestClient]:
    """Return a client of Airflow's web application, logged in, the dashboard mounted in it."""
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.dag_processing.dagbag import sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name="tests"))
    sync_bag_to_db(parse(database_url=database.url), "tests", None)
    purge_cached_app()
    with TestClient(
        create_app(apps="core"), raise_server_exceptions=False, follow_redirects=False
    ) as client:
        token = client.get("/auth/token").json()["access_token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        yield client
    purge_cached_app()


def start(airflow: TestClient, **headers: str) -> str:
    """Ask for a backfill; return the id of its run."""
    answer = airflow.post(PAGE, data=RANGE, headers=headers)
    assert answer.status_code == 303, answer.text
    (run,) = parse_qs(urlsplit(str(answer.headers["location"])).query)["run"]
    return str(run)


@pytest.mark.long
def test_no_id_of_a_run_leads_to_another_address_of_airflows(airflow: TestClient) -> None:
    """It stands in an address: with `..` there the DAG itself answers, which has no state."""
    run = start(airflow)
    assert "queued" in airflow.get(PAGE, params={"run": run}).text
    for other in ("..", ".", "../..", "../../../version", f"{run}/taskInstances", "x", "%2E%2E"):
        answer = airflow.get(PAGE, params={"run": other})
        assert answer.status_code == 200, (other, answer.text)


def test_a_browser_that_another_site_sent_starts_nothing(airflow: TestClient) -> None:
    """Whatever Airflow would let in: here everybody, without a login."""
    del airflow.headers["Authorization"]
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = airflow.post(PAGE, data=RANGE, headers=headers)
        assert (answer.status_code, "another site" in answer.text) == (403, True), answer.text
    assert start(airflow, **{"Sec-Fetch-Site": "same-origin"})


def test_an_airflow_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from consumer_analytics.web import airflow_backfills

    monkeypatch.setattr(airflow_backfills, "_SECONDS", 0.2)
    starts = airflow_backfills.AirflowBackfills()

    async def silent(*_: Any) -> None:
        await asyncio.sleep(60)

    starts.airflow = silent
    scope = {"type": "http", "headers": [(b"authorization", b"Bearer x")]}
    with pytest.raises(HTTPException, match=r"Airflow did not answer in 0\.2 s"):
        asyncio.run(asyncio.wait_for(starts.find(Request(scope), "known"), 10))


def test_settings_that_cannot_be_used_are_a_line_of_the_log(
    airflow_database: None,  # noqa: ARG001  (Airflow has set the log up as it likes)
    fresh_settings: None,  # noqa: ARG001  (its teardown comes after ours)
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It was an error of Airflow's, with its trace, and without the headers of every answer."""
    from consumer_analytics.web import airflow_plugin, guard

    monkeypatch.setenv("CONSUMER_ANALYTICS_TIMEZONE", "Nowhere/S3cret")
    app = FastAPI()
    app.mount("/page", airflow_plugin._Dashboard())
    answer = TestClient(app).get("/page/")
    assert (answer.status_code, "the server's log says why" in answer.text) == (503, True)
    assert "S3cret" not in answer.text
    assert all(answer.headers[name] == value for name, value in guard.HEADERS.items())
    (told,) = [one for one in caplog.records if one.name.endswith("airflow_plugin")]
    assert "Nowhere/S3cret" in told.getMessage()
    assert told.exc_info is None
    # Nothing has to be started again where they are put right.
    monkeypatch.setenv("CONSUMER_ANALYTICS_TIMEZONE", "UTC")
    settings.cache_clear()
    assert TestClient(app).get("/page/healthz").status_code == 200
