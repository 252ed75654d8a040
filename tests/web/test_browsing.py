"""The pages by keyboard, by screen reader, on a phone, in the dark, empty, old, below a prefix."""

from __future__ import annotations

import csv
import datetime as dt
import re
import struct
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.conftest import Servers
from tests.support import lanes
from tests.support.durations import WRITTEN
from tests.support.operation import MARKUP_CONSUMER
from tests.web import browser as browsing
from tests.web.browser import PHONE, PHONE_IN_AIRFLOW, Visit
from tests.web.conftest import Operated

from consumer_analytics.db.connection import connected
from consumer_analytics.fields import Secret
from consumer_analytics.settings import Settings
from consumer_analytics.web import tokens
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import authenticator
from consumer_analytics.web.rendering import typeset

#: What a page and all that it loads may weigh.
MOST_BYTES = 500_000
#: Widths between a phone's and a desktop's.
TABLETS = (660, 800, 880, 960, 1010)
PAGES = {
    "system": "?range=all",
    "consumers": "consumers",
    "consumer": f"consumers/{MARKUP_CONSUMER}?range=all",
    "compare": f"compare?consumer={MARKUP_CONSUMER}&search=bank",
    "freshness": "freshness?range=all",
}
every_page = pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
#: The others in the long lane.
two_pages = pytest.mark.parametrize("path", lanes.first(2, PAGES.values()), ids=PAGES)

#: Ten years of days, and of one consumer's; a backfill, and then runs.
TEN_YEARS = """
insert into consumers (consumer_id, name, status, created_at)
values ('00000000-0000-4000-8000-000000000001', 'Old Bank', 'ACTIVE', '2015-01-01');
insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
select
    whose, at,
    jsonb_build_object(
        'total_customers' || suffix, 100 + day, 'active_customers' || suffix, 50 + day / 2,
        'inactive_customers' || suffix, 50 + day / 2,
        'customers_by_status' || suffix, jsonb_build_object('ACTIVE', 50 + day / 2),
        'total_events' || suffix, 10 * day,
        'events_by_type' || suffix, jsonb_build_object('login', 7 * day, 'purchase', 3 * day),
        'snapshot_source', case when day < 3000 then 'cli_backfill' else 'airflow_etl' end)
    || case when whose is null
        then '{"snapshot_type": "GLOBAL", "consumers_in_system": 1}'::jsonb else '{}' end
from generate_series(1, 3653) as day
cross join lateral
    (select timestamptz '2016-01-01 00:00+00' + day * interval '1 day') as on_day (at)
cross join (values (null::uuid, '_all_consumers'),
    ('00000000-0000-4000-8000-000000000001', '')) as one (whose, suffix)
"""
#: The first of them.
ONE_DAY = TEN_YEARS.replace("generate_series(1, 3653)", "generate_series(1, 1)")


