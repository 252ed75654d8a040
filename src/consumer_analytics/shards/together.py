"""Snapshots put together: what is published is what the shards' rows say.

Each shard's rows since it was last read are looked at in a transaction that has its job lock, so
that no number is committed later; how far that was moves with what is published. Done twice, or
by two that overlap, it comes to the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg
from psycopg import sql

from consumer_analytics.db.connection import Connection, scalar_of, wait_long
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import ShardsError
from consumer_analytics.etl import job_state, keys, vanished
from consumer_analytics.etl.customers import extract_customers
from consumer_analytics.etl.keys import Kind, SnapshotKey
from consumer_analytics.etl.plan import plan_restatement
from consumer_analytics.etl.rendering import lay_apart
from consumer_analytics.settings import Settings
from consumer_analytics.shards import apart
from consumer_analytics.shards.apart import AskedApart
from consumer_analytics.shards.sessions import Shard, each
from consumer_analytics.shards.transfer import TABLES, ask, hand_over, timestamps
from consumer_analytics.sql import query

#: Rows put together in one transaction, about.
_ROWS_AT_ONCE = 200_000
#: What counts rows, and no shard can tell of all.
_COUNTS_ROWS = "consumers"


@dataclass
class Published:
    """What was put together.

    Attributes:
        inserted: snapshot rows that were not there yet.
        restated: rows that said something else, or should not be there.
        snapshots: instants whose rows were looked at.
        awaited: instants that some shards have, and not all; they are not published.
        unreadable: those of them at which a shard's row is no longer what was written.
    """

    inserted: int = 0
    restated: int = 0
    snapshots: list[dt.datetime] = field(default_factory=list)
    awaited: list[dt.datetime] = field(default_factory=list)
    unreadable: list[dt.datetime] = field(default_factory=list)


@dataclass(frozen=True)
class _Position:
    """Up to where a shard's rows and revisions were read, and are there."""

    rows: int
    revisions: int


@dataclass(frozen=True)
class _Instants:
    """Instants that every shard has, ascending.

    Attributes:
        fresh: those that are not published yet.
        outgrown: those that are.
        again: those of the latter of which every row is looked at, not those that changed alone.
        joined: whether any of the first has rows of chosen consumers that are published.
    """

    fresh: tuple[dt.datetime, ...]
    outgrown: tuple[dt.datetime, ...]
    again: tuple[dt.datetime, ...]
    joined: bool


@dataclass(frozen=True)
class _Plan:
    """What is to be put together.

    Attributes:
        complete: instants that every shard has whole, ascending: whether each is published, and
            about how many rows it has.
        lower: from where on each shard's rows of those that are not are read.
        again: published ones of which all rows are looked at.
        apart: instants at which chosen consumers' rows stand alone, ascending.
        noted: for how many consumers instants were asked apart.
    """

    complete: dict[dt.datetime, tuple[bool, int]]
    lower: dict[str, int]
    again: frozenset[dt.datetime]
    apart: tuple[dt.datetime, ...]
    noted: AskedApart


def publish(
    analytics: Connection,
    settings: Settings,
    shards: Sequence[Shard],
    reason: str,
    *,
    again: Sequence[dt.datetime] = (),
    asked: Sequence[dt.datetime] = (),
    finish: Callable[[Connection, Published], None] = lambda _, __: None,
) -> Published:
    """Put together what the shards have written since they were last read.

    Args:
        analytics: in autocommit; whoever calls has the turn over the shards.
        settings: of the database that figures are put together in.
        shards: all of them.
        reason: kept with what a snapshot said before.
        again: instants to be put together anew, whatever was read of them.
        asked: instants that were asked for: they are published, should they have been thinned too.
        finish: called in the transaction that publishes the last of it.

    Raises:
        BusyError: somebody else would not end there.
        ShardsError: the shards' rows do not go together.
    """
    published = Published()
    with ExitStack() as turns:
        for shard in shards:
            turns.enter_context(job_lock(shard.connection, shard.settings))
            wait_long(shard.connection)
        before = _positions(analytics)
        now = each(shards, lambda shard: _position(shard, before[shard.name]))
        plan = _plan(analytics, shards, before, again, asked, published)
        for chunk in apart.chunks(plan.apart, plan.noted):
            with job_lock(analytics, settings):
                wait_long(analytics)
                _put_apart(analytics, shards, chunk, again, reason, published)
        for instants, is_last in _chunks(plan):
            with job_lock(analytics, settings):
                wait_long(analytics)
                _put_together(analytics, shards, before, plan.lower, instants, reason, published)
                if is_last:
                    _note_positions(analytics, now, published.awaited)
                    finish(analytics, published)
    return published


