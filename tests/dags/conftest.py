"""A private Airflow on SQLite, in this process, that no scheduler serves."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import consumer_analytics
from consumer_analytics.settings import PREFIX, settings

DAGS = Path(consumer_analytics.__file__).with_name("dags")
DAG_ID = "consumer_analytics_etl"


@pytest.fixture
def fresh_settings() -> Iterator[None]:
    """Have settings read anew from the environment, and once more after the test."""
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def parse(
    fresh_settings: None,  # noqa: ARG001  (its teardown comes after ours)
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """Return a function that parses the DAGs as Airflow does, with these settings."""

    def parse(**changes: str) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        for name, value in changes.items():
            monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
        settings.cache_clear()
        return DagBag(str(DAGS))

    return parse


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make Airflow's tables in the session's private AIRFLOW_HOME."""
    from airflow.utils.db import initdb

    logging.getLogger("alembic").setLevel(logging.WARNING)
    initdb()


@pytest.fixture
def run_dag(
    database: Any,
    airflow_database: None,  # noqa: ARG001  (made before the first run)
    parse: Callable[..., Any],
) -> Callable[..., Any]:
    """Return a function that runs the DAG on the test's database: `run_dag(logical_date)`."""

    def run(logical_date: dt.datetime | None, **changes: str) -> Any:
        # A run in this process cannot end where its DAG has a deadline (Airflow 3.3).
        bag = parse(database_url=database.url, retries="0", deadline="0", **changes)
        return bag.dags[DAG_ID].test(logical_date=logical_date)

    return run
