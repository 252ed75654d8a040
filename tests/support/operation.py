"""A platform that has been in operation: a history, and what was done about it day by day.

The past is backfilled, the last weeks were written by one run a day, one of which failed
first; rows came late and were swept up; somebody has a name that is markup.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from consumer_analytics import backfill
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.etl import run
from consumer_analytics.ingest import simulate
from consumer_analytics.reconcile import sweep
from consumer_analytics.settings import Settings

MARKUP_CONSUMER = uuid.UUID("00000000-0000-4000-8000-00000000beef")
MARKUP_NAME = '<script>document.title="owned"</script><img src=x onerror="alert(1)">&amp; Söhne'
#: The restless night: its first run fails.
FAILED_NIGHTS_AGO = 3
#: The day that rows come late for.
LATE_DAYS_AGO = 5


@dataclass(frozen=True)
class Operation:
    """What was operated.

    Attributes:
        until: the midnight, UTC, that the last run reached.
        live_from: the first instant that a run wrote, rather than the backfill.
        days: how many snapshots there are.
    """

    until: dt.datetime
    live_from: dt.datetime
    days: int


def operate(
    settings: Settings,
    *,
    consumers: int = 14,
    customers: int = 700,
    events: int = 9_000,
    days: int = 60,
    live_days: int = 14,
    until: dt.datetime | None = None,
) -> Operation:
    """Fill a migrated database with a history and its snapshots."""
    today = until or dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - dt.timedelta(days=days)
    live_from = today - dt.timedelta(days=live_days - 1)
    with connected(settings, "operate", writes_sources=True) as connection:
        simulate.simulate(
            connection,
            settings,
            simulate.SimulationPlan(
                until=today, consumers=consumers, customers=customers, events=events, days=days
            ),
        )
        _name_one_in_markup(connection, first)
    with connected(settings, "operate", writes_sources=True) as connection:
        backfill.backfill(
            connection,
            settings,
            backfill.request_of(
                first.date(), live_from.date() - dt.timedelta(days=1), "daily", who="operator"
            ),
        )
        for night in range(live_days):
            at = live_from + dt.timedelta(days=night)
            if live_days - night == FAILED_NIGHTS_AGO:
                _fail(connection, settings, at)
            run.run(
                connection,
                settings,
                at=at,
                run_key=f"scheduled__{at.isoformat()}",
                source="airflow_etl",
            )
        _let_rows_come_late(connection, today)
        sweep.sweep(connection, settings)
        # As if each had run in its night.
        connection.execute(
            "update consumer_analytics_internal.runs "
            "set opened_at = requested_at + interval '4 seconds' * (1 + run_id % 3), "
            "finished_at = requested_at + interval '4 seconds' * (1 + run_id % 3) "
            "+ (finished_at - opened_at)"
        )
        connection.execute("analyze")
    return Operation(today, live_from, days)


def _name_one_in_markup(connection: Connection, first: dt.datetime) -> None:
    connection.execute(
        "insert into consumers (consumer_id, name, status, created_at) "
        "values (%s, %s, 'ACTIVE', %s)",
        [MARKUP_CONSUMER, MARKUP_NAME, first],
    )
    connection.execute(
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), gen_random_uuid(), %s, '<b>bold</b>', "
        "%s + day * interval '1 day' from generate_series(1, 40) as day",
        [MARKUP_CONSUMER, first],
    )


def _fail(connection: Connection, settings: Settings, at: dt.datetime) -> None:
    key = f"scheduled__{at.isoformat()}__try1"
    run.open_run(connection, settings, at=at, run_key=key, source="airflow_etl")
    run.record_failure(
        connection, key, ConnectionError("the database at db.example.com closed the connection")
    )


def _let_rows_come_late(connection: Connection, today: dt.datetime) -> None:
    connection.execute(
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), gen_random_uuid(), consumer_id, 'login', %s "
        "from (select consumer_id from consumers order by consumer_id limit 3) as three, "
        "generate_series(1, 7)",
        [today - dt.timedelta(days=LATE_DAYS_AGO, hours=-6)],
    )