def _positions(analytics: Connection) -> dict[str, _Position]:
    rows = analytics.execute(query("shards/together/positions")).fetchall()
    return {name: _Position(through, revisions) for name, through, revisions in rows}


def _position(shard: Shard, before: _Position) -> _Position:
    rows, revisions = shard.connection.execute(query("shards/together/position")).fetchone() or (
        0,
        0,
    )
    # Rows that were removed since take no number back.
    return _Position(max(rows, before.rows), max(revisions, before.revisions))


def _plan(
    analytics: Connection,
    shards: Sequence[Shard],
    before: dict[str, _Position],
    again: Sequence[dt.datetime],
    asked: Sequence[dt.datetime],
    published: Published,
) -> _Plan:
    """Find what is to be put together."""

    def changed(shard: Shard) -> set[dt.datetime]:
        position = before[shard.name]
        values = {"rows": position.rows, "revisions": position.revisions}
        return {at for (at,) in shard.connection.execute(query("shards/together/changed"), values)}

    waiting = {at for (at,) in analytics.execute(query("shards/together/awaited"))}
    found = waiting.union(again, *each(shards, changed).values())
    there, thinned = published_of(analytics, found.union(asked))
    thinned_for_good = thinned - written_again(shards, thinned) - set(asked)
    found |= thinned.intersection(asked)
    candidates = {"snapshots": sorted(found - thinned_for_good)}

    def whole(shard: Shard) -> dict[dt.datetime, _Whole]:
        values = candidates | {"rows": before[shard.name].rows}
        rows = shard.connection.execute(query("shards/together/whole"), values)
        return {at: _Whole(*told) for at, *told in rows}

    having = each(shards, whole)
    noted = apart.noted(analytics, shards, candidates["snapshots"])
    complete: dict[dt.datetime, tuple[bool, int]] = {}
    alone: list[dt.datetime] = []
    lower = {shard.name: before[shard.name].rows for shard in shards}
    for at in candidates["snapshots"]:
        told = [instants[at] for instants in having.values() if at in instants]
        if len(told) < len(shards) or len({one.window_start for one in told}) > 1:
            if told or at in there:
                published.awaited.append(at)
            if at not in there and (noted.rows(at) or at in again):
                alone.append(at)
            continue
        is_there = at in there or at in again
        complete[at] = (is_there, sum(one.rows for one in told))
        for name, instants in having.items():
            if not is_there and (not instants[at].is_new or noted.rows(at)):
                # It has waited for others, was thinned here alone, or chosen consumers' rows were
                # there before.
                lower[name] = 0
    # What changed while it waited was read before.
    anew = frozenset(again) | (waiting & there)
    return _Plan(complete, lower, anew, tuple(alone), noted)


def published_of(
    analytics: Connection, snapshots: Iterable[dt.datetime]
) -> tuple[set[dt.datetime], set[dt.datetime]]:
    """Return those of some instants that are published whole, and those that were thinned."""
    values = {"snapshots": sorted(snapshots)}
    rows = analytics.execute(query("shards/together/published"), values).fetchall()
    return {at for at, kept in rows if kept == "there"}, {
        at for at, kept in rows if kept == "thinned"
    }


