"""The proof that what is published is the sum of the shards, and that nobody has edited it.

It shares no statement with what puts rows together: documents are taken apart, whatever keys they
have, and each value is held to the sum of the shards' values under the same key. Whether the
shards' own figures are right is each shard's audit to tell.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from psycopg import sql

from consumer_analytics.db.connection import Connection, consistent, scalar_of, wait_long
from consumer_analytics.reconcile.audit.models import AuditDifference, AuditResult, Collector
from consumer_analytics.shards.sessions import Shard, copied, each
from consumer_analytics.sql import query

#: Rows of shards that are compared together, about.
_ROWS_AT_ONCE = 100_000
#: By instant, about how many rows a shard has, and where its window begins.
_Told = dict[dt.datetime, tuple[int, str | None]]
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
    findings = _Findings(limit)
    span = {"lower": lower, "upper": upper}
    with ExitStack() as reading:
        for session in (analytics, *(shard.connection for shard in shards)):
            reading.enter_context(consistent(session))
            wait_long(session)
        told = each(
            shards,
            lambda shard: {
                at: (rows, window)
                for at, rows, window in shard.connection.execute(
                    query("shards/proof/instants"), span
                )
            },
        )
        published = dict(analytics.execute(query("shards/proof/published"), span).fetchall())
        both, apart = _compared(told, _apart(analytics, shards, span), published, findings)
        for chunk in _chunks(both):
            notify(f"held to the shards: snapshots up to {chunk[-1].isoformat()}")
            _stage(analytics, shards, chunk)
            _compare(analytics, chunk, findings)
        for chunk in _chunks(apart):
            notify(f"held to the shards: chosen consumers up to {chunk[-1].isoformat()}")
            _stage(analytics, shards, chunk)
            _stage_apart(analytics, shards, chunk)
            _compare(analytics, chunk, findings)
        for at, figure, value, due in analytics.execute(query("shards/proof/digests"), span):
            if figure == "revisions":
                findings.lost(at, value, due)
            elif at not in findings.wrong:
                findings.differs(at, None, "customers", "was edited", "as it was written")
    findings.result.wrong_snapshots = sorted(findings.wrong)
    return findings.result


def _compare(analytics: Connection, chunk: list[dt.datetime], findings: _Findings) -> None:
    """Hold what is published at some instants to the shards' rows that were brought."""
    rows = analytics.execute(query("shards/proof/differ"), {"snapshots": chunk})
    for at, consumer, figure, value, due in rows:
        findings.differs(at, consumer, figure, value, due)
    findings.result.snapshots += len(chunk)
    findings.result.rows += scalar_of(analytics, "shards/proof/compared", {"snapshots": chunk})


class _Findings:
    """What differs, and at which instants something does that can be put right."""

    def __init__(self, limit: int) -> None:
        self.result = AuditResult()
        self.wrong: set[dt.datetime] = set()
        self._found = Collector(self.result, limit)

    def differs(
        self, at: dt.datetime, consumer: str | None, figure: str, kept: object, due: object
    ) -> None:
        self.wrong.add(at)
        self._found.add(AuditDifference("published", consumer, figure, at, kept, due))

    def lost(self, at: dt.datetime, kept: int, due: int) -> None:
        self._found.add(
            AuditDifference("revision", None, "revisions", at, kept, due, lasting=_LOST)
        )


def _compared(
    told: dict[str, _Told],
    asked: dict[dt.datetime, int],
    published: dict[dt.datetime, str],
    findings: _Findings,
) -> tuple[dict[dt.datetime, int], dict[dt.datetime, int]]:
    """Return the instants to compare, each with about how many rows; tell of those that lack one.

    Those whose windows are not the same everywhere are published by nobody.

    Returns:
        Those that are published and that every shard has, and those of chosen consumers alone.
    """
    complete = set.intersection(*(set(one) for one in told.values()))
    apart = {at for at in complete if len({one[at][1] for one in told.values()}) > 1}
    there = {at for at, kept in published.items() if kept == "there"}
    for at in sorted(complete - apart - set(published)):
        findings.differs(at, None, "row", None, "every shard has a snapshot of then")
    for at in sorted(there - complete):
        lacking = next(name for name, one in told.items() if at not in one)
        findings.differs(at, None, "row", "there", f"shard {lacking} has no snapshot of then")
    both = {at: sum(one[at][0] for one in told.values()) for at in sorted(complete & there)}
    alone = {at for at, kept in published.items() if kept == "apart"}
    alone |= asked.keys() - published.keys()
    # What shards have whole, and wait for others with, may have as many rows.
    rows = {
        at: asked.get(at, 0) + sum(one[at][0] for one in told.values() if at in one)
        for at in sorted(alone - complete)
    }
    return both, rows


def _apart(
    analytics: Connection, shards: Sequence[Shard], span: dict[str, dt.datetime]
) -> dict[dt.datetime, int]:
    """Return for how many consumers instants were asked apart, in the shards and here."""
    asked: dict[dt.datetime, int] = {}
    for session in (analytics, *(shard.connection for shard in shards)):
        for at, consumers in session.execute(query("shards/proof/apart"), span):
            asked[at] = asked.get(at, 0) + consumers
    return asked


def customers_in_several(
    analytics: Connection, shards: Sequence[Shard], limit: int
) -> tuple[int, list[tuple[str, list[str]]]]:
    """Find customers whose id several shards have: each of these counts them, as its own.

    Returns:
        How many there are, and the first of them with their shards.
    """
    analytics.execute(query("shards/proof/customers-stage"))
    for shard in shards:
        ids = query("shards/proof/customers", shard.settings.sources, shard=sql.Literal(shard.name))
        copied(
            shard.connection,
            sql.SQL("copy ({}) to stdout").format(ids),
            analytics,
            sql.SQL("copy pg_temp.proof_customers from stdin"),
        )
    rows = analytics.execute(
        query("shards/proof/customers-several"), {"limit": max(1, limit)}
    ).fetchall()
    analytics.execute("drop table pg_temp.proof_customers")
    found = [(customer, names) for customer, names, _ in rows]
    return (rows[0][2] if rows else 0), found[:limit]


def believe(analytics: Connection, snapshots: Sequence[dt.datetime]) -> None:
    """Take published rows as they were written: they were put together again."""
    analytics.execute(query("shards/proof/believe"), {"snapshots": list(snapshots)})


def _chunks(instants: dict[dt.datetime, int]) -> Sequence[list[dt.datetime]]:
    chunks: list[list[dt.datetime]] = []
    rows = _ROWS_AT_ONCE
    for at, of_instant in instants.items():
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
        copied(
            shard.connection,
            sql.SQL("copy ({}) to stdout").format(rows),
            analytics,
            sql.SQL("copy pg_temp.proof_rows from stdin"),
        )
    analytics.execute("analyze pg_temp.proof_rows")


def _stage_apart(analytics: Connection, shards: Sequence[Shard], chunk: list[dt.datetime]) -> None:
    """Leave of the rows that were brought those that every shard was asked for apart."""
    analytics.execute(query("shards/proof/apart-stage"))
    for shard in shards:
        told = query(
            "shards/proof/apart-told",
            shard=sql.Literal(shard.name),
            snapshots=sql.SQL("{}::timestamptz[]").format(sql.Literal(chunk)),
        )
        copied(
            shard.connection,
            sql.SQL("copy ({}) to stdout").format(told),
            analytics,
            sql.SQL("copy pg_temp.proof_apart from stdin"),
        )
    names = [shard.name for shard in shards]
    analytics.execute(query("shards/proof/apart-early"), {"shards": names})
