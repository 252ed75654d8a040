"""Addresses: the one that a server of ours listens on, the names it has, and its clients'."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable

from consumer_analytics.errors import SettingsError, UsageError

#: How a browser on this machine names it.
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_ANY_NAME = ("*",)
#: An IPv6 client has a network of its own: what is behind these bits is for it to choose.
_BITS_OF_A_CLIENT = 64
#: What is said of an address that no interface has; of a link's own without the link, the second.
_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EINVAL)


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


def names_of(host: str, named: Iterable[str], *, asks: bool) -> tuple[str, ...]:
    """Return the names under which a server may be asked; `*` for any.

    One that asks nobody who they are answers to its own names alone: else a page on the web could
    let a name of its own mean this machine, and read what is here with its visitor's browser.

    Args:
        host: the address that it listens on.
        named: the names that the operator gave it.
        asks: whether it wants credentials.
    """
    given = tuple(named)
    if asks and not given:
        return _ANY_NAME
    return tuple(dict.fromkeys((*_LOOPBACK_NAMES, in_url(host), *given)))


def client_network(address: str) -> str:
    """Return whom a client's address stands for: itself, or its network for IPv6.

    Whatever else is given, of any length, is one and the same: nobody is counted by a text of
    their own choice.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _BITS_OF_A_CLIENT), strict=False))
    return str(found)


def require_own(host: str) -> None:
    """Check that this machine has an address, before anybody is asked for what it takes there.

    Raises:
        SettingsError: it has not.
        UsageError: nothing can be listened on there.
    """
    listen(host, 0).close()


def _not_ours(host: str) -> SettingsError:
    return SettingsError(
        f"{host!r} is no address of this machine; 127.0.0.1 is for itself alone, 0.0.0.0 is all of "
        "its addresses"
    )


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
        raise _not_ours(host) from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Who comes before it answers waits, rather than being turned away.
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno in _NOT_OURS:
            raise _not_ours(host) from None
        reason = (
            "is in use; choose another one with --port"
            if error.errno == errno.EADDRINUSE
            else f"cannot be listened on: {error.strerror}"
        )
        raise UsageError(f"port {port} of {host} {reason}") from None
    return listening
