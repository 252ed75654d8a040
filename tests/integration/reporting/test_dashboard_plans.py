"""The dashboard reads the rows that it shows: judged by the rows that its plans touch.

Its sessions plan a statement once, without knowing the values; so do these.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import sql
from tests.conftest import Database

from consumer_analytics.calendar.schedule import Schedule
from consumer_analytics.db.connection import Connection
from consumer_analytics.mapping import PLAIN
from consumer_analytics.reporting import comparison, consumers, freshness, ranges, series, standing
from consumer_analytics.web import views
from consumer_analytics.web.charts import Exports

CONSUMERS = 300
DAYS = 200
FILL = """
insert into consumers (consumer_id, name, created_at)
select md5(n::text)::uuid, 'consumer ' || n, '2024-01-01'
from generate_series(1, %(consumers)s) as n;
insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
select
    consumer_id,
    at,
    jsonb_build_object(
        'total_customers', n, 'active_customers', n / 2, 'inactive_customers', n / 4,
        'total_events', n * 7, 'events_by_type', jsonb_build_object('login', n * 7),
        'customers_by_status', jsonb_build_object('ACTIVE', n), 'snapshot_source', 'cli_etl'
    )
from consumers, generate_series(1, %(days)s) as n,
    lateral (select timestamptz '2025-01-01 00:00+00' + n * interval '1 day') as instant (at)
order by at, consumer_id;
insert into consumer_analytics (snapshot_timestamp, metrics_json)
select
    snapshot_timestamp,
    jsonb_build_object('snapshot_type', 'GLOBAL', 'consumers_in_system', count(*))
from consumer_analytics
group by snapshot_timestamp;
insert into consumer_analytics_internal.runs (
    run_key, snapshot_source, state, requested_at, reached_at, named, opened_at, finished_at
)
select n::text, 'cli_etl', 'success', at, at, false, at, at
from generate_series(1, 3000) as n,
    lateral (select now() - n * interval '1 hour') as instant (at)
