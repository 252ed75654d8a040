"""Several databases, several workers: each shard's task runs on whichever, and is tried again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import Database
from tests.support import fleet, lanes
from tests.support.fleet import WORKERS, Fleet

from consumer_analytics.airflow import dag_ids
from consumer_analytics.db import locks, tags
from consumer_analytics.db.locks import Lock
from consumer_analytics.db.tags import Tag
from consumer_analytics.ingest import simulate
from consumer_analytics.settings import PREFIX

pytestmark = [pytest.mark.timeout(900), lanes.LONG]

UNTIL = dt.datetime(2025, 11, 1, tzinfo=dt.UTC)
SETTINGS = {"retries": 1, "retry_delay": 1, "monitor_schedule": "0 0 1 1 *"}


@pytest.fixture
def shards(new_database: Callable[..., Database]) -> dict[str, Database]:
    made = {"east": new_database(), "west": new_database()}
    for seed, shard in enumerate(made.values(), 1):
        plan = simulate.SimulationPlan(
            UNTIL, consumers=3, customers=150, events=3_000, days=60, seed=seed
        )
        with shard.connect() as connection:
            simulate.simulate(connection, shard.settings, plan)
    return made


@pytest.fixture
def workers(shards: dict[str, Database], tmp_path: Path) -> Iterator[Fleet]:
    file = tmp_path / "shards.toml"
    file.touch(mode=0o600)
    file.write_text("".join(f'[{name}]\nurl = "{one.url}"\n' for name, one in shards.items()))
    settings = {f"{PREFIX}{name.upper()}": str(value) for name, value in SETTINGS.items()}
    with fleet.running({**settings, f"{PREFIX}SHARDS_FILE": str(file)}) as made:
        yield made


def test_shards_are_loaded_by_all_workers_and_a_lost_one_is_made_good(
    workers: Fleet, shards: dict[str, Database]
) -> None:
    ran_on: dict[str, str] = {}
    with workers.api() as api:
        workers.wait(lambda: api.has_dag(dag_ids.ETL))
        api.unpause(dag_ids.ETL)
        # One that is done at once may take both.
        for _ in range(10):
            run_id = api.trigger(dag_ids.ETL)
            assert workers.finish(api, dag_ids.ETL, run_id) == "success", workers.evidence()
            ran_on = loaded_on(workers, run_id)
            if {*ran_on.values()} == {*WORKERS}:
                break
    assert (len(ran_on), {*ran_on.values()}) == (len(shards), {*WORKERS})
    handed_over = workers.ask(
        "select task_id, value #>> '{}' from xcom "
        "where run_id = %(run_id)s and key = 'return_value'",
        {"run_id": run_id},
    )
    assert [(task, json.loads(value)) for task, value in handed_over] == [
        (dag_ids.SETTLE_SHARDS, [*shards])
    ]
    told_as_the_shards_have(workers, shards)

    state = (
        "select state, hostname, try_number from task_instance where run_id = %(run_id)s "
        "and task_id = %(task)s and map_index = 1"
    )
    with shards["west"].connect() as other, workers.api() as api:
        # As a run of ours: no other one waits for its transaction to end.
        tags.put(other, Tag.READER)
        other.execute("begin")
        locks.take(other, Lock.JOB)
        run_id = api.trigger(dag_ids.ETL)
        of_west = {"run_id": run_id, "task": dag_ids.LOAD_SHARD}
        workers.wait(lambda: [one for one, _, _ in workers.ask(state, of_west)] == ["running"])
        ((_, lost, _),) = workers.ask(state, of_west)
        workers.lose(lost)
        other.execute("rollback")
        assert workers.finish(api, dag_ids.ETL, run_id) == "success", workers.evidence()
    ((_, host, tries),) = workers.ask(state, of_west)
    assert (tries, {lost, host}) == (2, {*WORKERS})
    told_as_the_shards_have(workers, shards)


def loaded_on(workers: Fleet, run_id: str) -> dict[str, str]:
    """Return the machine on which each of the mapped tasks ran."""
    return dict(
        workers.ask(
            "select map_index::text, hostname from task_instance "
            "where run_id = %(run_id)s and task_id = %(task)s",
            {"run_id": run_id, "task": dag_ids.LOAD_SHARD},
        )
    )


def told_as_the_shards_have(workers: Fleet, shards: dict[str, Database]) -> None:
    """Require that the last snapshot tells what all shards hold, and an audit that is clean."""
    held = [
        one.rows("select (select count(*) from customer_events), (select count(*) from customers)")
        for one in shards.values()
    ]
    ((events, customers),) = workers.ask(
        "select (metrics_json ->> 'total_events_all_consumers')::int, "
        "(metrics_json ->> 'total_customers_all_consumers')::int from consumer_analytics "
        "where consumer_id is null order by snapshot_timestamp desc limit 1"
    )
    assert events == sum(rows[0][0] for rows in held)
    assert customers == sum(rows[0][1] for rows in held)
    audited = workers.command("consumer-analytics", "audit")
    assert audited.count("nothing differs") == 1 + len(shards)
