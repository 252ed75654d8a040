"""A statement that is never answered ends by itself; one that takes long does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from tests.conftest import Database
from tests.support import relay

from consumer_analytics.db import silence
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import ConnectionLostError
from consumer_analytics.fields import Secret
from consumer_analytics.settings import Settings

#: Seconds of silence that are a minute's here.
_SILENCE = 0.4


@pytest.fixture
def between(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[relay.Relay]:
    """Return what stands between, with a product that does not wait for long."""
    monkeypatch.setattr(silence, "SILENCE", _SILENCE)
    monkeypatch.setattr(silence, "AGAIN", _SILENCE / 4)
    monkeypatch.setattr(silence, "_PATIENCE", 1)
    with relay.between(database.url) as one:
        yield one


def settings(database: Database, between: relay.Relay) -> Settings:
    return database.settings.replaced({"database_url": Secret(between.url)})


def test_less_than_a_minute_goes_by() -> None:
    times = silence._TIMES
    assert silence.SILENCE + (times - 1) * silence.AGAIN + times * silence._PATIENCE < 60


@pytest.mark.long
def test_a_server_at_work_is_waited_for(database: Database, between: relay.Relay) -> None:
    with connected(settings(database, between), "long") as connection:
        connection.execute(f"select pg_sleep({6 * _SILENCE})")
        with connection.cursor().copy("copy (select pg_sleep(1), 1) to stdout") as copy:
            assert len(list(copy)) == 1


def test_a_lock_is_waited_for(database: Database, between: relay.Relay) -> None:
    with (
        database.connect("holder") as holder,
        connected(settings(database, between), "waiter") as waiter,
    ):
        holder.execute("select pg_advisory_lock(7)")
        release = threading.Timer(4 * _SILENCE, holder.execute, ("select pg_advisory_unlock(7)",))
        release.start()
        waiter.execute("select pg_advisory_lock(7)")
        release.join()


@pytest.mark.parametrize("what", ["an answer", "a question"])
@pytest.mark.long
def test_what_is_swallowed_is_not_waited_for(
    database: Database, between: relay.Relay, what: str
) -> None:
    started = time.monotonic()
    asleep = 2 * _SILENCE

    def work() -> None:
        with (
            connected(settings(database, between), "swallowed") as connection,
            connection.transaction(),
        ):
            if what == "an answer":
                threading.Timer(asleep / 2, setattr, (between, "swallows", True)).start()
            else:
                between.swallows = True
            connection.execute(f"select pg_sleep({asleep})")

    with pytest.raises(ConnectionLostError, match="answers no longer"):
        work()
    assert time.monotonic() - started < 20


def test_a_session_that_is_gone_is_not_waited_for(database: Database, between: relay.Relay) -> None:
    """New connections come through; the old one's answers never do."""

    def work() -> None:
        with connected(settings(database, between), "gone") as connection:
            # The server is asked directly: what stands between has lost this session alone.
            connection.asked_by = database.url
            between.swallows = True
            connection.execute("select 1")

    with pytest.raises(ConnectionLostError, match="answers no longer"):
        work()