"""
PLANNED = "explain (analyze, format json, costs off, timing off, summary off) "


class Spy:
    """A connection that remembers what it was asked."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.asked: list[tuple[Any, Any]] = []

    def execute(self, statement: Any, values: Any = None) -> Any:
        self.asked.append((statement, values))
        return self.connection.execute(statement, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def touched(self, table: str) -> int:
        """Return how many rows of a table the statements looked at."""
        total = 0
        for statement, values in self.asked:
            (row,) = self.explained(statement, values or {})
            for node in nodes(row[0][0]["Plan"]):
                if node.get("Relation Name") == table:
                    seen = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                    seen += node.get("Rows Removed by Index Recheck", 0)
                    total += round(seen * node["Actual Loops"])
        return total

    def explained(self, statement: Any, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement under the plan that it has whatever its values; return that plan."""
        text = statement if isinstance(statement, str) else statement.as_string()
        named = {name: value for name, value in values.items() if f"%({name})s" in text}
        for place, name in enumerate(named, 1):
            text = text.replace(f"%({name})s", f"${place}")
        self.connection.execute(sql.SQL("prepare asked as {}").format(sql.SQL(text)))
        given = sql.SQL(", ").join(map(sql.Literal, named.values()))
        call = sql.SQL("execute asked ({})" if named else "execute asked").format(given)
        rows = self.connection.execute(sql.SQL(PLANNED) + call).fetchall()
        self.connection.execute("deallocate asked")
        return rows


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.fixture
def spy(database: Database) -> Iterator[Spy]:
    """Return a session with 60,000 snapshots behind it."""

    def fill() -> None:
        with database.connect() as connection:
            for statement in FILL.split(";\n"):
                connection.execute(statement, {"consumers": CONSUMERS, "days": DAYS})
            # Of all rows, as few are the whole system's: what a sample has of these is chance.
            connection.execute("set default_statistics_target = 1000")
            connection.execute("vacuum analyze consumer_analytics, consumers")
            connection.execute("analyze consumer_analytics_internal.runs")

    database.prepared("60,000 snapshots", fill)
    with database.connect() as connection:
        connection.execute("set plan_cache_mode = force_generic_plan")
        yield Spy(connection)


def one(_: int = 0) -> uuid.UUID:
    return uuid.UUID("c4ca4238a0b923820dcc509a6f75849b")  # md5 of 1


EVER, MONTH = ranges.parse("all"), ranges.parse("30d")
#: What is asked, and how many snapshots it may touch: those shown, one before, a few to see how
#: many there are and which instants a change is between.
PAGES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "system": (lambda c: standing.system(c, MONTH), 12),
    "system's month": (lambda c: series.system(c, MONTH), 2 * 31 + 4),
    "system's history": (lambda c: series.system(c, EVER, 50), 50 + 51 + 4),
    "consumer": (lambda c: standing.consumer(c, one(), MONTH), 12),
    "consumer's month": (lambda c: series.consumer(c, one(), MONTH), 2 * 31 + 4),
    "consumer's history": (lambda c: series.consumer(c, one(), EVER, 50), 50 + 51 + 4),
    "who a consumer is": (lambda c: consumers.find(c, PLAIN, one()), 1),
    "comparison": (
        lambda c: comparison.compare(c, PLAIN, [one(), uuid.UUID(int=1)], EVER, 50),
        50 + 51 + 2 * 50 + 2 * CONSUMERS + 12,
    ),
    # Each consumer once, to sort; two instants of a page's rows, which the planner may find
    # among all consumers' at these instants where they are as few as here; their sparklines.
    "table": (
        lambda c: consumers.page(c, PLAIN, MONTH, size=20),
        3 * CONSUMERS + 20 * 30 + 30 + 31 + 12,
    ),
    "table by change": (
        lambda c: consumers.page(c, PLAIN, MONTH, size=20, sort="change"),
        4 * CONSUMERS + 20 * 30 + 30 + 31 + 12,
    ),
    "table searched": (
        lambda c: consumers.page(c, PLAIN, MONTH, size=20, search="consumer 7"),
        3 * CONSUMERS + 20 * 30 + 30 + 31 + 12,
    ),
    "table's last page": (
        lambda c: consumers.page(c, PLAIN, MONTH, size=20, number=15),
        3 * CONSUMERS + 20 * 30 + 30 + 31 + 12,
    ),
    "freshness": (lambda c: freshness.read(c, EVER, 50), 2),
}


@pytest.mark.both_versions
def test_no_page_reads_more_snapshots_than_it_shows(spy: Spy) -> None:
    touched = {}
    for page, (ask, most) in PAGES.items():
        spy.asked.clear()
        assert ask(spy) is not None, page
        touched[page] = (spy.touched("consumer_analytics"), most)
    assert {page: two for page, two in touched.items() if two[0] > two[1]} == {}, touched


@pytest.mark.both_versions
def test_runs_are_read_where_they_are_shown(spy: Spy) -> None:
    found = freshness.read(spy, EVER, 50)  # type: ignore[arg-type]
    assert len(found.reached) == 50
    # Those on the chart and the ones before them, those with their tasks, and the first one of all.
    # And one more than are shown, to tell whether some are not.
    assert spy.touched("runs") <= 2 * 50 + freshness.RUNS + 1 + 5 + 51


def test_a_run_is_compared_with_the_one_before_it_and_not_with_the_one_shown_before(
    spy: Spy,
) -> None:
    # 3,000 runs, an hour apart: none ended with a watermark older than the hour before.
    reached = freshness.read(spy, EVER, 50).reached  # type: ignore[arg-type]
    assert {one.lag_before_seconds for one in reached} <= {3600, None}
    lag = views.freshness.watermark_charts(
        freshness.read(spy, EVER, 50),  # type: ignore[arg-type]
        Schedule("0 * * * *", ZoneInfo("UTC")),
        (3600, 6 * 3600),
        Exports("", "", ""),
    )["lag"]
    # The last point is now, and the last run was within the last hour.
    assert max(value for value in lag.lines[0].values if value is not None) < 3600 * 1.01
