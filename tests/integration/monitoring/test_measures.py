"""A measure of health is one entry in a register: everything else reads it there."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import Database
from tests.support.mail_server import MailServer, mail_server
from tests.support.tools import require

from consumer_analytics.etl import run
from consumer_analytics.monitoring import health, incidents, monitor
from consumer_analytics.monitoring.measures import (
    MEASURES,
    AlertRule,
    Gauge,
    MeasureDefinition,
    Measurement,
    Subject,
)
from consumer_analytics.monitoring.metrics import dashboards
from consumer_analytics.monitoring.metrics.catalogue import series, table
from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.monitoring.observation import Cause, Observation
from consumer_analytics.web.views import freshness

MIDNIGHT = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SOURCE = Path(__file__).parents[3] / "src" / "consumer_analytics"


def _orphans(seen: Observation, _: Cause) -> Measurement:
    """Take how many customers belong to no consumer."""
    row = seen.connection.execute(
        "select count(*) from customers where consumer_id is null"
    ).fetchone()
    assert row is not None
    return Measurement(
        row[0], "sources", f"{row[0]} customers belong to nobody" if row[0] else None
    )


ORPHANS = MeasureDefinition(
    name="orphaned_customers",
    label="Orphaned customers",
    unit="customers",
    # It has the limits of another one, for a test can declare no settings.
    limits="pending",
    subject=Subject(
        name="orphans",
        label="Orphans",
        title="customers are orphaned",
        title_over="customers are adopted",
        now=lambda _, values: f"{values['orphaned_customers']:.0f} are left",
    ),
    take=_orphans,
    metric=Gauge("orphaned_customers", "Customers that belong to no consumer."),
    alert=AlertRule(
        "ConsumerAnalyticsOrphans", "Customers are orphaned", "{{ $value }} belong to nobody."
    ),
)


@pytest.fixture(autouse=True)
def orphans() -> Iterator[None]:
    """Have a fifth measure."""
    MEASURES.add(ORPHANS)
    yield
    MEASURES.remove(ORPHANS.name)


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as made:
        yield made


@pytest.fixture
def watched(database: Database, mails: MailServer) -> Database:
    """Return a database whose figures reach midnight, with somebody to get mail."""
    with database.connect("run", writes_sources=False) as connection:
        run.run(connection, database.settings, at=MIDNIGHT)
    return replace(database, settings=database.settings.replaced(mails.settings))


def add_orphans(database: Database, count: int) -> None:
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "select gen_random_uuid(), null, 'ACTIVE', %s from generate_series(1, %s)",
        [MIDNIGHT - HOUR, count],
    )


@pytest.mark.parametrize(("count", "state"), [(0, "normal"), (1, "warning"), (101, "critical")])
def test_a_measure_that_is_registered_is_judged(watched: Database, count: int, state: str) -> None:
    add_orphans(watched, count)
    with watched.connect() as connection:
        found = health.read(connection, watched.settings, now=MIDNIGHT + HOUR)
    assert [one.name for one in found.measures][-1] == "orphaned_customers"
    measure = found.measure("orphaned_customers")
    assert (measure.value, measure.unit, measure.state) == (count, "customers", state)
    assert measure.limits == {"normal": "0", "warning": "1-100", "critical": "> 100"}
    assert found.state == state


def test_it_is_told_with_a_subject_and_a_label_of_its_own(
    watched: Database, mails: MailServer
) -> None:
    add_orphans(watched, 3)
    with watched.connect("monitor", writes_sources=False) as connection:
        monitor.watch(connection, watched.settings, now=MIDNIGHT + HOUR)
        (one,) = incidents.open_incidents(connection)
        assert (one.subject, one.cause) == ("orphans", "3 customers belong to nobody")
        assert freshness.incident(one)["label"] == "Orphans"
        subject, text, html = mails.parts()
        assert subject == "[consumer-analytics] WARNING: customers are orphaned"
        for part in (text, html):
            assert "Orphaned customers" in part
            assert "orphaned_customers" not in part
            assert "slow" not in part
        watched.execute("delete from customers where consumer_id is null")
        monitor.watch(connection, watched.settings, now=MIDNIGHT + 2 * HOUR)
    subject, text, _ = mails.parts()
    assert subject == "[consumer-analytics] OVER: customers are adopted"
    assert "It was: 3 customers belong to nobody. Now: 0 are left." in text


def test_the_command_and_the_dashboard_show_it(
    watched: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process: no other one has the measure.
    from consumer_analytics.cli import health as command

    monkeypatch.setattr(command, "settings", lambda: watched.settings)
    add_orphans(watched, 3)
    with pytest.raises(typer.Exit):
        command.health(as_json=True)
    shown = {one["name"]: one for one in json.loads(capsys.readouterr().out)["measures"]}
    one = shown["orphaned_customers"]
    assert (one["value"], one["state"], one["limits"]["critical"]) == (3, "warning", "> 100")
    with pytest.raises(typer.Exit):
        command.health(as_json=False)
    assert "orphaned_customers: 3 customers belong to nobody" in capsys.readouterr().out
    with watched.connect() as connection:
        found = health.read(connection, watched.settings, now=MIDNIGHT + HOUR)
    row = freshness.measures(found)[-1]
    assert (row["label"], row["told"]) == ("Orphaned customers", "3")


def test_it_is_exported_drawn_and_alerted_on(watched: Database) -> None:
    add_orphans(watched, 3)
    exposition = Exposition(watched.settings)
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition.text()[0].decode())
        for sample in family.samples
    }
    exposition.close()

    def sample(name: str, **labels: str) -> float:
        return samples[f"consumer_analytics_{name}", frozenset(labels.items())]

    assert sample("orphaned_customers") == 3
    assert sample("health", measure="orphaned_customers", state="warning") == 1
    assert sample("health_limit", measure="orphaned_customers", severity="critical") == 100
    assert sample("incidents_open", measure="orphaned_customers", severity="warning") == 0
    assert sample("incidents_opened_total", subject="orphans") == 0
    assert "consumer_analytics_orphaned_customers" in series()
    assert "| `consumer_analytics_orphaned_customers` | gauge |" in table()

    panels = json.loads(dashboards.dashboard())["panels"]
    assert "consumer_analytics_orphaned_customers" in [
        target["expr"] for panel in panels for target in panel["targets"]
    ]
    rules = dashboards.rules(watched.settings)
    assert "alert: ConsumerAnalyticsOrphansCritical" in rules
    assert "expr: consumer_analytics_orphaned_customers > 100" in rules


def test_prometheus_accepts_its_rules(database: Database, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(dashboards.rules(database.settings))
    done = subprocess.run(
        [require("promtool"), "check", "rules", rules], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_panel_of_the_dashboard_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboards.dashboard())["panels"]:
        at: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_labels_and_titles_of_measures_stand_in_one_place() -> None:
    words = {
        text
        for one in MEASURES.values()
        for text in (one.label, one.subject.title, one.subject.title_over)
    }
    files = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".j2", ".html", ".js"}]
    assert len(files) > 100
    for path in files:
        if path.name != "measures.py":
            found = re.findall(r"\"[^\"\n]*\"", path.read_text(encoding="utf-8"))
            assert not words & {one.strip('"') for one in found}, path
