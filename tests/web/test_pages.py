"""What the pages show is what the database holds."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import expect
from tests.conftest import Database
from tests.support import lanes
from tests.support.operation import LATE_DAYS_AGO, MARKUP_CONSUMER, MARKUP_NAME
from tests.web.browser import PATIENCE, ZONE, Visit
from tests.web.conftest import Client, Operated

from consumer_analytics import formatting
from consumer_analytics.monitoring import health
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import authenticator

SNAPSHOTS = """
select snapshot_timestamp, metrics_json
from consumer_analytics
where consumer_id is not distinct from %s
order by snapshot_timestamp
"""
#: Everything the table of consumers shows: at the latest snapshot, and 30 days before.
CONSUMERS = """
select
    coalesce(consumers.name, '(no name)'),
    now.consumer_id::text,
    (now.metrics_json ->> 'total_customers')::int as customers,
    (now.metrics_json ->> 'total_customers')::int
    - coalesce((before.metrics_json ->> 'total_customers')::int, 0) as change,
    (now.metrics_json ->> 'active_customers')::int as active,
    (now.metrics_json ->> 'total_events')::int as events,
    (now.metrics_json ->> 'total_events')::int
    - coalesce((before.metrics_json ->> 'total_events')::int, 0) as new_events
from consumer_analytics as now
left join consumers using (consumer_id)
left join consumer_analytics as before
    on before.consumer_id = now.consumer_id
    and before.snapshot_timestamp = %(until)s::timestamptz - interval '30 days'
