"""What our DAGs have in common.

As arguments, not as a DAG: Airflow takes the file that calls `DAG` for the one that the DAG is in.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from consumer_analytics.calendar import days
from consumer_analytics.orchestration import alerts
from consumer_analytics.settings import settings


def start_date() -> dt.datetime:
    """Return from when on schedules count, in the zone in which their days begin."""
    return days.midnight(settings().start_date, settings().zone)


def shared(**default_args: Any) -> dict[str, Any]:
    """Return what each DAG is given besides its own: `with DAG(dag_id=…, **shared()):`.

    Args:
        default_args: what its tasks have beside ours, or instead of them.
    """
    return {
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {
            "retries": settings().retries,
            "retry_delay": dt.timedelta(seconds=settings().retry_delay),
            "on_failure_callback": alerts.task_failed,
            **default_args,
        },
        "tags": ["consumer-analytics"],
    }
