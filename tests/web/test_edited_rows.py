"""Nothing that somebody writes into a snapshot's row stops whoever reads it, and no other row tells
anything else: what is no number is missing.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import Cli, Database
from tests.support import lanes
from tests.web.conftest import Client

from consumer_analytics import Analytics
from consumer_analytics.cli.status import print_status
from consumer_analytics.db import documents
from consumer_analytics.etl import revisions
from consumer_analytics.monitoring.anomalies import judging
from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.reporting import digest, status
from consumer_analytics.sql import fragment

MONDAY = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
DAYS = 29
EDITED, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
#: The instants whose rows are edited: what pages are of, and what that is compared with.
INSTANTS = [MONDAY, MONDAY - 7 * DAY, MONDAY - 14 * DAY]
VIEWS = """
select relname from pg_class
where relkind = 'v'
    and relnamespace = 'public'::regnamespace
    and relname <> 'consumer_analytics_now'
order by relname
"""
#: What stands in a row where a figure or a time stood, as JSON.
VALUES = {
    "a text": '"many"',
    "a list": "[5]",
    "huge": "1e400",
    "an object": '{"a": 5}',
    "nothing": "null",
    "NaN": '"NaN"',
    "infinity": '"-Infinity"',
    "digits": '"12"',
    "true": "true",
    "less than huge": "-1e400",
    "larger than Python reads": "1e5000",
    "a huge fraction": f"1{'0' * 400}.5",
    "deep": f"{'[' * 900}{']' * 900}",
    "an empty text": '""',
}
#: What stands there in place of a whole document.
DOCUMENTS = {
    "no key": "{}",
    "a system's key": '{"snapshot_type": "GLOBAL"}',
    "text": '"x"',
    "number": "7",
    "list": '[{"total_customers": 5}]',
    "null": "null",
}
PAGES = [
    "/",
    "/consumers",
    *(
        f"/consumers?sort={sort}&direction=asc"
        for sort in ("active", "active_ratio", "events", "new_events", "change")
    ),
    "/consumers/{id}",
    "/compare?consumer={id}&consumer={other}",
    "/compare?consumer={id}&by=ratio&scale=index",
    "/freshness",
    "/backfills",
    "/api/v1/compare?consumer={id}&consumer={other}",
    "/api/v1/compare.csv?consumer={id}&consumer={other}",
]


def figures(n: int, suffix: str) -> dict[str, Any]:
    return {
        f"total_customers{suffix}": 32 * n,
        f"active_customers{suffix}": 5 * n,
        f"inactive_customers{suffix}": 27 * n,
        f"customers_by_status{suffix}": {"ACTIVE": 5 * n, "INACTIVE": 27 * n},
        f"total_events{suffix}": 100 * n,
        f"events_by_type{suffix}": {"login": 60 * n, "purchase": 40 * n},
    }


def sound(consumer: uuid.UUID | None, at: dt.datetime, n: int) -> dict[str, Any]:
    """Return a document as a run writes it."""
    own = (
        figures(n, "") | {"avg_customer_lifetime_days": 12.5}
        if consumer
        else figures(2 * n, "_all_consumers")
        | {
            "system_wide_active_ratio": 0.1563,
            "consumers_in_system": 2,
            "unattributed_events": n,
            "unattributed_customers": 3,
            "snapshot_type": "GLOBAL",
        }
    )
    return own | {
        "incremental_stats": {
            "window_start": (at - DAY).isoformat(),
            "window_end": at.isoformat(),
            "new_customers_in_window": 32,
            "new_events_in_window": 100,
        },
        "snapshot_source": "cli_etl",
        "etl_job": "consumer_analytics_daily",
    }


def everywhere(document: Any, value: str) -> str:
    """Return a document's JSON with this one in the place of every figure and time."""
    if isinstance(document, dict):
        inner = (f'"{key}": {everywhere(one, value)}' for key, one in document.items())
        return f"{{{', '.join(inner)}}}"
    return value


def instead(_: Any, document: str) -> str:
    return document


def counts_are_a_list(document: dict[str, Any]) -> str:
    """Leave each figure sound, and nothing that is counted by name."""
    return json.dumps({key: [1] if isinstance(one, dict) else one for key, one in document.items()})


Edit = Callable[[dict[str, Any]], str]
ODD: Mapping[str, Edit] = {
    **{name: partial(everywhere, value=value) for name, value in VALUES.items()},
    **{f"{name} for all": partial(instead, document=one) for name, one in DOCUMENTS.items()},
    "counts that are a list": counts_are_a_list,
}


