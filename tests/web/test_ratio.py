"""The active ratio is one figure: 5 of 32 is a half that binary fractions round away."""

from __future__ import annotations

import csv
import io
import uuid

import pytest
from tests.conftest import Database
from tests.web.conftest import Client

from consumer_analytics.db.connection import connected
from consumer_analytics.etl import run
from consumer_analytics.reporting.ratios import ratio

CONSUMER = uuid.UUID(int=7)
RATIO = 0.1563
CUSTOMERS = """
insert into customers (customer_id, consumer_id, status, created_at)
select
    gen_random_uuid(),
    %(consumer)s,
    case when place <= 5 then 'ACTIVE' else 'INACTIVE' end,
    now() - interval '1 day'
from generate_series(1, 32) as place
"""


@pytest.fixture
def fives(database: Database) -> Database:
    """Return a database with a snapshot of 32 customers, 5 of them active."""
    with connected(database.settings, "test") as connection:
        connection.execute(CUSTOMERS, {"consumer": CONSUMER})
        run.run(connection, database.settings)
    return database


@pytest.mark.parametrize(
    ("active", "customers", "expected"),
    [(5, 32, RATIO), (1, 3, 0.3333), (2, 3, 0.6667), (0, 9, 0.0), (9, 9, 1.0), (0, 0, 0.0)],
)
def test_a_half_is_rounded_up(active: int, customers: int, expected: float) -> None:
    assert ratio(active, customers) == expected


def test_it_is_computed_as_the_database_does(database: Database) -> None:
    rows = database.rows(
        "select active, customers, round(active::numeric / customers, 4)::float8 "
        "from generate_series(1, 160, 7) as customers, generate_series(0, customers) as active"
    )
    assert [ratio(active, customers) for active, customers, _ in rows] == [
        expected for *_, expected in rows
    ]


def test_the_api_has_the_snapshots_figure_everywhere(fives: Database, client: Client) -> None:
    (kept,) = fives.rows(
        "select metrics_json -> 'system_wide_active_ratio' from consumer_analytics "
        "where consumer_id is null"
    )[0]
    assert kept == RATIO
    asking = client(fives.settings)
    api = "/api/v1/"

    def get(path: str) -> dict[str, object]:
        answer: dict[str, object] = asking.get(api + path).json()
        return answer

    assert get("system")["active_ratio"]["value"] == RATIO  # type: ignore[index]
    assert get("system/series")["points"][-1]["active_ratio"] == RATIO  # type: ignore[index]
    one = get(f"consumers/{CONSUMER}")
    assert one["standing"]["active_ratio"]["value"] == RATIO  # type: ignore[index]
    assert get("consumers")["rows"][0]["active_ratio"] == RATIO  # type: ignore[index]
    compared = get(f"compare?consumer={CONSUMER}")
    assert compared["consumers"][0]["active_ratio"] == [RATIO]  # type: ignore[index]
    for path in (
        "consumers.csv",
        "system/series.csv",
        f"consumers/{CONSUMER}/series.csv",
        f"compare.csv?consumer={CONSUMER}",
    ):
        (row,) = csv.DictReader(io.StringIO(asking.get(api + path).text))
        assert row["active_ratio"] == str(RATIO), path


def test_the_pages_have_it_too(fives: Database, client: Client) -> None:
    asking = client(fives.settings)
    for path in (
        "",
        "consumers",
        f"consumers/{CONSUMER}",
        f"compare?consumer={CONSUMER}",
        f"compare?consumer={CONSUMER}&by=ratio",
    ):
        page = asking.get(f"/{path}", headers={"Accept": "text/html"}).text
        assert "15.63 %" in page, path
        assert "15.62" not in page, path
    drawn = asking.get(f"/compare?consumer={CONSUMER}&by=ratio", headers={"Accept": "text/html"})
    assert f'"values":[{RATIO}]' in drawn.text
