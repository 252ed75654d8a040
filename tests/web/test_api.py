"""The API's answers are the database's."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import uuid
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.conftest import Database
from tests.support import lanes
from tests.support.operation import MARKUP_NAME
from tests.web.conftest import Client, Operated

from consumer_analytics import formatting
from consumer_analytics.etl.run import run as run_etl
from consumer_analytics.web.csv_export import cell

API = "/api/v1"


def get(api: TestClient, path: str, **query: Any) -> Any:
    answer = api.get(f"{API}/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def table(api: TestClient, path: str, **query: Any) -> list[dict[str, str]]:
    answer = api.get(f"{API}/{path}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="')
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


Documents = list[tuple[dt.datetime, dict[str, Any], bool]]


def documents(operated: Operated, consumer: Any = None) -> Documents:
    return operated.database.rows(
        "select snapshot_timestamp, metrics_json, exists (select from consumer_analytics_revisions "
        "as old where old.analytics_id = new.analytics_id) from consumer_analytics as new "
        "where consumer_id is not distinct from %s order by snapshot_timestamp",
        [consumer],
    )


def largest(operated: Operated) -> uuid.UUID:
    found: uuid.UUID = operated.database.rows(
        "select consumer_id from consumer_analytics where consumer_id is not null "
        "order by (metrics_json ->> 'total_events')::bigint desc limit 1"
    )[0][0]
    return found


def test_the_figures_of_this_moment_are_the_views_and_say_what_is_settled(
    api: TestClient, operated: Operated
) -> None:
    told = get(api, "now")
    rows = operated.database.rows(
        "select consumer_id, metrics_json from consumer_analytics_now order by 1 nulls first"
    )
    assert instant(told["settled_to"]) < instant(told["at"]), told["unsettled_because"]
    assert [row["consumer_id"] for row in told["rows"]] == [
        None if consumer is None else str(consumer) for consumer, _ in rows
    ]
    for mine, (_, theirs) in zip(told["rows"], rows, strict=True):
        for key in theirs.keys() - {"incremental_stats", "avg_customer_lifetime_days"}:
            assert mine["metrics_json"][key] == theirs[key]


def test_a_source_that_is_not_there_is_not_the_schemas_fault(
    database: Database, client: Client
) -> None:
    database.execute("alter table customers rename to others")
    answer = client(database.settings).get(f"{API}/now")
    assert answer.status_code == 503
    assert "a source table is not there" in answer.json()["detail"]
    assert "migrate" not in answer.text
    database.execute("drop view consumer_analytics_now")
    answer = client(database.settings).get(f"{API}/now")
    assert "run `consumer-analytics migrate`" in answer.json()["detail"]


def test_an_empty_database_gives_empty_answers(empty: TestClient) -> None:
    for path in ("system", "system/series", "consumers", "freshness"):
        answer = empty.get(f"/api/v1/{path}")
        assert answer.status_code == 200, (path, answer.text)
    assert empty.get("/api/v1/system").json()["at"] is None
    assert empty.get("/api/v1/system/series").json()["points"] == []
    assert empty.get("/api/v1/consumers").json()["rows"] == []
    assert table(empty, "consumers.csv") == []
    assert table(empty, "system/series.csv") == []


# -- where things stand ---------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("name", "days"), [("1d", 1), ("7d", 7), ("30d", 30)])
def test_the_standing_is_the_latest_snapshot_against_one_a_range_earlier(
    api: TestClient, operated: Operated, whole: bool, name: str, days: int
) -> None:
    consumer = None if whole else largest(operated)
    suffix = "_all_consumers" if whole else ""
    rows = documents(operated, consumer)
    found = (
        get(api, "system", range=name)
        if whole
        else get(api, f"consumers/{consumer}", range=name)["standing"]
    )
    at, now, _ = rows[-1]
    by_instant = {moment: metrics for moment, metrics, _ in rows}
    before = by_instant[at - dt.timedelta(days=days)]
    earlier = by_instant.get(at - dt.timedelta(days=2 * days))
    assert instant(found["at"]) == at
    assert instant(found["compared_with"]) == at - dt.timedelta(days=days)
    for shown, key in (("customers", "total_customers"), ("active", "active_customers")):
        new, old = now[key + suffix], before[key + suffix]
        assert found[shown]["value"] == new
        assert found[shown]["before"] == old
        assert found[shown]["change"] == new - old
        assert found[shown]["change_percent"] == (
            formatting.percent_of(new - old, old) if old else None
        )
    key = f"total_events{suffix}"
    assert found["events"]["value"] == now[key] - before[key]
    assert found["events"]["before"] == (earlier and before[key] - earlier[key])
    assert found["total_events"] == now[key]
    assert found["events_by_type"] == now[f"events_by_type{suffix}"]
    assert found["customers_by_status"] == now[f"customers_by_status{suffix}"]
    if whole:
        assert found["active_ratio"]["value"] == now["system_wide_active_ratio"]
        assert found["consumers"]["value"] == now["consumers_in_system"]


def test_without_a_snapshot_that_old_nothing_is_compared(
    api: TestClient, operated: Operated
) -> None:
    rows = documents(operated)
    long_before = (rows[0][0] - dt.timedelta(days=400)).isoformat()
    for asked in ({"from": long_before}, {"range": "1y"}):
        found = get(api, "system", **asked)
        assert found["compared_with"] is None
        assert found["customers"]["change"] is None
    found = get(api, "system", range="all")
    assert instant(found["compared_with"]) == rows[0][0]


# -- over time --------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False])
def test_a_series_is_the_snapshots_with_what_each_brought(
    api: TestClient, operated: Operated, whole: bool
) -> None:
    consumer = None if whole else largest(operated)
    suffix = "_all_consumers" if whole else ""
    path = "system/series" if whole else f"consumers/{consumer}/series"
    rows = documents(operated, consumer)
    found = get(api, path, range="all")
    assert found["sampled"] is False
    assert [instant(point["at"]) for point in found["points"]] == [at for at, _, _ in rows]
    before: dict[str, Any] = {}
    for point, (_, now, revised) in zip(found["points"], rows, strict=True):
        assert point["customers"] == now[f"total_customers{suffix}"]
        assert point["inactive"] == now[f"inactive_customers{suffix}"]
        assert point["total_events"] == now[f"total_events{suffix}"]
        assert point["revised"] is revised
        assert point["source"] == (
            "backfilled" if now["snapshot_source"].endswith("backfill") else "live"
        )
        assert sum(point["customers_by_status"].values()) == point["customers"]
        if before:
            assert point["events"] == point["total_events"] - before[f"total_events{suffix}"]
            assert sum(point["events_by_type"].values()) == point["events"]
            for name in found["event_types"][:-1]:
                assert point["events_by_type"][name] == now[f"events_by_type{suffix}"].get(
                    name, 0
                ) - before[f"events_by_type{suffix}"].get(name, 0)
        before = now
    assert {point["source"] for point in found["points"]} == {"live", "backfilled"}
    assert whole <= any(point["revised"] for point in found["points"])
    month = get(api, path, range="30d")
    for point, same in zip(month["points"][1:], found["points"][-30:], strict=True):
        # Which types are told one by one is another matter of each range.
        assert {**point, "events_by_type": {}} == {**same, "events_by_type": {}}
    first = month["points"][0]
    assert first["customers"] == found["points"][-31]["customers"]
    assert (first["since"], first["events"], first["events_by_type"]) == (None, None, {})


@pytest.mark.parametrize("points", [2, 7, 30, 59])
def test_a_sampled_series_is_some_of_the_snapshots_and_loses_no_event(
    api: TestClient, operated: Operated, points: int
) -> None:
    rows = {at: metrics for at, metrics, _ in documents(operated)}
    assert len(rows) > points
    found = get(api, "system/series", range="all", points=points)
    assert found["sampled"] is True
    at = [instant(point["at"]) for point in found["points"]]
    assert points // 2 <= len(at) <= points
    assert at == sorted(at)
    assert at[-1] == max(rows)
    for moment, point in zip(at, found["points"], strict=True):
        assert point["customers"] == rows[moment]["total_customers_all_consumers"]
    assert sum(point["events"] or 0 for point in found["points"]) == (
        found["points"][-1]["total_events"] - found["points"][0]["total_events"]
    )


def test_a_range_by_dates_holds_both_ends(api: TestClient, operated: Operated) -> None:
    at = [row[0] for row in documents(operated)]
    found = get(api, "system/series", **{"from": at[3].isoformat(), "to": at[9].isoformat()})
    assert [instant(point["at"]) for point in found["points"]] == at[3:10]
    assert found["range"] == "custom"
    # A time without a zone is in the configured one, which is UTC here.
    plain = at[3].replace(tzinfo=None).isoformat()
    assert (
        get(api, "system/series", **{"from": plain})["points"][0]["at"]
        == (found["points"][0]["at"])
    )
    later = {"from": "2200-01-01", "to": "2300-01-01"}
    assert len(get(api, "system/series", **later)["points"]) <= 1
    assert get(api, "system/series", **{"from": "1900-01-01", "to": "1901-01-01"})["points"] == []


def test_consumers_are_compared_at_the_same_instants(api: TestClient, operated: Operated) -> None:
    pair = [
        row[0]
        for row in operated.database.rows("select consumer_id from consumers order by name limit 2")
    ]
    found = get(api, "compare", range="7d", consumer=[str(one) for one in pair])
    assert len(found["at"]) == 8
    for one, consumer in zip(found["consumers"], pair, strict=True):
        rows = {at: metrics for at, metrics, _ in documents(operated, consumer)}
        assert one["consumer_id"] == str(consumer)
        for index, text in enumerate(found["at"]):
            metrics = rows.get(instant(text))
            assert one["customers"][index] == (metrics and metrics["total_customers"])
            assert one["total_events"][index] == (metrics and metrics["total_events"])
        for old, new, events in zip(
            one["total_events"], one["total_events"][1:], one["events"][1:], strict=False
        ):
            assert events == (None if old is None or new is None else new - old)
    flat = table(api, "compare.csv", range="7d", consumer=[str(one) for one in pair])
    assert len(flat) == 16


# -- the table ----------------------------------------------------------------------------


def expected_table(operated: Operated, days: int) -> list[dict[str, Any]]:
    """Return the table as it should be, by plain reading."""
    rows = operated.database.rows(
        "select new.consumer_id::text, name, new.metrics_json, old.metrics_json "
        "from consumer_analytics as new "
        "left join consumers using (consumer_id) "
        "left join consumer_analytics as old on old.consumer_id = new.consumer_id "
        "and old.snapshot_timestamp = %(before)s "
        "where new.snapshot_timestamp = %(at)s and new.consumer_id is not null",
        {"at": operated.operation.until, "before": operated.operation.until - dt.timedelta(days)},
    )
    return [
        {
            "consumer_id": consumer,
            "name": name,
            "customers": now["total_customers"],
            "active": now["active_customers"],
            "active_ratio": now["active_customers"] / now["total_customers"]
            if now["total_customers"]
            else None,
            "events": now["total_events"],
            "new_events": now["total_events"] - (old["total_events"] if old else 0),
            "change": now["total_customers"] - (old["total_customers"] if old else 0),
        }
        for consumer, name, now, old in rows
    ]


@pytest.mark.parametrize(
    ("sort", "direction"),
    lanes.each_once(
        ["name", "customers", "active", "active_ratio", "events", "new_events", "change"],
        ["asc", "desc"],
    ),
)
def test_the_table_is_sorted_by_any_figure_and_pages_miss_nobody(
    api: TestClient, operated: Operated, sort: str, direction: str
) -> None:
    everybody = {row["consumer_id"]: row for row in expected_table(operated, 30)}
    shown = []
    for page in itertools.count(1):
        found = get(api, "consumers", sort=sort, direction=direction, size=4, page=page)
        assert found["matching"] == len(everybody)
        shown += found["rows"]
        if page == found["pages"]:
            break
    assert {row["consumer_id"] for row in shown} == everybody.keys()
    assert len(shown) == len(everybody)
    for row in shown:
        expected = everybody[row["consumer_id"]]
        assert row["name"] == expected["name"]
        assert row["customers"]["value"] == expected["customers"]
        assert row["customers"]["change"] == expected["change"]
        assert row["new_events"] == expected["new_events"]
        assert row["total_events"] == expected["events"]
    keys = [everybody[row["consumer_id"]][sort] for row in shown]
    known = [key for key in keys if key is not None]
    assert keys == known + [None] * (len(keys) - len(known)), "rows without the figure come last"
    if sort != "name":  # the database's collation decides
        assert known == sorted(known, reverse=direction == "desc")
    assert get(api, "consumers", page=99, size=4)["rows"] == []
    assert get(api, "consumers", page=99, size=4)["matching"] == len(everybody)


@pytest.mark.parametrize(
    ("search", "matches"),
    [
        ("bank", lambda name: "bank" in name.lower()),
        ("BANK", lambda name: "bank" in name.lower()),
        ("%", lambda name: "%" in name),
        ("_", lambda name: "_" in name),
        ("\\", lambda name: "\\" in name),
        ("<script>", lambda name: "<script>" in name),
        ("söhne", lambda name: "söhne" in name.lower()),
        ("no such name", lambda _: False),
    ],
)
def test_a_search_finds_what_the_name_contains_to_the_letter(
    api: TestClient, operated: Operated, search: str, matches: Any
) -> None:
    expected = {row["consumer_id"] for row in expected_table(operated, 30) if matches(row["name"])}
    found = get(api, "consumers", search=search, size=200)
    assert {row["consumer_id"] for row in found["rows"]} == expected
    assert found["matching"] == len(expected)
    assert {row["consumer_id"] for row in table(api, "consumers.csv", search=search)} == expected


def test_a_search_finds_an_id(api: TestClient, operated: Operated) -> None:
    consumer = str(largest(operated))
    for search in (consumer, consumer[:13], consumer.upper()):
        assert consumer in {
            row["consumer_id"] for row in get(api, "consumers", search=search)["rows"]
        }


def test_a_sparkline_is_the_consumers_own_history(api: TestClient, operated: Operated) -> None:
    found = get(api, "consumers", range="all")
    at = [instant(text) for text in found["sparkline_at"]]
    assert 15 <= len(at) <= 30
    assert at[-1] == operated.operation.until
    for row in found["rows"]:
        rows = {moment: metrics for moment, metrics, _ in documents(operated, row["consumer_id"])}
        assert row["sparkline"] == [
            rows[moment]["total_customers"] if moment in rows else None for moment in at
        ]


# -- taken along ----------------------------------------------------------------------------


def test_csv_says_what_json_says(api: TestClient) -> None:
    series = get(api, "system/series", range="30d")
    flat = table(api, "system/series.csv", range="30d")
    assert len(flat) == len(series["points"])
    assert table(api, "system/series.csv", range="30d", points=5) == flat, "a file is whole"
    for row, point in zip(flat, series["points"], strict=True):
        assert instant(row["at"]) == instant(point["at"])
        assert int(row["customers"]) == point["customers"]
        assert row["revised"] == str(point["revised"]).lower()
        for name, n in point["events_by_type"].items():
            # A file has a column for each type, a chart a few of them.
            if name != "(other)":
                assert row[f"events_by_type.{name}"] == str(n)
    rows = get(api, "consumers", size=200, sort="name", direction="asc")["rows"]
    flat = table(api, "consumers.csv", sort="name", direction="asc")
    assert [row["consumer_id"] for row in flat] == [row["consumer_id"] for row in rows]
    for line, row in zip(flat, rows, strict=True):
        assert line["name"] == cell(row["name"])
        assert int(line["change"]) == row["customers"]["change"]
    assert MARKUP_NAME in {line["name"] for line in flat}
    for name in ("runs", "failed", "watermark", "backfills", "measures"):
        assert table(api, f"freshness/{name}.csv"), name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("  =1", "'  =1"),
        ("Bank = trust", "Bank = trust"),
        (-1, -1),
        (-0.5, -0.5),
        (None, ""),
        (True, "true"),
    ],
)
def test_no_cell_is_a_formula(value: Any, shown: Any) -> None:
    assert cell(value) == shown


#: What a text may begin with that nobody sees: blanks of all widths, marks of direction, joiners.
UNSEEN = (
    "", "\u00a0", "\u2003\u3000", "\ufeff", "\u200b\u200d", "\u2060", "\u202e", "\u2066", "\x00",
    "\x0b\x0c\x1f", "\x85", "\u2028", "\u00ad", "\u034f", "\ufe0f", "\u0301", "\u115f", "\u3164",
    "\uffa0", "\u2800", "\U000e0020", "\u180e", "\ue000", "\u0378",
)  # fmt: skip
#: Signs that are one of the four in another width or place, or several of them at once.
SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207a\u207c\u208a\u208c\u2a75\ufb29"


def test_no_width_of_a_sign_and_nothing_unseen_before_it_makes_a_formula() -> None:
    for unseen in UNSEEN:
        for sign in SIGNS:
            text = f"{unseen}{sign}1+1"
            assert cell(text) == f"'{text}", ascii(text)
        for whole in ("\tBank", "\rBank", "\nBank"):
            assert cell(unseen + whole) == f"'{unseen}{whole}", ascii(unseen)
        assert cell(f"{unseen}Bank = trust") == f"{unseen}Bank = trust", ascii(unseen)
    for text in ("", "\u00a0", "1-1", "\u00e9t\u00e9", "\U0001f600 = fun", "(none)", "\u2212"):
        assert cell(text) == text


# -- freshness --------------------------------------------------------------------------------


def test_freshness_tells_runs_failures_and_backfills(api: TestClient, operated: Operated) -> None:
    found = get(api, "freshness")
    assert instant(found["watermark"]) == operated.operation.until
    assert found["timed_by"] == "engine"
    runs = operated.database.rows(
        "select run_key, state from consumer_analytics_internal.runs order by opened_at desc "
        "limit 30"
    )
    assert [(run["run"], run["state"]) for run in found["runs"]] == runs
    for run in found["runs"]:
        if run["state"] == "success":
            assert [step["task"] for step in run["steps"]] == [
                "extract_customer_counts",
                "extract_event_counts",
                "load_consumer_analytics",
            ]
    (failed,) = found["failed"]
    assert failed["error_type"] == "ConnectionError"
    assert "closed the connection" in failed["error"]
    (backfilled,) = found["backfills"]
    assert backfilled["state"] == "done"
    assert backfilled["percent"] == 100
    assert backfilled["periods_done"] == backfilled["periods"]
    reached = [instant(one["watermark"]) for one in found["reached"]]
    assert reached == sorted(reached)
    assert reached[-1] == operated.operation.until
    judged = get(api, "freshness/health")
    assert [one["name"] for one in judged["measures"]] == [
        "dag_runtime",
        "failed_runs",
        "watermark_lag",
        "pending_events",
    ]


def test_a_backfill_at_work_shows_how_far_it_is(database: Database, client: Client) -> None:
    database.execute(
        "insert into consumer_analytics_internal.backfills (start_date, end_date, period, "
        "timezone, snapshot_source, requested_by, periods, periods_done) "
        "values ('2025-01-01', '2025-01-31', 'daily', 'UTC', 'cli_backfill', 'me', 30, 12)"
    )
    (found,) = get(client(database.settings), "freshness")["backfills"]
    assert found["percent"] == 40
    # Nobody holds its lock: it was killed.
    assert found["state"] == "interrupted"


@pytest.mark.parametrize(
    "stamp", lanes.first(2, ["-infinity", "294276-12-31", "0044-03-15 BC", "infinity"])
)
def test_a_watermark_at_the_end_of_time_breaks_no_page(
    database: Database, client: Client, stamp: str
) -> None:
    with database.connect() as connection:
        for day in (3, 4):
            at = dt.datetime(2026, 1, day, tzinfo=dt.UTC)
            run_etl(connection, database.settings, at=at)
    database.execute("update etl_job_watermarks set last_processed_timestamp = %s", [stamp])
    api = client(database.settings)
    paths = api.get(f"{API}/openapi.json").json()["paths"]
    asked = [path for path in paths if "{" not in path]
    assert len(asked) > 5
    for path in ("/", "/consumers", "/freshness", *asked):
        for span in ("", "?range=all"):
            answer = api.get(path + span)
            # Some paths need a parameter, and say so.
            assert answer.status_code in (200, 422), (path, answer.status_code, answer.text[:500])
