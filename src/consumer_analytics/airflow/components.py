"""When Airflow's components, the processes that it is made of, were last heard of."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.airflow.processes import DAG_PROCESSOR, SCHEDULER, TRIGGERER
from consumer_analytics.db.connection import Connection
from consumer_analytics.sql import query

#: What Airflow's tables call those that write a heartbeat there.
_JOB_TYPES = {
    "SchedulerJob": SCHEDULER,
    "DagProcessorJob": DAG_PROCESSOR,
    "TriggererJob": TRIGGERER,
}
#: Airflow itself calls a component unhealthy after 30 s, the DAG processor after 60.
_SILENT_SECONDS = 60


@dataclass(frozen=True)
class Heartbeat:
    """When a component was last heard of, the liveliest where there are several.

    Attributes:
        component: which, by the name of its command.
        host: where it runs; None where it was never seen.
        seen_at: when it was last heard of; None where it was never seen.
        age: how many seconds ago that is; None where it was never seen, or has ended by itself.
    """

    component: str
    host: str | None
    seen_at: dt.datetime | None
    age: float | None

    @property
    def is_silent(self) -> bool:
        """Whether it has not been heard of for long."""
        return self.age is None or self.age > _SILENT_SECONDS


def heartbeats(connection: Connection, tables: AirflowTables) -> list[Heartbeat]:
    """Return when each component was last heard of."""
    rows = connection.execute(
        query("airflow/components/heartbeats", None, **tables.named("job")),
        {"kinds": list(_JOB_TYPES)},
    )
    return [Heartbeat(_JOB_TYPES[kind], host, seen, age) for kind, host, seen, age in rows]
