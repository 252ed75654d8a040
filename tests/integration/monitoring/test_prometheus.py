"""A real Prometheus scrapes the real endpoint; rules and dashboard find what they ask for."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import COMMAND, Database, command_environment
from tests.e2e.conftest import free_port
from tests.support.history import random_history
from tests.support.tools import require

from consumer_analytics import backfill
from consumer_analytics.db.connection import connected
from consumer_analytics.etl import run
from consumer_analytics.monitoring.metrics import dashboards
from consumer_analytics.monitoring.metrics.catalogue import series
from consumer_analytics.reconcile import sweep
from consumer_analytics.settings import PREFIX

ROOT = Path(__file__).parents[3]
RULES = ROOT / "monitoring" / "prometheus" / "rules.yml"
DASHBOARD = ROOT / "monitoring" / "grafana" / "dashboard.json"
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
TOKEN = "s3cret"
#: Alerts that a healthy system has none of are judged by what they look at instead.
NAME = re.compile(r"\bconsumer_analytics_[a-z_]+\b")


def expressions() -> list[str]:
    """Return every query of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def names_in_rules() -> set[str]:
    lines = [line for line in RULES.read_text().splitlines() if line.strip().startswith("expr:")]
    return {name for line in lines for name in NAME.findall(line)}


# -- the files ----------------------------------------------------------------------


def test_promtool_accepts_the_rules_and_they_fire_at_the_limits() -> None:
    for arguments in (
        ("check", "rules", RULES.name),
        ("test", "rules", "rules.test.yml"),
    ):
        done = subprocess.run(
            [require("promtool"), *arguments],
            cwd=RULES.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout + done.stderr


def test_the_rules_follow_the_settings(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    text = dashboards.rules(database.settings.replaced({"lag_warning": 60.0, "deadline": 0.0}))
    assert "consumer_analytics_watermark_lag_seconds >= 60 and" in text
    path.write_text(text)
    done = subprocess.run(
        [require("promtool"), "check", "rules", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_dashboard_name_only_metrics_that_there_are() -> None:
    named = names_in_rules() | {name for one in expressions() for name in NAME.findall(one)}
    assert len(named) > 30
    assert named <= series()
    assert len(names_in_rules()) >= 9


# -- the real thing -----------------------------------------------------------------


class Prometheus:
    """A running Prometheus, asked as Grafana asks it."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = self.client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def await_value(self, expression: str, wanted: float, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while [float(one["value"][1]) for one in self.query(expression)] != [wanted]:
            assert time.monotonic() < deadline, (expression, self.query(expression))
            time.sleep(0.2)


@pytest.fixture
def prometheus(database: Database, tmp_path: Path) -> Iterator[Prometheus]:
    """Run the endpoint with a token, and a Prometheus that scrapes it with that."""
    program = require("prometheus")
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    port = free_port()
    endpoint = subprocess.Popen(
        [str(COMMAND), "metrics", "--serve", "--port", "0"],
        env=command_environment(
            {
                f"{PREFIX}DATABASE_URL": database.url,
                f"{PREFIX}METRICS_TOKEN_FILE": str(token),
                f"{PREFIX}METRICS_CONSUMERS": "2",
                "PYTHONUNBUFFERED": "1",
            }
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert endpoint.stdout is not None
    target = endpoint.stdout.readline().split()[1].removeprefix("http://").removesuffix("/metrics")
    (tmp_path / "prometheus.yml").write_text(
        f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{RULES}"]
scrape_configs:
  - job_name: consumer-analytics
    authorization: {{credentials_file: "{token}"}}
    static_configs: [{{targets: ["{target}"]}}]
"""
    )
    server = subprocess.Popen(
        [
            program,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    asked = Prometheus(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + 60
        while True:
            assert server.poll() is None, server.stderr and server.stderr.read()
            try:
                if asked.client.get("/-/ready").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield asked
    finally:
        asked.client.close()
        for process in (server, endpoint):
            process.terminate()
            process.wait(30)


@pytest.mark.long
def test_prometheus_finds_what_rules_and_dashboard_ask_for(
    database: Database, prometheus: Prometheus
) -> None:
    settings = database.settings
    with database.connect() as connection:
        random_history(connection, random.Random(1), BEGIN, END)
    with connected(settings, "run") as connection:
        run.run(connection, settings, at=BEGIN + 4 * DAY)
        prometheus.await_value('consumer_analytics_runs_total{source="cli_etl",state="success"}', 1)
        # What counts from here on is an increase.
        run.run(connection, settings, at=END)
        connection.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "select gen_random_uuid(), consumer_id, 'login', '2025-03-05 12:00' from consumers"
        )
        sweep.sweep(connection, settings, days=30)
        connection.execute(
            "insert into consumer_analytics_internal.incidents "
            "(subject, opened_at, state, worst, cause, measures) values ('freshness', now(), "
            "'critical', 'critical', 'late', '{\"watermark_lag\": {\"state\": \"critical\"}}')"
        )
    with connected(settings, "backfill") as connection:
        backfill.backfill(
            connection, settings, backfill.request_of("2025-03-01", "2025-03-09", "daily")
        )
    prometheus.await_value('consumer_analytics_backfills_total{state="done"}', 1)
    prometheus.await_value("up", 1)
    # Two scrapes of it, at least.
    time.sleep(2.5)

    for name in sorted(names_in_rules()):
        assert prometheus.query(name), name
    for expression in expressions():
        assert prometheus.query(expression), expression
    increases = [one for one in expressions() if "snapshots_restated_total" in one]
    assert any(float(one["value"][1]) > 0 for one in prometheus.query(increases[0]))
    # Not bounded by luck: three series at most for each figure of consumers.
    assert len(prometheus.query("consumer_analytics_consumer_events")) == 3

    answer = prometheus.client.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in answer for rule in group["rules"]]
    assert len(rules) == RULES.read_text().count("- alert:")
    assert {rule["health"] for rule in rules} == {"ok"}
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    # The figures are of 2025: they are more than six hours behind, and nothing else is wrong.
    assert firing == {"ConsumerAnalyticsWatermarkLagCritical"}
