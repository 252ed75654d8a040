"""The measures at the exact boundaries of their limits, and the cause of stale figures."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from tests.support import airflow_tables, lanes

from consumer_analytics.errors import BusyError, SourceError
from consumer_analytics.etl import run, watermark
from consumer_analytics.monitoring import health, incidents, monitor
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.observation import Observation
from consumer_analytics.reporting import freshness, ranges

MIDNIGHT = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
SECOND = dt.timedelta(seconds=1)
MICROSECOND = dt.timedelta(microseconds=1)


def read(database: Any, at: dt.datetime, **changes: Any) -> Health:
    with database.connect(writes_sources=False) as connection:
        return health.read(connection, database.settings.replaced(changes), now=at)


def ran(database: Any, at: dt.datetime) -> dict[str, Any]:
    """Do a real run for an instant."""
    with database.connect("run", writes_sources=False) as connection:
        return run.run(connection, database.settings, at=at).as_json()


def add_events(database: Any, at: dt.datetime, count: int) -> None:
    database.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "select gen_random_uuid(), 'login', %s from generate_series(1, %s)",
        [at, count],
    )


@pytest.fixture
def caught_up(database: Any) -> Any:
    """Return a database whose figures reach midnight."""
    ran(database, MIDNIGHT)
    return database


@pytest.fixture
def with_airflow(caught_up: Any) -> Any:
    caught_up.prepared("with Airflow", lambda: airflow_tables.create(caught_up))
    return caught_up


# -- limits --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behind", "state"),
    [
        (dt.timedelta(0), "normal"),
        (HOUR - MICROSECOND, "normal"),
        (HOUR, "warning"),
        (6 * HOUR, "warning"),
        (6 * HOUR + MICROSECOND, "critical"),
    ],
)
def test_watermark_lag(caught_up: Any, behind: dt.timedelta, state: str) -> None:
    found = read(caught_up, MIDNIGHT + DAY + behind).measure("watermark_lag")
    assert (found.value, found.state) == (behind.total_seconds(), state)
    assert found.raw == {"watermark_age_seconds": (DAY + behind).total_seconds()}


@pytest.mark.parametrize(
    ("count", "state"), [(0, "normal"), (1, "warning"), (100, "warning"), (101, "critical")]
)
def test_pending_events(caught_up: Any, count: int, state: str) -> None:
    add_events(caught_up, MIDNIGHT, count)
    add_events(caught_up, MIDNIGHT + DAY, 7)  # for the next instant
    found = read(caught_up, MIDNIGHT + DAY + HOUR).measure("pending_events")
    assert (found.value, found.state) == (count, state)
    assert found.raw == {"backlog_events": count + 7}


@pytest.mark.parametrize(
    ("seconds", "state"),
    lanes.first(
        1,
        [
            (15.000001, "critical"),
            (4.999999, "normal"),
            (5.0, "warning"),
            (15.0, "warning"),
        ],
    ),
)
def test_dag_runtime(with_airflow: Any, seconds: float, state: str) -> None:
    airflow_tables.add_run(with_airflow, MIDNIGHT - DAY, seconds=900)
    airflow_tables.add_run(with_airflow, MIDNIGHT, seconds=seconds)
    airflow_tables.add_run(
        with_airflow, MIDNIGHT + SECOND, seconds=4000, triggered_by="TEST"
    )  # `airflow dags test`
    airflow_tables.add_run(with_airflow, MIDNIGHT + 2 * SECOND, state="running", seconds=None)
    airflow_tables.add_run(with_airflow, MIDNIGHT + 3 * SECOND, seconds=99, dag_id="another")
    found = read(with_airflow, MIDNIGHT + HOUR).measure("dag_runtime")
    assert (found.value, found.state, found.source) == (seconds, state, "airflow")


@pytest.mark.parametrize(
    ("seconds", "at", "words"),
    [
        (2.0, MIDNIGHT + HOUR, "the figures reach"),
        (17.6, MIDNIGHT + HOUR, "DAG runtime 17.6 s; the figures reach"),
        (17.6, MIDNIGHT + DAY + 7 * HOUR, "; DAG runtime 17.6 s"),
    ],
    ids=["normal", "slow", "slow and behind"],
)
def test_why_names_what_the_state_comes_of(
    with_airflow: Any, seconds: float, at: dt.datetime, words: str
) -> None:
    """Fresh figures alone do not tell why health is critical."""
    airflow_tables.add_run(with_airflow, MIDNIGHT, seconds=seconds)
    found = read(with_airflow, at)
    assert found.why.startswith(words) or (words[0] == ";" and found.why.endswith(words))
    assert found.cause.text in found.why


def test_a_run_that_fails_before_it_opens_is_a_failed_run(caught_up: Any) -> None:
    """It was in no record: health counted none, and the next run took the error with it."""
    caught_up.execute("alter table customer_events rename created_at to stamped")
    with pytest.raises(SourceError):
        ran(caught_up, MIDNIGHT + DAY)
    caught_up.execute("alter table customer_events rename stamped to created_at")
    ran(caught_up, MIDNIGHT + DAY)
    now = caught_up.rows("select clock_timestamp()")[0][0]
    found = read(caught_up, now).measure("failed_runs")
    assert (found.value, found.state) == (1, "warning")
    assert "customer_events has no column created_at" in (found.cause or "")
    with caught_up.connect(writes_sources=False) as connection:
        shown = freshness.read(connection, ranges.parse("all"))
    (failed,) = shown.failed
    assert (failed.source, failed.requested_at) == ("cli_etl", MIDNIGHT + DAY)
    assert failed.error_type == "SourceError"


def test_a_run_that_gives_up_its_turn_before_it_opens_has_not_failed(caught_up: Any) -> None:
    with caught_up.connect("other run") as other, other.transaction():
        other.execute("select from etl_job_watermarks for update")
        with caught_up.connect("run", writes_sources=False) as connection:
            settings = caught_up.settings.replaced({"lock_wait": 0.2})
            with pytest.raises(BusyError):
                run.run(connection, settings, at=MIDNIGHT + DAY)
    states = caught_up.rows("select state from consumer_analytics_internal.runs")
    assert states == [("success",)]


@pytest.mark.parametrize(("count", "state"), [(0, "normal"), (1, "warning"), (2, "critical")])
def test_failed_runs(with_airflow: Any, count: int, state: str) -> None:
    at = MIDNIGHT + 12 * HOUR
    airflow_tables.add_run(with_airflow, MIDNIGHT, seconds=1)
    # A day ago to the microsecond is not within 24 hours any more.
    airflow_tables.add_run(with_airflow, at - DAY - SECOND, state="failed", seconds=1)
    for number in range(count):
        begun = at - DAY - SECOND + (number + 1) * MICROSECOND
        airflow_tables.add_run(with_airflow, begun, state="failed", seconds=1)
    found = read(with_airflow, at).measure("failed_runs")
    assert (found.value, found.state, found.source) == (count, state, "airflow")


def test_the_guides_query_tells_a_dags_runs(with_airflow: Any) -> None:
    for number, seconds in enumerate((12.5, 3)):
        airflow_tables.add_run(with_airflow, MIDNIGHT + number * HOUR, seconds=seconds)
    airflow_tables.add_run(with_airflow, MIDNIGHT + 2 * HOUR, dag_id="another")
    with with_airflow.connect() as connection:
        # So `up` leaves it to the logins of its server.
        connection.execute("set search_path = public, airflow")
        found = connection.execute(
            "SELECT dag_id, run_id, state, start_date, end_date, "
            "EXTRACT(EPOCH FROM (end_date - start_date)) AS duration_seconds "
            "FROM dag_run WHERE dag_id = 'consumer_analytics_etl' ORDER BY start_date DESC LIMIT 10"
        ).fetchall()
    assert [(row[0], row[2], row[3], row[5]) for row in found] == [
        ("consumer_analytics_etl", "success", MIDNIGHT + HOUR, 3),
        ("consumer_analytics_etl", "success", MIDNIGHT, 12.5),
    ]


def test_limits_are_settings_and_shown_as_the_guide_has_them(caught_up: Any) -> None:
    shown = {one.name: one.limits for one in read(caught_up, MIDNIGHT + HOUR).measures}
    assert shown == {
        "dag_runtime": {"normal": "< 5 s", "warning": "5-15 s", "critical": "> 15 s"},
        "failed_runs": {"normal": "0", "warning": "1", "critical": ">= 2"},
        "watermark_lag": {"normal": "< 1 h", "warning": "1-6 h", "critical": "> 6 h"},
        "pending_events": {"normal": "0", "warning": "1-100", "critical": "> 100"},
    }
    add_events(caught_up, MIDNIGHT, 5)
    at = MIDNIGHT + DAY + 2 * HOUR
    changes = {"pending_warning": 6, "lag_warning": 7200.0 + 1, "lag_critical": 9000.0}
    assert read(caught_up, at).state == "warning"
    assert read(caught_up, at, **changes).state == "normal"


# -- what is due -----------------------------------------------------------------


def test_a_daily_job_at_noon_that_ran_at_midnight_has_no_lag(caught_up: Any) -> None:
    add_events(caught_up, MIDNIGHT + HOUR, 500)
    found = read(caught_up, MIDNIGHT + 12 * HOUR)
    assert (found.state, found.measure("watermark_lag").value) == ("normal", 0)
    assert found.measure("pending_events").value == 0
    assert (found.due, found.next_due) == (MIDNIGHT, MIDNIGHT + DAY)
    assert (found.watermark_age_seconds, found.backlog_events) == (12 * 3600, 500)


def test_a_lag_goes_on_growing_when_the_next_instant_is_missed_too(caught_up: Any) -> None:
    found = read(caught_up, MIDNIGHT + 3 * DAY + HOUR)
    assert found.measure("watermark_lag").value == (2 * DAY + HOUR).total_seconds()


def test_midnight_is_the_zones_own(database: Any) -> None:
    """The night in which Berlin's clocks go back is an hour longer."""
    zone = {"timezone": "Europe/Berlin"}
    before = dt.datetime(2025, 10, 26, tzinfo=ZoneInfo("Europe/Berlin"))
    ran(database, before.astimezone(dt.UTC))
    due = dt.datetime(2025, 10, 26, 23, tzinfo=dt.UTC)  # 25 hours later
    assert read(database, due - SECOND, **zone).measure("watermark_lag").value == 0
    assert read(database, due + HOUR, **zone).measure("watermark_lag").value == 3600


