"""Every figure of every page and export is the one of the snapshot row that it says it is of.

What is expected is worked out here, from the table's rows and the definitions of `ranges.py`,
by nothing of the product's.
"""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.conftest import Database
from tests.support import lanes, odd_history
from tests.web.conftest import Client

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
DAY = dt.timedelta(days=1)
#: What a consumer had where it has no row.
NOTHING: dict[str, Any] = {}
WHO = (odd_history.OLD, odd_history.LATE, odd_history.STRANGE, odd_history.FIVES)


@dataclass
class Snapshots:
    """The table's rows, read once; `None` is the whole system's."""

    rows: dict[uuid.UUID | None, dict[dt.datetime, dict[str, Any]]]
    revised: set[tuple[uuid.UUID | None, dt.datetime]]
    names: dict[uuid.UUID, str]
    zone: dt.tzinfo = field(default=dt.UTC)

    @property
    def system(self) -> list[dt.datetime]:
        return sorted(self.rows[None])

    def ends(self, asked: dict[str, str]) -> tuple[dt.datetime, dt.datetime]:
        """Return where a range begins and ends."""
        everything = {at for rows in self.rows.values() for at in rows}
        first, last = min(everything), max(everything)
        if "range" in asked:
            days = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "1y": 365}.get(asked["range"])
            return (last - days * DAY if days else first), last
        since = dt.datetime.fromisoformat(asked["from"]) if "from" in asked else first
        until = dt.datetime.fromisoformat(asked["to"]) if "to" in asked else last
        return since, until

    def last(self, until: dt.datetime | None) -> dt.datetime | None:
        """Return the system's last instant at or before one."""
        found = [at for at in self.system if until is not None and at <= until]
        return found[-1] if found else None

    def value(self, whose: uuid.UUID | None, at: dt.datetime, key: str) -> Any:
        """Return a figure; 0, or no names, where a consumer was not there yet."""
        metrics = self.rows[whose].get(at, NOTHING)
        name = key if whose else f"{key}_all_consumers"
        return metrics.get(name, {} if "_by_" in key else 0)

    def ratio(self, whose: uuid.UUID | None, at: dt.datetime) -> float:
        whole = self.value(whose, at, "total_customers")
        share = Decimal(self.value(whose, at, "active_customers")) / whole if whole else Decimal(0)
        return float(share.quantize(Decimal("0.0001"), ROUND_HALF_UP))

    def between(
        self, since: dt.datetime, until: dt.datetime
    ) -> tuple[dt.datetime | None, dt.datetime | None, dt.datetime | None]:
        """Return the instant of a range's figures, the one compared with, and one before that."""
        at, before = self.last(until), self.last(since)
        if at is None or before is None or at == before:
            return at, None, None
        return at, before, self.last(before - (at - before))


@pytest.fixture(params=lanes.first(1, ["Europe/Berlin", "UTC", "America/St_Johns"]))
def odd(request: pytest.FixtureRequest, new_database: Callable[..., Database]) -> Database:
    """Return a database with an odd history, in a zone."""
    database = new_database(timezone=request.param)
    database.prepared(("odd", request.param), lambda: odd_history.make(database))
    return database


def read(database: Database) -> Snapshots:
    rows: dict[uuid.UUID | None, dict[dt.datetime, dict[str, Any]]] = {None: {}}
    revised = set()
    for whose, at, metrics, is_revised in database.rows(
        "select consumer_id, snapshot_timestamp, metrics_json, exists (select from "
        "consumer_analytics_revisions as old where old.analytics_id = new.analytics_id) "
        "from consumer_analytics as new"
    ):
        rows.setdefault(whose, {})[at] = metrics
        if is_revised:
            revised.add((whose, at))
    names = dict(database.rows("select consumer_id, name from consumers"))
    return Snapshots(rows, revised, names, database.settings.zone)


