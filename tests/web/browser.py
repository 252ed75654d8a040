"""A real browser before the real dashboard, and what it must not do there."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)
from starlette.types import ASGIApp
from tests.support.tools import require

from consumer_analytics.settings import Settings
from consumer_analytics.web.server import configured

#: How long a page may take to come to what is waited for, in milliseconds.
PATIENCE = 30_000

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 740}
#: What Airflow's navigation leaves of that to a page of a plugin.
PHONE_IN_AIRFLOW: ViewportSize = {"width": 303, "height": 740}
#: Not UTC, with summer time: what forgets about zones shows.
ZONE = "Europe/Berlin"
_SERIOUS = {"serious", "critical"}


def zone() -> ZoneInfo:
    """Return the browser's time zone."""
    return ZoneInfo(ZONE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(require("chromium")), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(app: ASGIApp, settings: Settings, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve an application on a port of its own, as the commands do; its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(configured(app, settings, tls=tls))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < until, "the server did not start in time"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    listening.close()


@dataclass
class Visit:
    """A window on the dashboard, and what it said and fetched.

    Attributes:
        page: Playwright's.
        address: of the dashboard.
        problems: console errors and exceptions.
        hosts: whom it talked to.
        bytes: of each answer's body, as sent, by address.
    """

    page: Page
    address: str
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    bytes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Listen."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._asked)
        self.page.on("requestfinished", self._weighed)

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _asked(self, request: Request) -> None:
        if request.url.startswith("http"):
            self.hosts.add(urlsplit(request.url).netloc)

    def _weighed(self, request: Request) -> None:
        sizes = request.sizes()
        self.bytes[request.url] = sizes["responseBodySize"] + sizes["responseHeadersSize"]

    def open(self, path: str = "") -> Page:
        """Go to a page of the dashboard, and wait until its charts are drawn."""
        answer = self.page.goto(f"{self.address}/{path}")
        assert answer is not None
        assert answer.ok, (answer.status, path)
        self.wait()
        return self.page

    def wait(self) -> None:
        """Wait until all charts are drawn."""
        # Not by a function of the page's: its own policy lets none be made of a text.
        undrawn = self.page.locator("figure[data-chart]:has(.plot):not([data-drawn])")
        expect(undrawn).to_have_count(0, timeout=PATIENCE)

    def texts(self, selector: str) -> list[str]:
        """Return what elements say, spaces made single."""
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def table(self, chart: str) -> list[list[str]]:
        """Open a chart's table and return its rows, the head first."""
        details = self.page.locator(f"#{chart} details")
        if details.get_attribute("open") is None:
            details.locator("summary").click()
        details.locator("table").wait_for()
        rows = details.locator("tr")
        return [
            [" ".join(text.split()) for text in row.locator("th, td").all_inner_texts()]
            for row in rows.all()
        ]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def inaccessible(self) -> list[str]:
        """Return axe's serious and critical findings."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            if one["impact"] in _SERIOUS
            for node in one["nodes"]
        ]

    def check(self) -> None:
        """Assert that it was quiet and stayed at home."""
        assert self.problems == []
        assert self.hosts <= {urlsplit(self.address).netloc}


@contextmanager
def visit(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """Open a window of its own; at the end it must have been quiet and have stayed at home."""
    context: BrowserContext = browser.new_context(
        **{"viewport": DESKTOP, "timezone_id": ZONE, "locale": "en-GB", **options}
    )
    made = Visit(context.new_page(), address)
    yield made
    context.close()
    made.check()
