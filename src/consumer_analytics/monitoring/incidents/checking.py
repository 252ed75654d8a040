"""A look at health: incidents open, change and close by what is not well."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection
from consumer_analytics.formatting import duration
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.health import Airflow, Health
from consumer_analytics.monitoring.incidents.deadlines import join, kept, misses_of_airflow
from consumer_analytics.monitoring.incidents.failures import MONITOR
from consumer_analytics.monitoring.incidents.grouping import cause_of, groups, settle
from consumer_analytics.monitoring.incidents.notifying import Told, alone, content_of, write
from consumer_analytics.monitoring.incidents.store import Incident, open_incidents, update
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: What nobody can tell the end of is over after a day.
_LONGEST_UNKNOWN = dt.timedelta(days=1)


def check(connection: Connection, settings: Settings, *, now: dt.datetime | None = None) -> Health:
    """Judge health, open, change and close incidents, and write the mail that tells of it.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: for the limits and the pace of reminders.
        now: the instant to judge at; None for the server's clock.

    Returns:
        Health, as it was judged.
    """
    with alone(connection):
        found = health.read(connection, settings, now=now)
        airflow = Airflow.read(connection, found.at)
        with connection.transaction():
            _note_checks(connection, found)
            told = Told(found.at)
            # Those whose callback did not work.
            missed = [
                miss
                for miss in misses_of_airflow(connection, airflow)
                if kept(connection, miss, found.at)
            ]
            for miss in missed:
                join(connection, told, miss, found)
            _compare(connection, told, found, airflow)
            _remind(connection, settings, told)
            content = content_of(found, told, "incidents")
            if missed:
                content["misses"] = [miss.as_json(settings) for miss in missed]
            write(connection, settings, told, content, f"incidents {uuid.uuid4()}")
    return found


def _note_checks(connection: Connection, found: Health) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            query("monitoring/incidents/checks-put"),
            [
                {
                    "name": one.name,
                    "state": one.state,
                    "value": one.value,
                    "cause": one.cause,
                    "at": found.at,
                }
                for one in found.measures
            ],
        )


def _compare(connection: Connection, told: Told, found: Health, airflow: Airflow) -> None:
    """Open, change and close incidents by what is not well."""
    still = {one.subject: one for one in open_incidents(connection)}
    sorted_out = groups(connection, found, still)
    for subject in sorted_out | still:
        one = still.get(subject)
        lasting = _lasting(connection, one, airflow, told.at) if one is not None else {}
        judged = sorted_out.get(subject, {})
        if judged:
            cause = cause_of(judged, found)
            settle(connection, told, one, subject, {**judged, **lasting}, cause)
        elif one is not None and lasting:
            settle(connection, told, one, subject, lasting, one.cause)
        elif one is not None:
            _close(connection, told, one, found)


def _lasting(
    connection: Connection, one: Incident, airflow: Airflow, at: dt.datetime
) -> dict[str, Any]:
    """Return what an incident has that no measure tells: late runs and other DAGs' failures."""
    lasting: dict[str, Any] = {}
    for name, entry in one.measures.items():
        if name in health.MEASURES:
            continue
        since = dt.datetime.fromisoformat(entry["since"])
        # That the monitor works again, this very look shows.
        over: bool | None = True if entry["dag_id"] == MONITOR else None
        if over is None and airflow.tables is not None:
            over = _is_over(connection, airflow.tables, name, entry)
        if over is None:
            over = at - since > _LONGEST_UNKNOWN
        if not over:
            lasting[name] = entry
    return lasting


def _is_over(
    connection: Connection, tables: AirflowTables, name: str, entry: dict[str, Any]
) -> bool:
    """Tell whether a late run has ended, or a failing DAG has worked again."""
    row = connection.execute(
        query("monitoring/incidents/dag-run-over", "public", **tables.named("dag_run")),
        {
            "dag": entry["dag_id"],
            "run": entry["run_id"],
            "late": name == "deadline",
            "since": entry["since"],
        },
    ).fetchone()
    return bool(row and row[0])


def _close(connection: Connection, told: Told, one: Incident, found: Health) -> None:
    closed = update(connection, one, one.measures, closed_at=told.at)
    text = {
        "freshness": found.cause.text,
        "failures": f"no run failed within 24 hours; {found.cause.text}",
        "runtime": "the last run took " + duration(found.measure("dag_runtime").value),
    }.get(one.subject, "it works again")
    over = Incident(**{**vars(closed), "cause": f"It was: {one.cause}. Now: {text}."})
    (told.telling if one.told_at is not None else told.quiet).append((over, "over"))


def _remind(connection: Connection, settings: Settings, told: Told) -> None:
    """Remind of what has been open for long, unless this mail tells of it anyway."""
    if settings.alert_reminder <= 0:
        return
    pace = dt.timedelta(seconds=settings.alert_reminder)
    known = {one.incident_id for one, _ in told.telling}
    for one in open_incidents(connection):
        last = one.told_at or one.opened_at
        if one.incident_id not in known and told.at - last >= pace:
            told.telling.append((one, "reminded"))