where now.consumer_id is not null and now.snapshot_timestamp = %(until)s
order by customers desc, now.consumer_id
"""
MINUS = "\N{MINUS SIGN}"


def snapshots(operated: Operated, consumer: Any = None) -> list[tuple[dt.datetime, dict[str, Any]]]:
    return operated.database.rows(SNAPSHOTS, [consumer])


def listed(operated: Operated) -> list[dict[str, Any]]:
    names = ("name", "id", "customers", "change", "active", "events", "new_events")
    rows = operated.database.rows(CONSUMERS, {"until": operated.operation.until})
    return [dict(zip(names, row, strict=True)) for row in rows]


def local(at: dt.datetime) -> str:
    return at.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m-%d %H:%M")


def signed(value: int) -> str:
    return f"{value:+,}".replace("-", MINUS) if value else "±0"


# -- the system ------------------------------------------------------------------


def test_the_system_page_says_what_the_latest_snapshot_says(
    visit: Visit, operated: Operated
) -> None:
    rows = snapshots(operated)
    (_, last), (_, before) = rows[-1], rows[-31]
    visit.open()
    customers, active, events, consumers = visit.texts("dl.tiles dd.figure")
    assert customers == f"{last['total_customers_all_consumers']:,}"
    assert active == f"{last['system_wide_active_ratio'] * 100:.2f} %"
    grown = last["total_events_all_consumers"] - before["total_events_all_consumers"]
    assert events == f"{grown:,}"
    assert consumers == f"{last['consumers_in_system']:,}"
    asides = visit.texts("dl.tiles dd.aside")
    change = last["total_customers_all_consumers"] - before["total_customers_all_consumers"]
    percent = formatting.percent_of(change, before["total_customers_all_consumers"])
    assert asides[0] == f"{signed(change)} ({percent:+.1f} %)"
    points = 100 * (last["system_wide_active_ratio"] - before["system_wide_active_ratio"])
    assert asides[1].startswith(f"{points:+.2f} points".replace("-", MINUS))


def test_events_are_compared_with_the_period_before(visit: Visit, operated: Operated) -> None:
    rows = snapshots(operated)
    last, week, fortnight = (rows[i][1]["total_events_all_consumers"] for i in (-1, -8, -15))
    visit.open("?range=7d")
    assert visit.texts("dl.tiles dd.figure")[2] == f"{last - week:,}"
    change = (last - week) - (week - fortnight)
    percent = f"{formatting.percent_of(change, week - fortnight):+.1f} %".replace("-", MINUS)
    assert visit.texts("dl.tiles dd.aside")[2] == (
        f"{signed(change)} ({percent}) against the period before"
    )


@pytest.mark.long
def test_each_chart_of_the_system_has_its_figures_in_a_table(
    visit: Visit, operated: Operated
) -> None:
    rows = snapshots(operated)
    by_day = {local(at): metrics for at, metrics in rows}
    before = {local(rows[i][0]): rows[i - 1][1] for i in range(1, len(rows))}
    visit.open("?range=7d")
    head, *customers = visit.table("customers")
    assert head == ["Time", "Customers", "Active", "Snapshot"]
    assert len(customers) == 8
    for at, total, active, _ in customers:
        assert total == f"{by_day[at]['total_customers_all_consumers']:,}"
        assert active == f"{by_day[at]['active_customers_all_consumers']:,}"
    types, *events = visit.table("events")
    assert len(events) == 8
    # What the range begins with is what it counts from.
    assert set(events[-1][1:-1]) == {"\N{EN DASH}"}
    for row in events[:-1]:
        now, then = (source[row[0]]["events_by_type_all_consumers"] for source in (by_day, before))
        shown = dict(zip(types, row, strict=True))
        assert shown["login"] == f"{now['login'] - then['login']:,}"
        named = sum(int(shown[one].replace(",", "")) for one in types[1:-1])
        assert named == sum(now.values()) - sum(then.values()), "types add up to all"
    for at, ratio, _ in visit.table("ratio")[1:]:
        assert ratio == f"{by_day[at]['system_wide_active_ratio'] * 100:.2f} %"
    for at, count, _ in visit.table("consumers")[1:]:
        assert count == f"{by_day[at]['consumers_in_system']:,}"


def test_a_legend_of_what_happened_says_what_happened_in_the_whole_range(
    visit: Visit, operated: Operated
) -> None:
    rows = [metrics["events_by_type_all_consumers"] for _, metrics in snapshots(operated)]
    page = visit.open("?range=7d")
    told = dict(
        zip(
            visit.texts("#events .legend button span"),
            visit.texts("#events .legend output"),
            strict=True,
        )
    )
    assert told["login"] == f"{rows[-1]['login'] - rows[-8]['login']:,}"
    total = sum(int(one.replace(",", "")) for one in told.values())
    assert f"{total:,}" == visit.texts("dl.tiles dd.figure")[2]
    expect(page.locator("#events .reading")).to_have_text("in the whole range")
    expect(page.locator("#customers .reading")).to_contain_text("latest: ")


@pytest.mark.parametrize(
    ("asked", "edge"),
    lanes.first(
        1, [("from=2024-01-01&to=2030-01-01", "both"), ("range=1y", "left"), ("range=30d", "none")]
    ),
)
def test_an_axis_shows_the_range_that_was_chosen(visit: Visit, asked: str, edge: str) -> None:
    page = visit.open(f"?{asked}")
    # Where the pointer has to be to read the first and the last point, in the plot's own pixels.
    across = page.locator("#customers .u-over").bounding_box()
    assert across is not None
    page.locator("#customers .plot").press("Home")
    first = page.locator("#customers .u-cursor-x").bounding_box()
    page.locator("#customers .plot").press("End")
    last = page.locator("#customers .u-cursor-x").bounding_box()
    assert first is not None
    assert last is not None
    begins = (first["x"] - across["x"]) / across["width"]
    ends = (last["x"] - across["x"]) / across["width"]
    assert (begins > 0.3) == (edge in {"left", "both"}), begins
    assert (ends < 0.7) == (edge == "both"), ends


def test_live_backfilled_and_revised_snapshots_are_told_apart(
    visit: Visit, operated: Operated
) -> None:
    revised = {
        local(at)
        for (at,) in operated.database.rows(
            "select distinct snapshot_timestamp from consumer_analytics_revisions "
            "where consumer_id is null"
        )
    }
    assert len(revised) == LATE_DAYS_AGO, "rows came late"
    visit.open("?range=all")
    shown = {row[0]: row[-1] for row in visit.table("customers")[1:]}
    written = {
        local(at): "live" if metrics["snapshot_source"] == "airflow_etl" else "backfilled"
        for at, metrics in snapshots(operated)
    }
    assert shown == {at: f"{how}{', revised' * (at in revised)}" for at, how in written.items()}
    assert {"live", "backfilled", "live, revised"} == set(shown.values())
    assert visit.texts("ul.marks li") == [
        "Snapshots:",
        "live",
        "backfilled",
        "revised since it was first reported",
    ]


@pytest.mark.parametrize(
    ("name", "points"), lanes.first(1, [("7d", 8), ("all", 60), ("1d", 2), ("30d", 31)])
)
def test_a_range_shows_its_snapshots(
    visit: Visit, operated: Operated, name: str, points: int
) -> None:
    visit.open()
    visit.page.get_by_role("navigation", name="Range").get_by_text(name, exact=True).click()
    visit.page.wait_for_url(f"**/?range={name}")
    visit.wait()
    assert len(visit.table("customers")) == 1 + points
    current = visit.page.get_by_role("navigation", name="Range").locator("[aria-current]")
    assert current.inner_text() == name
    assert operated.operation.days == 60


def test_a_range_of_days_holds_its_last_day(visit: Visit, operated: Operated) -> None:
    until = operated.operation.until - dt.timedelta(days=10)
    first, last = until - dt.timedelta(days=4), until - dt.timedelta(days=1)
    page = visit.open()
    page.get_by_text("From … to").click()
    page.get_by_label("From (a day").fill(first.date().isoformat())
    page.get_by_label("To (a day").fill(last.date().isoformat())
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**from=**")
    visit.wait()
    times = [row[0] for row in visit.table("customers")[1:]]
    assert times == [local(until - dt.timedelta(days=day)) for day in range(5)]
    assert page.locator("details.custom summary").inner_text() == f"{first.date()} to {last.date()}"


# -- consumers -------------------------------------------------------------------


def cells(visit: Visit) -> list[list[str]]:
    rows = visit.page.locator("#results tbody tr")
    return [
        [" ".join(text.split()) for text in row.locator("td.n").all_inner_texts()]
        for row in rows.all()
    ]


def names(visit: Visit) -> list[str]:
    return visit.texts("#results tbody th a")


def expected(row: dict[str, Any]) -> list[str]:
    before = row["customers"] - row["change"]
    percent = ""
    if before and row["change"]:
        percent = f" ({formatting.percent_of(row['change'], before):+.1f} %)"
    ratio = round(row["active"] / row["customers"], 4) if row["customers"] else 0
    return [
        f"{row['customers']:,}",
        signed(row["change"]) + percent.replace("-", MINUS),
        f"{row['active']:,}",
        f"{ratio * 100:.2f} %",
        f"{row['events']:,}",
        signed(row["new_events"]),
    ]


def test_the_table_of_consumers_says_what_the_database_says(
    visit: Visit, operated: Operated
) -> None:
    visit.open("consumers")
    rows = listed(operated)
    assert names(visit) == [row["name"] for row in rows]
    assert visit.texts("#results .id") == [row["id"] for row in rows]
    assert cells(visit) == [expected(row) for row in rows]
    history = [
        metrics["total_customers"] for _, metrics in snapshots(operated, rows[0]["id"])[-31:]
    ]
    told = visit.page.locator("#results svg.spark").first.get_attribute("aria-label")
    assert told is not None
    assert told.startswith(f"from {history[0]:,} to {history[-1]:,} customers")


@pytest.mark.parametrize(
    ("column", "key"),
    lanes.first(
        1,
        [
            (
                "Active ratio",
                lambda row: row["active"] / row["customers"] if row["customers"] else -1,
            ),
            ("Consumer", lambda row: row["name"].lower()),
            ("Customers", lambda row: row["customers"]),
            ("Change", lambda row: row["change"]),
            ("Active", lambda row: row["active"]),
            ("Events", lambda row: row["events"]),
            ("New events", lambda row: row["new_events"]),
        ],
    ),
)
def test_the_table_sorts_by_each_column_both_ways(
    visit: Visit, operated: Operated, column: str, key: Any
) -> None:
    rows = {row["name"]: row for row in listed(operated)}
    page = visit.open("consumers?sort=change" if column == "Customers" else "consumers")
    for _ in range(2):
        head = page.locator("th").filter(has=page.get_by_role("link", name=column, exact=True))
        before = head.get_attribute("aria-sort")
        head.get_by_role("link").click()
        expect(head).to_have_attribute("aria-sort", re.compile("ending"), timeout=PATIENCE)
        if before:
            expect(head).not_to_have_attribute("aria-sort", before, timeout=PATIENCE)
        direction = head.get_attribute("aria-sort")
        shown = [key(rows[name]) for name in names(visit)]
        # Whoever has no customers has no ratio, and comes last either way.
        figures = [value for value in shown if value != -1]
        assert figures == sorted(figures, reverse=direction == "descending"), direction
        assert shown[: len(figures)] == figures
        assert page.locator("th[aria-sort]").count() == 1
        expect(head.get_by_role("link")).to_be_focused()


def test_the_table_follows_what_is_typed(visit: Visit, operated: Operated) -> None:
    page = visit.open("consumers")
    wanted = [row["name"] for row in listed(operated) if "pay" in row["name"].lower()]
    assert 0 < len(wanted) < len(listed(operated))
    page.get_by_role("searchbox").press_sequentially("PAY")
    expect(page.locator("#results tbody tr")).to_have_count(len(wanted))
    assert names(visit) == wanted
    assert parse_qs(urlsplit(page.url).query)["search"] == ["PAY"]
    expect(page.get_by_role("status")).to_have_text(f"{len(wanted)} consumers found, page 1 of 1")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("searchbox").fill(str(MARKUP_CONSUMER)[-6:])
    expect(page.locator("#results tbody tr")).to_have_count(1)
    page.get_by_role("searchbox").fill("nobody has this name")
    expect(page.locator("#results")).to_contain_text("No consumer has “nobody has this name”")


@pytest.mark.long
def test_the_table_turns_pages(visit: Visit, operated: Operated) -> None:
    rows = [row["name"] for row in listed(operated)]
    page = visit.open("consumers?size=4")
    assert names(visit) == rows[:4]
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#results")).to_contain_text(f"page 2 of {-(-len(rows) // 4)}")
    assert names(visit) == rows[4:8]
    page.go_back()
    expect(page.locator("#results")).to_contain_text("page 1 of")
    page.get_by_role("link", name="Last").click()
    expect(page.get_by_role("link", name="Next")).to_have_count(0)
    assert names(visit) == rows[-(len(rows) % 4 or 4) :]
    visit.open("consumers?page=99")
    expect(page.locator("#results")).to_contain_text("There is nothing on page 99")


def test_a_consumers_page_says_what_its_snapshots_say(visit: Visit, operated: Operated) -> None:
    who = listed(operated)[1]
    rows = snapshots(operated, who["id"])
    last, before = rows[-1][1], rows[-31][1]
    page = visit.open("consumers")
    page.get_by_role("link", name=who["name"], exact=True).click()
    page.wait_for_url(f"**/consumers/{who['id']}**")
    visit.wait()
    assert visit.texts("h1") == [who["name"]]
    customers, active, events, age = visit.texts("dl.tiles dd.figure")
    assert customers == f"{last['total_customers']:,}"
    assert active == f"{100 * round(last['active_customers'] / last['total_customers'], 4):.2f} %"
    assert events == f"{last['total_events'] - before['total_events']:,}"
    assert age == f"{last['avg_customer_lifetime_days']:,.1f} days"
    by_day = {local(at): metrics for at, metrics in rows}
    head, *history = visit.table("customers")
    assert len(history) == 31
    for at, total, alive, _ in history:
        assert total == f"{by_day[at]['total_customers']:,}"
        assert alive == f"{by_day[at]['active_customers']:,}"
    head, *statuses = visit.table("statuses")
    for row in statuses:
        shown = dict(zip(head[1:-1], row[1:-1], strict=True))
        known = by_day[row[0]]["customers_by_status"]
        assert shown == {name: f"{known.get(name, 0):,}" for name in shown}
        assert set(shown) >= set(known)
    types = {
        row[0]: row[1]
        for row in (
            visit.page.locator("section:has(h2:text('Events by type')) tbody tr").evaluate_all(
                "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
            )
        )
    }
    assert types["login"] == f"{last['events_by_type']['login']:,}"


def test_a_name_that_is_markup_is_a_name(visit: Visit) -> None:
    page = visit.open("consumers?search=script")
    assert names(visit) == [MARKUP_NAME]
    page.get_by_role("link", name="<script>").click()
    page.wait_for_url("**beef**")
    visit.wait()
    assert page.locator("h1").inner_text() == MARKUP_NAME
    assert MARKUP_NAME in page.title()
    assert page.locator("main img, main b").count() == 0
    assert "<b>bold</b>" in visit.table("events")[0]
    assert visit.texts("#events .legend li")[0].startswith("<b>bold</b>")
    visit.open(f"compare?consumer={MARKUP_CONSUMER}")
    assert visit.texts("ul.chosen li span") == [MARKUP_NAME]
    assert page.locator("main img, main b").count() == 0


# -- comparison ------------------------------------------------------------------


def test_consumers_ticked_in_the_table_are_compared(visit: Visit, operated: Operated) -> None:
    first, second = listed(operated)[:2]
    page = visit.open("consumers")
    expect(page.locator("[data-compare]")).to_be_disabled()
    for who in (first, second):
        page.get_by_label(f"Compare {who['name']}").check()
    page.get_by_role("button", name="Compare 2").click()
    page.wait_for_url("**/compare**")
    visit.wait()
    head, *rows = visit.table("compared")
    assert head == ["Time", first["name"], second["name"]]
    known = [
        {local(at): metrics for at, metrics in snapshots(operated, who["id"])}
        for who in (first, second)
    ]
    assert len(rows) == 31
    for at, *figures in rows:
        assert figures == [f"{one[at]['total_customers']:,}" for one in known]
    beside = page.locator("section table.cards tbody tr")
    told = [
        [" ".join(text.split()) for text in row.locator("td.n").all_inner_texts()]
        for row in beside.all()
    ]
    assert told == [expected(who) for who in (first, second)], "as in the table"


@pytest.mark.long
def test_a_comparison_grows_and_shrinks(visit: Visit, operated: Operated) -> None:
    first, second, third = listed(operated)[:3]
    page = visit.open(f"compare?consumer={first['id']}")
    for who in (second, third):
        page.get_by_role("searchbox").fill(who["id"])
        page.get_by_role("button", name="Find").click()
        page.get_by_role("link", name=f"Add {who['name']}").click()
        page.wait_for_url(f"**consumer={who['id']}**")
    visit.wait()
    assert visit.table("compared")[0] == ["Time", *(w["name"] for w in (first, second, third))]
    page.get_by_label(f"Leave out {second['name']}").click()
    expect(page.locator(".drop")).to_have_count(2, timeout=PATIENCE)
    visit.wait()
    assert visit.table("compared")[0] == ["Time", first["name"], third["name"]]


@pytest.mark.parametrize(
    ("by", "figure"),
    lanes.first(
        1,
        [
            (
                "ratio",
                lambda now, _: (
                    f"{100 * round(now['active_customers'] / now['total_customers'], 4):.2f} %"
                ),
            ),
            ("active", lambda now, _: f"{now['active_customers']:,}"),
            ("total_events", lambda now, _: f"{now['total_events']:,}"),
            ("events", lambda now, then: f"{now['total_events'] - then['total_events']:,}"),
        ],
    ),
)
def test_a_comparison_is_by_any_figure(
    visit: Visit, operated: Operated, by: str, figure: Any
) -> None:
    first, second = listed(operated)[:2]
    page = visit.open(f"compare?range=7d&consumer={first['id']}&consumer={second['id']}")
    page.get_by_label("Figure").select_option(by)
    page.wait_for_url(f"**by={by}**")
    visit.wait()
    rows = visit.table("compared")[1:]
    for place, who in enumerate((first, second), start=1):
        known = snapshots(operated, who["id"])[-8:]
        pairs = zip(known, [None, *known[:-1]], strict=True)
        for row, (now, then) in zip(rows[:-1], list(pairs)[:0:-1], strict=True):
            assert then is not None
            assert row[place] == figure(now[1], then[1])


@pytest.mark.long
def test_a_comparison_from_a_common_beginning(visit: Visit, operated: Operated) -> None:
    first, second = listed(operated)[:2]
    page = visit.open(f"compare?consumer={first['id']}&consumer={second['id']}")
    page.get_by_label("Scale").select_option("index")
    page.wait_for_url("**scale=index**")
    visit.wait()
    rows = visit.table("compared")
    assert rows[-1][1:] == ["100", "100"]
    known = snapshots(operated, first["id"])[-31:]
    grown = 100 * known[-1][1]["total_customers"] / known[0][1]["total_customers"]
    assert float(rows[1][1]) == pytest.approx(grown, abs=0.005)


# -- freshness -------------------------------------------------------------------


def test_the_four_measures_are_those_of_health(visit: Visit, operated: Operated) -> None:
    visit.open("freshness")
    with operated.database.connect() as connection:
        judged = health.read(connection, operated.database.settings)
    rows = {
        row[0]: row[1:]
        for row in visit.page.locator("table[aria-labelledby='measures'] tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        )
    }
    assert list(rows) == [
        "DAG runtime",
        "Failed runs, last 24 h",
        "Watermark lag",
        "Pending events",
    ]
    for told, one in zip(rows.values(), judged.measures, strict=True):
        assert told[1] == one.state
        assert told[2:5] == list(one.limits.values())
    assert rows["DAG runtime"][0] == f"{round(judged.measures[0].value or 0, 3):g} s"
    verdict = visit.page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text(judged.state)
    expect(verdict.locator("time")).to_have_attribute(
        "datetime", operated.operation.until.strftime("%Y-%m-%dT%H:%M:%SZ")
    )


def test_the_verdict_names_what_is_bad_though_the_figures_are_fresh(operated: Operated) -> None:
    settings = replace(
        operated.database.settings, runtime_warning=0.000001, runtime_critical=0.000002
    )
    app = create_app(settings, authenticator=authenticator(settings, "127.0.0.1"))
    with TestClient(app, base_url="http://localhost") as client:
        page = client.get("/freshness").text
    verdict = page[page.index('aria-label="Verdict"') :].split("</section>")[0]
    assert "critical" in verdict
    assert "<p>DAG runtime: " in verdict
    assert "Pending events" not in verdict


def test_freshness_says_that_the_archives_address_is_lacking(
    database: Database, client: Client, tmp_path: Path
) -> None:
    """As every run will refuse for it; also to a login whose rights are an earlier version's."""
    said = "days before 2025-03-02 are archived, and nothing says where: set CONSUMER_ANALYTICS_"
    asked = client(database.settings)
    assert "archived" not in asked.get("/freshness").text
    database.execute("insert into consumer_analytics_internal.archive values (true, '2025-03-02')")
    page = asked.get("/freshness").text
    verdict = page[page.index('aria-label="Verdict"') :].split("</section>")[0]
    assert f"<p>Archive: {said}LAKE_URL</p>" in verdict
    known = client(replace(database.settings, lake_url=tmp_path.as_uri()))
    assert "archived" not in known.get("/freshness").text
    database.execute("revoke all on consumer_analytics_internal.archive from current_user")
    answer = asked.get("/freshness")
    assert answer.status_code == 200
    assert "archived" not in answer.text


