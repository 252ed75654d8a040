"""The dashboard on a port of its own."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from consumer_analytics.errors import SettingsError, UsageError
from consumer_analytics.settings import Settings
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import NoCredentials, authenticator, is_loopback

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
        names = (*_LOOPBACK_NAMES, _in_url(host), *names)
    scheme = "https" if certificate else "http"
    if not is_loopback(host) and certificate is None:
        warn("passwords and tokens are sent in the clear unless something before this adds TLS")
    listening = _listen(host, port)
    say(f"dashboard  {scheme}://{_in_url(host)}:{listening.getsockname()[1]}/")
    config = uvicorn.Config(
        create_app(settings, authenticator=who, hosts=names or ("*",)),
        log_level="warning",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except OSError as error:
        raise UsageError(f"certificate or key cannot be used: {error}") from None
    finally:
        listening.close()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything is said, so that what is said is true."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise SettingsError(f"{host!r} is no address of this machine") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Who comes before it answers waits, rather than being turned away.
        listening.listen()
    except OSError as error:
        listening.close()
        reason = (
            "is in use; choose another one with --port"
            if error.errno == errno.EADDRINUSE
            else f"cannot be listened on: {error.strerror}"
        )
        raise UsageError(f"port {port} of {host} {reason}") from None
    listening.set_inheritable(True)
    return listening
