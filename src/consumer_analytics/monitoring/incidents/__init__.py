"""Incidents: what was not well, since when, why, and who was told.

What belongs together is one incident: told once when it opens, once when it
gets worse, once when it is over. All of it is in the database, under a lock,
so that neither a restart nor a second monitor tells anything twice.

    freshness   the watermark is behind, events wait
    failures    runs failed, and what follows from that
    runtime     runs are slow
    measuring   a measure cannot be taken
    dag <id>    a task of another scheduled DAG failed
    consumer <id>  a consumer is odd, for its own rhythm

Three things are noted here, each by its module:

* `checking`: a look at health, at every pass of the monitor;
* `failures`: a task failed; `deadlines`: a run is late;
* `consumers`: a consumer is odd;

by means of

* `grouping`: which incident something goes with, and what that means for it;
* `notifying`: one message for what happens in one look;
* `store`: the incidents and their history.
"""

from __future__ import annotations

from consumer_analytics.monitoring.incidents.checking import check
from consumer_analytics.monitoring.incidents.consumers import is_of_consumer
from consumer_analytics.monitoring.incidents.deadlines import deadline_missed
from consumer_analytics.monitoring.incidents.failures import (
    next_steps_after,
    task_failed,
)
from consumer_analytics.monitoring.incidents.store import (
    Incident,
    IncidentChange,
    history,
    latest,
    open_incidents,
)
from consumer_analytics.monitoring.notifications.message import Failure, Miss

__all__ = [
    "Failure",
    "Incident",
    "IncidentChange",
    "Miss",
    "check",
    "deadline_missed",
    "history",
    "is_of_consumer",
    "latest",
    "next_steps_after",
    "open_incidents",
    "task_failed",
]