def test_freshness_shows_what_runs_did_and_what_failed(visit: Visit, operated: Operated) -> None:
    page = visit.open("freshness")
    failed = page.locator("table[aria-labelledby='failed'] tbody tr")
    assert failed.count() == 1
    expect(failed).to_contain_text(
        "ConnectionError: the database at db.example.com closed the connection"
    )
    runs = operated.database.rows(
        "select state, opened_at, extract(epoch from finished_at - opened_at)::float8 "
        "from consumer_analytics_internal.runs order by opened_at desc"
    )
    lanes = page.locator("table.gantt tbody tr")
    assert lanes.count() == len(runs) == 15
    states = [text.strip() for text in lanes.locator(".state").all_inner_texts()]
    assert states == [state for state, _, _ in runs]
    assert [text.strip() for text in lanes.locator("th").all_inner_texts()] == [
        local(at) for _, at, _ in runs
    ]
    head, *durations = visit.table("durations")
    assert head[:2] == ["Time", "The whole run"]
    # As the API has them, to the millisecond.
    took = [
        formatting.duration(round(seconds * 1000) / 1000)
        for state, _, seconds in runs
        if state != "failed"
    ]
    assert [row[1] for row in durations] == took


def test_freshness_shows_watermark_and_lag(visit: Visit, operated: Operated) -> None:
    page = visit.open("freshness?range=all")
    head, *rows = visit.table("watermark")
    assert head[1] == "Processed up to"
    reached = operated.database.rows(
        "select reached_at from consumer_analytics_internal.runs where state = 'success' "
        "order by opened_at desc"
    )
    # The topmost row is now.
    assert [row[1] for row in rows[1:]] == [local(at) for (at,) in reached]
    lags = [row[1] for row in visit.table("lag")[1:]]
    assert lags[0] == "0 s", "a daily job that has run is not behind by noon"
    spec = json.loads(page.locator("#lag script").inner_text())
    assert [one["value"] for one in spec["limits"]] == [3600, 21_600]
    assert 0 < max(spec["series"][0]["values"]) < 36, "each run came seconds after its instant"


