"""Modules that the scheduler imports once, so that no task has to.

The LocalExecutor's workers, and each task's own process, are forks of the
scheduler: what it has imported they have. That takes a third off a DAG run's
time.
"""

from __future__ import annotations

import contextlib
import importlib

from consumer_analytics import sql
from consumer_analytics.airflow.processes import is_scheduler
from consumer_analytics.db import schema

MODULES = (
    "airflow.dag_processing.bundles.local",
    "airflow.dag_processing.dagbag",
    "airflow.providers.postgres.assets.postgres",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk.definitions.asset.metadata",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.version",
    # With the settings, and all that Airflow imports only when a DAG names it.
    "consumer_analytics.dags.consumer_analytics_etl",
    "consumer_analytics.orchestration.tasks",
    "jinja2.ext",
)


def preload() -> None:
    """Import what tasks need, where this process is the scheduler."""
    if not is_scheduler():
        return
    for module in MODULES:
        # Only a saving: a module that moved must not stop the scheduler.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    # With the plugins, which each task would look for among all that is installed.
    with contextlib.suppress(Exception):
        importlib.import_module("airflow.sdk.listener").get_listener_manager()
    sql.read_ahead()
    schema.migrations()
