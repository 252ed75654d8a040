"""What one look at the system sees, before anything is judged. Nothing is written.

Everything is a function of the database and an instant, so that another clock than the
server's can be given.

* `observation`: the look itself: the watermark, and
    * `runs`: what the engine's own record says of runs,
    * `airflow`: what Airflow's metadata says of them, where this database has it,
    * `due`: what the schedule asked for, and since when that is late,
    * `backlog`: the events that wait;
* `causes`: why the figures are as fresh as they are.
"""

from __future__ import annotations

from consumer_analytics.monitoring.observation.airflow import Airflow
from consumer_analytics.monitoring.observation.backlog import MOST_EVENTS, Backlog
from consumer_analytics.monitoring.observation.causes import CAUSES, Cause, cause_of_freshness
from consumer_analytics.monitoring.observation.due import Due, grace
from consumer_analytics.monitoring.observation.observation import LastRun, Observation
from consumer_analytics.monitoring.observation.runs import EngineRuns

__all__ = [
    "CAUSES",
    "MOST_EVENTS",
    "Airflow",
    "Backlog",
    "Cause",
    "Due",
    "EngineRuns",
    "LastRun",
    "Observation",
    "cause_of_freshness",
    "grace",
]
