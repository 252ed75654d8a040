"""Which DAGs are paused, and by whom, as Airflow's log tells.

Airflow pauses a DAG that it sees for the first time. Any other pause is somebody's
decision, and theirs to take back: it is told, with its cause, and never undone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from consumer_analytics.airflow import command_lines
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection
from consumer_analytics.formatting import moment
from consumer_analytics.sql import query

_HOW = {
    "patch_dag": "in the web interface or through the API",
    "patch_dags": "through the API",
    "cli_dag_pause": "with `airflow dags pause`",
    "cli_dag_unpause": "with `airflow dags unpause`",
    "paused": "since its runs kept failing",
}


@dataclass(frozen=True)
class Pause:
    """A DAG that is paused.

    Attributes:
        dag_id: which.
        at: when somebody last paused it or let it run; None where Airflow's log does not tell.
        who: who did: a login of Airflow's, or of the machine for its commands.
        event: what the log calls that.
        for_several: whether it was said of several DAGs at once.
        is_pause: whether it was paused then, or let run.
        is_new: whether nobody has decided anything: it is as Airflow saw it first.
        log_begins: how far back the log reaches; None where it is empty.
        first_seen: when Airflow saw it first; None where that is not known any more.
    """

    dag_id: str
    at: dt.datetime | None
    who: str | None
    event: str | None
    for_several: bool | None
    is_pause: bool | None
    is_new: bool
    log_begins: dt.datetime | None
    first_seen: dt.datetime | None

    @property
    def command(self) -> str:
        """What lets it run."""
        return command_lines.unpause(self.dag_id)

    def describe(self) -> str:
        """Say who paused it, and when, as far as that is known."""
        if self.is_new and self.first_seen is not None:
            return f"since Airflow first saw it at {moment(self.first_seen)}"
        if self.event is not None and self.at is not None:
            last = (
                f"by {self.who or 'somebody'} at {moment(self.at)}, {_HOW[self.event]}"
                f"{', with others' if self.for_several else ''}"
            )
            return last if self.is_pause else f"by whom is not known; last let run {last}"
        if self.log_begins is None:
            return "by whom is not known: Airflow's log is empty"
        return (
            f"by whom is not known: Airflow's log, which begins at {moment(self.log_begins)}, "
            "does not tell"
        )


def read(connection: Connection, airflow: AirflowTables, dags: Sequence[str]) -> list[Pause]:
    """Return those of some DAGs that are paused, in their order.

    Args:
        connection: of a login that may read Airflow's tables.
        airflow: where those are.
        dags: which DAGs to look at.
    """
    tables = airflow.named("dag", "dag_version", "log")
    with connection.cursor(row_factory=class_row(Pause)) as cursor:
        return cursor.execute(
            query("airflow/pauses/read", None, **tables), {"dags": list(dags)}
        ).fetchall()