@pytest.fixture
def filled(database: Database) -> Database:
    """Return a database with four weeks of two consumers' snapshots, some restated."""

    def fill() -> None:
        rows = [
            (whose, at, json.dumps(sound(whose, at, n)))
            for n, at in enumerate((MONDAY - days * DAY for days in range(DAYS - 1, -1, -1)), 1)
            for whose in (None, EDITED, OTHER)
        ]
        with database.connect_admin() as admin, admin.cursor() as cursor:
            cursor.execute(
                "insert into consumers (consumer_id, name, created_at) "
                "values (%s, 'one', '2026-01-01'), (%s, 'two', '2026-01-01')",
                [EDITED, OTHER],
            )
            cursor.executemany(
                "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
                "values (%s, %s, %s)",
                rows,
            )
            cursor.execute(
                "insert into consumer_analytics_revisions (analytics_id, consumer_id, "
                "snapshot_timestamp, metrics_json, reported_from, reason) "
                "select analytics_id, consumer_id, snapshot_timestamp, metrics_json, created_at, "
                "'sweep' from consumer_analytics where snapshot_timestamp > %s",
                [MONDAY - 3 * DAY],
            )

    database.prepared("four weeks of snapshots of two consumers", fill)
    return database


def edit(database: Database, odd: Edit) -> None:
    """Write it into a consumer's rows, the system's, and their revisions."""
    for table in ("consumer_analytics", "consumer_analytics_revisions"):
        for at in INSTANTS:
            for whose in (None, EDITED):
                database.execute(
                    f"update {table} set metrics_json = %s "
                    "where snapshot_timestamp = %s and consumer_id is not distinct from %s",
                    [odd(sound(whose, at, 9)), at, whose],
                )


def views(database: Database) -> dict[str, dict[str, Any]]:
    """Return the rows of every view, those that are edited apart from the others."""
    found: dict[str, dict[str, Any]] = {}
    for (view,) in database.rows(VIEWS):
        cursor = database._session().execute(f"select * from public.{view}")
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]

        def is_edited(row: dict[str, Any]) -> bool:
            return row.get("snapshot_timestamp") in INSTANTS and row.get("consumer_id") != OTHER

        found[view] = {
            "edited": [row for row in rows if is_edited(row)],
            "others": sorted(str(row) for row in rows if not is_edited(row)),
        }
    return found


def read_by_people(database: Database, client: Client) -> dict[str, Any]:
    """Read every page and everything that the API answers; return what that says."""
    api = client(database.settings)
    paths = api.get("/api/v1/openapi.json").json()["paths"]
    told = {}
    for path in (*PAGES, *(f"{one}" for one in paths if "compare" not in one)):
        for span in ("range=7d", "range=all"):
            asked = path.replace("{id}", str(EDITED)).replace("{consumer_id}", str(EDITED))
            asked = asked.replace("{other}", str(OTHER))
            answer = api.get(f"{asked}{'&' if '?' in asked else '?'}{span}")
            assert answer.status_code == 200, (path, span, answer.text[:500])
            if answer.headers["content-type"] == "application/json":
                told[f"{path} {span}"] = json.loads(answer.text, parse_constant=pytest.fail)
    return told


