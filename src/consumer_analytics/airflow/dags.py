"""What Airflow knows of our DAGs, and of the files that they are in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection
from consumer_analytics.sql import query


@dataclass(frozen=True)
class RegisteredDag:
    """A DAG as Airflow knows it.

    Attributes:
        dag_id: which.
        is_known: whether Airflow has read it from a file that is still there.
        is_paused: whether nobody takes its runs up.
        next_run_at: when its next run is to be made; None where it has no schedule.
        is_late: whether that should have happened by now.
    """

    dag_id: str
    is_known: bool
    is_paused: bool
    next_run_at: dt.datetime | None
    is_late: bool


@dataclass(frozen=True)
class UnreadableFile:
    """A DAG file that Airflow could not read.

    Attributes:
        file: where it is.
        reason: the last line of what Python said.
        is_ours: whether it is one of this product.
    """

    file: str
    reason: str
    is_ours: bool


def read(
    connection: Connection, tables: AirflowTables, dags: Sequence[str], *, grace: dt.timedelta
) -> list[RegisteredDag]:
    """Return what Airflow knows of some DAGs, in their order.

    Args:
        connection: of a login that may read Airflow's tables.
        tables: where those are.
        dags: which DAGs.
        grace: how long after its time a run is not called late.
    """
    with connection.cursor(row_factory=class_row(RegisteredDag)) as cursor:
        return cursor.execute(
            query("airflow/dags/read", None, **tables.named("dag")),
            {"dags": list(dags), "grace": grace},
        ).fetchall()


def unreadable_files(connection: Connection, tables: AirflowTables) -> list[UnreadableFile]:
    """Return the DAG files that could not be read, ours first."""
    with connection.cursor(row_factory=class_row(UnreadableFile)) as cursor:
        return cursor.execute(
            query("airflow/dags/unreadable", None, **tables.named("import_error"))
        ).fetchall()
