"""The dashboard under test: the app itself, on a database with figures in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from tests.conftest import Database

from consumer_analytics.settings import Settings
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import authenticator

Client = Callable[..., TestClient]


@pytest.fixture
def client() -> Iterator[Client]:
    """Return a function that makes a browser's side of the dashboard: `client(settings)`."""
    with contextlib.ExitStack() as stack:

        def make(settings: Settings, *, host: str = "127.0.0.1", token: str = "") -> TestClient:
            app = create_app(settings, authenticator=authenticator(settings, host))
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return stack.enter_context(
                TestClient(app, headers=headers, raise_server_exceptions=False)
            )

        yield make


@pytest.fixture
def empty(database: Database, client: Client) -> TestClient:
    """Return the dashboard of a database without a snapshot."""
    return client(database.settings)