def test_events_of_the_last_instant_have_the_runs_deadline_to_be_processed(caught_up: Any) -> None:
    add_events(caught_up, MIDNIGHT, 500)
    due = MIDNIGHT + DAY
    late = read(caught_up, due + dt.timedelta(minutes=10))
    pending = late.measure("pending_events")
    assert (pending.value, pending.state, late.state) == (500, "normal", "normal")
    assert pending.cause is not None
    assert "it has until 2025-03-06 00:11:00" in pending.cause
    assert read(caught_up, due + dt.timedelta(minutes=11)).state == "critical"


def test_nothing_is_due_before_there_was_anything_to_run(database: Any) -> None:
    with database.connect() as connection:
        now = connection.execute("select clock_timestamp()").fetchone()[0]
    found = read(database, now)
    assert found.state == "normal"
    assert found.cause.kind == "not_due"
    assert found.measure("dag_runtime").value is None
    later = read(database, now + 2 * DAY)
    assert later.cause.kind == "not_run"
    assert later.state == "critical"


# -- causes ------------------------------------------------------------------------


def test_nothing_to_process(caught_up: Any) -> None:
    assert read(caught_up, MIDNIGHT + HOUR).cause.kind == "nothing_to_process"
    add_events(caught_up, MIDNIGHT, 1)
    ran(caught_up, MIDNIGHT + DAY)
    assert read(caught_up, MIDNIGHT + DAY).cause.kind == "on_time"


