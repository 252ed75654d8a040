"""Logs of tasks, as Airflow lays them out on disk."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path


def folder(airflow_home: Path) -> Path:
    """Return the log folder of an AIRFLOW_HOME that we have set up."""
    return airflow_home / "logs"


def latest(logs: Path, dag_id: str, run_id: str, task_id: str) -> Path | None:
    """Return the log of a task's latest try; None where it has not begun.

    Args:
        logs: Airflow's log folder.
        dag_id: the DAG.
        run_id: its run.
        task_id: the task.
    """
    tries = logs / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
    return max(tries.glob("attempt=*.log"), key=lambda log: log.stat().st_mtime, default=None)


def first_error(log: Path) -> str:
    """Return the first error in a task's log, which is one JSON document per line."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, AttributeError):
            entry = json.loads(line)
            if entry.get("level") in ("error", "critical"):
                return " ".join(str(entry.get("event")).split())
    return "a task failed"
