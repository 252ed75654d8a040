"""A DAG run on the Airflow of `make run`, beside an empty DAG of the same shape."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks.measure import BIN, Measured, environment
from benchmarks.results import Work, span
from consumer_analytics.airflow.api import AirflowApi
from consumer_analytics.local.embedded_postgres import EmbeddedPostgres

DAGS = {"consumer_analytics_etl": "ours", "empty_three_tasks": "empty DAG"}
_OURS, _EMPTY = DAGS
_READY = "Ctrl-C stops it"
_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
#: New rows for the next run to take in.
_NEW_EVENTS = """
insert into customer_events (event_id, customer_id, consumer_id, event_type)
select gen_random_uuid(), customer_id, consumer_id, 'login' from customers limit 200
"""
#: A task's share of its DAG run: how long it took from its start to its end.
_TASKS = """
select task_id, extract(epoch from end_date - start_date)
from airflow.task_instance where dag_id = %s and run_id = %s
"""


@contextmanager
def _up() -> Iterator[tuple[Path, int, dict[str, str]]]:
    """Start the whole system in a home of its own, with the empty DAG beside ours."""
    folder = Path(tempfile.mkdtemp(prefix="ca-benchmark-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    bundles = [
        {"name": "dags-folder", "classpath": _BUNDLE, "kwargs": {}},
        {
            "name": "benchmark",
            "classpath": _BUNDLE,
            "kwargs": {"path": str(Path(__file__).with_name("peers") / "airflow")},
        },
    ]
    variables = environment(
        {
            "CONSUMER_ANALYTICS_HOME": str(folder / "home"),
            "CONSUMER_ANALYTICS_AIRFLOW_PORT": str(port),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        }
    )
    told = folder / "up.log"
    with told.open("w") as output:
        process = subprocess.Popen(
            [BIN / "consumer-analytics", "up", "--no-sample"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while _READY not in told.read_text():
            if process.poll() is not None:
                raise RuntimeError(told.read_text())
            time.sleep(0.5)
        yield folder / "home", port, variables
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(90)
        shutil.rmtree(folder, ignore_errors=True)


def _run(api: AirflowApi, dag: str) -> tuple[str, float]:
    """Run a DAG; return its run and how long it took from its start to its end."""
    run = api.trigger(dag)
    while True:
        # Seldom, not to be a load.
        time.sleep(0.4)
        state, seconds = api.run_state(dag, run)
        if state == "failed":
            raise RuntimeError(f"the run {run} of {dag} failed")
        if state == "success" and seconds is not None:
            return run, seconds


def measure(work: Work, runs: int) -> None:
    """Run both DAGs in turn; note the medians and their ratio."""
    with _up() as (home, port, variables):
        subprocess.run(
            [
                BIN / "consumer-analytics", "simulate", "--consumers", "3", "--customers", "600",
                "--events", "20000", "--days", "60",
            ],
            env=variables,
            check=True,
            capture_output=True,
        )  # fmt: skip
        password = json.loads((home / "airflow" / "passwords.json").read_text())["admin"]
        database = psycopg.connect(EmbeddedPostgres(home / "postgres").url(), autocommit=True)
        with database, AirflowApi(f"http://127.0.0.1:{port}", "admin", password) as api:
            while not api.has_dag(_EMPTY):
                time.sleep(1)
            for dag in DAGS:
                api.unpause(dag)
                _run(api, dag)
            for number in range(1, 1 + runs):
                for dag in list(DAGS)[:: 1 if number % 2 else -1]:
                    database.execute(_NEW_EVENTS)
                    # Let the last run's processes end.
                    time.sleep(1)
                    run, seconds = _run(api, dag)
                    detail = {
                        name: round(float(took), 3)
                        for name, took in database.execute(_TASKS, [dag, run])
                    }
                    work.add(DAGS[dag], number, Measured(seconds, detail=detail))
    ours, empty = work.row(DAGS[_OURS]), work.row(DAGS[_EMPTY])
    if ours is not None and empty is not None:
        work.facts["ours / empty, medians"] = f"{ours.median / empty.median:.2f}"
        work.facts["of the runs in turn"] = (
            f"{statistics.median(ours.ratios(empty)):.2f} ({span(ours.ratios(empty))})"
        )