def test_not_run(caught_up: Any) -> None:
    found = read(caught_up, MIDNIGHT + DAY + 2 * HOUR)
    assert found.cause.kind == "not_run"
    assert "the run of 2025-03-06 00:00:00 UTC has not happened" in found.cause.text
    assert found.measure("watermark_lag").cause == found.cause.text


def test_not_run_because_paused(with_airflow: Any) -> None:
    airflow_tables.add_run(with_airflow, MIDNIGHT)
    with_airflow.execute("update airflow.dag set is_paused = true")
    found = read(with_airflow, MIDNIGHT + DAY + 2 * HOUR)
    assert found.cause.kind == "not_run"
    assert "is paused" in found.cause.text


def test_running_late(with_airflow: Any) -> None:
    airflow_tables.add_run(with_airflow, MIDNIGHT + DAY, state="running", seconds=None)
    found = read(with_airflow, MIDNIGHT + DAY + 2 * HOUR)
    assert found.cause.kind == "running_late"
    assert "is running since 2025-03-06 00:00:00 UTC, for 2 h" in found.cause.text


def test_failed(caught_up: Any) -> None:
    caught_up.execute("alter table customer_events drop column payload_json")
    with pytest.raises(SourceError):
        ran(caught_up, MIDNIGHT + DAY)
    found = read(caught_up, MIDNIGHT + DAY + 2 * HOUR)
    assert found.cause.kind == "failed"
    assert "SourceError: " in found.cause.text
    assert "payload_json" in found.cause.text