@pytest.fixture(scope="module")
def serve(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """Return a function that serves a database of its own, after a statement, below a prefix."""
    server = servers.get("main")
    with ExitStack() as stack:

        def start(statement: str = "select", prefix: str = "", **changes: Any) -> str:
            name = server.create(server.template)
            stack.callback(server.drop, name)
            home = tmp_path_factory.mktemp("home")
            settings = Settings(database_url=Secret(server.url(name)), home=home, **changes)
            with connected(settings, "test", writes_sources=True) as connection:
                connection.execute(statement)
            app = create_app(settings, authenticator=authenticator(settings, "127.0.0.1"))
            whole = Starlette(routes=[Mount(prefix, app)]) if prefix else app
            return stack.enter_context(browsing.served(whole, settings)) + prefix

        yield start


# -- without a mouse, without eyes -----------------------------------------------


@pytest.mark.parametrize(
    ("theme", "size"),
    [
        pytest.param("light", browsing.DESKTOP, id="light desktop"),
        pytest.param("dark", PHONE, id="dark phone", marks=lanes.LONG),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        # What these show, the others show too.
        pytest.param(
            path,
            id=name,
            marks=[lanes.LONG] if name in {"consumer", "compare", "consumers", "freshness"} else [],
        )
        for name, path in PAGES.items()
    ],
)
def test_axe_finds_nothing_serious(
    browser: Browser, operated: Operated, path: str, theme: str, size: dict[str, int]
) -> None:
    with browsing.visit(browser, operated.address, color_scheme=theme, viewport=size) as visit:
        page = visit.open(path)
        assert page.locator("html").get_attribute("data-theme") == theme
        for summary in page.locator("summary").all():
            summary.click()
        assert visit.inaccessible() == []
        assert visit.overflow() <= 0, "the page scrolls sideways"
        if size == PHONE:
            page.set_viewport_size(PHONE_IN_AIRFLOW)
            expect(page.locator("html")).to_have_js_property("clientWidth", 303)
            assert visit.overflow() <= 0, "the page scrolls sideways within Airflow"


#: What stands out of the panel that it is in, where that does not scroll.
OUTSIDE = """
() => [...document.querySelectorAll("main .panel table")]
  .filter(table => table.checkVisibility() && !table.closest(".scroll"))
  .filter(table => {
    const panel = table.closest(".panel").getBoundingClientRect();
    return [...table.querySelectorAll("td, th")]
      .some(cell => cell.getBoundingClientRect().right > panel.right);
  })
  .map(table => table.caption?.textContent ?? table.getAttribute("aria-labelledby"))
"""


@lanes.LONG
@pytest.mark.parametrize("path", [PAGES["consumers"], PAGES["compare"]])
def test_tables_stay_in_their_panels_on_a_tablet(
    browser: Browser, operated: Operated, path: str
) -> None:
    with browsing.visit(browser, operated.address) as visit:
        fits_a_tablet(visit, path)


@pytest.mark.long
def test_cards_are_sorted_as_tables_are(browser: Browser, operated: Operated) -> None:
    for size in [PHONE, {"width": 800, "height": 900}]:
        with browsing.visit(browser, operated.address, viewport=size) as visit:
            page = visit.open("consumers")
            by_events = page.get_by_role("link", name="Events", exact=True)
            box = by_events.bounding_box()
            assert box is not None
            assert box["width"] > 20
            # The middle of the link is what a finger would meet.
            by_events.click(timeout=5_000)
            expect(page.locator("th[aria-sort=descending]")).to_have_text("Events")
            assert visit.inaccessible() == []


def fits_a_tablet(visit: Visit, path: str) -> None:
    """Assert that a page and its tables are no wider than what they are in."""
    page = visit.open(path)
    for width in TABLETS:
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator("html")).to_have_js_property("clientWidth", width)
        assert visit.overflow() <= 0, f"the page scrolls sideways at {width}"
        assert page.evaluate(OUTSIDE) == [], f"a table leaves its panel at {width}"
        # Beside six figures it was left the room of a syllable a line.
        names = page.locator(".panel tbody .name .id").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().height)"
        )
        assert max(names, default=0) < 40, f"an id breaks more than once at {width}"


@two_pages
def test_everything_can_be_reached_by_keyboard_and_shows_it(visit: Visit, path: str) -> None:
    page = visit.open(path)
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]"
        ".filter(e => e.tabIndex >= 0 && !e.disabled && e.type !== 'hidden' "
        "&& e.checkVisibility()).length"
    )
    seen = 0
    for number in range(wanted + 5):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            "() => { const e = document.activeElement; if (e === document.body) return null;"
            "const s = getComputedStyle(e); const box = e.getBoundingClientRect();"
            "return [s.outlineStyle, parseFloat(s.outlineWidth), e.className, box.width > 0] }"
        )
        if focus is None:
            break
        style, width, name, visible = focus
        assert (style, width >= 1, visible) == ("solid", True, True), name
        assert number > 0 or name == "skip", "the first stop skips to the content"
        seen += 1
    assert seen == wanted
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.long
def test_a_chart_is_read_with_the_arrow_keys(visit: Visit) -> None:
    page = visit.open("?range=7d")
    rows = visit.table("customers")[1:]
    chart = page.locator("#customers").get_by_role("slider")
    chart.focus()
    places = {"End": 0, "ArrowLeft": 1, "ArrowDown": 2, "ArrowRight": 1, "Home": -1}
    for key, row in places.items():
        page.keyboard.press(key)
        at, customers, active, snapshot = rows[row]
        said = f"{at} · {snapshot}: Customers {customers}, Active {active}"
        expect(chart).to_have_attribute("aria-valuetext", said)
        expect(page.locator("#customers .reading")).to_have_text(f"{at} · {snapshot}")
        assert visit.texts("#customers .legend output") == [customers, active]
    # The charts of a page move together.
    expect(page.locator("#events .reading")).to_have_text(f"{rows[-1][0]} · {rows[-1][3]}")
    page.keyboard.press("Escape")
    expect(page.locator("#customers .reading")).to_contain_text("latest")


