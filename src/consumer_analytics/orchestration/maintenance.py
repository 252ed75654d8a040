"""Maintenance: our retention and Airflow's, part by part, with a record of what went."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import psycopg

from consumer_analytics.airflow import dag_ids, upkeep
from consumer_analytics.airflow.command import AirflowCommand
from consumer_analytics.airflow.upkeep import Upkeep
from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.errors import ConsumerAnalyticsError, MaintenanceError, one_line
from consumer_analytics.etl import federation
from consumer_analytics.formatting import counted, size
from consumer_analytics.operations import retention, thinning
from consumer_analytics.operations.part import MaintenancePart
from consumer_analytics.settings import Settings, settings
from consumer_analytics.shards import retention as of_all

log = logging.getLogger(__name__)

_METADATA, _LOGS = "Airflow's metadata", "Airflow's logs"
_NO_AIRFLOW = "Airflow is not set up on this machine"


def maintain(
    config: Settings,
    who: str,
    *,
    dry_run: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> list[MaintenancePart]:
    """Remove what is older than the settings keep, part by part; record what went.

    A part that fails does not keep the others from being done.

    Args:
        config: how long what is kept.
        who: asked for it, for the record.
        dry_run: only tell what would be removed; nothing is written.
        notify: told what is under way.

    Raises:
        SchemaError: the schema is not this version's.
        DatabaseUnreachableError: there is no database.
    """
    with connected(config, "maintenance") as connection:
        schema.require_current(connection)
        if config.shards_file is None:
            federation.require_own(connection)
        else:
            federation.require_no_shard(connection)
        now = instants.now(connection)
        number = None if dry_run else retention.begin(connection, who)
        command = AirflowCommand.find(config)
        parts = []
        for name, work in _works(connection, config, command, now, dry_run=dry_run, notify=notify):
            notify(f"looking after {name}")
            parts.append(_guarded(name, work))
        if number is not None:
            retention.record(connection, number, parts)
    return parts


def _works(
    connection: Connection,
    config: Settings,
    command: AirflowCommand | None,
    now: Any,
    *,
    dry_run: bool,
    notify: Callable[[str], None],
) -> list[tuple[str, Callable[[], MaintenancePart]]]:
    ours: list[tuple[str, Callable[[], MaintenancePart]]] = [
        (
            thinning.PART,
            lambda: (
                thinning.thin(connection, config, dry_run=dry_run, notify=notify)
                if config.shards_file is None
                else of_all.thin(config, dry_run=dry_run, notify=notify)
            ),
        ),
        (
            retention.PART,
            lambda: (
                retention.forget(connection, config, dry_run=dry_run)
                if config.shards_file is None
                else of_all.forget(config, dry_run=dry_run, notify=notify)
            ),
        ),
    ]
    if command is None:
        return [
            *ours,
            (_METADATA, lambda: MaintenancePart(_METADATA, skipped=_NO_AIRFLOW)),
            (_LOGS, lambda: MaintenancePart(_LOGS, skipped=_NO_AIRFLOW)),
        ]
    # Logs first: the metadata say which machines have run tasks.
    return [
        *ours,
        (
            _LOGS,
            lambda: _part(
                _LOGS, upkeep.logs(command, connection, config, now, dry_run=dry_run), unit="files"
            ),
        ),
        (
            _METADATA,
            lambda: _part(
                _METADATA, upkeep.metadata(command, connection, config, now, dry_run=dry_run)
            ),
        ),
    ]


def _part(name: str, done: Upkeep, unit: str = "rows") -> MaintenancePart:
    """Return what Airflow's upkeep removed as a part of ours."""
    return MaintenancePart(name, unit=unit, **vars(done))


def _guarded(name: str, work: Callable[[], MaintenancePart]) -> MaintenancePart:
    try:
        return work()
    except (ConsumerAnalyticsError, psycopg.Error, OSError) as error:
        return MaintenancePart(name, failed=one_line(error))


def describe(part: MaintenancePart, *, dry_run: bool = False) -> str:
    """Say in a line what a part removed, and how much room that made."""
    if part.failed is not None:
        return f"{part.name}: failed: {part.failed}"
    if part.skipped is not None:
        return f"{part.name}: {part.skipped}"
    would = "would remove" if dry_run else "removed"
    text = f"{part.name}: {would} {counted(part.removed, part.unit.removesuffix('s'), part.unit)}"
    if part.bytes_removed:
        text += f" of {size(part.bytes_removed)}"
    if part.bytes_before is not None and part.bytes_after is not None:
        text += (
            f"; it takes {size(part.bytes_before)}"
            if dry_run
            else f"; it took {size(part.bytes_before)}, and takes {size(part.bytes_after)} now"
        )
    return text


def require_whole(parts: list[MaintenancePart]) -> None:
    """Check that no part failed.

    Raises:
        MaintenanceError: one did; the message names each with its reason.
    """
    if failed := [part for part in parts if part.failed is not None]:
        raise MaintenanceError("; ".join(f"{part.name}: {part.failed}" for part in failed))


def task(dag_run: Any) -> dict[str, Any]:
    """Do the DAG's task: maintain, log what went and what room that made, return it.

    Raises:
        MaintenanceError: a part failed; the others were done.
    """
    parts = maintain(settings(), dag_ids.run_key(dag_run.dag_id, dag_run.run_id), notify=log.info)
    for part in parts:
        level = logging.ERROR if part.failed is not None else logging.INFO
        log.log(level, "%s", describe(part))
        for note in part.notes:
            log.info("  %s", note)
    require_whole(parts)
    return {"parts": [part.as_json() for part in parts]}