def test_killed(caught_up: Any) -> None:
    with caught_up.connect("run", writes_sources=False) as connection:
        run.open_run(connection, caught_up.settings, at=MIDNIGHT + DAY)
    caught_up.execute(
        "update consumer_analytics_internal.runs set opened_at = %s where state = 'open'",
        [MIDNIGHT + DAY],
    )
    assert read(caught_up, MIDNIGHT + DAY + SECOND).cause.kind == "running_late"
    found = read(caught_up, MIDNIGHT + DAY + HOUR)
    assert found.cause.kind == "failed"
    assert "never ended: it was killed" in found.cause.text


def test_held_back_by_whom(caught_up: Any) -> None:
    impatient = replace(caught_up, settings=caught_up.settings.replaced({"holdback_wait": 0.0}))
    with psycopg.connect(caught_up.url, application_name="nightly export") as other:
        other.execute("select 1")
        ((at,),) = caught_up.rows("select clock_timestamp()")
        pid = other.info.backend_pid
        ran(impatient, at)
        due = at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        # As if the run had been that of the next midnight.
        caught_up.execute(
            "update consumer_analytics_internal.runs set requested_at = %s where requested_at = %s",
            [due, at],
        )
        found = read(caught_up, due + 2 * HOUR)
        assert found.cause.kind == "held_back"
        assert f"held back by pid {pid} (nightly export" in found.cause.text
        assert "end it, then run again" in found.cause.text
        assert [(one["pid"], one["open"]) for one in found.cause.holders] == [(pid, True)]
    found = read(caught_up, due + 2 * HOUR)
    assert found.cause.kind == "held_back"
    assert "has ended since" in found.cause.text


@pytest.mark.parametrize("to", ["2099-01-01", "2025-03-06", "2025-03-06 01:30"])
def test_a_watermark_set_beyond_what_is_processed_hides_no_lag(caught_up: Any, to: str) -> None:
    """Of the future or not: what is processed is held against what was due."""
    at = MIDNIGHT + DAY
    add_events(caught_up, at - HOUR, 3)
    caught_up.execute(
        "update etl_job_watermarks set last_processed_timestamp = %s::timestamp at time zone 'UTC'",
        [to],
    )
    found = read(caught_up, at + 2 * HOUR)
    assert found.cause.kind == "not_run"
    assert found.measure("watermark_lag").value == 7200
    assert found.measure("pending_events").value == 3
    assert (found.watermark, found.backlog_events) == (MIDNIGHT, 3)
    assert found.cause.text.startswith("the run of 2025-03-06 00:00:00 UTC has not happened; ")
    assert f"was set by hand to {to}" in found.cause.text
    assert "only what is before 2025-03-05 00:00:00 UTC is processed" in found.cause.text
    assert "\n" not in found.cause.text


