"""What was odd with a consumer stands on its page and in the API, with what is usual."""

from __future__ import annotations

import datetime as dt
import uuid

from tests.conftest import Database
from tests.web.conftest import Client

from consumer_analytics.db.connection import connected
from consumer_analytics.etl import run

CONSUMER, OTHER = uuid.UUID(int=7), uuid.UUID(int=8)
NOON = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def test_a_consumers_page_says_what_was_there_and_what_is_usual(
    database: Database, client: Client
) -> None:
    with connected(database.settings, "test") as connection:
        connection.execute(
            "insert into consumers (consumer_id, name, status, created_at) "
            "values (%s, 'Acme', 'ACTIVE', '2026-01-01'), (%s, 'Other', 'ACTIVE', '2026-01-01')",
            [CONSUMER, OTHER],
        )
        run.run(connection, database.settings)
    assert (
        "Unusual for this consumer"
        not in client(database.settings).get(f"/consumers/{CONSUMER}").text
    )
    for kind, event_type, over in (("fewer", None, None), ("type", "import_v2", NOON + DAY)):
        database.execute(
            "insert into consumer_analytics_internal.anomalies (consumer_id, kind, event_type, "
            "begins, ends, observed, expected, low, high, seen_at, over_at) "
            "values (%s, %s, %s, %s, %s, 1200, 2500.5, 2300, 2700, %s, %s)",
            [CONSUMER, kind, event_type, NOON - DAY, NOON, NOON, over],
        )
    dashboard = client(database.settings)
    page = dashboard.get(f"/consumers/{CONSUMER}")
    assert page.status_code == 200
    for words in (
        "Unusual for this consumer",
        "Fewer events",
        "1,200",
        "2,500 (2,300 to 2,700)",
        "still so",
        "events of &#39;import_v2&#39;, new this week",
    ):
        assert words in page.text, words
    first, second = dashboard.get(f"/api/v1/consumers/{CONSUMER}/anomalies").json()
    assert (first["kind"], first["observed"], first["expected"]) == ("fewer", 1200, 2500.5)
    assert (first["over_at"], second["event_type"]) == (None, "import_v2")
    assert dashboard.get(f"/api/v1/consumers/{OTHER}/anomalies").json() == []
    assert dashboard.get(f"/api/v1/consumers/{uuid.UUID(int=9)}/anomalies").status_code == 404
    assert "Unusual" not in dashboard.get(f"/consumers/{OTHER}").text
