"""The dashboard under test: the app itself, on a database with figures in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser
from tests.conftest import Database, Servers
from tests.support.operation import Operation, operate
from tests.web import browser as browsing

from consumer_analytics.fields import Secret
from consumer_analytics.settings import Settings
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import authenticator

Client = Callable[..., TestClient]


@pytest.fixture
def client() -> Iterator[Client]:
    """Return a function that makes a browser's side of the dashboard: `client(settings)`."""
    with _clients() as make:
        yield make


@contextlib.contextmanager
def _clients() -> Iterator[Client]:
    with contextlib.ExitStack() as stack:

        def make(settings: Settings, *, host: str = "127.0.0.1", token: str = "") -> TestClient:
            app = create_app(settings, authenticator=authenticator(settings, host))
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return stack.enter_context(
                TestClient(app, headers=headers, raise_server_exceptions=False)
            )

        yield make


@pytest.fixture(scope="module")
def empty(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Return the dashboard of a database without a snapshot; a file's tests only ask it."""
    server = servers.get("main")
    name = server.create(server.template)
    settings = Settings(database_url=Secret(server.url(name)), home=tmp_path_factory.mktemp("home"))
    with _clients() as make:
        yield make(settings)
    server.drop(name)


# -- a browser's tests -----------------------------------------------------------


@dataclass(frozen=True)
class Operated:
    """A platform in operation, and its dashboard on a port."""

    database: Database
    operation: Operation
    address: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium."""
    with browsing.chromium() as running:
        yield running


@pytest.fixture(scope="session")
def operated(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """Return a dashboard with a history behind it; its tests change nothing."""
    server = servers.get("main")
    name = server.create(server.template)
    try:
        settings = Settings(
            database_url=Secret(server.url(name)), home=tmp_path_factory.mktemp("home")
        )
        operation = operate(settings)
        app = create_app(settings, authenticator=authenticator(settings, "127.0.0.1"))
        with browsing.served(app, settings) as address:
            yield Operated(Database(server.url(name), settings, server, name), operation, address)
    finally:
        server.drop(name)


@pytest.fixture(scope="module")
def api(operated: Operated) -> Iterator[TestClient]:
    """Return the API of a platform in operation; a file's tests only ask it."""
    with _clients() as make:
        yield make(operated.database.settings)


@pytest.fixture
def visit(browser: Browser, operated: Operated) -> Iterator[browsing.Visit]:
    """Return a window on it, of a desktop's size."""
    with browsing.visit(browser, operated.address) as made:
        yield made
