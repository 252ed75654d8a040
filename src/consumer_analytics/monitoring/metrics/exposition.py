"""The metrics as text, in whichever format is asked for, and a small server of them."""

from __future__ import annotations

import hmac
import logging
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import choose_encoder

from consumer_analytics.errors import SettingsError
from consumer_analytics.monitoring.metrics.collector import StateCollector
from consumer_analytics.net import in_url, is_loopback, listen
from consumer_analytics.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

PATH = "/metrics"


class Exposition:
    """The metrics of a database, to be mounted wherever a server is.

    Attributes:
        registry: for servers that take one of the official client's.
    """

    def __init__(self, settings: Settings) -> None:
        """Describe it; nothing is read before it is asked for."""
        self._collector = StateCollector(settings)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self._collector)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Read all metrics.

        Args:
            accept: the request's header `Accept`: OpenMetrics for who wants that, else
                Prometheus's own format.

        Returns:
            The text and its content type.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def close(self) -> None:
        """Close the session with the database."""
        self._collector.close()


def token_of(settings: Settings) -> str | None:
    """Return the token that a scrape must have; None where none is asked for.

    Raises:
        SettingsError: its file cannot be read, or is empty.
    """
    path: Path | None = settings.metrics_token_file
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8") as file:
            token = file.readline().strip()
    except OSError as error:
        raise SettingsError(
            f"CONSUMER_ANALYTICS_METRICS_TOKEN_FILE: {error.strerror}: {error.filename}"
        ) from None
    if not token:
        raise SettingsError(f"CONSUMER_ANALYTICS_METRICS_TOKEN_FILE: {path} has no token in it")
    return token


def application(exposition: Exposition, token: str | None) -> WSGIApplication:
    """Make an application of the metrics: one address, for who has the token."""
    metrics: WSGIApplication = make_wsgi_app(exposition.registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].rstrip("/") != PATH:
            return _refuse(start_response, "404 Not Found", f"the metrics are at {PATH}")
        if token is not None and not _has(environ, token):
            return _refuse(
                start_response,
                "401 Unauthorized",
                "send the token: Authorization: Bearer ...",
                ("WWW-Authenticate", "Bearer"),
            )
        return metrics(environ, start_response)

    return answer


def _has(environ: WSGIEnvironment, token: str) -> bool:
    kind, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    # Headers come as Latin-1; compared in a time that tells nothing of the token.
    return kind.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode("latin-1"), token.encode()
    )


def _refuse(
    start_response: StartResponse, status: str, text: str, *headers: tuple[str, str]
) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [f"{text}\n".encode()]


class _Quiet(WSGIRequestHandler):
    """Keeps scrapes, which come all the time, out of the output."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        log.debug(format, *args)


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread: one that is refused waits for no scrape."""

    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        host, port, *_ = listening.getsockname()
        super().__init__((host, port), _Quiet, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        # What binding would have set, without asking the name service for this machine's name.
        self.server_name, self.server_port = host, port
        self.setup_environ()


def serve(settings: Settings, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the metrics until somebody stops it.

    Args:
        settings: for the database and the token.
        host: address to listen on.
        port: port; 0 for a free one.
        say: gets the address, in a line.

    Raises:
        SettingsError: others can reach the address and no token is asked for.
        UsageError: the address cannot be listened on.
    """
    token = token_of(settings)
    if token is None and not is_loopback(host):
        raise SettingsError(
            f"others can reach {host}: set CONSUMER_ANALYTICS_METRICS_TOKEN_FILE, or serve on "
            "127.0.0.1"
        )
    exposition = Exposition(settings)
    try:
        with _Server(listen(host, port)) as server:
            server.set_app(application(exposition, token))
            say(f"metrics  http://{in_url(host)}:{server.server_port}{PATH}")
            server.serve_forever()
    finally:
        exposition.close()