def test_the_browser_writes_figures_as_the_server_does(visit: Visit) -> None:
    page = visit.open("")
    written = page.evaluate(
        """async values => {
            const address = document.querySelector("link[href*='figures.js']").href;
            const { duration } = await import(address);
            return values.map(duration);
        }""",
        [seconds for seconds, _ in WRITTEN],
    )
    assert written == [typeset(text) for _, text in WRITTEN]


# -- in the dark, in another zone ------------------------------------------------


def test_the_theme_is_the_systems_until_another_is_chosen(
    browser: Browser, operated: Operated
) -> None:
    with browsing.visit(browser, operated.address, color_scheme="dark") as visit:
        page = visit.open()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"
        dark = page.locator("#customers canvas").screenshot()
        page.get_by_role("button", name="Switch between light and dark").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(245, 246, 248)"
        )
        assert page.locator("#customers canvas").screenshot() != dark, "charts are drawn anew"
        visit.open("consumers")
        assert page.locator("html").get_attribute("data-theme") == "light", "it is remembered"


def test_times_are_in_the_users_zone_which_is_named(visit: Visit, operated: Operated) -> None:
    page = visit.open()
    zone = page.locator("[data-zone-name]")
    expect(zone).to_have_text(re.compile(r"^Europe/Berlin \(UTC\+0[12]:00\)$"))
    stamp = page.locator(".head time").first
    instant = operated.operation.until
    assert stamp.get_attribute("datetime") == instant.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert stamp.inner_text() == instant.astimezone(browsing.zone()).strftime("%Y-%m-%d %H:%M")
    page.get_by_role("button", name="Use UTC").click()
    expect(zone).to_have_text("UTC")
    assert stamp.inner_text() == instant.strftime("%Y-%m-%d %H:%M")
    assert visit.table("customers")[1][0] == instant.strftime("%Y-%m-%d %H:%M")
    visit.open("freshness")
    expect(zone).to_have_text("UTC")
    page.get_by_role("button", name="Use Europe/Berlin").click()
    expect(zone).to_contain_text("Europe/Berlin")


@pytest.mark.long
def test_without_scripts_there_is_everything_but_the_charts(
    browser: Browser, operated: Operated
) -> None:
    with browsing.visit(browser, operated.address, java_script_enabled=False) as visit:
        page = visit.open("consumers")
        assert page.locator(".head time").first.inner_text().endswith(" UTC")
        page.get_by_role("searchbox").fill("pay")
        page.get_by_role("button", name="Search").click()
        assert "search=pay" in page.url
        page.get_by_role("link", name="Events", exact=True).click()
        assert page.locator("th[aria-sort=descending]").inner_text().strip() == "Events"
        for box in page.locator("input[name=consumer]").all()[:2]:
            box.check()
        page.get_by_role("button", name="Compare").click()
        assert page.locator(".drop").count() == 2
        page.goto(f"{visit.address}/")
        chart = page.locator("#customers")
        assert "needs JavaScript" in chart.inner_text()
        # What it names is there; what would do nothing is not, nor a table that stays empty.
        assert "in the CSV and the JSON" in chart.inner_text()
        for link in chart.locator(".exports a").all():
            assert page.request.get(str(link.evaluate("link => link.href"))).ok
        for dead in ("button[type=button]", "figure details", ".legend", "main .marks"):
            assert [one.inner_text() for one in page.locator(dead).all() if one.is_visible()] == []
        page.goto(f"{visit.address}/freshness")
        assert page.locator("#gantt .marks").is_visible(), "drawn by the server"
        assert page.locator("button[type=button]:visible").count() == 0


