"""Backfills that are asked for on a page: offered where days are missing, to those who may.

What Airflow does with them is tried on Airflow itself, in `tests/e2e/test_backfill_airflow.py`;
here the engine does them, in a thread.
"""

from __future__ import annotations

import datetime as dt
import random
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, expect
from starlette.requests import HTTPConnection
from tests.conftest import Database
from tests.support import lanes
from tests.support.history import random_history
from tests.web import browser as browsing
from tests.web.conftest import Client

from consumer_analytics import backfill
from consumer_analytics.db.connection import connected
from consumer_analytics.etl import run as etl
from consumer_analytics.settings import Settings
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import Principal, Refused
from consumer_analytics.web.backfills import BackfillRun

FIRST = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
LAST = FIRST + dt.timedelta(days=20)
RANGE = {"start_date": "2025-03-01", "end_date": "2025-03-21", "interval": "daily"}


@dataclass
class Engine:
    """Does backfills in threads, as Airflow's workers do."""

    settings: Settings
    threads: dict[str, threading.Thread] = field(default_factory=dict)
    asked: list[backfill.Request] = field(default_factory=list)

    async def start(self, request: Request, asked: backfill.Request) -> str:  # noqa: ARG002
        if asked.start.year < 2000:
            raise HTTPException(400, "Airflow refused the backfill: too old")
        self.asked.append(asked)
        run = f"manual__{len(self.asked)}+00:00"
        self.threads[run] = threading.Thread(target=self._work, args=[asked])
        self.threads[run].start()
        return run

    def _work(self, asked: backfill.Request) -> None:
        with connected(self.settings, "test") as connection:
            backfill.backfill(connection, self.settings, asked)

    async def find(self, request: Request, run: str) -> BackfillRun | None:  # noqa: ARG002
        thread = self.threads.get(run)
        if thread is None:
            return None
        return BackfillRun(run, "running" if thread.is_alive() else "success")


@dataclass
class Somebody:
    """Lets one in, whoever it is."""

    principal: Principal
    has_login = False

    async def authenticate(self, connection: HTTPConnection) -> Principal | Refused:  # noqa: ARG002
        return self.principal


MAY = Principal("ann", may_backfill=lambda: True)
MAY_NOT = Principal("ben")
#: What the link says to those who may.
WATCH = "Backfill a range, and watch it"
TENANT = Principal("cleo", frozenset({uuid.UUID(int=1)}), may_backfill=lambda: True)


@pytest.fixture
def history(database: Database) -> Database:
    """Return twenty days of events, and one snapshot after them."""

    def fill() -> None:
        with database.connect() as connection:
            random_history(connection, random.Random(3), FIRST, LAST)
            etl.run(connection, database.settings, at=LAST + dt.timedelta(hours=6))

    database.prepared("twenty days", fill)
    return database


@pytest.fixture
def engine(history: Database) -> Iterator[Engine]:
    """Return what does the backfills; at the end it has done them."""
    made = Engine(history.settings)
    yield made
    for thread in made.threads.values():
        thread.join(60)


def app_for(engine: Engine, who: Principal) -> FastAPI:
    return create_app(engine.settings, authenticator=Somebody(who), starts=engine)


def client_for(engine: Engine, who: Principal) -> TestClient:
    return TestClient(app_for(engine, who), follow_redirects=False)


def test_a_range_without_snapshots_offers_what_fills_it(history: Database, client: Client) -> None:
    asking = client(history.settings)
    command = (
        '>consumer-analytics backfill <span class="nowrap">--start-date {}</span> '
        '<span class="nowrap">--end-date {}</span><'
    )
    page = asking.get("/").text
    assert "Before <time" in page
    assert command.format("2025-02-19", "2025-03-21") in page, "thirty days before the only one"
    assert "Backfill these days" not in page, "nothing here could do it"
    assert "there is no snapshot" not in asking.get("/?range=all").text
    consumer = history.rows("select consumer_id from consumers limit 1")[0][0]
    for path in ("", "consumers", f"compare?consumer={consumer}"):
        join = "&" if "?" in path else "?"
        page = asking.get(f"/{path}{join}from=2025-03-02&to=2025-03-08").text
        assert "No snapshot lies in this range" in page, path
        assert command.format("2025-03-02", "2025-03-09") in page, path
    # What is still to come nobody can fill.
    assert "No snapshot lies" not in asking.get("/?from=2200-01-01").text