def written_again(
    shards: Sequence[Shard], snapshots: set[dt.datetime] | None
) -> frozenset[dt.datetime]:
    """Return those of some instants, or of all, that a shard has thinned, and has again."""
    if snapshots is not None and not snapshots:
        return frozenset()
    values = {"snapshots": None if snapshots is None else sorted(snapshots)}

    def look(shard: Shard) -> set[dt.datetime]:
        rows = shard.connection.execute(query("shards/together/written-again"), values)
        return {at for (at,) in rows}

    return frozenset().union(*each(shards, look).values())


@dataclass(frozen=True)
class _Whole:
    """A shard's snapshot of an instant.

    Attributes:
        is_new: whether it was written since it was last read.
        rows: about how many it has.
        window_start: as its row of the whole system has it.
    """

    is_new: bool
    rows: int
    window_start: str | None


def _chunks(plan: _Plan) -> Iterator[tuple[_Instants, bool]]:
    """Cut instants into what is put together at once; yield each, and whether it is the last."""
    chunk: list[dt.datetime] = []
    rows = 0
    for at, (_, of_instant) in plan.complete.items():
        if chunk and rows + of_instant > _ROWS_AT_ONCE:
            yield _parted(chunk, plan), False
            chunk, rows = [], 0
        chunk.append(at)
        rows += of_instant
    yield _parted(chunk, plan), True


def _parted(chunk: list[dt.datetime], plan: _Plan) -> _Instants:
    fresh = tuple(at for at in chunk if not plan.complete[at][0])
    return _Instants(
        fresh,
        tuple(at for at in chunk if plan.complete[at][0]),
        tuple(at for at in chunk if at in plan.again),
        any(at in plan.noted.published for at in fresh),
    )


def _put_apart(
    analytics: Connection,
    shards: Sequence[Shard],
    instants: Sequence[dt.datetime],
    again: Sequence[dt.datetime],
    reason: str,
    published: Published,
) -> None:
    """Put chosen consumers' rows together that stand apart, within the caller's transaction."""
    analytics.execute(query("shards/together/stage"))
    waiting = apart.bring(analytics, shards, instants, [at for at in instants if at in again])
    published.awaited += [at for at in waiting if at not in published.awaited]
    _write(analytics, shards, (), reason, published, restates=True, is_whole=False)


def _put_together(
    analytics: Connection,
    shards: Sequence[Shard],
    before: dict[str, _Position],
    lower: dict[str, int],
    instants: _Instants,
    reason: str,
    published: Published,
) -> None:
    """Put some instants together, within the caller's transaction."""
    if not instants.fresh and not instants.outgrown:
        return
    analytics.execute(query("shards/together/stage"))
    if instants.outgrown:
        _ask_for_pairs(analytics, shards, before, instants)
    for shard in shards:
        parts: dict[str, sql.Composable] = {
            "shard": sql.Literal(shard.name),
            "fresh": timestamps(instants.fresh),
            "outgrown": timestamps(instants.outgrown),
            "lower": sql.Literal(lower[shard.name]),
        }
        select = query("shards/together/rows-fresh", None, **parts)
        if instants.outgrown:
            select += sql.SQL("\nunion all\n")
            select += query("shards/together/rows-asked", None, **parts)
        hand_over(shard.connection, select, analytics, TABLES["shard_rows"])
    _write(
        analytics,
        shards,
        (*instants.fresh, *instants.again),
        reason,
        published,
        restates=bool(instants.outgrown) or instants.joined,
        is_whole=True,
    )
    looked_at = [*instants.fresh, *instants.outgrown]
    published.snapshots += [at for at in looked_at if at not in published.unreadable]


