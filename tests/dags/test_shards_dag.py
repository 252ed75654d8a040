"""The DAGs where several databases are the source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.shards.conftest import NAMES, Federation, federation
from tests.integration.shards.test_runs import B, add_event, fill

DAG_ID = "consumer_analytics_etl"
#: A fixture of another folder's.
__all__ = ["federation"]


def test_no_list_of_shards_is_read_while_the_file_is_parsed(parse: Callable[..., Any]) -> None:
    bag = parse(home="/nonexistent", shards_file="/nonexistent/shards.toml")
    assert bag.import_errors == {}
    assert {task.task_id: task.upstream_task_ids for task in bag.dags[DAG_ID].tasks} == {
        "settle_shards": set(),
        "load_shard": {"settle_shards"},
        "load_consumer_analytics": {"load_shard"},
    }


@pytest.fixture
def run_dag(
    federation: Federation,
    airflow_database: None,  # noqa: ARG001
    parse: Callable[..., Any],
) -> Callable[..., Any]:
    """Return a function that runs a DAG over the shards."""

    def run(dag_id: str, logical_date: dt.datetime | None, **conf: Any) -> Any:
        bag = parse(
            database_url=federation.analytics.url,
            shards_file=str(federation.file),
            retries="0",
            deadline="0",
        )
        return bag.dags[dag_id].test(logical_date=logical_date, run_conf=conf or None)

    return run


def test_a_task_for_each_shard_and_names_alone_between_them(
    federation: Federation,
    run_dag: Callable[..., Any],
) -> None:
    fill(federation)
    for day in (2, 3):
        at = dt.datetime(2025, 1, day, tzinfo=dt.UTC)
        done = run_dag(DAG_ID, at)
        assert done.state == "success"
    instances = done.get_task_instances()
    assert sorted(
        (one.map_index, str(one.state)) for one in instances if one.task_id == "load_shard"
    ) == [(0, "success"), (1, "success"), (2, "success")]
    handed_over = {
        one.task_id: value
        for one in instances
        if (value := one.xcom_pull(one.task_id, map_indexes=one.map_index)) is not None
    }
    assert handed_over == {"settle_shards": list(NAMES)}
    federation.replay()
    told = {key: text.replace("airflow_etl", "cli_etl") for key, text in _documents(federation)}
    assert told == dict(_documents(federation, alone=True))


@pytest.mark.long
def test_what_is_cleared_swept_or_backfilled_is_published(
    federation: Federation,
    run_dag: Callable[..., Any],
) -> None:
    """Cleared, it publishes the same; the sweep publishes what has come late."""
    fill(federation)
    for day in (2, 3):
        run_dag(DAG_ID, dt.datetime(2025, 1, day, tzinfo=dt.UTC))
    told = {key: text.replace("airflow_etl", "cli_etl") for key, text in _documents(federation)}
    run_dag(DAG_ID, dt.datetime(2025, 1, 3, tzinfo=dt.UTC))
    again = {key: text.replace("airflow_etl", "cli_etl") for key, text in _documents(federation)}
    assert again == told
    add_event(federation.shards["west"], B, "2025-01-02 12:00", "late")
    assert run_dag("consumer_analytics_sweep", None).state == "success"
    assert federation.analytics.rows("select count(*) from consumer_analytics_revisions") == [(2,)]
    ranged = {"start_date": "2025-01-01", "end_date": "2025-01-06", "interval": "daily"}
    assert run_dag("consumer_analytics_backfill", None, **ranged).state == "success"
    assert [at.day for at in federation.instants()] == [2, 3, 4, 5, 6]


@pytest.mark.long
def test_a_shard_that_is_down_fails_its_task_and_nothing_is_published(
    federation: Federation,
    run_dag: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from consumer_analytics.shards import runs

    fill(federation)
    run_dag(DAG_ID, dt.datetime(2025, 1, 2, tzinfo=dt.UTC))
    urls = {name: shard.url for name, shard in federation.shards.items()}
    settle = runs.settle

    def then_north_goes(*arguments: Any, **named: Any) -> list[str]:
        names = settle(*arguments, **named)
        federation.write_file({**urls, "north": "postgresql://nobody@127.0.0.1:1/none"})
        return names

    with monkeypatch.context() as patch:
        patch.setattr(runs, "settle", then_north_goes)
        failed = run_dag(DAG_ID, dt.datetime(2025, 1, 3, tzinfo=dt.UTC))
    assert failed.state == "failed"
    assert {
        (one.task_id, one.map_index): str(one.state) for one in failed.get_task_instances()
    } == {
        ("settle_shards", -1): "success",
        ("load_shard", 0): "success",
        ("load_shard", 1): "success",
        ("load_shard", 2): "failed",
        ("load_consumer_analytics", -1): "upstream_failed",
    }
    ((status, told),) = federation.analytics.rows(
        "select last_run_status, metadata_json ->> 'error' from etl_job_watermarks"
    )
    assert status == "failed"
    assert told.startswith("shard north: the database cannot be reached")
    assert [at.day for at in federation.instants()] == [2]
    federation.write_file()
    run_dag(DAG_ID, dt.datetime(2025, 1, 4, tzinfo=dt.UTC))
    assert [at.day for at in federation.instants()] == [2, 3, 4]


def _documents(federation: Federation, *, alone: bool = False) -> list[tuple[Any, str]]:
    from tests.integration.shards.conftest import documents

    return list(documents(federation.alone if alone else federation.analytics).items())