def test_the_button_is_for_those_who_may(engine: Engine) -> None:
    empty = "/?from=2025-03-02&to=2025-03-08"
    with client_for(engine, MAY) as client:
        assert "Backfill these days" in client.get(empty).text
        assert WATCH in client.get("/freshness").text
        form = client.get("/backfills?start_date=2025-03-02&end_date=2025-03-09").text
        assert '<form class="bar-form" method="post" action="backfills">' in form
        assert 'value="2025-03-02"' in form
    with client_for(engine, MAY_NOT) as client:
        assert "Backfill these days" not in client.get(empty).text
        assert WATCH not in client.get("/freshness").text
        page = client.get("/backfills").text
        assert 'method="post" action="backfills"' not in page
        assert "needs the right to trigger the DAG" in page


@pytest.mark.parametrize(
    ("who", "headers", "form", "status", "told"),
    lanes.first(
        6,
        [
            (MAY_NOT, {}, RANGE, 403, "your login may not start a backfill"),
            (TENANT, {}, RANGE, 403, "this token sees its own consumer only"),
            (MAY, {"Sec-Fetch-Site": "cross-site"}, RANGE, 403, "sent by another site"),
            (MAY, {"Sec-Fetch-Site": "same-site"}, RANGE, 403, "sent by another site"),
            (MAY, {"Origin": "https://evil.example"}, RANGE, 403, "sent by another site"),
            (MAY, {"Origin": "null"}, RANGE, 403, "sent by another site"),
            (MAY, {}, RANGE | {"start_date": ""}, 422, "start_date &#39;&#39; is not a date"),
            (MAY, {}, RANGE | {"end_date": "2025-02-30"}, 422, "is not a day of the calendar"),
            (MAY, {}, RANGE | {"end_date": "2025-03-01"}, 422, "is not after start_date"),
            (MAY, {}, RANGE | {"interval": "yearly"}, 422, "is unknown; it is daily"),
            (MAY, {}, RANGE | {"start_date": "1999-01-01"}, 400, "Airflow refused the backfill"),
        ],
    ),
)
def test_what_may_not_or_cannot_be_started_is_refused_in_a_line(
    engine: Engine,
    who: Principal,
    headers: dict[str, str],
    form: dict[str, str],
    status: int,
    told: str,
) -> None:
    with client_for(engine, who) as client:
        answer = client.post("/backfills", data=form, headers={"Accept": "text/html", **headers})
    assert (answer.status_code, told in answer.text) == (status, True), answer.text
    # Back to the form, not to the charts.
    assert ('<a href="backfills">Back to the form' in answer.text) == (status in {400, 422})
    assert engine.asked == []


def test_a_form_of_another_kind_is_refused(engine: Engine) -> None:
    with client_for(engine, MAY) as client:
        assert client.post("/backfills", json=RANGE).status_code == 415
        assert client.put("/backfills", data=RANGE).status_code == 405
    assert engine.asked == []


def test_where_nothing_starts_them_nothing_takes_them_in(history: Database, client: Client) -> None:
    asking = client(history.settings)
    assert asking.post("/backfills", data=RANGE).status_code == 405
    assert "it does where the dashboard is a page of Airflow" in asking.get("/backfills").text
    page = asking.get("/freshness").text
    assert WATCH not in page, "it leads to a page that starts none"
    assert '<a href="backfills">How a range is backfilled' in page


def test_a_run_of_any_name_is_looked_for_and_not_repeated(engine: Engine) -> None:
    with client_for(engine, MAY) as client:
        page = client.get("/backfills", params={"run": "<script>../../x"})
        assert page.status_code == 200
        assert "../../x" not in page.text
        assert client.get("/backfills", params={"run": "x" * 300}).status_code == 422


def test_a_backfill_is_started_and_watched_in_a_browser(browser: Browser, engine: Engine) -> None:
    app = app_for(engine, MAY)
    with (
        browsing.served(app, engine.settings) as address,
        browsing.visit(browser, address) as visit,
    ):
        page = visit.open("?from=2025-03-02&to=2025-03-20")
        page.get_by_role("button", name="Backfill these days").click()
        page.wait_for_url("**/backfills?**")
        assert page.get_by_label("First day").input_value() == "2025-03-02"
        page.get_by_label("First day").fill("2025-03-01")
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/backfills?run=manual**")
        results = page.locator("#results")
        expect(results).to_contain_text("success", timeout=browsing.PATIENCE)
        expect(results.locator("tbody tr")).to_contain_text("20 of 20")
        expect(page.locator("#results[data-poll]")).to_have_count(0, timeout=browsing.PATIENCE)
        assert visit.inaccessible() == []
        assert visit.overflow() == 0
        (asked,) = engine.asked
        assert (asked.who, asked.interval) == ("ann", "daily")
        visit.open("?from=2025-03-02&to=2025-03-20")
        assert "No snapshot" not in page.content()
        written = [row[0] for row in visit.table("customers")[1:]]
        assert len(written) == 20
        assert re.match(r"2025-03-21 01:00", written[0]), "Berlin's clock"