def _write(
    analytics: Connection,
    shards: Sequence[Shard],
    all_there: Sequence[dt.datetime],
    reason: str,
    published: Published,
    *,
    restates: bool,
    is_whole: bool,
) -> None:
    """Write what `shard_rows` come to together, within the caller's transaction.

    Args:
        analytics: where they are.
        shards: all of them.
        all_there: instants of which every row was handed over.
        reason: kept with what a snapshot said before.
        published: to be added to.
        restates: whether any of the rows may be there.
        is_whole: whether rows of the whole system are among them.
    """
    # Of documents nothing need be known.
    analytics.execute("analyze pg_temp.shard_rows (consumer_id, snapshot_timestamp)")
    analytics.execute(query("shards/together/shared"))
    unreadable = [at for (at,) in analytics.execute(_unreadable())]
    published.unreadable += unreadable
    published.awaited += [at for at in unreadable if at not in published.awaited]
    _bring_lifetimes(analytics, shards)
    try:
        consumers, whole = _rendered([at for at in all_there if at not in unreadable])
        lay_apart(analytics, consumers)
        if is_whole:
            analytics.execute(whole)
    except psycopg.DataError as error:
        raise ShardsError(
            f"a snapshot of a shard is no longer what was written ({error.diag.message_primary}); "
            "`consumer-analytics audit --repair` puts it right"
        ) from error
    published.inserted += scalar_of(analytics, "shared/snapshots-insert")
    if restates:
        for name in ("shared/snapshots-restate", "shards/together/withdraw"):
            published.restated += analytics.execute(query(name), {"reason": reason}).rowcount


def _ask_for_pairs(
    analytics: Connection,
    shards: Sequence[Shard],
    before: dict[str, _Position],
    instants: _Instants,
) -> None:
    """Tell every shard which rows any of them has changed: what is published is the sum of all."""
    if instants.again:
        everything = query("shards/together/pairs-there", again=timestamps(instants.again))
        for shard in shards:
            hand_over(shard.connection, everything, analytics, TABLES["shard_pairs"])
        analytics.execute(sql.SQL("insert into {} {}").format(TABLES["shard_pairs"], everything))
    for shard in shards:
        position = before[shard.name]
        changed = query(
            "shards/together/pairs-changed",
            rows=sql.Literal(position.rows),
            revisions=sql.Literal(position.revisions),
            outgrown=timestamps(instants.outgrown),
        )
        hand_over(shard.connection, changed, analytics, TABLES["shard_pairs"])
    analytics.execute(query("shards/together/pairs-once"))
    for shard in shards:
        ask(analytics, shard)


def _bring_lifetimes(analytics: Connection, shards: Sequence[Shard]) -> None:
    """Have customers counted whose mean lifetime no shard can tell alone."""
    needed = analytics.execute(query("shards/together/lifetimes-needed")).fetchone()
    if needed is None or not needed[0]:
        return
    snapshots, consumers = needed

    def count(shard: Shard) -> None:
        plan = plan_restatement(shard.connection, job_state.read(shard.connection), snapshots)
        extract_customers(shard.connection, shard.settings, plan)
        shard.connection.execute("drop table if exists pg_temp.told_lifetimes")
        shard.connection.execute(
            query("shards/together/lifetimes"), {"snapshots": snapshots, "consumers": consumers}
        )

    each(shards, count)
    told = sql.SQL("select * from pg_temp.told_lifetimes")
    for shard in shards:
        hand_over(shard.connection, told, analytics, TABLES["shard_lifetimes"])


def _unreadable() -> sql.Composed:
    """Compose what finds instants at which a shard's row holds no number where one stands.

    Nobody knows what to add up there, until an audit has put it right.
    """
    consumers, whole = keys.of_consumer(), keys.of_whole()
    windows = {**keys.of_consumer(keys.WINDOW_KEYS), **keys.of_whole(keys.WINDOW_KEYS)}
    paths = [
        [name]
        for name, key in {**consumers, **whole}.items()
        if key.kind is Kind.NUMBER and key.value != _COUNTS_ROWS
    ]
    paths += [["incremental_stats", name] for name in windows]
    maps = [name for name, key in {**consumers, **whole}.items() if key.kind is Kind.MAP]
    return query(
        "shards/together/unreadable",
        numbers=sql.SQL(", ").join(
            sql.SQL("(metrics_json #>> {}::text[])").format(list(path)) for path in paths
        ),
        maps=sql.SQL("{}::text[]").format(sql.Literal(maps)),
    )


