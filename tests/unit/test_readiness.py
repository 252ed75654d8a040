"""The scheduler waits for the web server; nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from consumer_analytics.airflow.readiness import await_web_server


class Starting(BaseHTTPRequestHandler):
    """Answers as a web server that is just starting: not yet, and then well."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(503 if len(self.asked) < 3 else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Starting.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Starting) as made:
        yield made


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_the_scheduler_waits_until_the_tasks_interface_answers(
    server: ThreadingHTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("sys.argv", ["airflow", "scheduler", "--skip-serve-logs"])
    monkeypatch.setattr("consumer_analytics.airflow.readiness._POLL_SECONDS", 0.01)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        await_web_server(address(server))
    finally:
        server.shutdown()
        serving.join()
    assert Starting.asked == ["/execution/health"] * 3
    (line,) = caplog.messages
    assert line.startswith("waiting for the web server")
    assert "503" in line


@pytest.mark.parametrize("arguments", [["api-server"], ["dags", "list"], []])
def test_other_commands_do_not_wait(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    # It listens, and does not answer: whoever asks it waits.
    monkeypatch.setattr("sys.argv", ["airflow", *arguments])
    await_web_server(address(server))
    assert Starting.asked == []
