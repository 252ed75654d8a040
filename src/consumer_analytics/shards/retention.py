"""Retention over all shards: what is old goes in every database, by one rule.

    look in all ──> of some instants at a time: remove what is published, then in each shard

What is removed is noted in each database. What was published goes first, so that whatever dies in
between leaves it as it is meant to be: a shard's rows of an instant that was thinned are not
published again, and the next maintenance removes them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.operations import retention, tables, thinning
from consumer_analytics.operations.part import MaintenancePart
from consumer_analytics.operations.thinning import Policy, SnapshotInstant, Thinned
from consumer_analytics.settings import Settings
from consumer_analytics.shards import runs, together
from consumer_analytics.shards.runs import Workplace
from consumer_analytics.shards.sessions import Shard, each
from consumer_analytics.sql import query

Notify = Callable[[str], None]

_PURPOSE = "maintenance"
#: What the database is called that figures are put together in, among the shards' names.
_PUBLISHED = ""


@dataclass(frozen=True)
class _Chosen:
    """Instants that go.

    Attributes:
        instants: all of them, ascending.
        of: by database, those of them that have rows there.
    """

    instants: tuple[dt.datetime, ...]
    of: Mapping[str, tuple[dt.datetime, ...]]


def thin(
    settings: Settings, *, dry_run: bool = False, notify: Notify = lambda _: None
) -> MaintenancePart:
    """Remove the snapshots that the policy does without, of what is published and of every shard.

    Others have their turn after some instants, as they have in one database.

    Args:
        settings: with the file of shards.
        dry_run: only tell what would be removed.
        notify: told what is under way.

    Raises:
        ConsumerAnalyticsError: as runs do; `ShardsError` names the shard.
    """
    policy = Policy.of(settings)
    with runs.over_all(settings, _PURPOSE, notify) as place:
        for name, session in _sessions(place).items():
            refused = thinning.why_not(session, settings, dry_run=dry_run)
            if refused is not None:
                where = f"shard {name}: " if name and policy.thins else ""
                return MaintenancePart(thinning.PART, skipped=where + refused)
        before = _sizes(place)
        if not dry_run:
            _forget_written_again(place)
        chosen = _choose(place, policy)
        if dry_run:
            gone = {
                name: thinning.size_of(session, chosen.instants)
                for name, session in _sessions(place).items()
            }
            return _told(chosen, gone, before, before, {})
    gone = dict.fromkeys(before, Thinned())
    for chunk in thinning.chunks(chosen.instants, notify):
        with runs.over_all(settings, _PURPOSE, notify) as place:
            removed = _remove(place, chunk)
        gone = {name: of + removed[name] for name, of in gone.items()}
    if not chosen.instants:
        return _told(chosen, gone, before, before, {})
    with runs.over_all(settings, _PURPOSE, notify) as place:
        # What waited for a shard and is gone is named no more.
        together.publish(place.analytics, place.settings, place.shards, _PURPOSE)
        notes = {
            name: tables.vacuum(session, thinning.TABLES)
            for name, session in _sessions(place).items()
            if gone[name].snapshots
        }
        return _told(chosen, gone, before, _sizes(place), notes)


def forget(
    settings: Settings, *, dry_run: bool = False, notify: Notify = lambda _: None
) -> MaintenancePart:
    """Forget internal state that nobody needs any more, in every database.

    Args:
        settings: with the file of shards.
        dry_run: only tell what would be removed.
        notify: told what is under way.

    Raises:
        ConsumerAnalyticsError: as runs do; `ShardsError` names the shard.
    """
    with runs.over_all(settings, _PURPOSE, notify) as place:
        parts = {_PUBLISHED: retention.forget(place.analytics, place.settings, dry_run=dry_run)}
        parts |= each(
            place.shards,
            lambda shard: retention.forget(shard.connection, shard.settings, dry_run=dry_run),
        )
    return _as_one(parts)


def _sessions(place: Workplace) -> dict[str, Connection]:
    """Return a session in each database, by its name; that of the figures comes first."""
    return {_PUBLISHED: place.analytics} | {one.name: one.connection for one in place.shards}


def _remove(place: Workplace, chunk: list[dt.datetime]) -> dict[str, Thinned]:
    """Remove what some instants have: what is published first."""
    published = thinning.remove(place.analytics, place.settings, chunk)
    return {_PUBLISHED: published} | each(
        place.shards, lambda shard: thinning.remove(shard.connection, shard.settings, chunk)
    )


def _sizes(place: Workplace) -> dict[str, int]:
    return {
        name: tables.size(session, thinning.TABLES) for name, session in _sessions(place).items()
    }


def _forget_written_again(place: Workplace) -> None:
    """Forget which of what was thinned is there again: from now on it is missed, should it go.

    A shard goes on knowing it of what is not published: that is how it is told from what a
    maintenance that was cut off has left there.
    """
    with job_lock(place.analytics, place.settings, sees_commits=True):
        thinning.forget_backfilled(place.analytics)
    again = together.written_again(place.shards, None)
    _, waiting = together.published_of(place.analytics, again)
    values = {"snapshots": sorted(again - waiting)}

    def work(shard: Shard) -> None:
        with job_lock(shard.connection, shard.settings, sees_commits=True):
            shard.connection.execute(query("shards/retention/forget-again"), values)

    if values["snapshots"]:
        each(place.shards, work)


def _choose(place: Workplace, policy: Policy) -> _Chosen:
    """Choose what goes: what the policy does without, and what only shards still have of that.

    What waits for a shard stands for its period only where nothing is published of that.
    """
    now = instants.now(place.analytics)
    until = policy.horizon(policy.stages[0], now)
    here = thinning.there(place.analytics, until)
    theirs = each(place.shards, lambda shard: thinning.there(shard.connection, until))
    published = {one.at for one in here}
    whole: dict[dt.datetime, bool] = {}
    for one in (one for of in theirs.values() for one in of if one.at not in published):
        whole[one.at] = whole.get(one.at, False) or one.is_whole
    _, thinned = together.published_of(place.analytics, whole)
    left = thinned - together.written_again(place.shards, thinned)
    removable_until = scalar_of(place.analytics, "shards/retention/removable")
    waiting = [
        SnapshotInstant(
            at,
            is_whole,
            is_removable=removable_until is not None and at <= removable_until,
            is_reported=False,
        )
        for at, is_whole in whole.items()
        if at not in left
    ]
    chosen = left.union(policy.superfluous([*here, *waiting], now))
    having = {_PUBLISHED: here} | theirs
    return _Chosen(
        tuple(sorted(chosen)),
        {name: tuple(one.at for one in of if one.at in chosen) for name, of in having.items()},
    )


def _told(
    chosen: _Chosen,
    gone: Mapping[str, Thinned],
    before: Mapping[str, int],
    after: Mapping[str, int],
    notes: Mapping[str, list[str]],
) -> MaintenancePart:
    return _as_one(
        {
            name: MaintenancePart(
                thinning.PART,
                of.snapshots + of.revisions,
                bytes_removed=of.bytes,
                bytes_before=before[name],
                bytes_after=after[name],
                notes=(of.described(len(chosen.of[name])), *notes.get(name, ())),
            )
            for name, of in gone.items()
        }
    )


def _as_one(parts: Mapping[str, MaintenancePart]) -> MaintenancePart:
    """Put together what was removed in several databases; notes say where."""
    some = parts[_PUBLISHED]
    return replace(
        some,
        removed=sum(one.removed for one in parts.values()),
        bytes_removed=sum(one.bytes_removed for one in parts.values()),
        bytes_before=sum(one.bytes_before or 0 for one in parts.values()),
        bytes_after=sum(one.bytes_after or 0 for one in parts.values()),
        notes=tuple(
            (f"shard {name}: " if name else "published: ") + note
            for name, one in parts.items()
            for note in one.notes
        ),
    )
