"""The servers of our own, of the dashboard and of the metrics: one way to run both."""

from __future__ import annotations

import gc
import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from consumer_analytics.errors import SettingsError, UsageError
from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.net import in_url, is_loopback, listen, names_of, require_own
from consumer_analytics.settings import Settings
from consumer_analytics.web import auth, metrics
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import NoCredentials, OwnCredentials, authenticator
from consumer_analytics.web.connections import Bounds, bounded
from consumer_analytics.web.guard import LONGEST_HEAD

#: Requests that are still being answered when it is stopped have so many seconds.
_GRACE = 5
_CLEAR = "passwords and tokens are sent in the clear unless something before this adds TLS"


def configured(
    app: ASGIApp, settings: Settings, *, tls: ssl.SSLContext | None = None
) -> uvicorn.Config:
    """Describe a server of ours: what it serves, and what it bears of its clients.

    Args:
        app: what it serves.
        settings: for the bounds, and the proxies before it.
        tls: what it secures connections with.
    """
    bounds = Bounds(settings.server_connections, settings.server_timeout, tls)
    proxies = settings.proxies
    return uvicorn.Config(
        app,
        http=bounded(bounds),
        # One for all installations, whatever else lies there.
        loop="asyncio",
        ws="none",
        h11_max_incomplete_event_size=LONGEST_HEAD,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    """Serve the dashboard until somebody stops it.

    Args:
        settings: for the database, the credentials and the bounds.
        host: address to listen on.
        port: port; 0 for a free one.
        certificate: PEM file, for https.
        key: PEM file of its key.
        say: told the address.
        warn: told what to think about.

    Raises:
        SettingsError: this machine has no such address, or others can reach it and nothing asks
            who they are.
        UsageError: the address cannot be listened on, or the certificate not used.
    """
    try:
        who = authenticator(settings, host)
    except SettingsError:
        # Where this machine has no such address, nobody can reach it.
        require_own(host)
        raise
    asks = not isinstance(who, NoCredentials)
    names = names_of(host, settings.names_of_dashboard, asks=asks)
    tls = _context(certificate, key)
    if not is_loopback(host) and tls is None:
        warn(_CLEAR)
    if isinstance(who, OwnCredentials) and who.lets_nobody_in:
        warn(
            "nobody can log in yet: there is no token; make one with "
            "`consumer-analytics tokens create`, it counts at once"
        )
    app = create_app(settings, authenticator=who, hosts=names)
    _run(app, settings, host, port, tls, lambda url: say(f"dashboard  {url}/"))


def serve_metrics(settings: Settings, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the metrics until somebody stops it.

    Args:
        settings: for the database, the token and the bounds.
        host: address to listen on.
        port: port; 0 for a free one.
        say: told the address.

    Raises:
        SettingsError: this machine has no such address, or others can reach it and no token is
            asked for.
        UsageError: the address cannot be listened on.
    """
    token = metrics.token_of(settings)
    if token is None and not is_loopback(host):
        require_own(host)
        raise SettingsError(
            f"others can reach {host}: set CONSUMER_ANALYTICS_METRICS_TOKEN_FILE, or serve on "
            "127.0.0.1"
        )
    names = names_of(host, settings.names_of_metrics, asks=token is not None)
    app = metrics.create_app(Exposition(settings), token=token, hosts=names)
    _run(app, settings, host, port, None, lambda url: say(f"metrics  {url}{metrics.PATH}"))


def _context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise UsageError(f"certificate or key cannot be used: {error}") from None
    return context


def _run(
    app: ASGIApp,
    settings: Settings,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    say: Callable[[str], None],
) -> None:
    listening = listen(host, port)
    scheme = "http" if tls is None else "https"
    say(f"{scheme}://{in_url(host)}:{listening.getsockname()[1]}")
    _log_to_stderr()
    # What is there now stays there: looking through all of it for garbage would take 50 ms,
    # in the middle of an answer.
    gc.collect()
    gc.freeze()
    try:
        uvicorn.Server(configured(app, settings, tls=tls)).run(sockets=[listening])
    finally:
        listening.close()


def _log_to_stderr() -> None:
    """Write the log a line each, with its time, for whatever keeps a service's output."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)sZ %(levelname)s %(name)s: %(message)s"
    )
    # Who logs in and out is no warning, and wanted.
    logging.getLogger(auth.__name__).setLevel(logging.INFO)