def _rendered(all_there: Sequence[dt.datetime]) -> tuple[sql.Composed, sql.Composed]:
    """Compose the snapshots as all shards together have them.

    Args:
        all_there: instants of which every row was handed over.

    Returns:
        What answers the consumers' rows, and what adds the whole system's to them.
    """
    consumers = keys.of_consumer()
    window = keys.of_consumer(keys.WINDOW_KEYS)
    of_whole = {name: key for name, key in keys.of_whole().items() if key.value != _COUNTS_ROWS}
    rows = query(
        "shards/together/consumers",
        sums=_sums(consumers, window),
        figures=_figures(consumers),
        window=_numbers(window),
        maps=_maps(consumers),
    )
    counts = [name for name, key in keys.of_whole().items() if key.value == _COUNTS_ROWS]
    whole = query(
        "shards/together/whole-system",
        sums=_sums(of_whole, keys.of_whole(keys.WINDOW_KEYS)),
        figures=_figures(of_whole),
        window=_numbers(keys.of_whole(keys.WINDOW_KEYS)),
        maps=_maps(of_whole),
        counted=sql.Literal(counts[0]),
        whole=timestamps(all_there),
    )
    return rows, whole


def _column(key: SnapshotKey) -> sql.Identifier:
    """Return the column that a count is in: ratios are defined over these."""
    return sql.Identifier(key.value.strip("{}"))


def _sums(
    top: dict[LiteralString, SnapshotKey], window: dict[LiteralString, SnapshotKey]
) -> sql.Composed:
    """Compose the sum of each count, as a column."""
    paths = [([name], key) for name, key in top.items() if key.kind is Kind.NUMBER]
    paths += [(["incremental_stats", name], key) for name, key in window.items()]
    return sql.SQL(",\n        ").join(
        sql.SQL("coalesce(sum((metrics_json #>> {}::text[])::bigint), 0)::bigint as {}").format(
            list(path), _column(key)
        )
        for path, key in paths
    )


def _numbers(of: dict[LiteralString, SnapshotKey]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{}, {}").format(sql.Literal(name), _column(key))
        for name, key in of.items()
        if key.kind is Kind.NUMBER
    )


def _figures(of: dict[LiteralString, SnapshotKey]) -> sql.Composed:
    """Compose the counts, and what is worked out of them, as names and values of an object."""
    active, inactive = sql.Identifier("active"), sql.Identifier("inactive")
    pieces: list[sql.Composable] = [_numbers(of)]
    pieces += [
        sql.SQL("{}, ({})::text::jsonb").format(
            sql.Literal(name), sql.SQL(key.value).format(active=active, inactive=inactive)
        )
        for name, key in of.items()
        if key.kind is Kind.RATIO
    ]
    return sql.SQL(", ").join(pieces)


def _maps(of: dict[LiteralString, SnapshotKey]) -> sql.Composed:
    names = [name for name, key in of.items() if key.kind is Kind.MAP]
    return sql.SQL("{}::text[]").format(sql.Literal(names))


def _note_positions(
    analytics: Connection, now: dict[str, _Position], awaited: list[dt.datetime]
) -> None:
    """Note how far the shards were read, within the caller's transaction."""
    for name, position in now.items():
        analytics.execute(
            query("shards/together/read-through"),
            {"name": name, "rows": position.rows, "revisions": position.revisions},
        )
    analytics.execute(query("shards/together/await"), {"snapshots": awaited})


def tell_awaited(published: Published, notify: Callable[[str], None]) -> None:
    """Say which instants are not published, and why."""
    waiting = tuple(at for at in published.awaited if at not in published.unreadable)
    if waiting:
        notify(
            f"not published: {vanished.named(waiting)}, as not every shard has a snapshot of "
            "then, with the same window"
        )
    if published.unreadable:
        notify(
            f"not published: {vanished.named(sorted(set(published.unreadable)))}, as a shard's "
            "snapshot of then is no longer what was written; "
            "`consumer-analytics audit --repair` puts it right"
        )
