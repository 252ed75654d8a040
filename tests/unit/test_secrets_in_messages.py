"""Whatever is wrong with an address that holds a secret, no message and no log repeats it."""

from __future__ import annotations

import dataclasses
import http.server
import logging
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from consumer_analytics.airflow.command import AirflowCommand
from consumer_analytics.db.connection import connect
from consumer_analytics.errors import (
    AirflowCommandError,
    ConsumerAnalyticsError,
    HeartbeatError,
    SettingsError,
)
from consumer_analytics.fields import Secret
from consumer_analytics.lake import engine
from consumer_analytics.monitoring import heartbeat
from consumer_analytics.settings import PREFIX, Settings, load_settings, variable
from consumer_analytics.web.pool import Pool

#: In two pieces, as an address that is torn is told by a piece.
SECRET = "s3cr3t"
PIECES = ("s3cr3t", "k3y")
#: What is put in the place of one, each wrong in its own way.
BROKEN = (
    f"{SECRET} k3y", f"{SECRET}\tk3y", f"{SECRET}\nk3y", f"{SECRET}%zzk3y",
    f"{SECRET}@k3y", f"{SECRET}/k3y", f"{SECRET}?k3y", f"{SECRET}#k3y", f"{SECRET}[k3y",
    f"{SECRET}:k3y",
    f"{SECRET}\u00e9k3y", f"{SECRET}\udce9k3y", f"{SECRET}k3y",
)  # fmt: skip
DATABASES = (
    "postgresql://app:{}@127.0.0.1:1/none?connect_timeout=1",
    "postgresql://app:{}@:99999/none",
    "postgresql:/app:{}",
    "mysql://app:{}@127.0.0.1/none",
    "host=127.0.0.1 port=1 password={} connect_timeout=1",
    "host=127.0.0.1 sslmode=nonsense password={}",
    "{}",
)
WEB = (
    "http://127.0.0.1:1/{}",
    "https://u:{}@127.0.0.1:1/",
    "http://127.0.0.1:{}/",
    "http://{}/",
    "http://[{}/",
    "ftp://127.0.0.1/{}",
    "{}",
    "https:{}",
)
SPARKS = (
    "sc://127.0.0.1:1/;token={}",
    "sc://app:{}@127.0.0.1:1",
    "sc://127.0.0.1:{}",
    "spark://127.0.0.1/;token={}",
)


def said(of: Callable[[], object], log: pytest.LogCaptureFixture) -> str:
    """Return all that is said where something goes wrong, chained errors included."""
    log.clear()
    error: BaseException | None = None
    found = ""
    try:
        found = repr(of())
    except ConsumerAnalyticsError as raised:
        error = raised
    while error is not None:
        # A traceback would show them all.
        found += f"{error} {error!r} "
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{found} {log.text}"


def opened(pool: Pool) -> object:
    try:
        with pool.read() as connection:
            return connection
    finally:
        pool.close()


