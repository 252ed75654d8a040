"""The dashboard on a port of its own."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import uvicorn

from consumer_analytics.errors import UsageError
from consumer_analytics.net import in_url, is_loopback, listen
from consumer_analytics.settings import Settings
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import NoCredentials, authenticator

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
#: Requests that are still being answered when it is stopped have so many seconds.
_GRACE = 5


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
    """Serve until somebody stops it.

    Args:
        settings: for the database and the credentials.
        host: address to listen on.
        port: port; 0 for a free one.
        certificate: PEM file, for https.
        key: PEM file of its key.
        say: told the address.
        warn: told what to think about.

    Raises:
        SettingsError: others can reach the address and nothing asks who they are.
        UsageError: the address cannot be listened on.
    """
    who = authenticator(settings, host)
    names = tuple(name.strip() for name in settings.dashboard_hosts.split(",") if name.strip())
    if isinstance(who, NoCredentials) or names:
        names = (*_LOOPBACK_NAMES, in_url(host), *names)
    scheme = "https" if certificate else "http"
    if not is_loopback(host) and certificate is None:
        warn("passwords and tokens are sent in the clear unless something before this adds TLS")
    listening = listen(host, port)
    say(f"dashboard  {scheme}://{in_url(host)}:{listening.getsockname()[1]}/")
    config = uvicorn.Config(
        create_app(settings, authenticator=who, hosts=names or ("*",)),
        log_level="warning",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    # What is there now stays there: looking through all of it for garbage would take 50 ms,
    # in the middle of an answer.
    gc.collect()
    gc.freeze()
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except OSError as error:
        raise UsageError(f"certificate or key cannot be used: {error}") from None
    finally:
        listening.close()
