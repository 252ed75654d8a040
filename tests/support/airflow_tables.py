"""Airflow's own tables, as the installed version has them, in a test's database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DAG = "consumer_analytics_etl"


@contextmanager
def _engine(database: Any) -> Iterator[Any]:
    import sqlalchemy

    with database.connect() as connection:
        connection.execute("set search_path = airflow")
        yield sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=lambda: connection, poolclass=sqlalchemy.StaticPool
        )


def create(database: Any, *dag_ids: str) -> None:
    """Make all tables of Airflow's metadata in the schema `airflow`, and rows of these DAGs."""
    from airflow.models.base import Base
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils import db

    db.import_all_models()
    database.execute("create schema airflow")
    with _engine(database) as engine:
        Base.metadata.create_all(engine)
        with engine.begin() as bound:
            bound.execute(DagBundleModel.__table__.insert().values(name="dags", active=True))
            for dag_id in (DAG, *dag_ids):
                bound.execute(
                    DagModel.__table__.insert().values(
                        dag_id=dag_id,
                        bundle_name="dags",
                        is_paused=False,
                        is_stale=False,
                        max_active_tasks=16,
                        max_consecutive_failed_dag_runs=0,
                        has_task_concurrency_limits=False,
                        timetable_type="cron",
                    )
                )


def add_run(
    database: Any,
    at: dt.datetime,
    *,
    state: str = "success",
    seconds: float | None = 2.0,
    triggered_by: str = "TIMETABLE",
    dag_id: str = DAG,
    delay: float = 0,
) -> str:
    """Add a DAG run of the instant `at`: begun `delay` seconds later, `seconds` long."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunTriggeredByType

    run_id = f"scheduled__{at.isoformat()}"
    started = at + dt.timedelta(seconds=delay)
    with _engine(database) as engine, engine.begin() as bound:
        bound.execute(
            DagRun.__table__.insert().values(
                dag_id=dag_id,
                run_id=run_id,
                state=state,
                run_type="scheduled",
                triggered_by=DagRunTriggeredByType[triggered_by],
                logical_date=at,
                run_after=at,
                queued_at=at,
                start_date=None if state == "queued" else started,
                end_date=None if seconds is None else started + dt.timedelta(seconds=seconds),
                log_template_id=None,
            )
        )
    return run_id
