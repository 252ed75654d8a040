"""Incidents: what was not well, since when, why, and who was told.

What belongs together is one incident: told once when it opens, once when it
gets worse, once when it is over. All of it is in the database, under a lock,
so that neither a restart nor a second monitor tells anything twice.

    freshness   the watermark is behind, events wait
    failures    runs failed, and what follows from that
    runtime     runs are slow
    measuring   a measure cannot be taken
    dag <id>    a task of another scheduled DAG failed

Three things are noted here, each by its module:

* `checking`: a look at health, at every pass of the monitor;
* `failures`: a task failed; `deadlines`: a run is late;

by means of

* `grouping`: which incident something goes with, and what that means for it;
* `telling`: one mail for what happens in one look;
* `ledger`: the incidents and their history.
"""

from __future__ import annotations

from consumer_analytics.monitoring.incidents.checking import check
from consumer_analytics.monitoring.incidents.deadlines import Miss, deadline_missed
from consumer_analytics.monitoring.incidents.failures import (
    MONITOR,
    Failure,
    next_after,
    task_failed,
)
from consumer_analytics.monitoring.incidents.store import (
    Change,
    Incident,
    history,
    latest,
    open_incidents,
)

__all__ = [
    "MONITOR",
    "Change",
    "Failure",
    "Incident",
    "Miss",
    "check",
    "deadline_missed",
    "history",
    "latest",
    "next_after",
    "open_incidents",
    "task_failed",
]
