"""A run over all shards: one instant, one cut, and nothing published before all have done it.

    settle in each ──> note the pass ──> load in each ──> put together, move the watermark

What dies after the pass was noted is finished by the next run, at its own instant: a shard that had
loaded does not load again.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg.types.json import Jsonb

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, connected, scalar_of
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import federation, load, sources, watermark
from consumer_analytics.etl import run as etl_run
from consumer_analytics.etl.models import Run
from consumer_analytics.etl.run import Opening
from consumer_analytics.messages import Information
from consumer_analytics.settings import Settings
from consumer_analytics.shards import addresses, joining, sessions, summaries, together
from consumer_analytics.shards.sessions import Shard, each
from consumer_analytics.shards.summaries import ShardedSummary
from consumer_analytics.shards.together import Published
from consumer_analytics.sql import query

Notify = Callable[[str], None]
_Asked = TypeVar("_Asked")


@dataclass(frozen=True)
class Begun:
    """A run over all shards that is settled, and may have begun to write.

    Attributes:
        pass_id: its number; part of the run's key in each shard, so that each of its tries finds
            what another one has done there, and nothing older.
        opening: what it is opened with, in each.
        watermark: what the shards' watermarks are set to before.
    """

    pass_id: int
    opening: Opening
    watermark: dt.datetime

    @property
    def key_in_shard(self) -> str:
        """The run's key in each shard."""
        return f"{self.opening.key}#{self.pass_id}"


def run(
    settings: Settings,
    *,
    at: dt.datetime | None = None,
    run_key: str | None = None,
    source: str = "cli_etl",
    named: bool = False,
    notify: Notify = lambda _: None,
) -> ShardedSummary:
    """Do a whole run over all shards.

    Args:
        settings: of the database that figures are put together in, with the file of shards.
        at: as `etl.run.run` has it, and what follows.
        run_key: the same for every try.
        source: provenance.
        named: whether a person names the instant.
        notify: told what a person should know.

    Raises:
        ConsumerAnalyticsError: as runs do; `ShardsError` names the shard. Nothing was published.
    """
    own = addresses.of_analytics(settings)
    with connected(own, "run", works_long=True) as analytics:
        opened: list[Run] = []
        try:
            with _all_shards(analytics, settings, "run") as shards:
                begun = _finish_unfinished(analytics, own, shards, notify, opened)
                if begun is not None and begun.whole.run_key == run_key:
                    return begun
                settled = _settle(shards, at, run_key, source, notify, named=named)
                opened[:] = [etl_run.record(analytics, own, settled, whole=True)]
                noted = _note(analytics, shards, settled)
                return _complete(analytics, own, shards, noted, opened[0], notify)
        except UsageError:
            raise
        except (Exception, KeyboardInterrupt) as error:
            etl_run.try_to_record(analytics, opened[0] if opened else None, error)
            raise


def settle(
    settings: Settings,
    *,
    at: dt.datetime,
    run_key: str,
    source: str,
    notify: Notify = lambda _: None,
) -> list[str]:
    """Do the first step of a run whose steps are tasks of their own: settle, and note the pass.

    Another run's pass that is not published is finished first.

    Args:
        settings: with the file of shards.
        at: the instant, as `run` has it, and what follows.
        run_key: the same for every step and try.
        source: provenance.
        notify: told what a person should know.

    Returns:
        The shards' names, for a step in each.

    Raises:
        ConsumerAnalyticsError: as `run` does.
    """
    own = addresses.of_analytics(settings)
    with (
        connected(own, "run", works_long=True) as analytics,
        _all_shards(analytics, settings, "run") as shards,
    ):
        begun = unfinished(analytics)
        if begun is None or begun.opening.key != run_key:
            _finish_unfinished(analytics, own, shards, notify, [])
            settled = _settle(shards, at, run_key, source, notify, named=False)
            etl_run.record(analytics, own, settled, whole=False)
            _note(analytics, shards, settled)
        return [shard.name for shard in shards]


def load_shard(
    settings: Settings, run_key: str, name: str, notify: Notify = lambda _: None
) -> dict[str, Any] | None:
    """Do the step of a run in one shard; those in the others may be at work meanwhile.

    Returns:
        What the run in it tells; None where somebody has published the run.

    Raises:
        ConsumerAnalyticsError: as runs do; `ShardsError` names the shard.
    """
    own = addresses.of_analytics(settings)
    with (
        connected(own, "run", works_long=True) as analytics,
        sessions.turn(settings, shared=True),
    ):
        begun = unfinished(analytics)
        if begun is None or begun.opening.key != run_key:
            return None
        with sessions.opened(settings, "run", only=name) as shards:
            return each(shards, lambda shard: _load(shard, begun, notify))[name]


