"""What Airflow calls the states of DAG runs and of tasks."""

from __future__ import annotations

QUEUED = "queued"
RUNNING = "running"
SUCCESS = "success"
FAILED = "failed"
#: Of a task alone: a try failed, and another one follows.
UP_FOR_RETRY = "up_for_retry"

#: The states of a DAG run that is over.
ENDED = frozenset({SUCCESS, FAILED})
