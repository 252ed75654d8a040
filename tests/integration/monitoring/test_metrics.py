"""The metrics say what the database holds; counters never go down; a scrape is bounded."""

from __future__ import annotations

import datetime as dt
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import COMMAND, Cli, Database, command_environment
from tests.support import crashes, lanes
from tests.support.history import random_history
from tests.support.roles import Roles
from tests.support.small_backfill import (
    ONE_SESSION,
    TWO_SESSIONS,
    await_parked,
    await_periods,
    started,
)
from tests.support.tools import require

from consumer_analytics import backfill
from consumer_analytics.db import locks, schema
from consumer_analytics.db.connection import connected
from consumer_analytics.db.locks import Lock
from consumer_analytics.errors import BusyError
from consumer_analytics.etl import run
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.metrics.catalogue import metrics, series
from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.operations import retention
from consumer_analytics.reconcile import sweep
from consumer_analytics.settings import PREFIX

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Values:
    """Return series and labels to value."""
    return {
        (sample.name.removeprefix("consumer_analytics_"), frozenset(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scraped:
    """An answer, to be asked for values: `scraped("runs_total", state="failed")`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.values = parsed(text)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.values.get((name, frozenset(labels.items())))


def scrape(database: Database, **changes: Any) -> Scraped:
    exposition = Exposition(database.settings.replaced(changes))
    try:
        return Scraped(exposition.text()[0].decode())
    finally:
        exposition.close()


def live(database: Database, at: dt.datetime | None, **options: Any) -> dict[str, Any]:
    with connected(database.settings, "run") as connection:
        return run.run(connection, database.settings, at=at, **options).as_json()


def fill(database: Database) -> backfill.BackfillResult:
    request = backfill.request_of("2025-03-01", "2025-03-09", "daily")
    with connected(database.settings, "backfill") as connection:
        return backfill.backfill(connection, database.settings, request)


def history(database: Database, seed: int) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(seed), BEGIN, END)


# -- what they say ----------------------------------------------------------------


def test_an_empty_database_has_every_counter_at_zero(database: Database) -> None:
    found = scrape(database)
    assert found("scrape_success") == 1
    for metric in metrics():
        if metric.kind == "counter":
            counted = {v for (name, _), v in found.values.items() if name == metric.name}
            assert counted == {0}, metric.name
    assert found("snapshot_timestamp_seconds") is None
    assert found("freshness_cause", cause="not_due") == 1


def test_a_watermark_set_ahead_hides_no_lag(database: Database) -> None:
    live(database, BEGIN)
    database.execute("update etl_job_watermarks set last_processed_timestamp = now()")
    found = scrape(database)
    assert found("watermark_timestamp_seconds") == BEGIN.timestamp()
    lag, age = found("watermark_lag_seconds"), found("watermark_age_seconds")
    assert lag is not None
    assert age is not None
    assert DAY.total_seconds() < lag < age
    assert found("freshness_cause", cause="not_run") == 1


@pytest.mark.both_versions
def test_they_are_what_the_database_holds(database: Database) -> None:
    history(database, 1)
    first = live(database, BEGIN + 4 * DAY)
    second = live(database, END)
    done = fill(database)
    # Late rows: the sweep repairs two days, and restates what they change.
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), consumer_id, 'login', at "
        "from (select consumer_id from consumers limit 1) as one, "
        "(values (timestamptz '2025-03-05 12:00'), ('2025-03-06 12:00')) as late (at)"
    )
    with connected(database.settings, "sweep") as connection:
        swept = sweep.sweep(connection, database.settings, days=30)
    found = scrape(database)

    assert found("runs_total", source="cli_etl", state="success") == 2
    assert found("run_duration_seconds_count", source="cli_etl") == 2
    earlier, later = (
        seconds
        for (seconds,) in database.rows(
            "select summary -> 'seconds' from consumer_analytics_internal.runs order by run_id"
        )
    )
    assert {"extract_customers", "extract_events", "fold", "write"} <= later.keys()
    for step in later:
        assert found("run_step_duration_seconds_sum", step=step) == pytest.approx(
            earlier[step] + later[step]
        )
        assert found("last_run_step_duration_seconds", step=step) == later[step]
    assert found("events_read_total") == first["rows_read"] + second["rows_read"]
    assert found("new_events_total") == first["new_events"] + second["new_events"]
    assert found("new_customers_total") == first["new_customers"] + second["new_customers"]
    assert found("snapshots_written_total", source="cli_etl") == (
        first["snapshots_written"] + second["snapshots_written"]
    )
    assert found("snapshots_written_total", source="cli_backfill") == done.snapshots_written
    assert found("backfill_periods_total") == done.periods == 8
    assert found("backfills_total", state="done") == 1
    assert (swept.events_found, swept.days_corrected) == (2, 2)
    assert found("sweeps_total") == 1
    assert found("sweep_repaired_events_total", kind="found") == 2
    assert found("sweep_repairs_total") == 2
    restated = found("snapshots_restated_total", by="sweep")
    assert restated == swept.snapshots_restated > 0
    ((revisions,),) = database.rows("select count(*) from consumer_analytics_revisions")
    assert restated == revisions

    with database.connect() as connection:
        judged = health.read(connection, database.settings)
    assert found("watermark_timestamp_seconds") == END.timestamp()
    assert found("watermark_lag_seconds") == pytest.approx(
        judged.measure("watermark_lag").value, abs=60
    )
    assert found("pending_events") == judged.measure("pending_events").value
    for measure in judged.measures:
        assert found("health", measure=measure.name, state=measure.state) == 1
    ((system,),) = database.rows(
        "select metrics_json from consumer_analytics where consumer_id is null "
        "order by snapshot_timestamp desc limit 1"
    )
    assert found("customers") == system["total_customers_all_consumers"]
    assert found("events") == system["total_events_all_consumers"]
    assert found("consumers") == system["consumers_in_system"]


def test_a_failed_run_and_open_incidents_are_counted(database: Database) -> None:
    history(database, 2)
    live(database, END)
    impatient = database.settings.replaced({"lock_wait": 0.05})
    with database.connect() as other, connected(impatient, "run") as connection:
        other.execute("begin")
        locks.take(other, Lock.JOB)
        with pytest.raises(BusyError):
            run.run(connection, impatient, at=END + DAY)
    assert scrape(database)("runs_total", source="cli_etl", state="gave_up") == 1
    assert scrape(database)("failed_runs") == 0
    database.execute("alter table consumer_analytics add constraint never check (false) not valid")
    with pytest.raises(Exception, match="never"):
        live(database, END + DAY)
    database.execute(
        "insert into consumer_analytics_internal.incidents "
        "(subject, opened_at, state, worst, cause, measures) values "
        "('freshness', now(), 'critical', 'critical', 'c', "
        '\'{"watermark_lag": {"state": "critical"}, "pending_events": {"state": "warning"}}\'), '
        "('dag consumer_analytics_sweep', now(), 'warning', 'warning', 'c', '{}')"
    )
    found = scrape(database)
    assert found("runs_total", source="cli_etl", state="failed") == 1
    assert found("failed_runs") == 1
    assert found("last_run_success") == 0
    assert found("incidents_open", measure="watermark_lag", severity="critical") == 1
    assert found("incidents_open", measure="watermark_lag", severity="warning") == 0
    assert found("incidents_open", measure="pending_events", severity="warning") == 1
    assert found("incidents_open", measure="dag consumer_analytics_sweep", severity="warning") == 1
    assert found("incidents_opened_total", subject="freshness") == 1


def test_counters_never_go_down(database: Database, cli: Cli) -> None:
    """Not when runs are done again, nor when what they are of has been forgotten."""
    history(database, 3)
    live(database, BEGIN + 3 * DAY, run_key="airflow:consumer_analytics_etl:one")
    live(database, END, run_key="airflow:consumer_analytics_etl:two")
    fill(database)
    before = scrape(database)
    # The same run again, as when its DAG run is cleared: it ends once more.
    live(database, END, run_key="airflow:consumer_analytics_etl:two")
    for table in ("runs", "backfills"):
        database.execute(
            f"update consumer_analytics_internal.{table} set "
            f"{'opened_at' if table == 'runs' else 'started_at'} = '2020-01-01'"
        )
    with connected(database.settings, "maintenance") as connection:
        retention.forget(connection, database.settings)
    assert database.rows("select count(*) from consumer_analytics_internal.runs") == [(1,)]
    after = scrape(database)
    counters = {metric.name for metric in metrics() if metric.kind != "gauge"}
    for (name, labels), value in before.values.items():
        if re.sub("_(sum|count)$", "", name) in counters or name in counters:
            assert after.values[name, labels] >= value, name
    assert after("runs_total", source="cli_etl", state="success") == 3
    # Another process, another session: the same.
    assert (
        parsed(cli("metrics").stdout)[
            "runs_total", frozenset({("source", "cli_etl"), ("state", "success")})
        ]
        == 3
    )


def test_what_was_there_before_is_counted_when_counting_begins(database: Database) -> None:
    """Run the migration's end over a history: it counts what the triggers have counted."""
    history(database, 11)
    live(database, BEGIN + 3 * DAY)
    live(database, END)
    fill(database)
    counters = "select name, labels, n from consumer_analytics_internal.counters order by 1, 2"
    expected = database.rows(counters)
    assert len(expected) > 10
    database.execute("truncate consumer_analytics_internal.counters")
    (migration,) = (one for one in schema.migrations() if one.name.endswith("_counters"))
    _, begin, end = migration.text.partition("-- What there was before counting began")
    assert begin
    database.execute(begin + end)
    assert database.rows(counters) == expected


@pytest.mark.parametrize(("limit", "series"), lanes.first(2, [(0, 1), (2, 3), (4, 4), (50, 4)]))
def test_consumers_are_bounded_and_the_others_summed(
    database: Database, limit: int, series: int
) -> None:
    history(database, 4)
    live(database, END)
    found = scrape(database, metrics_consumers=limit)
    for name in ("customers", "active_customers", "events"):
        each = {
            dict(labels)["consumer_id"]: value
            for (series_name, labels), value in found.values.items()
            if series_name == f"consumer_{name}"
        }
        assert len(each) == series
        assert sum(each.values()) == found(name)
        assert ("other" in each) == (limit < 4)
    largest = database.rows(
        "select consumer_id::text from consumer_analytics where consumer_id is not null "
        "and snapshot_timestamp = %s order by (metrics_json ->> 'total_events')::int desc, 1 "
        "limit %s",
        [END, limit],
    )
    shown = {
        dict(labels)["consumer_id"] for name, labels in found.values if name == "consumer_events"
    }
    assert shown - {"other"} == {one for (one,) in largest}


@pytest.mark.long
def test_a_backfill_at_work_shows_how_far_it_is(database: Database) -> None:
    history(database, 5)
    database.execute("update consumers set created_at = '2023-12-31'")
    with (
        started(database, ONE_SESSION, dates=("2024-01-01", "2025-03-09")) as command,
        database.connect("watcher", writes_sources=False) as watcher,
    ):
        await_periods(watcher, 12)
        with (
            crashes.locked(database, "consumer_analytics_revisions", "access exclusive"),
            crashes.locked(database, "consumer_analytics", "exclusive") as locker,
        ):
            # Writers wait, readers do not.
            await_parked(watcher, locker, 1)
            found = scrape(database)
            ((done,),) = watcher.execute(
                "select periods_done from consumer_analytics_internal.backfills"
            ).fetchall()
        assert command.end() == 0, command.text
    assert found("backfills_running") == 1
    assert found("backfill_periods") == 433
    assert found("backfill_periods_done") == found("backfill_periods_total") == done
    assert scrape(database)("backfills_running") == 0


def test_two_sessions_count_exactly(database: Database) -> None:
    history(database, 6)
    database.execute("update consumers set created_at = '2023-12-31'")
    with started(database, TWO_SESSIONS, dates=("2024-01-01", "2025-03-09")) as command:
        assert command.end() == 0, command.text
    found = scrape(database)
    ((written,),) = database.rows("select count(*) from consumer_analytics")
    assert found("snapshots_written_total", source="cli_backfill") == written
    assert found("backfill_periods_total") == 433


# -- how they are read ------------------------------------------------------------


def test_one_session_is_kept_and_only_reads(database: Database) -> None:
    history(database, 7)
    live(database, END)
    exposition = Exposition(database.settings)
    sessions = (
        "select pid from pg_stat_activity where application_name = 'consumer-analytics metrics' "
        "and datname = current_database()"
    )
    before = database.rows("select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables")
    exposition.text()
    ((pid,),) = database.rows(sessions)
    threads = [threading.Thread(target=exposition.text) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.rows(sessions) == [(pid,)]
    # Killed by somebody, the next scrape but one has a new one.
    database.execute("select pg_terminate_backend(%s)", [pid])
    assert "consumer_analytics_scrape_success 0.0" in exposition.text()[0].decode()
    assert "consumer_analytics_scrape_success 1.0" in exposition.text()[0].decode()
    assert database.rows(sessions) != [(pid,)]
    exposition.close()
    assert (
        database.rows("select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables")
        == before
    )


def test_a_scrape_ends_in_time_and_says_that_it_read_nothing(database: Database) -> None:
    history(database, 8)
    live(database, END)
    with crashes.locked(database, "etl_job_watermarks", "access exclusive"):
        began = time.monotonic()
        found = scrape(database, metrics_timeout=0.5)
        assert time.monotonic() - began < 10
    assert found("scrape_success") == 0
    assert found("scrape_duration_seconds") >= 0.5  # type: ignore[operator]
    # Nothing that might pass for a figure.
    assert {name for name, _ in found.values} == {
        "build_info",
        "scrape_success",
        "scrape_duration_seconds",
    }


def test_a_scrape_holds_no_run_back(database: Database) -> None:
    history(database, 9)
    exposition = Exposition(database.settings)
    exposition.text()
    assert live(database, None)["held_back_by"] == []
    exposition.close()


def test_an_old_schema_is_told(new_database: Any) -> None:
    found = scrape(new_database(migrated=False))
    assert found("scrape_success") == 0


# -- the command -------------------------------------------------------------------


@contextmanager
def serving(database: Database, **environment: str) -> Iterator[httpx.Client]:
    """Serve the metrics by the real command; a client of it."""
    process = subprocess.Popen(
        [str(COMMAND), "metrics", "--serve", "--port", "0"],
        env=command_environment(
            {f"{PREFIX}DATABASE_URL": database.url, "PYTHONUNBUFFERED": "1", **environment}
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told.startswith("metrics  http://127.0.0.1:"), told
        with httpx.Client(base_url=told.split()[1], trust_env=False, timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.long
def test_served_with_a_token_it_answers_nobody_else(database: Database, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    with serving(database, **{f"{PREFIX}METRICS_TOKEN_FILE": str(token)}) as client:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic s3cret"},
            {"Authorization": "s3cret"},
        ):
            refused = client.get("", headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "consumer_analytics_" not in refused.text
        found = client.get("", headers={"Authorization": "Bearer s3cret"})
        assert found.status_code == 200
        assert found.headers["content-type"].startswith("text/plain; version=")
        assert Scraped(found.text)("scrape_success") == 1


def test_served_without_a_token_it_answers_to_its_own_names(database: Database) -> None:
    named = {f"{PREFIX}METRICS_HOSTS": "metrics.example.com, other.example.com"}
    with serving(database, **named) as client:
        for host in (
            "127.0.0.1:1",
            "localhost",
            "[::1]",
            "metrics.example.com",
            "other.example.com",
        ):
            assert client.get("", headers={"Host": host}).status_code == 200, host
        for host in ("rebound.example.com", "127.0.0.1.example.com", "a.metrics.example.com"):
            refused = client.get("", headers={"Host": host})
            assert refused.status_code == 400, host
            assert "consumer_analytics_" not in refused.text


def test_served_it_speaks_openmetrics_and_nothing_but_metrics(database: Database) -> None:
    with serving(database) as client:
        found = client.get("", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert found.headers["content-type"].startswith("application/openmetrics-text")
        assert found.text.endswith("# EOF\n")
        assert client.get(str(client.base_url.copy_with(path="/"))).status_code == 404


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    lanes.first(
        5,
        [
            (("--serve", "--host", "0.0.0.0"), {}, "others can reach 0.0.0.0"),
            (("--serve", "--host", "::"), {}, "others can reach ::"),
            (("--serve",), {"METRICS_HOST": "0.0.0.0"}, "others can reach 0.0.0.0"),
            (("--serve", "--host", "192.0.2.1"), {}, "'192.0.2.1' is no address of this machine; "),
            (
                ("--serve",),
                {"METRICS_TOKEN_FILE": "/nonexistent"},
                "METRICS_TOKEN_FILE: No such file",
            ),
            (("--serve",), {"METRICS_TOKEN_FILE": "/dev/null"}, "has no token in it"),
            (("--port", "80"), {}, "--host and --port go with --serve"),
            (("--serve", "--rules"), {}, "give one of --serve, --rules, --dashboard"),
            ((), {"METRICS_CONSUMERS": "-1"}, "METRICS_CONSUMERS"),
        ],
    ),
)
def test_what_cannot_be_served_is_refused_in_a_line(
    cli: Cli, arguments: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    refused = cli(
        "metrics", *arguments, env={f"{PREFIX}{name}": value for name, value in environment.items()}
    )
    assert refused.exit_code == 2, refused.stdout
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_printed_they_pass_prometheus_own_check(database: Database, cli: Cli) -> None:
    history(database, 10)
    live(database, END)
    fill(database)
    printed = cli("metrics")
    assert printed.exit_code == 0, printed.stderr
    checked = subprocess.run(
        [require("promtool"), "check", "metrics"],
        input=printed.stdout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    names = {name for name, _ in parsed(printed.stdout)}
    assert {f"consumer_analytics_{name}" for name in names} <= series()


def test_where_they_cannot_be_read_the_command_fails(cli: Cli) -> None:
    failed = cli(
        "metrics", env={f"{PREFIX}DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    )
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: metrics cannot be read: the database cannot be reached")
    assert failed.stderr.count("\n") == 1
    assert Scraped(failed.stdout)("scrape_success") == 0


def test_a_login_without_rights_is_told_which_it_needs(cli: Cli, database: Any) -> None:
    if database.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    made = Roles(database)
    try:
        failed = cli("metrics", env={f"{PREFIX}DATABASE_URL": made.login()})
    finally:
        made.clean()
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: metrics cannot be read: permission denied for ")
    assert failed.stderr.endswith(
        f"; let {PREFIX}DATABASE_URL name a login in the etl role, which `consumer-analytics roles`"
        " makes\n"
    )
    assert Scraped(failed.stdout)("scrape_success") == 0
