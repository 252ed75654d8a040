"""What the pages show is what the database holds."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from tests.web.browser import ZONE, Visit
from tests.web.conftest import Operated

SNAPSHOTS = """
select snapshot_timestamp, metrics_json
from consumer_analytics
where consumer_id is not distinct from %s
order by snapshot_timestamp
"""


def snapshots(operated: Operated, consumer: Any = None) -> list[tuple[dt.datetime, dict[str, Any]]]:
    return operated.database.rows(SNAPSHOTS, [consumer])


def local(at: dt.datetime) -> str:
    return at.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m-%d %H:%M")


# -- the system -------------------------------------------------------------------


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
    change = last["total_customers_all_consumers"] - before["total_customers_all_consumers"]
    assert visit.texts("dl.tiles dd.aside")[0].startswith(f"{change:+,} (")


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
    assert "login" in types
    for row in events:
        now, then = (source[row[0]]["events_by_type_all_consumers"] for source in (by_day, before))
        assert row[types.index("login")] == f"{now['login'] - then['login']:,}"
    for at, ratio, _ in visit.table("ratio")[1:]:
        assert ratio == f"{by_day[at]['system_wide_active_ratio'] * 100:.2f} %"
    for at, count, _ in visit.table("consumers")[1:]:
        assert count == f"{by_day[at]['consumers_in_system']:,}"