def publish(
    settings: Settings, run_key: str, notify: Notify = lambda _: None
) -> ShardedSummary | None:
    """Do the last step of a run: publish what the shards have loaded.

    Returns:
        What the run tells; None where somebody has published it.

    Raises:
        ConsumerAnalyticsError: as runs do.
    """
    own = addresses.of_analytics(settings)
    with (
        connected(own, "run", works_long=True) as analytics,
        _all_shards(analytics, settings, "run") as shards,
    ):
        begun = unfinished(analytics)
        if begun is None or begun.opening.key != run_key:
            return None
        opened = etl_run.record(analytics, own, begun.opening, whole=True)
        return _complete(analytics, own, shards, begun, opened, notify)


@dataclass(frozen=True)
class Workplace:
    """Sessions for work over all shards, whose turn it is.

    Attributes:
        analytics: in the database that figures are put together in, in autocommit.
        settings: of that.
        shards: all of them.
    """

    analytics: Connection
    settings: Settings
    shards: tuple[Shard, ...]


@contextmanager
def over_all(settings: Settings, purpose: str, notify: Notify) -> Iterator[Workplace]:
    """Have the turn to work over all shards for a `with` block; what a run has begun is finished.

    Raises:
        ConsumerAnalyticsError: as runs do.
    """
    own = addresses.of_analytics(settings)
    with (
        connected(own, purpose, works_long=True) as analytics,
        _all_shards(analytics, settings, purpose) as shards,
    ):
        _finish_unfinished(analytics, own, shards, notify, [])
        yield Workplace(analytics, own, shards)


@contextmanager
def _all_shards(
    analytics: Connection, settings: Settings, purpose: str
) -> Iterator[tuple[Shard, ...]]:
    with sessions.opened(settings, purpose) as shards, sessions.turn(settings):
        joining.join(analytics, shards)
        yield shards


def _finish_unfinished(
    analytics: Connection,
    settings: Settings,
    shards: Sequence[Shard],
    notify: Notify,
    opened: list[Run],
) -> ShardedSummary | None:
    """Finish the pass that was noted and is not published, if there is one."""
    begun = unfinished(analytics)
    if begun is None:
        return None
    notify(Information(f"run {begun.opening.key} was not published: it is finished first"))
    opened[:] = [etl_run.record(analytics, settings, begun.opening, whole=True)]
    summary = _complete(analytics, settings, shards, begun, opened[0], notify)
    opened.clear()
    return summary


def unfinished(analytics: Connection) -> Begun | None:
    """Return the pass that was noted and is not published; None where there is none."""
    row = analytics.execute(query("shards/runs/unfinished")).fetchone()
    if row is None:
        return None
    pass_id, key, source, requested, reached, named, held_back_by, mark = row
    return Begun(
        pass_id,
        Opening(key, source, requested, reached, named, tuple(held_back_by)),
        mark,
    )


def require_usable(shard: Shard, notify: Notify) -> None:
    """Check that a shard can be worked in.

    Raises:
        ConsumerAnalyticsError: as any run does.
    """
    federation.require_own(shard.connection)
    sources.require_usable(shard.connection, shard.settings, shard.telling(notify))


def require_known(place: Workplace, strangers: Callable[[Shard], Sequence[uuid.UUID]]) -> None:
    """Refuse consumers that no shard knows.

    Args:
        place: with the shards.
        strangers: answers which of those that are asked for one shard does not know.

    Raises:
        UsageError: there is one; the first is named.
    """
    sources.require_known(unknown(place, strangers))


def unknown(place: Workplace, strangers: Callable[[Shard], Sequence[_Asked]]) -> list[_Asked]:
    """Return what no shard knows.

    Args:
        place: with the shards.
        strangers: answers which of those that are asked for one shard does not know.
    """
    first, *others = each(place.shards, strangers).values()
    return [one for one in first if all(one in other for other in others)]


def _settle(
    shards: Sequence[Shard],
    at: dt.datetime | None,
    run_key: str | None,
    source: str,
    notify: Notify,
    *,
    named: bool,
) -> Opening:
    """Wait for what is in flight in any shard; nothing is written."""

    def look(shard: Shard) -> dt.datetime:
        require_usable(shard, notify)
        return instants.now(shard.connection)

    now = min(each(shards, look).values())
    requested = at or now
    etl_run.require_past(requested, now)
    if named:
        _require_rows_until(shards, requested)
    found = each(
        shards,
        lambda shard: etl_run.settle(
            shard.connection, shard.settings, requested, shard.telling(notify)
        ),
    )
    return Opening(
        run_key or etl_run.new_key(now),
        source,
        requested,
        min(reached for reached, _ in found.values()),
        at is not None,
        tuple(
            {"shard": name, **holder.as_json()}
            for name, (_, holders) in found.items()
            for holder in holders
        ),
    )


