"""What is odd with a consumer, not with the pipeline: silence, few or many events, lost customers.

Each consumer is held against its own weeks before, weekday by weekday and hour by hour, by medians
and by how much its counts scatter; and against what the others did in the same hours, so that a
holiday is nobody's anomaly. Nothing but snapshots is read, once for each snapshot of the schedule.

* `windows`: which stretches of time are compared with which;
* `judging`: whatever is odd now, by one statement over all consumers;
* `store`: what was noticed, what is known, and what is over.
"""

from __future__ import annotations

from consumer_analytics.monitoring.anomalies.judging import Oddity, judge, newest
from consumer_analytics.monitoring.anomalies.store import (
    KINDS,
    Anomaly,
    close_all,
    judged_to,
    note,
    of_consumer,
    still_open,
)

__all__ = [
    "KINDS",
    "Anomaly",
    "Oddity",
    "close_all",
    "judge",
    "judged_to",
    "newest",
    "note",
    "of_consumer",
    "still_open",
]
