"""Addresses that servers of ours listen on."""

from __future__ import annotations

import socket

import pytest

from consumer_analytics.errors import SettingsError, UsageError
from consumer_analytics.net import (
    client_network,
    in_url,
    is_loopback,
    listen,
    names_of,
    require_own,
)


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_who_reaches_an_address(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


@pytest.mark.parametrize(
    ("host", "written"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("a.example.com",) * 2]
)
def test_a_host_in_a_url(host: str, written: str) -> None:
    assert in_url(host) == written


def test_who_comes_before_the_first_answer_waits() -> None:
    with listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        with socket.create_connection(address, timeout=5) as early:
            early.sendall(b"hello")
            served, _ = listening.accept()
            with served:
                assert served.recv(5) == b"hello"


def test_a_port_in_use_is_told_with_what_to_do() -> None:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 is in use; .*--port"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "a" * 64, "192.0.2.1.5", "192.0.2.1", "fe80::1", ""]
)
def test_a_host_that_is_none_is_told(host: str) -> None:
    with pytest.raises(SettingsError, match="is no address of this machine"):
        listen(host, 0)
    with pytest.raises(SettingsError, match="is no address of this machine"):
        require_own(host)


def test_an_address_of_this_machine_is_one() -> None:
    for host in ("127.0.0.1", "0.0.0.0", "localhost"):
        require_own(host)


def test_a_server_that_asks_nobody_answers_to_its_own_names() -> None:
    own = ("localhost", "127.0.0.1", "[::1]")
    assert names_of("127.0.0.1", [], asks=False) == own
    assert names_of("127.0.0.1", ["a.example"], asks=False) == (*own, "a.example")
    assert names_of("0.0.0.0", ["a.example"], asks=True) == (*own, "0.0.0.0", "a.example")
    assert names_of("0.0.0.0", [], asks=True) == ("*",)


@pytest.mark.parametrize(
    ("address", "whom"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", "unknown"),
        ("x" * 1_000_000, "unknown"),
        ("192.0.2.7, 192.0.2.8", "unknown"),
    ],
)
def test_whom_an_address_stands_for(address: str, whom: str) -> None:
    assert client_network(address) == whom
