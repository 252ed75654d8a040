"""What snapshots say of customers, compared with who there was, and put right where that is all.

One pass over the customers tells who there was at many instants, of all consumers. Where rows
say something else, and nothing but that, they are let say who there was, and the whole system's
row the sum of all; all else in them stays. What takes more is told the caller, who has snapshots
computed again.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.db.connection import INFINITY, Connection, scalar_of
from consumer_analytics.etl import lives, vanished
from consumer_analytics.etl.customers import (
    EXTRACTED_CUSTOMERS,
    count_cells,
    extract_customers,
    extract_customers_of,
    lay_customers_of,
)
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.plan import Plan, plan_restatement
from consumer_analytics.etl.rendering import lay_apart
from consumer_analytics.etl.shape import TOTAL, UNNAMED
from consumer_analytics.etl.windows import all_in_a_row, restate_window, windows
from consumer_analytics.mapping import Sources
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: More statuses than this get no column each.
MOST_COLUMNS = 40
#: Snapshots whose windows are not from one to the next, such as the first one's, that are computed
#: each by itself.
_MOST_APART = 4
#: Consumers whose customers are counted by themselves, where no others' are to be.
_MOST_CONSUMERS = 50


@dataclass(frozen=True)
class Differences:
    """What of some snapshots says other customers than there were.

    Attributes:
        snapshots: their instants, ascending.
        wrong: those of them at which a row says something else, is lacking or is too many.
        consumers: whose rows these are.
        held: rows of others that stay as they were reported, as no customer of theirs is left.
    """

    snapshots: list[dt.datetime]
    wrong: list[dt.datetime]
    consumers: list[uuid.UUID]
    held: list[tuple[dt.datetime, uuid.UUID]]


def differing(
    connection: Connection,
    settings: Settings,
    state: JobState,
    snapshots: list[dt.datetime],
    *,
    accepts_gone: Sequence[str] | None = (),
) -> Differences:
    """Compare what snapshots say of customers, and whose rows they have, with what is known now.

    Args:
        connection: in a transaction, under the job's lock; the customers at these instants are
            extracted in it.
        settings: where the source is.
        state: where the job stands.
        snapshots: their instants, ascending.
        accepts_gone: consumers whose customers were never there, as `apply` has it.
    """
    plan = plan_restatement(connection, state, snapshots)
    values: dict[str, Any] = {
        "bounds": list(plan.bounds),
        "accepts_all": accepts_gone is None,
        "accepted": list(accepts_gone or ()),
    }
    columns = _count(connection, settings, plan)
    if columns is None:
        extract_customers(connection, settings, plan)
    statement, names = comparing(settings.sources, columns)
    rows = connection.execute(statement, values | names).fetchall()
    wrong = [(at, consumer) for at, consumer, is_held in rows if not is_held]
    found = Differences(
        snapshots,
        sorted({at for at, _ in wrong}),
        sorted({consumer for _, consumer in wrong if consumer is not None}),
        [(at, consumer) for at, consumer, is_held in rows if is_held],
    )
    if columns is not None and wrong:
        take_apart(connection, columns, found.consumers)
    return found


@dataclass(frozen=True)
class StatusColumn:
    """A status that has a column.

    Attributes:
        status: its name.
        key: as JSON writes it.
        name: the column's.
    """

    status: str
    key: str
    name: sql.Identifier


def columns_of(statuses: Sequence[tuple[str, str]]) -> list[StatusColumn] | None:
    """Give each status, with its name in JSON, a column; none where they are too many."""
    if len(statuses) > MOST_COLUMNS:
        return None
    named = list(statuses) or [(UNNAMED, f'"{UNNAMED}"')]
    return [
        StatusColumn(status, key, sql.Identifier(f"s{place}"))
        for place, (status, key) in enumerate(named, start=1)
    ]


def _count(connection: Connection, settings: Settings, plan: Plan) -> list[StatusColumn] | None:
    """Count the customers' changes into `customer_cells`, if each status can have a column."""
    likely = {"first": plan.bounds[1], "last": plan.bounds[-1]}
    found = query("etl/comparison/statuses", settings.sources)
    columns = columns_of(connection.execute(found, likely).fetchall())
    if columns is not None and count_cells(
        connection,
        settings,
        plan.bounds,
        {one.status: one.name for one in columns},
        apart_from_before=False,
        many=False,
        lifetime=sql.SQL("on commit drop"),
    ):
        return columns
    return None


