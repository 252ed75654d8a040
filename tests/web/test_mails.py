"""The mails as a person sees them: readable on a desk and on a phone, whatever is in them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from tests.support import lanes
from tests.web.browser import chromium

from consumer_analytics.monitoring import incidents
from consumer_analytics.monitoring.incidents import Failure
from consumer_analytics.monitoring.notifications.channels import mail
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.settings import Settings

AT = dt.datetime(2026, 3, 5, 0, 3, 7, tzinfo=dt.UTC)
LOG = (
    "http://localhost:8081/dags/consumer_analytics_etl/runs/scheduled__2026-03-05T00%3A00%3A00"
    "%2B00%3A00/tasks/load_consumer_analytics?try_number=3"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def measure(name: str, value: float | None, unit: str, state: str, *limits: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "state": state,
        "limits": {"warning": limits[0], "critical": limits[1]},
    }


HEALTH = {
    "at": AT.isoformat(),
    "state": "critical",
    "watermark": "2026-03-04T00:00:00+00:00",
    "measures": [
        measure("dag_runtime", 2.31, "seconds", "normal", "5-15 s", "> 15 s"),
        measure("failed_runs", 1, "runs", "warning", "1", ">= 2"),
        measure("watermark_lag", 187, "seconds", "normal", "1-6 h", "> 6 h"),
        measure("pending_events", 13_704, "events", "critical", "1-100", "> 100"),
    ],
}
FAILURE = Failure(
    "consumer_analytics_etl",
    "scheduled__2026-03-05T00:00:00+00:00",
    "load_consumer_analytics",
    3,
    3,
    AT.replace(minute=0, second=0),
    True,
    AT,
    'UndefinedColumn: column "metrics_json" of relation "consumer_analytics" does not exist\n'
    "LINE 3: insert into public.consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)",
    LOG,
)


def change(what: str, subject: str, state: str, cause: str) -> dict[str, Any]:
    return {
        "incident_id": 12,
        "subject": subject,
        "what": what,
        "state": state,
        "cause": cause,
        "opened_at": AT.isoformat(),
        "seconds": 30_000.0 if what != "opened" else 0.0,
        "measures": {}
        if what == "over"
        else {
            "watermark_lag": {"state": state, "value": 22_000, "unit": "seconds"},
            "pending_events": {"state": state, "value": 13_704, "unit": "events"},
        },
    }


CONTENTS: dict[str, dict[str, Any]] = {
    "failure": {
        "kind": "failure",
        "failures": [FAILURE.as_json()],
        "changes": [change("opened", "failures", "critical", f"failed: {FAILURE.error}")],
        "next": [asdict(one) for one in incidents.next_steps_after(FAILURE)],
        "health": HEALTH,
    },
    "incident": {
        "kind": "incidents",
        "changes": [
            change(
                "worse",
                "freshness",
                "critical",
                "the run of 2026-03-05 00:00:00 UTC stopped at 2026-03-04 21:12:40 UTC, held back "
                "by pid 4711 (nightly export, user reporting, idle in transaction), open for 9 h; "
                "end it, then run again",
            ),
            change(
                "opened",
                "runtime",
                "critical",
                "run airflow:consumer_analytics_etl:manual__2026-12-01T20:45:01.799902+00:00 took "
                "17.6 s",
            ),
            change("over", "runtime", "warning", "It was: slow. Now: the last run took 2.3 s."),
        ],
        "next": [{"text": "What is wrong, and what mends it", "code": "consumer-analytics doctor"}],
        "health": HEALTH,
    },
    "test": {"kind": "test"},
    "hostile": {
        "kind": "failure",
        "failures": [
            {
                **FAILURE.as_json(),
                "error": "<script>document.title = 'hacked'</script>" + "x" * 3000,
                "run_id": "manual__" + "<b>" * 80,
                "log_url": None,
            }
        ],
        "next": [],
    },
}


def composed(name: str) -> EmailMessage:
    return mail.compose(
        Message.from_json({"at": AT.isoformat(), "database": "analytics", **CONTENTS[name]}),
        message_id="1",
        settings=Settings(alert_sender="alerts-from@example.com"),
    )


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("width", lanes.first(1, [360, 1000]))
@pytest.mark.parametrize(
    # The longest, and the one that somebody else wrote.
    "name",
    lanes.first(2, sorted(CONTENTS, key="failure hostile incident test".index)),
)
def test_it_fits_and_is_readable(browser: Browser, name: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_content(body(composed(name), "html"))
    # For whoever wants to look at them; on a busy machine the browser does not always make one.
    if folder := os.environ.get("MAIL_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "hacked" not in page.title()
    found = Axe().run(page).response["violations"]
    assert [
        (one["id"], [node["html"] for node in one["nodes"]][:2])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ] == []
    page.close()


def test_a_mail_can_be_read_as_plain_text() -> None:
    text = body(composed("failure"), "plain")
    assert "<" not in text
    assert LOG in text
    assert max(len(line) for line in text.splitlines() if LOG not in line) < 400
    assert not [line for line in text.splitlines() if line != line.rstrip() and line != "-- "]


def test_a_subject_is_one_line_of_bounded_length() -> None:
    failure = replace(FAILURE, task_id="a\r\nBcc: x@example.com" + "y" * 300)
    subject = Message("failure", AT, "analytics", failures=(failure,)).subject
    assert "\n" not in subject
    assert "\r" not in subject
    assert len(subject) <= 150