def asked(snapshots: Snapshots) -> list[dict[str, str]]:
    """Return ranges by name, and by days that lie before, within, around and after all."""
    days = [
        ("2025-03-04", "2025-03-12"),
        ("2025-03-13", "2025-04-10"),
        ("2025-03-28", "2025-03-31"),
        ("2024-12-01", "2025-03-20"),
        ("2025-04-18", "2026-01-01"),
        ("2024-01-01", "2024-02-01"),
        ("2025-04-01", None),
        (None, "2025-04-01"),
    ]

    def instant(day: str) -> str:
        return dt.datetime.fromisoformat(day).replace(tzinfo=snapshots.zone).isoformat()

    exact = snapshots.system[3].isoformat(), snapshots.system[-3].isoformat()
    return [
        *({"range": name} for name in ("1d", "7d", "30d", "90d", "1y", "all")),
        *(
            {
                **({"from": instant(since)} if since else {}),
                **({"to": instant(until)} if until else {}),
            }
            for since, until in days
        ),
        {"from": exact[0], "to": exact[1]},
    ]


def figure(now: float, before: float | None, digits: int = 0) -> dict[str, Any]:
    """Return a figure as the API has it."""
    if before is None:
        return {"value": now, "before": None, "change": None, "change_percent": None}
    change = round(now - before, digits) if digits else now - before
    percent = float(rounded(100 * Decimal(str(change)) / Decimal(str(before)))) if before else None
    return {"value": now, "before": before, "change": change, "change_percent": percent}


def rounded(value: Decimal) -> Decimal:
    """Return a number with a decimal, a half away from zero, and zero without a sign."""
    return value.quantize(Decimal("0.1"), ROUND_HALF_UP) + 0


@dataclass
class Asking:
    """The dashboard, and what it is to say."""

    client: TestClient
    snapshots: Snapshots

    def json(self, path: str, query: dict[str, Any]) -> Any:
        answer = self.client.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, (path, query, answer.text)
        return answer.json()

    def csv(self, path: str, query: dict[str, Any]) -> list[dict[str, str]]:
        answer = self.client.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, (path, query, answer.text)
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))

    def page(self, path: str, query: dict[str, Any]) -> Page:
        answer = self.client.get(f"/{path}", params=query, headers={"Accept": "text/html"})
        assert answer.status_code == 200, (path, query, answer.text)
        return Page(answer.text)


@dataclass
class Page:
    """A page, as text."""

    text: str

    def tiles(self, part: str) -> list[str]:
        """Return what the tiles say: their figures, or their asides."""
        found = re.findall(rf'<dd class="{part}">(.*?)</dd>', self.text, re.DOTALL)
        return [plain(one) for one in found]

    def chart(self, name: str) -> dict[str, Any] | None:
        """Return what a chart is drawn from; None where it has nothing to draw."""
        part = self.text.split(f'id="{name}" data-chart')[1].split("</figure>")[0]
        found = re.search(r'<script type="application/json">(.*?)</script>', part, re.DOTALL)
        spec: dict[str, Any] | None = json.loads(found[1]) if found else None
        return spec

    def rows(self) -> Iterator[tuple[str, list[str], str]]:
        """Yield the rows of the table of consumers: an id, the figures, and the whole of it."""
        for row in re.findall(r"<tr>(.*?)</tr>", self.text, re.DOTALL):
            whose = re.search(r'<span class="id">(.*?)</span>', row)
            if whose:
                cells = re.findall(r'<td class="n"[^>]*>(.*?)</td>', row, re.DOTALL)
                yield whose[1], [plain(cell) for cell in cells], row