def failing(settings: Settings) -> str:
    """Let Airflow's command fail as libraries do: with the address in its last line."""
    program = settings.home / "airflow"
    program.write_text(
        '#!/bin/sh\nprintf "bad: %s\\n" "$AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" >&2; exit 1\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return AirflowCommand(program, settings.home, settings)("version")


def reached(settings: Settings) -> None:
    with engine.started(settings.spark_remote):
        pass


#: How each secret is used, and the addresses it may stand in.
USES: dict[str, tuple[Callable[[Settings], object], tuple[str, ...]]] = {
    "database_url": (lambda settings: connect(settings, "test"), DATABASES),
    "dashboard_database_url": (lambda settings: opened(Pool(settings)), DATABASES),
    "airflow_database_url": (failing, ("postgresql+psycopg2://app:{}@127.0.0.1/airflow",)),
    "heartbeat_url": (heartbeat.beat, WEB),
    "spark_remote": (reached, SPARKS),
}


def test_every_secret_is_tried() -> None:
    secret = {one.name for one in dataclasses.fields(Settings) if "Secret" in str(one.type)}
    assert set(USES) == secret


@pytest.mark.parametrize("name", USES)
def test_no_message_repeats_a_secret(
    name: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("consumer_analytics.web.pool._PATIENCE", 0.05)
    use, addresses = USES[name]
    told = set()
    for address in addresses:
        for broken in BROKEN:
            url = address.format(broken)

            def used(url: str = url) -> object:
                return use(Settings(home=tmp_path).replaced({name: Secret(url)}))

            def read(url: str = url) -> object:
                with monkeypatch.context() as patch:
                    patch.setenv(variable(name), url)
                    return load_settings()

            for way in (used, read) if url.isprintable() and url.isascii() else (used,):
                found = said(way, caplog)
                assert [one for one in PIECES if one in found] == [], (ascii(url), way.__name__)
                told.add(found)
    assert len(told) > 1


@pytest.mark.parametrize("url", [one.format("s3cr3t k3y") for one in WEB])
def test_a_heartbeat_that_cannot_be_called_is_refused_in_a_line(url: str) -> None:
    with pytest.raises(SettingsError, match="HEARTBEAT_URL: is no http or https address"):
        Settings(heartbeat_url=Secret(url))


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers so that the caller's library stumbles, and repeats what it was called with."""

    def do_GET(self) -> None:
        if "status" in self.path:
            self.wfile.write(f"{self.path} is no status\r\n\r\n".encode())
        elif "redirect" in self.path:
            self.send_response(302)
            self.send_header("Location", f"ftp2://x y{self.path}")
            self.end_headers()
        elif "port" in self.path:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.path[1:]}/")
            self.end_headers()
        elif "elsewhere" in self.path:
            self.send_response(307)
            self.send_header("Location", "/fine")
            self.end_headers()
        elif "fine" in self.path:
            self.send_response(200)
            self.end_headers()
        elif "reason" in self.path:
            self.send_response(500, f"no {self.path}")
            self.end_headers()
        elif "headers" in self.path:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n")
        elif "trickle" in self.path:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            with suppress(OSError):
                for _ in range(60):
                    self.wfile.write(b"A")
                    time.sleep(0.1)
        # Else it hangs up.

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def odd() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_no_answer_to_a_heartbeat_makes_its_key_seen(
    odd: str, caplog: pytest.LogCaptureFixture
) -> None:
    for what in ("status", "redirect", "port", "reason", "headers", "nothing"):
        settings = Settings(heartbeat_url=Secret(f"{odd}/{what}-{SECRET}"))
        found = said(lambda settings=settings: heartbeat.beat(settings), caplog)  # type: ignore[misc]
        assert f"{PREFIX}HEARTBEAT_URL" in found, what
        assert SECRET not in found, what


def test_a_heartbeat_waits_for_no_trickle(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_TIMEOUT_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(
        HeartbeatError, match=r"HEARTBEAT_URL cannot be called: no answer in 0\.5 s"
    ):
        heartbeat.beat(Settings(heartbeat_url=Secret(f"{odd}/trickle")))
    assert time.monotonic() - began < 3


def test_a_heartbeat_goes_nowhere_else(odd: str) -> None:
    heartbeat.beat(Settings(heartbeat_url=Secret(f"{odd}/fine")))
    with pytest.raises(HeartbeatError, match="HEARTBEAT_URL answers 307 Temporary Redirect"):
        heartbeat.beat(Settings(heartbeat_url=Secret(f"{odd}/elsewhere")))


def test_airflows_own_words_are_kept_but_for_the_password(tmp_path: Path) -> None:
    url = Secret("postgresql://app:s3cr3t%2Fk3y@db.example.com/airflow")
    settings = Settings(home=tmp_path, airflow_database_url=url)
    with pytest.raises(AirflowCommandError, match=r"bad: postgresql://app:…@db\.example\.com"):
        failing(settings)
