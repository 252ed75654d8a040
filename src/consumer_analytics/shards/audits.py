"""The audit over all shards: each one's own, and the proof that what is published is their sum."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY
from consumer_analytics.etl import vanished
from consumer_analytics.reconcile.audit import AuditResult, RepairResult
from consumer_analytics.reconcile.audit import audit as audit_one
from consumer_analytics.reconcile.audit import repair as repair_one
from consumer_analytics.settings import Settings
from consumer_analytics.shards import proof, runs, together
from consumer_analytics.shards.runs import Workplace
from consumer_analytics.shards.sessions import Shard, each

Notify = Callable[[str], None]


@dataclass(frozen=True)
class ShardedAudit:
    """What an audit over all shards found.

    Attributes:
        shards: of each, by its name.
        together: whether what is published is the sum of the shards.
        repaired: by shard, what a repair has changed there; None where none was asked for.
        restated: published rows that a repair has restated.
        customers_in_several: how many customers' ids several shards have; each counts them.
        listed: the first of these, with their shards.
    """

    shards: dict[str, AuditResult]
    together: AuditResult
    repaired: dict[str, RepairResult] | None = None
    restated: int = 0
    customers_in_several: int = 0
    listed: tuple[tuple[str, list[str]], ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing differs anywhere."""
        return self.together.clean and all(one.clean for one in self.shards.values())

    @property
    def snapshots(self) -> int:
        """How many snapshots were compared, of the published ones."""
        return self.together.snapshots

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        told: dict[str, Any] = {
            "clean": self.clean,
            "shards": {name: one.as_json() for name, one in self.shards.items()},
            "published": self.together.as_json(),
            "customers_in_several_shards": self.customers_in_several,
            "first_of_these": [
                {"customer_id": customer, "shards": names} for customer, names in self.listed
            ],
        }
        if self.repaired is not None:
            told["repaired"] = {
                "shards": {name: one.as_json() for name, one in self.repaired.items()},
                "published_restated": self.restated,
            }
        return told


def audit(
    settings: Settings,
    *,
    lower: dt.datetime | None = None,
    upper: dt.datetime | None = None,
    limit: int = 100,
    accept_purged: bool = False,
    since_last: bool = False,
    repair: bool = False,
    notify: Notify = lambda _: None,
) -> ShardedAudit:
    """Audit every shard, and hold what is published to their sum.

    Args:
        settings: with the file of shards.
        lower: as `reconcile.audit.audit` has it, and those that follow.
        upper: up to here.
        limit: how many differences to list of each.
        accept_purged: take the sources at their word.
        since_last: recount only what has changed since each shard's last clean audit.
        repair: put right what differs, and audit again.
        notify: told how far it is.

    Raises:
        ConsumerAnalyticsError: as audits do; `ShardsError` names the shard.
    """
    with runs.over_all(settings, "audit", notify) as place:

        def look() -> ShardedAudit:
            found = each(
                place.shards,
                lambda shard: audit_one(
                    shard.connection,
                    shard.settings,
                    lower=lower,
                    upper=upper,
                    limit=limit,
                    accept_purged=accept_purged,
                    since_last=since_last,
                    notify=shard.telling(notify),
                ),
            )
            span = (lower or MINUS_INFINITY, upper or INFINITY)
            sums = proof.prove(place.analytics, place.shards, *span, limit, notify)
            several, listed = proof.customers_in_several(place.analytics, place.shards, limit)
            return ShardedAudit(found, sums, customers_in_several=several, listed=tuple(listed))

        found = look()
        if not repair or (found.clean and not accept_purged):
            return found
        repaired, restated = _repair(place, found, notify, accept_purged=accept_purged)
        again = look()
        return replace(again, repaired=repaired, restated=restated)


def _repair(
    place: Workplace, found: ShardedAudit, notify: Notify, *, accept_purged: bool
) -> tuple[dict[str, RepairResult], int]:
    """Repair shards first: what is published follows them."""
    accepted = vanished.EVERYTHING if accept_purged else None

    def work(shard: Shard) -> RepairResult | None:
        result = found.shards[shard.name]
        if result.clean and accepted is None:
            return None
        return repair_one(
            shard.connection,
            shard.settings,
            result,
            accepted=accepted,
            notify=shard.telling(notify),
        )

    repaired = each(place.shards, work)
    wrong = found.together.wrong_snapshots
    published = together.publish(
        place.analytics,
        place.settings,
        place.shards,
        "audit of all shards",
        again=wrong,
        finish=lambda connection, _: proof.believe(connection, wrong),
    )
    return (
        {name: one for name, one in repaired.items() if one is not None},
        published.inserted + published.restated,
    )