# -- to take along ---------------------------------------------------------------


def test_a_charts_csv_holds_the_charts_figures(
    visit: Visit, operated: Operated, tmp_path: Path
) -> None:
    page = visit.open("?range=7d")
    with page.expect_download() as download:
        page.locator("#customers .exports").get_by_text("CSV").click()
    file = tmp_path / "customers.csv"
    download.value.save_as(file)
    with file.open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    shown = visit.table("customers")[:0:-1]
    assert [f"{int(row['customers']):,}" for row in rows] == [row[1] for row in shown]
    assert [f"{int(row['active']):,}" for row in rows] == [row[2] for row in shown]
    answer = page.request.get(
        urljoin(
            page.url, str(page.locator("#customers .exports >> text=JSON").get_attribute("href"))
        )
    )
    assert [f"{point['customers']:,}" for point in answer.json()["points"]] == [
        row[1] for row in shown
    ]
    assert operated.operation.days > len(shown)


@two_pages
def test_every_link_to_take_data_along_answers(visit: Visit, path: str) -> None:
    page = visit.open(path)
    links = page.locator(".exports a").evaluate_all("links => links.map(link => link.href)")
    assert links
    for link in links:
        answer = page.request.get(link)
        assert answer.ok, (link, answer.text())


@pytest.mark.parametrize(
    ("path", "chart"),
    lanes.first(1, [("?range=7d", "customers"), ("?range=7d", "events"), ("freshness", "gantt")]),
)
def test_a_chart_can_be_taken_along_as_a_picture(
    visit: Visit, tmp_path: Path, path: str, chart: str
) -> None:
    page = visit.open(path)
    with page.expect_download() as download:
        page.locator(f"#{chart}").get_by_role("button", name="PNG").click()
    assert download.value.suggested_filename == f"{chart}.png"
    file = tmp_path / "picture.png"
    download.value.save_as(file)
    picture = file.read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 1200
    assert height > 300
    # An empty picture of this size compresses to less than a tenth of this.
    assert len(picture) > 15_000


@pytest.mark.long
def test_a_link_brings_back_what_it_was_taken_from(
    browser: Browser, visit: Visit, operated: Operated
) -> None:
    page = visit.open("?range=7d")
    page.locator("#customers .legend").get_by_text("Active").click()
    page.get_by_role("button", name="Use UTC").click()
    before = visit.table("customers")
    link = (
        page.locator("#customers .exports").get_by_text("Link to this view").get_attribute("href")
    )
    assert link is not None
    assert "range" not in parse_qs(urlsplit(link).query), "a name means another one tomorrow"
    with browsing.visit(browser, operated.address) as other:
        other.page.goto(urljoin(page.url, link))
        other.wait()
        assert other.table("customers") == before
        hidden = other.page.locator("#customers .legend [aria-pressed=false]")
        assert hidden.count() == 1
        expect(hidden).to_contain_text("Active")


