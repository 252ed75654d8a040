"""What tasks need to know of the DAG run that they belong to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Protocol


class DagRun(Protocol):
    """A DAG run, as Airflow hands it to its tasks.

    Attributes:
        dag_id: its DAG.
        run_id: its name, the only one of that DAG.
        logical_date: the instant that it is for; None where it was triggered without one.
        run_after: when it was to begin.
    """

    dag_id: str
    run_id: str
    logical_date: dt.datetime | None
    run_after: dt.datetime


class TriggeredRun(DagRun, Protocol):
    """A DAG run that somebody asked for.

    Attributes:
        conf: what it was triggered with.
    """

    conf: Mapping[str, Any] | None