def test_freshness_shows_backfills_and_incidents(visit: Visit, operated: Operated) -> None:
    page = visit.open("freshness")
    (row,) = page.locator("table[aria-labelledby='backfills'] tbody tr").all()
    done, written = operated.database.rows(
        "select periods_done, snapshots_written from consumer_analytics_internal.backfills"
    )[0]
    expect(row).to_contain_text(f"{done} of {done}")
    expect(row).to_contain_text(f"{written:,}")
    bar = row.locator("progress")
    assert bar.get_attribute("max") == bar.get_attribute("value") == str(done)
    expect(page.locator("section:has(#incidents)")).to_contain_text("None so far.")


# -- whatever is asked -----------------------------------------------------------

TIMES = ("", "0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "2026-W10", "\0")
ODD = (
    {"range": "\0"},
    {"search": "\0"},
    {"search": "%_\\'\"<>"},
    {"search": b"\xff\xed\xa0\x80"},
    {"sort": "__class__"},
    {"page": "9" * 30},
    {"size": "-1"},
    {"by": "__class__", "scale": "\0"},
    {"consumer": "nobody"},
)


@pytest.mark.parametrize(
    "zone", lanes.first(1, ["Pacific/Kiritimati", "UTC", "America/Los_Angeles"])
)
def test_nothing_that_is_asked_makes_a_page_fail(
    operated: Operated, client: Client, zone: str
) -> None:
    asking = client(operated.database.settings.replaced({"timezone": zone}))
    given = [{"from": since, "to": until} for since in TIMES for until in TIMES]
    for path in ("", "consumers", f"consumers/{MARKUP_CONSUMER}", "compare", "freshness"):
        for parameters in (*given, *ODD):
            answer = asking.get(f"/{path}", params=parameters, headers={"Accept": "text/html"})
            assert answer.status_code in {200, 422}, (path, parameters, answer.text)
            assert answer.headers["content-type"].startswith("text/html")