def draw_over(page: Page, chart: str, begin: float, end: float) -> None:
    """Draw over a stretch of a chart, given as shares of its width, and await the page of it."""
    box = page.locator(f"{chart} .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * begin, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + 50, steps=5)
    page.mouse.up()
    page.wait_for_url("**from=**")


def test_a_stretch_drawn_over_becomes_the_range(visit: Visit) -> None:
    page = visit.open("?range=30d")
    draw_over(page, "#customers", 0.5, 0.7)
    visit.wait()
    assert 5 <= len(visit.table("customers")) - 1 <= 7


def test_the_range_is_asked_for_by_a_button_whose_word_is_in_its_middle(visit: Visit) -> None:
    page = visit.open("compare")
    page.locator(".custom > summary").click()
    left, right = page.locator(".custom button").evaluate(
        """button => {
            const range = document.createRange();
            range.selectNodeContents(button);
            const word = range.getBoundingClientRect(), box = button.getBoundingClientRect();
            return [word.left - box.left, box.right - word.right];
        }"""
    )
    assert abs(left - right) < 2


def test_nobody_is_chosen_in_a_panel_as_wide_as_the_others(visit: Visit) -> None:
    page = visit.open("compare")
    widths = page.locator("main > .panel").evaluate_all("all => all.map(one => one.offsetWidth)")
    assert len(widths) == 2
    assert len(set(widths)) == 1


@pytest.mark.long
def test_a_single_point_stands_in_the_middle_of_its_day(
    browser: Browser, serve: Callable[..., str]
) -> None:
    with browsing.visit(browser, serve(ONE_DAY)) as visit:
        page = visit.open("?range=all")
        draw_over(page, "#customers", 0.4, 0.6)
        drawn = parse_qs(urlsplit(page.url).query)
        assert drawn["from"][0] < "2016-01-02T00:00:00Z" < drawn["to"][0]
        assert (drawn["from"][0][:10], drawn["to"][0][:10]) == ("2016-01-01", "2016-01-02")


# -- how much, how little, where -------------------------------------------------


@two_pages
def test_no_page_weighs_more_than_half_a_megabyte(visit: Visit, path: str) -> None:
    visit.open(path)
    assert sum(visit.bytes.values()) < MOST_BYTES
    assert len(visit.bytes) >= 5, "scripts and styles count"


@lanes.LONG
def test_ten_years_are_one_page(browser: Browser, serve: Callable[..., str]) -> None:
    with browsing.visit(browser, serve(TEN_YEARS)) as visit:
        visit.open("?range=all")
        rows = visit.table("customers")[1:]
        assert 200 <= len(rows) <= 400, "as many points as can be told apart"
        assert rows[0][1:] == ["3,753", "1,876", "live"]
        assert rows[-1][-1] == "backfilled"
        # Fortnights, give or take the day by which ten years are no whole number of them.
        bars = [int(row[1].replace(",", "")) for row in visit.table("events")[1:-1]]
        assert set(bars) <= {7 * 13, 7 * 14, 7 * 15}
        assert bars.count(7 * 14) > 0.85 * len(bars)
        assert sum(visit.bytes.values()) < MOST_BYTES
        assert visit.texts("#events header p")[0] == "Since the point before."
        visit.open("consumers/00000000-0000-4000-8000-000000000001?range=all")
        assert visit.texts("dl.tiles dd.figure")[0] == "3,753"
        assert len(visit.table("statuses")) > 200


@pytest.mark.parametrize("path", lanes.first(1, ["", "consumers", "compare"]))
def test_an_empty_database_says_what_to_do(
    browser: Browser, serve: Callable[..., str], path: str
) -> None:
    with browsing.visit(browser, serve(), viewport=PHONE) as visit:
        page = visit.open(path)
        expect(page.locator("h1")).to_have_text("No snapshots yet")
        commands = visit.texts("pre")
        assert commands[:2] == ["consumer-analytics simulate", "consumer-analytics run"]
        assert re.fullmatch(
            r"consumer-analytics backfill --start-date \S{10} --end-date \S{10}", commands[2]
        )
        assert visit.overflow() <= 0
        assert visit.inaccessible() == []


@pytest.mark.long
def test_freshness_before_the_first_run(browser: Browser, serve: Callable[..., str]) -> None:
    with browsing.visit(browser, serve()) as visit:
        page = visit.open("freshness")
        assert page.locator("table[aria-labelledby=measures] tbody tr").count() == 4
        expect(page.locator("#gantt")).to_contain_text("No finished run")
        assert visit.inaccessible() == []


def test_what_is_not_there_or_cannot_be_asked_is_said_on_a_page(
    browser: Browser, operated: Operated
) -> None:
    wrong = {
        "nowhere": (404, "Nothing is at this address."),
        "consumers/00000000-0000-4000-8000-000000000404": (404, "there is no consumer"),
        "?range=2d": (422, "range '2d' is unknown"),
        "?from=tomorrow": (422, "from: 'tomorrow' is no time"),
        "?from=2025-02-01&to=2025-01-01": (422, "ends before it begins"),
        "consumers?page=0": (422, "page"),
        "consumers?search=%00": (422, "NUL"),
        "compare?" + "&".join(f"consumer=00000000-0000-4000-8000-{n:012}" for n in range(9)): (
            422,
            "1 to 8",
        ),
        "consumers?tz=Mars/Base": (422, "tz 'Mars/Base' cannot be used"),
    }
    with browsing.visit(browser, operated.address) as visit:
        for path, (status, line) in wrong.items():
            answer = visit.page.goto(f"{visit.address}/{path}")
            assert answer is not None
            assert answer.status == status, path
            expect(visit.page.locator("main")).to_contain_text(line)
            visit.page.get_by_role("link", name="Go to the whole system").click()
            expect(visit.page.locator("h1")).to_have_text("The whole system")
        # The browser itself tells of the answers' status.
        assert all("the server responded with a status of 4" in one for one in visit.problems)
        visit.problems.clear()


@pytest.mark.long
def test_everything_works_below_a_prefix(
    browser: Browser, servers: Servers, operated: Operated
) -> None:
    settings = operated.database.settings
    app = create_app(settings, authenticator=authenticator(settings, "127.0.0.1"))
    outside: set[str] = set()
    with (
        browsing.served(Starlette(routes=[Mount("/plugins/analytics", app)]), settings) as root,
        browsing.visit(browser, f"{root}/plugins/analytics") as visit,
    ):
        visit.page.on("request", lambda request: outside.add(urlsplit(request.url).path))
        followed: set[str] = set()
        for path in PAGES.values():
            page = visit.open(path)
            for link in page.locator("a[href]").evaluate_all("all => all.map(a => a.href)"):
                target = link.partition("#")[0]
                if target not in followed and len(followed) < 150:
                    followed.add(target)
                    assert urlsplit(target).path.startswith("/plugins/analytics/"), target
                    assert page.request.get(target).ok, target
        assert len(followed) > 60
    assert all(path.startswith("/plugins/analytics/") for path in outside), outside
    assert servers.get("main").version


@pytest.mark.long
def test_a_framed_page_takes_airflows_theme_and_leaves_its_own_name_away(
    browser: Browser, operated: Operated
) -> None:
    with browsing.visit(browser, operated.address) as visit:
        visit.open("consumers")
        visit.page.evaluate(
            "() => { localStorage.setItem('theme', 'dark'); const frame = "
            "document.createElement('iframe'); frame.src = './'; frame.width = 1000;"
            "frame.height = 600; document.body.append(frame); }"
        )
        frame = visit.page.frame_locator("iframe")
        expect(frame.locator("h1")).to_have_text("The whole system")
        expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
        expect(frame.locator(".brand")).to_be_hidden()


NOT_WELL = """
insert into consumer_analytics_internal.incidents
    (subject, opened_at, closed_at, state, worst, cause, measures)
values
    ('freshness', now() - interval '1 hour', null, 'warning', 'critical',
        'run scheduled__2026-11-24T00:00:00+00:00 is missing since 2026-11-24 00:00:00 UTC', '{}'),
    ('failures', '2026-01-01', '2026-01-02', 'warning', 'warning', '<b>it</b> failed', '{}');
insert into consumer_analytics_internal.backfills (
    start_date, end_date, period, timezone, snapshot_source, requested_by, state,
    periods, periods_done)
values ('2025-01-01', '2025-01-11', 'daily', 'UTC', 'cli_backfill', 'operator', 'failed', 10, 4);
insert into consumer_analytics_internal.runs (
    run_key, snapshot_source, state, requested_at, reached_at, named, opened_at, finished_at,
    summary)
select
    'run ' || seconds, 'airflow_etl', 'success', now(), now(), true,
    now() - interval '1 minute' * seconds, now() - interval '1 minute' * seconds
        + interval '1 second' * seconds,
    jsonb_build_object('seconds', jsonb_build_object('extract_events', seconds / 4, 'write', 1))
from (values (4), (8), (16)) as took (seconds)
"""


def test_what_is_not_well_is_told_by_word_and_shape(
    browser: Browser, serve: Callable[..., str]
) -> None:
    with browsing.visit(browser, serve(NOT_WELL)) as visit:
        page = visit.open("freshness")
        assert visit.texts("table.gantt tbody .state") == [
            "success",
            "success, over 5 s",
            "success, over 15 s",
        ]
        shapes = page.locator("table.gantt tbody .state svg").evaluate_all(
            "icons => icons.map(icon => icon.innerHTML)"
        )
        assert len(set(shapes)) == 3
        limits = page.locator("table.gantt tbody tr").first.locator("line")
        assert limits.evaluate_all("all => all.map(one => one.getAttribute('class'))") == [
            "limit warning",
            "limit critical",
        ]
        # 16 s on an axis of 20: the first limit stands at a quarter.
        assert limits.first.get_attribute("x1") == "25.0%"
        first, second = visit.texts("table[aria-labelledby=incidents] tbody tr")
        assert "still open Freshness critical" in first
        assert "run scheduled__2026-11-24T00:00:00+00:00 is missing since 2026-11-24 01:00" in first
        assert second.endswith("Failed runs warning <b>it</b> failed")
        (backfill,) = visit.texts("table[aria-labelledby=backfills] tbody tr")
        assert "failed" in backfill
        assert "4 of 10" in backfill
        assert visit.inaccessible() == []


BACKFILLS = """
insert into consumer_analytics_internal.backfills (
    start_date, end_date, period, timezone, snapshot_source, requested_by, state,
    periods, periods_done)
values
    ('2011-12-30', '2011-12-31', 'daily', 'Pacific/Apia', 'cli_backfill', 'operator', 'done', 0, 0),
    ('2025-01-01', '2025-01-02', 'hourly', 'UTC', 'cli_backfill', 'operator', 'done', 24, 24),
    ('2024-01-01', '2025-01-01', 'hourly', 'UTC', 'cli_backfill', 'operator', 'failed', 8784, 100)
"""


#: A phone of the smallest that are in use.
SMALL: ViewportSize = {"width": 320, "height": 640}
#: What is cut off in a box of its own, and is no list of points.
CUT = """
() => [...document.querySelectorAll("main pre, main .scroll")]
  .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth)
  .map(box => box.innerText)
"""


def test_nothing_is_cut_off_on_a_small_phone(
    browser: Browser, operated: Operated, serve: Callable[..., str]
) -> None:
    with browsing.visit(browser, operated.address, viewport=SMALL) as visit:
        for path in (
            PAGES["consumer"],
            "?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z",
            "backfills",
        ):
            page = visit.open(path)
            assert page.locator("main pre, main .scroll:visible").count(), path
            for width in (303, 320, 360, 400, 440):
                page.set_viewport_size({"width": width, "height": 640})
                expect(page.locator("html")).to_have_js_property("clientWidth", width)
                assert page.evaluate(CUT) == [], (path, width)
                assert visit.overflow() <= 0
        # An option is not broken after one of its hyphens.
        parts = page.locator("pre .nowrap")
        assert parts.count() == 2
    with browsing.visit(browser, serve(), viewport=SMALL) as visit:
        assert visit.open().evaluate(CUT) == []


def test_how_far_a_backfill_is_stands_on_a_line(
    browser: Browser, serve: Callable[..., str]
) -> None:
    size = {"width": 400, "height": 740}
    with browsing.visit(browser, serve(BACKFILLS), viewport=size) as visit:
        told = visit.open("backfills").locator(".progress")
        assert told.all_inner_texts() == ["100 of 8,784", "24 of 24", "0 of 0"]
        # It showed nothing as a full bar, and broke in the middle of "24 of 24".
        assert [one.locator("progress").count() for one in told.all()] == [1, 1, 0]
        heights = told.evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
        assert max(heights) < 30
        assert visit.overflow() <= 0


@pytest.mark.parametrize("path", lanes.first(0, [PAGES["system"], PAGES["consumer"]], long=1))
def test_rows_of_tiles_are_full_at_every_width(
    browser: Browser, operated: Operated, path: str
) -> None:
    with browsing.visit(browser, operated.address) as visit:
        page = visit.open(path)
        for width in (320, 641, *TABLETS, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            expect(page.locator("html")).to_have_js_property("clientWidth", width)
            tops = page.locator("dl.tiles > div").evaluate_all(
                "all => all.map(one => one.getBoundingClientRect().top)"
            )
            assert len(tops) == 4
            rows = {tops.count(top) for top in tops}
            assert len(rows) == 1, f"a row of tiles is not full at {width}"


@pytest.mark.long
def test_what_is_not_well_and_its_backfills_fit_a_tablet(
    browser: Browser, serve: Callable[..., str]
) -> None:
    with browsing.visit(browser, serve(NOT_WELL + ";" + BACKFILLS)) as visit:
        fits_a_tablet(visit, "freshness")
        fits_a_tablet(visit, "backfills")


MIXED = """
insert into consumer_analytics (snapshot_timestamp, metrics_json)
select at, jsonb_build_object('snapshot_type', 'global', 'total_customers_all_consumers', 1,
    'total_events_all_consumers', n, 'events_by_type_all_consumers', jsonb_build_object('login', n))
from (
    select at, 50 * row_number() over (order by at) as n
    from (
        select generate_series(timestamptz '2024-01-01', '2024-12-01', interval '1 month') as at
        union all
        select generate_series(timestamptz '2025-01-01', '2025-01-03', interval '2 hours')
    ) as instants
) as numbered
"""
#: How wide the bars of a chart are, in pixels, where a row of them is cut through the middle.
WIDTHS = """
canvas => {
  const row = canvas.getContext("2d").getImageData(0, canvas.height * 0.45, canvas.width, 1).data;
  const widths = [];
  for (let x = 0, run = 0; x < canvas.width; x += 1) {
    const [red, green, blue, alpha] = row.slice(4 * x, 4 * x + 4);
    const drawn = alpha > 128 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60;
    if (!drawn && run) widths.push(run);
    run = drawn ? run + 1 : 0;
  }
  return widths;
}
"""


def test_bars_that_lie_apart_are_seen_where_most_do_not(
    browser: Browser, serve: Callable[..., str]
) -> None:
    with browsing.visit(browser, serve(MIXED)) as visit:
        widths = visit.open("?range=all").locator("#events canvas").evaluate(WIDTHS)
        # The first has nothing before it that it could be told against; the last day is one.
        assert len(widths) == 12
        assert min(widths) >= 2


# -- who may see what ------------------------------------------------------------


def test_logging_in_and_out(browser: Browser, serve: Callable[..., str], tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse battery\n")
    address = serve(ONE_DAY, dashboard_password_file=password)
    with browsing.visit(browser, address) as visit:
        page = visit.page
        page.goto(f"{address}/freshness?range=7d")
        expect(page.locator("h1")).to_have_text("Log in")
        assert visit.inaccessible() == []
        assert page.locator("nav").count() == 0
        page.get_by_label("Password or token").fill("wrong horse battery")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("neither the password nor a valid token")
        page.get_by_label("Password or token").fill("correct horse battery")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("h1")).to_have_text("Freshness")
        assert page.url.endswith("/freshness?range=7d"), "back where one wanted to go"
        page.get_by_role("button", name="Log out").click()
        expect(page.locator("h1")).to_have_text("Log in")
        page.goto(f"{address}/")
        expect(page.locator("h1")).to_have_text("Log in")
        assert all("401" in one for one in visit.problems)
        visit.problems.clear()


def test_a_tenant_sees_its_own_consumer_alone(
    browser: Browser, serve: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "tokens.json"
    own = uuid.UUID("00000000-0000-4000-8000-000000000001")
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    _, token = tokens.create(file, "old bank", consumers=[own], expires_at=tomorrow)
    address = serve(ONE_DAY, dashboard_tokens_file=file)
    headers = {"Authorization": f"Bearer {token}"}
    with browsing.visit(browser, address, extra_http_headers=headers) as visit:
        page = visit.open()
        expect(page.locator("h1")).to_have_text("Consumers")
        assert visit.texts("nav[aria-label=Pages] li") == ["Consumers", "Compare"]
        assert visit.texts("#results tbody th a") == ["Old Bank"]
        page.get_by_role("link", name="Old Bank").click()
        expect(page.locator("h1")).to_have_text("Old Bank")
        for path, status in [("freshness", 403), (f"consumers/{MARKUP_CONSUMER}", 404)]:
            answer = page.goto(f"{address}/{path}")
            assert answer is not None
            assert answer.status == status
        visit.problems.clear()
