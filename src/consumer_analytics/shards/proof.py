"""The proof that what is published is the sum of the shards, and that nobody has edited it.

It shares no statement with what puts rows together: documents are taken apart, whatever keys they
have, and each value is held to the sum of the shards' values under the same key. Whether the shards'
own figures are right is each shard's audit to tell.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from psycopg import sql

from consumer_analytics.db.connection import Connection, consistent, wait_long
from consumer_analytics.reconcile.audit.models import AuditDifference, AuditResult, Collector
from consumer_analytics.shards.sessions import Shard, each
from consumer_analytics.sql import query

#: Rows of shards that are compared together, about.
_ROWS_AT_ONCE = 100_000
_BLOCK = 64 * 1024
_LOST = "a revision was edited or removed: nobody can tell what it said"


def prove(
    analytics: Connection,
    shards: Sequence[Shard],
    lower: dt.datetime,
    upper: dt.datetime,
    limit: int,
    notify: Callable[[str], None],
) -> AuditResult:
    """Hold what is published to the shards, whose turn whoever calls has.

    Args:
        analytics: in autocommit.
        shards: all of them.
        lower: snapshots from here on.
        upper: and up to here, this one included.
        limit: how many differences to list; all are counted.
        notify: told how far it is.
    """
    result = AuditResult()
    found = Collector(result, limit)
    wrong: set[dt.datetime] = set()

    def differs(
        at: dt.datetime, consumer: str | None, figure: str, kept: object, due: object
    ) -> None:
        wrong.add(at)
        found.add(AuditDifference("published", consumer, figure, at, kept, due))

    span = {"lower": lower, "upper": upper}
    with ExitStack() as reading:
        for session in (analytics, *(shard.connection for shard in shards)):
            reading.enter_context(consistent(session))
            wait_long(session)
        told = each(
            shards,
            lambda shard: dict(
                shard.connection.execute(query("shards/proof/instants"), span).fetchall()
            ),
        )
        published = dict(analytics.execute(query("shards/proof/published"), span).fetchall())
        complete = set.intersection(*(set(one) for one in told.values()))
        for at in sorted(complete | {at for at, kept in published.items() if kept == "there"}):
            kept = published.get(at)
            if at in complete and kept is None:
                differs(at, None, "row", None, "every shard has a snapshot of then")
            elif at not in complete and kept == "there":
                lacking = [name for name, one in told.items() if at not in one]
                differs(at, None, "row", "there", f"shard {lacking[0]} has no snapshot of then")
        both = sorted(at for at in complete if published.get(at) == "there")
        for chunk in _chunks(both, told):
            notify(f"held to the shards: snapshots up to {chunk[-1].isoformat()}")
            _stage(analytics, shards, chunk)
            rows = analytics.execute(query("shards/proof/differ"), {"snapshots": chunk})
            for at, consumer, figure, value, due in rows:
                differs(at, consumer, figure, value, due)
            (compared,) = analytics.execute(
                query("shards/proof/compared"), {"snapshots": chunk}
            ).fetchone() or (0,)
            result.snapshots += len(chunk)
            result.rows += compared
        for at, figure, value, due in analytics.execute(query("shards/proof/digests"), span):
            if figure == "revisions":
                found.add(AuditDifference("revision", None, figure, at, value, due, lasting=_LOST))
            elif at not in wrong:
                differs(at, None, "customers", "was edited", "as it was written")
    result.wrong_snapshots = sorted(wrong)
    return result


def believe(analytics: Connection, snapshots: Sequence[dt.datetime]) -> None:
    """Take published rows as they were written: they were put together again."""
    analytics.execute(query("shards/proof/believe"), {"snapshots": list(snapshots)})


def _chunks(
    instants: Sequence[dt.datetime], told: dict[str, dict[dt.datetime, int]]
) -> Sequence[list[dt.datetime]]:
    chunks: list[list[dt.datetime]] = []
    rows = _ROWS_AT_ONCE
    for at in instants:
        of_instant = sum(one[at] for one in told.values())
        if rows + of_instant > _ROWS_AT_ONCE:
            chunks.append([])
            rows = 0
        chunks[-1].append(at)
        rows += of_instant
    return chunks


def _stage(analytics: Connection, shards: Sequence[Shard], chunk: list[dt.datetime]) -> None:
    """Bring the shards' rows of some instants, in the caller's transaction."""
    analytics.execute(query("shards/proof/stage"))
    for shard in shards:
        rows = query(
            "shards/proof/rows",
            shard=sql.Literal(shard.name),
            snapshots=sql.SQL("{}::timestamptz[]").format(sql.Literal(chunk)),
        )
        with (
            shard.connection.cursor() as reader,
            analytics.cursor() as writer,
            reader.copy(sql.SQL("copy ({}) to stdout").format(rows)) as out,
            writer.copy("copy pg_temp.proof_rows from stdin") as into,
        ):
            block = bytearray()
            for row in out:
                block += row
                if len(block) >= _BLOCK:
                    into.write(bytes(block))
                    block.clear()
            into.write(bytes(block))
    analytics.execute("analyze pg_temp.proof_rows")