def take_apart(
    connection: Connection, columns: Sequence[StatusColumn], consumers: Sequence[uuid.UUID]
) -> None:
    """Lay the changes in `customer_cells` down as an extract has them.

    Those of some consumers and of nobody; those of all others together, under one of them.
    """
    connection.execute("drop table if exists pg_temp.extracted_customers")
    lifetime = sql.SQL("on commit drop")
    connection.execute(
        query("shared/customers-changes", table=EXTRACTED_CUSTOMERS, lifetime=lifetime)
    )
    # What is no status's comes with the first.
    rest = [sql.SQL("dated, created_us, born"), *[sql.SQL("0, 0, 0")] * (len(columns) - 1)]
    statuses = {f"status_{place}": one.status for place, one in enumerate(columns, start=1)}
    by_status = [
        sql.SQL("({}::text, {}, {})").format(sql.Placeholder(status), one.name, more)
        for status, one, more in zip(statuses, columns, rest, strict=True)
    ]
    connection.execute(
        query("etl/comparison/changes", by_status=sql.SQL(", ").join(by_status)),
        {"consumers": list(consumers), **statuses},
    )


def comparing(
    sources: Sources, columns: Sequence[StatusColumn] | None
) -> tuple[sql.Composed, dict[str, str]]:
    """Compose the comparison: with the cells of each status, or, where they are too many, without.

    Returns:
        The statement, and the values that name the statuses in it.
    """
    if columns is None:
        return query("etl/comparison/differ-of-many", sources), {}
    names = [one.name for one in columns]
    values = {f"key_{place}": f", {one.key}: " for place, one in enumerate(columns, start=1)}
    pieces = [
        sql.SQL("case when {0} <> 0 then {1}::text end, nullif({0}, 0)").format(
            name, sql.Placeholder(key)
        )
        for name, key in zip(names, values, strict=True)
    ]
    comma = sql.SQL(", ")
    statement = query(
        "etl/comparison/differ",
        sources,
        accumulated=comma.join(
            sql.SQL(TOTAL + "(moved.{0}) over so_far as {0}").format(name) for name in names
        ),
        total=sql.SQL(" + ").join(names),
        by_status=comma.join(pieces),
    )
    return statement, values


def put_right(
    connection: Connection,
    settings: Settings,
    state: JobState,
    found: Differences,
    reason: str,
    looked_from: dt.datetime = INFINITY,
) -> int | None:
    """Let rows that say other customers than there were say who there was, if that is all.

    Args:
        connection: in the transaction that has found them.
        settings: where the source is.
        state: where the job stands.
        found: what `differing` has found: something.
        reason: kept with what a row said before.
        looked_from: from when on all that is gone has just been judged.

    Returns:
        Rows restated; None where the snapshots have to be computed again.
    """
    wrong = found.wrong
    if wrong[0] < looked_from:
        vanished.judge_lives(connection, settings, wrong[0], state.processed_through, reason)
    # The whole system's row is the sum of all there were, and of what was reported of these.
    if found.held or vanished.concerns(connection, wrong[0]):
        return None
    connection.execute("drop table if exists pg_temp.unlike_customers")
    plan = plan_restatement(connection, state, found.snapshots)
    starts = dict(windows(connection, wrong))
    counted = dict(zip(plan.snapshots, plan.bounds, strict=False))
    apart = [at for at in wrong if starts[at] != counted[at]]
    within = [at for at in wrong if starts[at] == counted[at]]
    if len(apart) > _MOST_APART:
        return None
    connection.execute(
        query("etl/comparison/unlike", settings.sources, summed=query("etl/comparison/summed")),
        {"bounds": list(plan.bounds), "wrong": within, "consumers": found.consumers},
    )
    if not scalar_of(connection, "etl/comparison/sure", {"wrong": within}):
        return None
    lay_apart(connection, query("etl/comparison/rendered"))
    restated = connection.execute(query("shared/snapshots-restate"), {"reason": reason}).rowcount
    for at in apart:
        restated += restate_window(connection, settings, state, [(at, starts[at])], reason)
    return restated


