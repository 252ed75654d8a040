"""What our DAGs have in common.

As arguments, not as a DAG: Airflow takes the file that calls `DAG` for the one that the DAG is in.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from airflow.sdk import CronTriggerTimetable

from consumer_analytics.calendar import days
from consumer_analytics.orchestration import alerts
from consumer_analytics.settings import TIMELESS_SCHEDULES, settings


def start_date() -> dt.datetime:
    """Return from when on schedules count, in the zone in which their days begin."""
    return days.midnight(settings().start_date, settings().zone)


def timetable(expression: str) -> CronTriggerTimetable | str:
    """Return what makes a DAG's runs: each at a tick of a cron expression, and for that tick.

    By name: what a bare expression means is Airflow's `[scheduler] create_cron_data_intervals` to
    say. Where that is on, as in installations that came from Airflow 2, a run is for the tick
    before, and its snapshot would always be a period behind.

    Args:
        expression: as a setting has it; one that is no cron expression is Airflow's own.
    """
    if expression in TIMELESS_SCHEDULES:
        return expression
    return CronTriggerTimetable(expression, timezone=settings().timezone)


def shared(*, takes_long: bool = False, **default_args: Any) -> dict[str, Any]:
    """Return what each DAG is given besides its own: `with DAG(dag_id=…, **shared()):`.

    Args:
        takes_long: whether its tasks may have years to go through.
        default_args: what its tasks have beside ours, or instead of them.
    """
    most = settings().long_task_timeout if takes_long else settings().task_timeout
    return {
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {
            "retries": settings().retries,
            "retry_delay": dt.timedelta(seconds=settings().retry_delay),
            # A task that hears nothing any more would wait for ever, and all later runs for it.
            "execution_timeout": dt.timedelta(seconds=most) if most else None,
            "on_failure_callback": alerts.task_failed,
            **default_args,
        },
        "tags": ["consumer-analytics"],
    }