def _require_rows_until(shards: Sequence[Shard], at: dt.datetime) -> None:
    """Check that any shard has anything to say of an instant that a person has named.

    Raises:
        UsageError: it lies before the first row of all.
    """
    first = first_row_after(shards, at)
    if first is not None:
        raise UsageError(
            f"{at.isoformat()} lies before the first row, of {first.isoformat()}: "
            "there is nothing to write; name a later instant"
        )


def first_row_after(shards: Sequence[Shard], at: dt.datetime) -> dt.datetime | None:
    """Return the time of the first row of all shards, if it lies after an instant."""

    def look(shard: Shard) -> tuple[bool, dt.datetime | None]:
        return sources.first_row(shard.connection, shard.settings, at)

    found = each(shards, look).values()
    if any(is_before for is_before, _ in found):
        return None
    return min((first for _, first in found if first is not None), default=None)


def _note(analytics: Connection, shards: Sequence[Shard], settled: Opening) -> Begun:
    """Note that shards are about to be written to."""
    mark = watermark.read(analytics).last_processed_timestamp
    if mark == watermark.EPOCH and watermark.processed_through(analytics) == MINUS_INFINITY:
        # The first run here; shards may have run by themselves before.
        marks = each(shards, lambda shard: watermark.read(shard.connection))
        mark = min(one.last_processed_timestamp for one in marks.values())
    values = {
        "key": settled.key,
        "source": settled.source,
        "requested": settled.requested,
        "reached": settled.reached,
        "named": settled.named,
        "held_back_by": Jsonb(list(settled.held_back_by)),
        "watermark": mark,
    }
    return Begun(scalar_of(analytics, "shards/runs/note", values), settled, mark)


def _complete(
    analytics: Connection,
    settings: Settings,
    shards: Sequence[Shard],
    noted: Begun,
    run_here: Run,
    notify: Notify,
) -> ShardedSummary:
    """Load in each shard, and publish."""
    told = each(shards, lambda shard: _load(shard, noted, notify))
    registered = summaries.registered_elsewhere(shards, told)
    whole: list[ShardedSummary] = []

    def finish(connection: Connection, published: Published) -> None:
        summary = summaries.together(noted.opening, told, published, registered)
        _finish(connection, noted, run_here, summary, published)
        whole.append(summary)

    published = together.publish(
        analytics,
        settings,
        shards,
        f"run {noted.opening.key}",
        asked=(noted.opening.reached,),
        finish=finish,
    )
    together.tell_awaited(published, notify)
    return whole[0]


def _load(shard: Shard, noted: Begun, notify: Notify) -> dict[str, Any]:
    """Load in a shard, unless another try of the pass has; return what its run tells."""
    connection, tell = shard.connection, shard.telling(notify)
    done = connection.execute(query("shards/runs/done"), {"key": noted.key_in_shard}).fetchone()
    if done is not None:
        return dict(done[0])
    require_usable(shard, lambda _: None)
    connection.execute(query("shards/runs/watermark"), {"to": noted.watermark})
    opening = Opening(
        noted.key_in_shard,
        noted.opening.source,
        noted.opening.requested,
        noted.opening.reached,
        noted.opening.named,
        noted.opening.held_back_by,
    )
    opened: Run | None = None
    try:
        opened = etl_run.begin(connection, shard.settings, opening, whole=True, notify=tell)
        return load.load(connection, shard.settings, opened, tell).as_json()
    except (Exception, KeyboardInterrupt) as error:
        etl_run.try_to_record(connection, opened, error)
        raise


def _finish(
    analytics: Connection,
    noted: Begun,
    run_here: Run,
    summary: ShardedSummary,
    published: Published,
) -> None:
    """Move the watermark and close the run, in the transaction that publishes."""
    load.close(
        analytics,
        run_here,
        watermark.read(analytics, for_update=True),
        watermark.processed_through(analytics),
        published.snapshots,
        summary.whole.new_events + summary.whole.new_customers,
        summary.as_json(),
    )
    analytics.execute(query("shards/runs/published"), {"pass_id": noted.pass_id})
    analytics.execute(query("shards/runs/reach"), {"until": noted.opening.reached})
