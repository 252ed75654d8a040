"""A server that does not answer is told of while it is waited for."""

from __future__ import annotations

import logging
import time
from typing import Any

import psycopg
import pytest

from consumer_analytics.db import connection
from consumer_analytics.errors import DatabaseUnreachableError
from consumer_analytics.fields import Secret
from consumer_analytics.settings import Settings


@pytest.mark.parametrize(("takes", "told"), [(0.2, True), (0.0, False)])
def test_a_silent_server_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, takes: float, told: bool
) -> None:
    def wait(*_: Any, **__: Any) -> None:
        time.sleep(takes)
        raise psycopg.OperationalError("connection timeout expired")

    # Where a command of this process has taken its handler over.
    monkeypatch.setattr(connection.log, "propagate", True)
    monkeypatch.setattr(connection, "_SECONDS_IN_SILENCE", 0.05)
    monkeypatch.setattr(connection.Connection, "connect", wait)
    settings = Settings(database_url=Secret("postgresql://etl@db.internal/platform"))
    with (
        caplog.at_level(logging.INFO, logger=connection.log.name),
        pytest.raises(DatabaseUnreachableError, match="timeout expired"),
    ):
        connection.connect(settings, "test")
    said = "no answer yet from db.internal; it is waited for 10 s"
    assert (said in caplog.text) is told
