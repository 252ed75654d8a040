"""What a task's log says where it fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from consumer_analytics.errors import ConsumerAnalyticsError, one_line

log = logging.getLogger(__name__)


@contextmanager
def in_a_line(what: str) -> Iterator[None]:
    """Log why a `with` block failed, as the line to read: the orchestrator prints the traceback.

    Args:
        what: what is said before the reason, such as `sweep failed`.
    """
    try:
        yield
    except (ConsumerAnalyticsError, psycopg.Error) as error:
        log.error("%s: %s", what, one_line(error))  # noqa: TRY400
        raise