def test_the_monitor_tells_of_one_set_ahead_and_gives_no_sign_of_life(
    caught_up: Any, tmp_path: Path
) -> None:
    at = MIDNIGHT + DAY
    add_events(caught_up, at - HOUR, 3)
    caught_up.execute("update etl_job_watermarks set last_processed_timestamp = %s", [at])
    settings = caught_up.settings.replaced({"heartbeat_file": tmp_path / "beat"})
    with caught_up.connect("monitor", writes_sources=False) as connection:
        done = monitor.watch(connection, settings, now=at + 7 * HOUR)
        (incident,) = incidents.open_incidents(connection)
    assert (done.health.state, done.beaten) == ("critical", False)
    assert "the watermark was set by hand to 2025-03-06 00:00:00 UTC, but" in incident.cause
    assert incident.symptoms.keys() == {"watermark_lag", "pending_events"}


def test_the_guides_own_sql_does_not_start_the_clock_again(caught_up: Any) -> None:
    at = MIDNIGHT + DAY + 2 * HOUR
    caught_up.execute(
        "UPDATE etl_job_watermarks SET last_processed_timestamp = '2025-03-06 00:00:00', "
        "last_run_status = 'pending', metadata_json = "
        "jsonb_build_object('manual_override', true, 'override_at', %s::timestamptz) "
        "WHERE job_name = 'consumer_analytics_daily'",
        [at],
    )
    found = read(caught_up, at)
    assert found.measure("watermark_lag").value == 7200
    assert "by hand at 2025-03-06 02:00:00 UTC (SQL) to 2025-03-06 00:00:00 UTC" in found.cause.text


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "soon", "9999-12-31T23:00:00-12:00"])
def test_who_set_it_by_hand_may_have_written_anything(caught_up: Any, at: str) -> None:
    caught_up.execute(
        "update etl_job_watermarks set last_processed_timestamp = '2099-01-01', "
        "last_run_status = 'pending', metadata_json = jsonb_build_object("
        "'override_at', %s::text, 'reset_at', '2025-03-05T12:00:00Z', 'override_by', %s::text)",
        [at, "me\nhealth     normal"],
    )
    found = read(caught_up, MIDNIGHT + DAY + HOUR)
    assert found.measure("watermark_lag").value == 3600
    assert "by hand at 2025-03-05 12:00:00 UTC (me health normal) to 2099-01-01" in found.cause.text


def test_one_set_ahead_is_told_of_where_nothing_is_late(caught_up: Any) -> None:
    caught_up.execute(
        "update etl_job_watermarks set last_processed_timestamp = %s", [MIDNIGHT + HOUR]
    )
    found = read(caught_up, MIDNIGHT + 2 * HOUR)
    assert (found.state, found.measure("watermark_lag").value) == ("normal", 0)
    assert found.cause.text.startswith("the figures reach 2025-03-05 00:00:00 UTC as they should; ")
    assert "was set by hand to 2025-03-05 01:00:00 UTC, but only" in found.cause.text


def test_one_set_ahead_before_the_first_run(database: Any) -> None:
    installed = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
    database.execute(
        "update consumer_analytics_internal.alembic_version set installed_at = %s", [installed]
    )
    database.execute("update etl_job_watermarks set last_processed_timestamp = '2025-03-05'")
    found = read(database, MIDNIGHT + HOUR)
    assert found.due == MIDNIGHT
    assert found.measure("watermark_lag").value == (4 * DAY - 23 * HOUR).total_seconds()
    assert "but nothing is processed yet" in found.cause.text


def test_a_run_of_the_past_charts_no_watermark_that_was_set_ahead(caught_up: Any) -> None:
    caught_up.execute("update etl_job_watermarks set last_processed_timestamp = '2099-01-01'")
    ran(caught_up, MIDNIGHT)
    with caught_up.connect(writes_sources=False) as connection:
        found = freshness.read(connection, ranges.parse("all"))
    assert [one.watermark for one in found.reached] == [MIDNIGHT, MIDNIGHT]
    assert found.watermark == MIDNIGHT


def test_a_reset_counts_from_the_reset(caught_up: Any) -> None:
    at = MIDNIGHT + 12 * HOUR
    caught_up.execute(
        "UPDATE etl_job_watermarks SET last_processed_timestamp = '1970-01-01 00:00:00', "
        "last_run_status = 'pending', metadata_json = "
        "jsonb_build_object('reset_reason', 'manual_reset', 'reset_at', %s::timestamptz) "
        "WHERE job_name = 'consumer_analytics_daily'",
        [at],
    )
    found = read(caught_up, at + 2 * HOUR)
    assert found.measure("watermark_lag").value == 7200
    assert found.cause.kind == "not_run"
    assert "set by hand at 2025-03-05 12:00:00 UTC (manual_reset)" in found.cause.text