def put_right_of(
    connection: Connection,
    settings: Settings,
    state: JobState,
    consumers: Sequence[uuid.UUID],
    since: dt.datetime,
    until: dt.datetime,
    reason: str,
) -> tuple[int, int] | None:
    """Let some consumers' rows since an instant say who there was, if customers came late to them.

    No others' customers are counted: the whole system's row says as many more as these.

    Args:
        connection: in a transaction, under the job's lock.
        settings: where the source is.
        state: where the job stands. No others' customers are to be compared.
        consumers: whose customers came late.
        since: the beginning of the first day on which they were born.
        until: the last instant whose snapshot was written without knowing of them.
        reason: kept with what a row said before.

    Returns:
        Snapshots that said other customers, and rows restated; None where all have to be compared.
    """
    waits = (
        state.customers_from,
        state.restates_from,
        scalar_of(connection, "shared/state-restate-from"),
    )
    if len(consumers) > _MOST_CONSUMERS or any(one is not None for one in waits):
        return None
    if lives.lacks_index(connection, settings):
        return None
    # What ended since the last run is not remembered yet.
    lives.remember(connection, settings, [], first=state.processed_through)
    concerned = query("etl/comparison/concerned")
    values = {"since": since, "until": until}
    rows = connection.execute(concerned, values).fetchall()
    chunks = list(all_in_a_row(rows))
    if not rows or len(chunks) > 1 + _MOST_APART:
        return None
    first = rows[0][0]
    told_by = {"consumers": list(consumers), "first": first, "known": state.processed_through}
    # A loss that nobody has noted yet is judged where all are compared.
    if not lay_customers_of(connection, settings, consumers, first) or scalar_of(
        connection, "etl/comparison/lacking", told_by, sources=settings.sources
    ):
        return None
    put_right: list[tuple[int, int]] = []
    with connection.transaction() as attempt:
        for chunk in chunks:
            wrong = _lay_right(connection, settings, state, consumers, chunk, since)
            if wrong is None:
                raise psycopg.Rollback(attempt)
            statement = query("shared/snapshots-restate")
            restated = connection.execute(statement, {"reason": reason}).rowcount
            put_right.append((len(wrong), restated))
    if len(put_right) < len(chunks):
        return None
    differing, rows_restated = map(sum, zip(*put_right, strict=True))
    return differing, rows_restated


def _lay_right(
    connection: Connection,
    settings: Settings,
    state: JobState,
    consumers: Sequence[uuid.UUID],
    chunk: list[tuple[dt.datetime, dt.datetime | None]],
    since: dt.datetime,
) -> list[dt.datetime] | None:
    """Lay apart what snapshots, whose windows follow each other, are to say of some consumers.

    Returns:
        Which of them said something else; None where that takes more.
    """
    snapshots = [at for at, _ in chunk]
    start = chunk[0][1]
    if start is None or vanished.concerns(connection, snapshots[0]):
        return None
    plan = plan_restatement(connection, state, snapshots, start)
    extract_customers_of(connection, settings, plan, consumers)
    connection.execute("drop table if exists pg_temp.unlike_customers")
    connection.execute(
        query(
            "etl/comparison/unlike",
            settings.sources,
            summed=query("etl/comparison/summed-of-some"),
        ),
        {"bounds": list(plan.bounds), "wrong": snapshots, "consumers": list(consumers)},
    )
    if not scalar_of(connection, "etl/comparison/sure", {"wrong": snapshots}):
        return None
    of_these = {"consumers": list(consumers), "snapshots": snapshots}
    if not scalar_of(connection, "etl/comparison/explained", of_these):
        return None
    found = connection.execute(query("etl/comparison/wrong")).fetchall()
    wrong = [at for (at,) in found]
    # Where the one before these days differs, so may those before it.
    if wrong and min(wrong) <= since:
        return None
    lay_apart(connection, query("etl/comparison/rendered"))
    return wrong
