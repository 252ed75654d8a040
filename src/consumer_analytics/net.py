"""The address that a server of ours listens on: who reaches it, and taking it."""

from __future__ import annotations

import errno
import ipaddress
import socket

from consumer_analytics.errors import SettingsError, UsageError


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own and no one else reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def in_url(host: str) -> str:
    """Write a host as a URL has it."""
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int) -> socket.socket:
    """Take a port before anything is said, so that what is said is true.

    Args:
        host: a name or an address of this machine.
        port: the port; 0 for a free one.

    Raises:
        SettingsError: the host is none of this machine.
        UsageError: the port cannot be listened on.
    """
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
    return listening
