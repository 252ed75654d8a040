"""Which messages go by a channel: by how bad it is, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from consumer_analytics.airflow.dag_ids import ETL
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.measures import FAILURES, FRESHNESS
from consumer_analytics.monitoring.notifications.message import Kind, Message

Severity = Literal["warning", "critical"]
#: What is sent when something happens, and to try whether it would be.
ALERTS: frozenset[Kind] = frozenset({"failure", "deadline", "incidents", "test"})


@dataclass(frozen=True)
class MessageFilter:
    """What goes by a channel.

    Attributes:
        severity: the least that is told: `critical` leaves warnings out.
        subjects: patterns (`*`, `?`) of the subjects that are told, as incidents have them; none:
            all of them.
        kinds: of messages.
    """

    severity: Severity = "warning"
    subjects: tuple[str, ...] = ()
    kinds: frozenset[Kind] = ALERTS

    def of(self, message: Message) -> Message | None:
        """Return what of a message goes by the channel; None where nothing does.

        Whoever was told that something is bad is told that it is over: an incident counts as
        the worst that it was.
        """
        if message.kind not in self.kinds:
            return None
        if not (message.changes or message.failures or message.misses):
            return message
        kept = [
            (change, thread)
            for change, thread in zip(message.changes, message.threads, strict=True)
            if self._has(change.subject, change.worst or change.state)
        ]
        chosen = replace(
            message,
            changes=tuple(change for change, _ in kept),
            threads=tuple(thread for _, thread in kept),
            failures=tuple(
                one for one in message.failures if self._has(_subject(one.dag_id), "critical")
            ),
            misses=message.misses if self._has(FRESHNESS.name, "warning") else (),
        )
        return chosen if chosen.changes or chosen.failures or chosen.misses else None

    def _has(self, subject: str, state: str) -> bool:
        about = not self.subjects or any(fnmatchcase(subject, one) for one in self.subjects)
        return about and health.STATES.index(state) >= health.STATES.index(self.severity)


def _subject(dag_id: str) -> str:
    """Return the subject of the incident that a failed task of a DAG belongs to."""
    return FAILURES.name if dag_id == ETL else f"dag {dag_id}"
