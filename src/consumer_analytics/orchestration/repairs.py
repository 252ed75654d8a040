"""What the repairing DAGs' tasks do, with readable logs."""

from __future__ import annotations

import logging

from consumer_analytics.db.connection import connected
from consumer_analytics.orchestration.failures import in_a_line
from consumer_analytics.reconcile import sweep as engine
from consumer_analytics.settings import settings
from consumer_analytics.shards import repairs as over_shards

log = logging.getLogger(__name__)


def sweep() -> None:
    """Sweep the trailing days and log what was found."""
    with in_a_line("sweep failed"):
        if settings().shards_file is not None:
            result = over_shards.sweep(settings(), log.info).whole
        else:
            with connected(settings(), "airflow sweep", works_long=True) as connection:
                result = engine.sweep(connection, settings(), notify=log.info)
    log.info(
        "swept %s to %s: %s days, %s consumers, %s types corrected; %s events found, %s gone",
        result.since or "the beginning",
        result.processed_through.isoformat(),
        *(
            f"{n:,}"
            for n in (
                result.days_corrected,
                result.consumers_corrected,
                result.types_corrected,
                result.events_found,
                result.events_vanished,
            )
        ),
    )
    for one in result.differences:
        log.info(
            "%s, %s, %s: counted %s, the source has %s",
            one.day,
            one.consumer_id or "(no consumer)",
            one.event_type,
            one.counted,
            one.source,
        )
    log.info(
        "customers differed at %s snapshots; %s snapshot rows restated",
        f"{result.snapshots_with_other_customers:,}",
        f"{result.snapshots_restated:,}",
    )
    if result.events_noted or result.events_came_back:
        log.warning(
            "%s events have vanished from the source, and stay counted; %s have come to where "
            "some had vanished, and count beside them",
            f"{result.events_noted:,}",
            f"{result.events_came_back:,}",
        )
    if result.noted_as_vanished:
        log.info("%s events are noted as vanished, in all", f"{result.noted_as_vanished:,}")
