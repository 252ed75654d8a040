"""What the statements of a real run did, as EXPLAIN ANALYZE tells it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus

_NAME = re.compile(r"/\* consumer_analytics: ([a-z_/-]+) \*/")
_EXPLAINED = re.compile(
    r"(select|with|insert|update|delete|create temporary table \S+.*? as)\b", re.DOTALL
)


#: Kind of what looks at rows of two sides in pairs, each with each.
_PAIRS = "Nested Loop"


@dataclass
class Scan:
    """A scan of a table, of what a statement has put together itself, or of pairs of rows.

    Attributes:
        statement: the query file.
        kind: such as `Seq Scan`; `CTE Scan` is of the second, `Nested Loop` of the third.
        table: without its schema; of pairs how they are joined.
        rows: all that it looked at, those that a filter dropped included.
    """

    statement: str
    kind: str
    table: str
    rows: int


class Plans:
    """Explains each query file that a session runs in a transaction, just before it is run.

    EXPLAIN ANALYZE executes it, within a savepoint that is rolled back.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Explain from now on."""
        self.scans: list[Scan] = []
        self.explained: Counter[str] = Counter()
        execute = psycopg.Connection.execute

        def explaining(connection: Any, statement: Any, values: Any = None, **options: Any) -> Any:
            if connection.info.transaction_status == TransactionStatus.INTRANS and isinstance(
                statement, sql.Composable
            ):
                text = statement.as_string(connection)
                if (found := _NAME.search(text)) and _explainable(text):
                    execute(connection, "savepoint explained")
                    row = execute(
                        connection,
                        sql.SQL("explain (analyze, timing off, format json) ") + statement,
                        values,
                    ).fetchone()
                    assert row is not None
                    execute(connection, "rollback to savepoint explained")
                    self.explained[found[1]] += 1
                    self.scans.extend(_scans(found[1], row[0][0]["Plan"]))
            return execute(connection, statement, values, **options)

        monkeypatch.setattr(psycopg.Connection, "execute", explaining)

    def of(self, table: str) -> list[Scan]:
        """Return the scans of a table."""
        return [
            scan
            for scan in self.scans
            if scan.table == table and scan.kind not in {"CTE Scan", _PAIRS}
        ]

    def again(self) -> list[Scan]:
        """Return the scans of what statements have put together themselves."""
        return [scan for scan in self.scans if scan.kind == "CTE Scan"]

    def pairs(self) -> list[Scan]:
        """Return what was looked at in pairs that a join's filter dropped."""
        return [scan for scan in self.scans if scan.kind == _PAIRS]

    def rows(self, table: str) -> int:
        """Return how many rows of a table were looked at."""
        return sum(scan.rows for scan in self.of(table))

    def told(self, table: str) -> str:
        """Return the scans of a table as a failed test shows them."""
        return "\n".join(f"{one.statement}: {one.kind}, {one.rows} rows" for one in self.of(table))


def _explainable(text: str) -> bool:
    lines = [line for line in text.splitlines() if not line.startswith(("--", "/*"))]
    return _EXPLAINED.match("\n".join(lines)) is not None


def _scans(statement: str, node: dict[str, Any]) -> Iterator[Scan]:
    table = node.get("Relation Name", node.get("CTE Name"))
    if table is not None and "Scan" in node["Node Type"]:
        looked_at = node["Actual Rows"] + sum(
            node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck")
        )
        yield Scan(
            statement,
            node["Node Type"],
            table,
            round(looked_at * node["Actual Loops"]),
        )
    if dropped := node.get("Rows Removed by Join Filter", 0):
        pairs = round(dropped * node["Actual Loops"])
        yield Scan(statement, _PAIRS, f"pairs by {node.get('Join Filter')}", pairs)
    for inner in node.get("Plans", []):
        yield from _scans(statement, inner)
