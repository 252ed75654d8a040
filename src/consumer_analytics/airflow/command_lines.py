"""Commands of Airflow's, as people are told to run them."""

from __future__ import annotations

import datetime as dt

#: Reads all DAG files again, and shows which DAGs there are.
RESERIALIZE = "airflow dags reserialize && airflow dags list"
#: Shows which DAG files cannot be read, and why.
LIST_IMPORT_ERRORS = "airflow dags list-import-errors"


def start(component: str) -> str:
    """Return what starts a component."""
    return f"airflow {component}"


def unpause(dag_id: str) -> str:
    """Return what lets a DAG run."""
    return f"airflow dags unpause {dag_id}"


def list_runs(dag_id: str) -> str:
    """Return what shows a DAG's runs."""
    return f"airflow dags list-runs {dag_id}"


def clear_failed(dag_id: str, at: dt.datetime | None = None) -> str:
    """Return what runs failed tasks again, also where that cannot be done yet.

    Airflow 3.3.2 clears no run whose deadline is still to come: it ends in a TypeError. So it is
    tried until that has passed.

    Args:
        dag_id: of which DAG.
        at: of the run with this logical date alone, not of every one that ever failed.
    """
    if at is None:
        return _until_it_can(f"airflow tasks clear --only-failed --yes {dag_id}")
    only = at.isoformat()
    return _until_it_can(f"airflow tasks clear {dag_id} --only-failed --yes -s {only} -e {only}")


def _until_it_can(command: str) -> str:
    return f"until {command}; do sleep 20; done"