def test_a_reset_of_what_was_behind_does_not_start_the_clock_again(caught_up: Any) -> None:
    at = MIDNIGHT + DAY + 2 * HOUR
    caught_up.execute(
        "update etl_job_watermarks set last_processed_timestamp = '1970-01-01', "
        "last_run_status = 'pending', "
        "metadata_json = jsonb_build_object('reset_at', %s::timestamptz)",
        [at],
    )
    found = read(caught_up, at)
    assert found.measure("watermark_lag").value == 7200
    assert "set by hand at 2025-03-06 02:00:00 UTC" in found.cause.text


def test_airflows_tables_that_cannot_be_read_are_named(with_airflow: Any) -> None:
    login = with_airflow.rows("select current_user")[0][0]
    with with_airflow.connect_admin() as connection:
        connection.execute("alter schema airflow owner to current_user")
    found = read(with_airflow, MIDNIGHT + HOUR)
    for name in ("dag_runtime", "failed_runs"):
        measure = found.measure(name)
        assert (measure.value, measure.state) == (None, "unknown")
        assert f"login {login} may not read Airflow's tables" in (measure.cause or "")
    assert found.measure("watermark_lag").state == "normal"
    assert found.state == "unknown"


def test_the_how_to_grants_what_reading_airflow_takes_and_no_secrets(with_airflow: Any) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "serve.md"
    grants = re.findall(r"GRANT [^;`]*airflow[^;`]*TO dashboard_login;", page.read_text("utf-8"))
    assert len(grants) == 2
    login = with_airflow.rows("select current_user")[0][0]
    with with_airflow.connect_admin() as connection:
        connection.execute("alter schema airflow owner to current_user")
        tables = "select tablename from pg_tables where schemaname = 'airflow'"
        for (table,) in connection.execute(tables).fetchall():
            connection.execute(f'alter table airflow."{table}" owner to current_user')
        assert read(with_airflow, MIDNIGHT + HOUR).measure("failed_runs").state == "unknown"
        for grant in grants:
            connection.execute(grant.replace("dashboard_login", f'"{login}"'))
    assert read(with_airflow, MIDNIGHT + HOUR).measure("failed_runs").state == "normal"
    for secret in ("connection", "variable"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            with_airflow.rows(f"select * from airflow.{secret}")


def test_without_airflows_tables_the_engines_own_record_is_taken(caught_up: Any) -> None:
    caught_up.execute(
        "update consumer_analytics_internal.runs set opened_at = %s, finished_at = %s",
        [MIDNIGHT, MIDNIGHT + 15.5 * SECOND],
    )
    found = read(caught_up, MIDNIGHT + HOUR).measure("dag_runtime")
    assert (found.value, found.state, found.source) == (15.5, "critical", "runs")


def test_the_dashboard_times_runs_as_airflow_does_in_whichever_schema(with_airflow: Any) -> None:
    run_id = airflow_tables.add_run(with_airflow, MIDNIGHT, seconds=4.5)
    with with_airflow.connect_admin() as connection:
        connection.execute("alter schema airflow rename to elsewhere")
    with with_airflow.connect() as connection:
        found = freshness.read(connection, ranges.parse("all"))
        seen = Observation.take(connection, with_airflow.settings, MIDNIGHT + HOUR)
        assert seen.airflow.finished is not None
        assert seen.airflow.finished.run_id == run_id
        # What health saw is not looked for again, and is the same.
        assert freshness.read(connection, ranges.parse("all"), seen=seen).runs == found.runs
    assert found.timed_by == "airflow"
    assert [(one.run, one.state, one.seconds) for one in found.runs] == [(run_id, "success", 4.5)]


def test_it_writes_nothing(caught_up: Any) -> None:
    with caught_up.connect() as connection:
        connection.execute("set default_transaction_read_only = on")
        assert health.read(connection, caught_up.settings).at is not None
        assert watermark.read(connection).last_processed_timestamp == MIDNIGHT