def plain(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def count(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"


def percent(ratio: float) -> str:
    return f"{100 * ratio:,.2f} %"


def change(figure: dict[str, Any]) -> str:
    if figure["change"] is None:
        return DASH
    if not figure["change"]:
        return "±0"
    share = figure["change_percent"]
    told = f"{figure['change']:+,.0f}" + (
        "" if share is None else f" ({share:+,.1f} %)" if share else " (±0.0 %)"
    )
    return told.replace("-", MINUS)


@pytest.fixture
def asking(odd: Database, client: Client) -> Asking:
    """Return the dashboard of the odd history."""
    return Asking(client(odd.settings), read(odd))


@pytest.mark.long
def test_the_history_is_as_odd_as_it_says(asking: Asking) -> None:
    snapshots = asking.snapshots
    apart = {b - a for a, b in zip(snapshots.system, snapshots.system[1:], strict=False)}
    assert max(apart) > 6 * DAY
    assert len(apart) > 4
    assert {whose for whose, _ in snapshots.revised} >= {None, odd_history.OLD}
    alone = set(snapshots.rows[odd_history.OLD]) - set(snapshots.system)
    assert len(alone) >= 2, "instants that the system has no row of"
    assert min(snapshots.rows[odd_history.LATE]) > snapshots.system[0]
    assert odd_history.STRANGE not in snapshots.names


# -- where things stand ------------------------------------------------------------


def expected_standing(
    snapshots: Snapshots, whose: uuid.UUID | None, query: dict[str, str]
) -> dict[str, Any] | None:
    since, until = snapshots.ends(query)
    at, before, earlier = snapshots.between(since, until)
    if at not in snapshots.rows[whose]:
        own = [one for one in snapshots.rows[whose] if one <= until]
        at = max(own, default=None)
    if at is None:
        return None
    if before is None or before >= at:
        before = earlier = None

    def level(key: str) -> dict[str, Any]:
        return figure(
            snapshots.value(whose, at, key),
            None if before is None else snapshots.value(whose, before, key),
        )

    total = snapshots.value(whose, at, "total_events")
    happened = since_then = None
    if before is not None:
        old = snapshots.value(whose, before, "total_events")
        since_then = total - old
        if earlier is not None:
            happened = old - snapshots.value(whose, earlier, "total_events")
    return {
        "at": at,
        "compared_with": before,
        "customers": level("total_customers"),
        "active": level("active_customers"),
        "active_ratio": figure(
            snapshots.ratio(whose, at),
            None if before is None else snapshots.ratio(whose, before),
            4,
        ),
        "events": figure(total if since_then is None else since_then, happened),
        "total_events": total,
        "customers_by_status": snapshots.value(whose, at, "customers_by_status"),
        "events_by_type": snapshots.value(whose, at, "events_by_type"),
        "revised": (whose, at) in snapshots.revised,
        "source": "backfilled"
        if snapshots.rows[whose][at]["snapshot_source"].endswith("backfill")
        else "live",
    }


@pytest.mark.long
def test_where_things_stand_is_one_answer_everywhere(asking: Asking) -> None:
    compared = 0
    for query in asked(asking.snapshots):
        for whose in (None, *WHO):
            expected = expected_standing(asking.snapshots, whose, query)
            path = "system" if whose is None else f"consumers/{whose}"
            answer = asking.json(path, query)
            found = answer if whose is None else answer["standing"]
            page = asking.page("" if whose is None else path, query)
            if expected is None:
                assert found["at"] is None
                assert page.tiles("figure") == []
                continue
            for key, value in expected.items():
                shown = found[key]
                if isinstance(value, dt.datetime):
                    shown = dt.datetime.fromisoformat(shown)
                assert shown == value, (query, whose, key)
                compared += 1
            tiles = page.tiles("figure")
            assert tiles[:3] == [
                count(expected["customers"]["value"]),
                percent(expected["active_ratio"]["value"]),
                count(expected["events"]["value"]),
            ], (query, whose)
            asides = page.tiles("aside")
            if expected["compared_with"] is None:
                assert asides[0] == "no snapshot as old as the range to compare with"
            else:
                assert asides[0] == change(expected["customers"]), (query, whose)
    assert compared > 500


# -- over time -----------------------------------------------------------------------


def expected_series(
    snapshots: Snapshots, whose: uuid.UUID | None, query: dict[str, str]
) -> list[dict[str, Any]]:
    since, until = snapshots.ends(query)
    everything = [at for rows in snapshots.rows.values() for at in rows]
    begins = max(since, min(everything))
    own = sorted(snapshots.rows[whose])
    found = []
    for at in (one for one in own if begins <= one <= until):
        earlier = [one for one in own if one < at]
        if not earlier and whose is not None:
            # It came: before it there was nothing, if anything was written then.
            earlier = [one for one in snapshots.system if one < at]
        before = earlier[-1] if earlier and at > begins else None
        total = snapshots.value(whose, at, "total_events")
        types = snapshots.value(whose, at, "events_by_type")
        old = {} if before is None else snapshots.value(whose, before, "events_by_type")
        found.append(
            {
                "at": at,
                "since": before,
                "customers": snapshots.value(whose, at, "total_customers"),
                "active": snapshots.value(whose, at, "active_customers"),
                "inactive": snapshots.value(whose, at, "inactive_customers"),
                "active_ratio": snapshots.ratio(whose, at),
                "revised": (whose, at) in snapshots.revised,
                "total_events": total,
                "events": None
                if before is None
                else total - snapshots.value(whose, before, "total_events"),
                "types": None
                if before is None
                else {name: types.get(name, 0) - old.get(name, 0) for name in {**types, **old}},
                "statuses": snapshots.value(whose, at, "customers_by_status"),
            }
        )
    return found


@pytest.mark.long
def test_every_series_is_its_rows_and_adds_up_to_what_the_tile_says(asking: Asking) -> None:
    for query in asked(asking.snapshots):
        since, until = asking.snapshots.ends(query)
        for whose in (None, *WHO):
            expected = expected_series(asking.snapshots, whose, query)
            path = "system/series" if whose is None else f"consumers/{whose}/series"
            found = asking.json(path, query)
            where = (query, whose)
            assert found["sampled"] is False
            assert dt.datetime.fromisoformat(found["since"]) == since
            assert dt.datetime.fromisoformat(found["until"]) == until
            compare_points(found, expected, where)
            standing = expected_standing(asking.snapshots, whose, query)
            if whose is None and standing and standing["compared_with"]:
                added = sum(one["events"] or 0 for one in expected)
                assert added == standing["events"]["value"], query
            compare_file(asking.csv(f"{path}.csv", query), expected, where)
            compare_charts(asking, whose, query, expected)


def compare_points(found: dict[str, Any], expected: list[dict[str, Any]], where: Any) -> None:
    assert len(found["points"]) == len(expected), where
    for point, row in zip(found["points"], expected, strict=True):
        for key in row.keys() - {"types", "statuses"}:
            shown = point[key]
            if isinstance(row[key], dt.datetime):
                shown = dt.datetime.fromisoformat(shown)
            assert shown == row[key], (where, key, row["at"])
        assert folded(row["types"] or {}, found["event_types"]) == point["events_by_type"] or (
            row["types"] is None and point["events_by_type"] == {}
        )
        assert folded(row["statuses"], found["statuses"]) == point["customers_by_status"]


def folded(counts: dict[str, int], names: list[str]) -> dict[str, int]:
    """Return counts under the names told, those beyond them under the last."""
    if "(other)" not in names:
        assert {name for name, n in counts.items() if n} <= set(names)
        return {name: counts.get(name, 0) for name in names}
    own = {name: counts.get(name, 0) for name in names[:-1]}
    return own | {"(other)": sum(counts.values()) - sum(own.values())}


def compare_file(rows: list[dict[str, str]], expected: list[dict[str, Any]], where: Any) -> None:
    assert len(rows) == len(expected), where
    for line, row in zip(rows, expected, strict=True):
        assert dt.datetime.fromisoformat(line["at"]) == row["at"], where
        for key in ("customers", "active", "inactive", "total_events", "events", "active_ratio"):
            assert line[key] == ("" if row[key] is None else str(row[key])), (where, key)
        assert line["revised"] == str(row["revised"]).lower()
        for name, n in (row["types"] or {}).items():
            assert line[f"events_by_type.{name}"] == str(n), "a file folds no types"
        for name, n in row["statuses"].items():
            assert line[f"customers_by_status.{name}"] == str(n)


def compare_charts(
    asking: Asking, whose: uuid.UUID | None, query: dict[str, str], expected: list[dict[str, Any]]
) -> None:
    since, until = asking.snapshots.ends(query)
    page = asking.page("" if whose is None else f"consumers/{whose}", query)
    if "data-chart" not in page.text:
        return
    chart = page.chart("customers")
    assert (chart is None) == (not expected)
    if chart is None:
        return
    assert (chart["from"], chart["to"]) == (since.timestamp(), until.timestamp()), query
    assert chart["x"] == [row["at"].timestamp() for row in expected]
    assert chart["series"][0]["values"] == [row["customers"] for row in expected]
    assert chart["series"][1]["values"] == [row["active"] for row in expected]
    ratios = page.chart("ratio")
    assert ratios is not None
    assert ratios["series"][0]["values"] == [row["active_ratio"] for row in expected]
    events = page.chart("events")
    if events is not None:
        drawn = [line["values"] for line in events["series"]]
        for place, row in enumerate(expected):
            bars = [values[place] for values in drawn]
            assert row["events"] == (None if None in bars else sum(bars)), (query, whose, place)
    else:
        assert not any(row["events"] for row in expected)


@pytest.mark.long
@pytest.mark.parametrize("points", [2, 5, 11])
def test_fewer_points_are_rows_that_lose_nothing_and_a_file_has_all(
    asking: Asking, points: int
) -> None:
    for query in asked(asking.snapshots):
        for whose in (None, odd_history.LATE):
            expected = expected_series(asking.snapshots, whose, query)
            path = "system/series" if whose is None else f"consumers/{whose}/series"
            found = asking.json(path, {**query, "points": points})
            assert found["sampled"] is (len(expected) > points)
            assert len(found["points"]) <= points
            if not expected:
                continue
            by_instant = {row["at"]: row for row in expected}
            for point in found["points"]:
                row = by_instant[dt.datetime.fromisoformat(point["at"])]
                assert point["customers"] == row["customers"]
                assert point["total_events"] == row["total_events"]
            assert sum(point["events"] or 0 for point in found["points"]) == sum(
                row["events"] or 0 for row in expected
            ), (query, whose)
            assert len(asking.csv(f"{path}.csv", query)) == len(expected)


# -- the consumers, and several of them ------------------------------------------------


def test_the_table_and_the_comparison_say_what_a_consumers_own_page_says(asking: Asking) -> None:
    snapshots = asking.snapshots
    for query in asked(snapshots):
        since, until = snapshots.ends(query)
        at, before, _ = snapshots.between(since, until)
        there = [whose for whose in WHO if at is not None and at in snapshots.rows[whose]]
        expected = {}
        for whose in there:
            standing = expected_standing(snapshots, whose, query)
            assert standing is not None
            expected[str(whose)] = {
                "customers": standing["customers"],
                "active": standing["active"]["value"],
                "active_ratio": standing["active_ratio"]["value"],
                "total_events": standing["total_events"],
                "new_events": None if before is None else standing["events"]["value"],
            }
        table = asking.json("consumers", {**query, "size": 200})
        rows = {row["consumer_id"]: row for row in table["rows"]}
        assert rows.keys() == expected.keys(), query
        for one, figures in expected.items():
            assert {key: rows[one][key] for key in figures} == figures, (query, one)
        lines = {line["consumer_id"]: line for line in asking.csv("consumers.csv", query)}
        for one, figures in expected.items():
            line = lines[one]
            assert line["customers"] == str(figures["customers"]["value"])
            for key, column in (("before", "customers_before"), ("change", "change")):
                value = figures["customers"][key]
                assert line[column] == ("" if value is None else str(value))
            assert line["new_events"] == (
                "" if figures["new_events"] is None else str(figures["new_events"])
            )
            assert line["active_ratio"] == str(figures["active_ratio"])
        cells = {whose: shown_row(figures) for whose, figures in expected.items()}
        page = asking.page("consumers", query)
        assert {whose: shown for whose, shown, _ in page.rows()} == cells, query
        compare_sparklines(page, table, since, until)
        compare_comparison(asking, query, expected, cells)


def shown_row(figures: dict[str, Any]) -> list[str]:
    new = figures["new_events"]
    return [
        count(figures["customers"]["value"]),
        change(figures["customers"]),
        count(figures["active"]),
        percent(figures["active_ratio"]),
        count(figures["total_events"]),
        DASH if new is None else (f"{new:+,}".replace("-", MINUS) if new else "±0"),
    ]


def compare_sparklines(
    page: Page, table: dict[str, Any], since: dt.datetime, until: dt.datetime
) -> None:
    """A point of the line lies where its instant lies between the range's ends."""
    at = [dt.datetime.fromisoformat(one) for one in table["sparkline_at"]]
    by_id = {row["consumer_id"]: row["sparkline"] for row in table["rows"]}
    for whose, _, row in page.rows():
        there = [when for when, n in zip(at, by_id[whose], strict=True) if n is not None]
        drawn = re.search(r'points="([^"]+)"', row)
        assert (drawn is None) == (len(there) < 2)
        if drawn is None:
            continue
        across = [float(point.split(",")[0]) for point in drawn[1].split()]
        assert across == pytest.approx(
            [2.5 + 91 * ((when - since) / (until - since)) for when in there], abs=0.051
        )


def compare_comparison(
    asking: Asking,
    query: dict[str, str],
    expected: dict[str, dict[str, Any]],
    cells: dict[str, list[str]],
) -> None:
    snapshots = asking.snapshots
    since, until = snapshots.ends(query)
    chosen = {**query, "consumer": [str(one) for one in WHO]}
    found = asking.json("compare", chosen)
    begins = max(since, min(at for rows in snapshots.rows.values() for at in rows))
    at = [one for one in snapshots.system if begins <= one <= until]
    assert [dt.datetime.fromisoformat(one) for one in found["at"]] == at
    lines: dict[tuple[str, dt.datetime], dict[str, str]] = {
        (line["consumer_id"], dt.datetime.fromisoformat(line["at"])): line
        for line in asking.csv("compare.csv", chosen)
    }
    assert len(lines) == len(at) * len(WHO)
    for one, whose in zip(found["consumers"], WHO, strict=True):
        row = expected.get(str(whose))
        assert (one["standing"] is None) == (row is None)
        if row is not None:
            assert {key: one["standing"][key] for key in row} == row, (query, whose)
        for place, when in enumerate(at):
            there = when in snapshots.rows[whose]
            before = [instant for instant in snapshots.system if instant < when]
            total = snapshots.value(whose, when, "total_events")
            counts = there and before and when > begins
            events = total - snapshots.value(whose, before[-1], "total_events") if counts else None
            line = lines[str(whose), when]
            for key, value in (
                ("customers", snapshots.value(whose, when, "total_customers")),
                ("active", snapshots.value(whose, when, "active_customers")),
                ("active_ratio", snapshots.ratio(whose, when)),
                ("total_events", total),
                ("events", events),
            ):
                wanted = value if there else None
                assert one[key][place] == wanted, (query, whose, when, key)
                assert line[key] == ("" if wanted is None else str(wanted))
    page = asking.page("compare", chosen)
    assert {whose: shown for whose, shown, _ in page.rows() if shown} == cells, query
    chart = page.chart("compared")
    if chart is not None:
        assert (chart["from"], chart["to"]) == (since.timestamp(), until.timestamp())
        for line, one in zip(chart["series"], found["consumers"], strict=True):
            assert line["values"] == one["customers"]


# -- the watermark ---------------------------------------------------------------------


@pytest.mark.long
def test_the_watermark_is_where_runs_left_it(asking: Asking, odd: Database) -> None:
    """The last run was for an old instant, and moved nothing."""
    left = odd.rows("select last_processed_timestamp from etl_job_watermarks")[0][0]
    runs = odd.rows(
        "select finished_at, reached_at from consumer_analytics_internal.runs "
        "where state = 'success' order by opened_at"
    )
    assert runs[-1][1] < left, "an old instant"
    expected = [*(reached for _, reached in runs[:-1]), left]
    rows = asking.csv("freshness/watermark.csv", {"range": "all"})
    assert [dt.datetime.fromisoformat(row["watermark"]) for row in rows] == expected
    assert [row["watermark_before"] for row in rows][1:] == [row["watermark"] for row in rows][:-1]
    chart = asking.page("freshness", {"range": "all"}).chart("watermark")
    assert chart is not None
    marks = chart["series"][0]["values"]
    assert marks == sorted(marks)
    assert marks[-1] == left.timestamp()
    found = asking.json("freshness", {"range": "all"})
    assert found["sampled"] is (len(found["reached"]) < len(runs))