def figures_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a flat view's row tells of the document's numbers and times."""
    told = ("customers", "events", "ratio", "days", "consumers", "window_start", "window_end")
    return {key: value for key, value in row.items() if key.endswith(told)} | {
        key: value for key, value in row.items() if key.endswith("_in_window")
    }


@pytest.mark.both_versions
@pytest.mark.parametrize("name", lanes.seldom(3, lanes.first(1, ODD)))
def test_no_view_page_or_answer_fails_over_an_edited_row(
    filled: Database, client: Client, name: str
) -> None:
    before = views(filled)
    edit(filled, ODD[name])
    after = views(filled)
    for view, rows in after.items():
        assert rows["others"] == before[view]["others"], view
    if name in VALUES or name.endswith("for all"):
        missing = [
            row
            for view, rows in after.items()
            if view.startswith("consumer_analytics_flat")
            for row in rows["edited"]
        ]
        assert len(missing) > 8
        assert {value for row in missing for value in figures_of(row).values()} == {None}
    told = read_by_people(filled, client)
    if name in VALUES:
        standing = told["/api/v1/system range=7d"]
        assert standing["customers"] == dict.fromkeys(standing["customers"])
        assert standing["total_events"] is standing["unattributed_events"] is None
        assert told["/api/v1/consumers range=7d"]["rows"][-1]["active"] is None
        last, first = (told["/api/v1/system/series range=all"]["points"][n] for n in (-1, 0))
        assert (last["customers"], last["events_by_type"]) == (None, {})
        assert first["customers"] == 64


@pytest.mark.parametrize("name", lanes.seldom(3, lanes.first(2, ODD)))
def test_no_report_fails_over_an_edited_row(
    filled: Database, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(filled, ODD[name])
    exposition = Exposition(filled.settings)
    text, _ = exposition.text()
    exposition.close()
    samples = {
        one.name.removeprefix("consumer_analytics_"): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }
    assert samples["scrape_success"] == 1
    with filled.connect() as connection:
        found = status.read(connection, filled.settings.sources, consumers=10)
        told = [one.as_json() for one in revisions.latest(connection, 20)]
        judged = judging.judge(connection, filled.settings, MONDAY, DAY)
        message = digest.compose(connection, filled.settings, MONDAY.date(), MONDAY)
    print_status(found)
    # Nobody is alarmed by it.
    assert judged.oddities == []
    assert message is not None
    assert message.digest is not None
    assert json.dumps([found.system, told], default=str, allow_nan=False)
    analytics = Analytics(filled.url)
    for of in ("consumers", "latest", "system", "events", "statuses", "revisions"):
        assert list(analytics.snapshots(of).rows())
    if name in VALUES:
        assert "customers" not in samples
        assert "- customers (- active, -), - events" in capsys.readouterr().out
        assert [one.customers for one in found.consumers] == [32 * DAYS, None]
        assert message.digest.figures[0].value is None


@pytest.mark.parametrize("name", lanes.seldom(3, lanes.first(0, ODD)))
def test_no_command_fails_over_an_edited_row(filled: Database, cli: Cli, name: str) -> None:
    edit(filled, ODD[name])
    for command in (
        ["status"],
        ["status", "--json"],
        ["status", "--revisions"],
        ["status", "--revisions", "--json"],
        ["snapshots", "list"],
        ["metrics"],
    ):
        result = cli(*command)
        assert result.exit_code == 0, (command, result.stdout, result.stderr)
        assert "Traceback" not in result.stderr
        if "--json" in command:
            assert result.json
    for command in (["health"], ["doctor"], ["incidents", "list"]):
        result = cli(*command)
        assert "Traceback" not in result.stderr, (command, result.stderr)


@pytest.mark.both_versions
def test_the_database_and_python_tell_the_same_of_whatever_stands_there(database: Database) -> None:
    values = [*VALUES.values(), "0", "-3", "5.0", "1.5", "2.5", "-0.5", "1e-400", "1e17", "1e18"]
    values += ["999999999999999999", "-1e18", "false", "[]", "{}", '"2026-03-09"']
    for value, stands, told in database.rows(
        f"select value, value::jsonb, jsonb_path_query_first(value::jsonb, {fragment('a_number')})"
        "::bigint from unnest(%s::text[]) as value",
        [values],
    ):
        assert documents.count(stands) == told, value[:50]
    assert documents.count(1) == 1
    assert documents.counts({"a": 1, "b": 2.5}) == {"a": 1, "b": 3}
    assert documents.counts({"a": 1, "b": None}) is documents.counts([]) is None


#: What stands where a window begins, and what the views tell of it.
TIMES = {
    "2026-03-09T00:00:00+00:00": "2026-03-09 00:00:00+00",
    "2026-03-09T01:02:03.456789+00:00": "2026-03-09 01:02:03.456789+00",
    "2026-03-09T05:30:00+05:30": "2026-03-09 00:00:00+00",
    "0001-01-01T00:00:00+00:00": "0001-01-01 00:00:00+00",
    "2026-03-09": None,
    "2026-02-31T00:00:00+00:00": None,
    "10:00:00": None,
    "2026-03-09T24:00:00+00:00": None,
    "2026-03-09T00:00:00+99:00": None,
    "294276-12-31T23:59:59-15:59": None,
    "yesterday": None,
}


@pytest.mark.both_versions
@pytest.mark.parametrize("view", ["consumer_analytics_flat", "consumer_analytics_flat_system"])
def test_a_window_that_is_no_time_is_missing(database: Database, view: str) -> None:
    whose = None if view.endswith("system") else EDITED
    with database.connect_admin() as admin, admin.cursor() as cursor:
        cursor.executemany(
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "values (%s, %s, %s)",
            [
                (whose, MONDAY + n * DAY, json.dumps({"incremental_stats": {"window_start": one}}))
                for n, one in enumerate(TIMES)
            ],
        )
    told = database.rows(f"select window_start::text from {view} order by snapshot_timestamp")
    assert [row[0] for row in told] == list(TIMES.values())
