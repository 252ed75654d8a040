"""The backfill DAG as Airflow reads it, and as Airflow runs it."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.support import lanes
from tests.support.history import random_history

from consumer_analytics.calendar.intervals import INTERVALS, Interval, days

DAG_ID = "consumer_analytics_backfill"
OCTOBER = {"start_date": "2025-10-01", "end_date": "2025-11-01", "interval": "daily"}


@pytest.fixture
def trigger(
    database: Any,
    airflow_database: None,  # noqa: ARG001  (made before the first run)
    parse: Callable[..., Any],
) -> Callable[[dict[str, Any]], Any]:
    """Return a function that runs the DAG with a conf, as `airflow dags trigger` hands it over."""

    def trigger(conf: dict[str, Any]) -> Any:
        bag = parse(database_url=database.url, retries="0")
        return bag.dags[DAG_ID].test(run_conf=conf)

    return trigger


def states(run: Any) -> dict[str, Any]:
    return {one.task_id: str(one.state) for one in run.get_task_instances()}


def test_is_triggered_only_and_has_a_form(parse: Callable[..., Any]) -> None:
    bag = parse(home="/nonexistent")
    assert bag.import_errors == {}
    dag = bag.dags[DAG_ID]
    assert dag.schedule is None
    assert dag.get_task("check_parameters").retries == 0
    schemas = {name: dag.params.get_param(name).schema for name in dag.params}
    assert schemas["start_date"]["format"] == schemas["end_date"]["format"] == "date"
    assert schemas["interval"]["enum"] == list(INTERVALS)
    assert dag.params["interval"] == "daily"
    assert "every day, week, month or hour" in str(dag.params.get_param("interval").description)


def test_another_interval_is_offered_by_the_form(
    parse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    another = Interval("fortnightly", "fortnight", days(14))
    monkeypatch.setitem(INTERVALS, another.name, another)
    form = parse(home="/nonexistent").dags[DAG_ID].params.get_param("interval")
    assert form.schema["enum"] == ["daily", "weekly", "monthly", "hourly", "fortnightly"]
    assert "every day, week, month, hour or fortnight" in str(form.description)


def test_the_guides_october(database: Any, trigger: Callable[..., Any]) -> None:
    begin = dt.datetime(2025, 9, 20, tzinfo=dt.UTC)
    with database.connect() as connection:
        random_history(connection, random.Random(1), begin, begin + dt.timedelta(days=45))
    run = trigger(OCTOBER)
    assert states(run) == {"check_parameters": "success", "write_snapshots": "success"}
    assert database.rows(
        "select metrics_json ->> 'snapshot_source', count(*), min(snapshot_timestamp), "
        "max(snapshot_timestamp) from consumer_analytics where consumer_id is null group by 1"
    ) == [
        (
            "airflow_backfill",
            31,
            dt.datetime(2025, 10, 2, tzinfo=dt.UTC),
            dt.datetime(2025, 11, 1, tzinfo=dt.UTC),
        )
    ]


@pytest.mark.parametrize(
    ("conf", "said"),
    lanes.first(
        1,
        [
            (OCTOBER | {"intervall": "daily"}, "parameter 'intervall' is unknown"),
            (OCTOBER | {"end_date": "2025-09-01"}, "is not after start_date"),
            (OCTOBER | {"end_date": "2099-01-01"}, "lies in the future"),
        ],
    ),
)
def test_bad_parameters_fail_the_first_task_with_a_sentence(
    database: Any,
    trigger: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    conf: dict[str, Any],
    said: str,
) -> None:
    with caplog.at_level("ERROR"):
        found = states(trigger(conf))
    assert found == {"check_parameters": "failed", "write_snapshots": "upstream_failed"}
    assert said in caplog.text
    assert database.rows("select count(*) from consumer_analytics_internal.backfills") == [(0,)]
