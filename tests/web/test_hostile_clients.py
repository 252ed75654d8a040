"""Clients that send too much, too slowly or nothing, on real sockets, with both servers of ours."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.web.browser import served

from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.settings import Settings
from consumer_analytics.web import metrics
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import authenticator

PASSWORD = "a password of some length"
#: Seconds that a client has in these tests, and by when it surely has had them.
BRIEF = 0.4
SURELY = 5.0
#: What answers at once without credentials, by server.
QUICK = {"dashboard": "/healthz", "metrics": "/nowhere"}
HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "
FORM = b"application/x-www-form-urlencoded"


def settings_of(folder: Path, **changes: Any) -> Settings:
    password = folder / "password"
    password.write_text(f"{PASSWORD}\n", encoding="utf-8")
    found = Settings(
        home=folder,
        dashboard_password_file=password,
        metrics_token_file=password,
        server_timeout=BRIEF,
    )
    return found.replaced(changes)


def head(path: str, *headers: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1".encode(), b"Host: 127.0.0.1", *headers, b"", b""]
    return b"\r\n".join(lines)


class Attacked:
    """A server of ours, and sockets to it that are closed in the end."""

    def __init__(self, address: str, stack: ExitStack, quick: str) -> None:
        self.address = address
        self.stack = stack
        self.quick = quick

    def open(
        self, sent: bytes = b"", source: str = "127.0.0.1", keeps: int | None = None
    ) -> socket.socket:
        """Connect from an address; `keeps` bounds what the kernel takes in for the reader."""
        parts = urlsplit(self.address)
        made = socket.socket()
        self.stack.callback(made.close)
        made.settimeout(SURELY)
        if keeps is not None:
            # Once connected it may have promised more.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, keeps)
        made.bind((source, 0))
        made.connect((str(parts.hostname), int(parts.port or 0)))
        made.sendall(sent)
        return made

    def others_are_served(self, verify: Any = True) -> None:
        begun = time.monotonic()
        with httpx.Client(trust_env=False, timeout=SURELY, verify=verify) as client:
            answer = client.get(f"{self.address}{self.quick}")
        assert answer.status_code in {200, 404}
        assert time.monotonic() - begun < 2


def ended(one: socket.socket, within: float = SURELY) -> bytes:
    """Wait until the server has hung up; what it said."""
    one.settimeout(within)
    said = b""
    try:
        while part := one.recv(65_536):
            said += part
    except ConnectionResetError:
        pass
    return said


def is_open(one: socket.socket) -> bool:
    one.settimeout(0.01)
    try:
        return one.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


Make = Callable[..., Attacked]


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Make]:
    """Return a function that starts a server: `attacked("dashboard", server_connections=8)`."""
    with ExitStack() as stack:

        def make(
            which: str = "dashboard", tls: ssl.SSLContext | None = None, **changes: Any
        ) -> Any:
            settings = settings_of(tmp_path, **changes)
            app: ASGIApp
            if which == "dashboard":
                app = create_app(settings, authenticator=authenticator(settings, "127.0.0.1"))
            else:
                app = metrics.create_app(Exposition(settings), token="s3cret", hosts=("*",))
            address = stack.enter_context(served(app, settings, tls))
            return Attacked(address, stack, QUICK[which])

        yield make


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def context_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


# -- how slow, and how many --------------------------------------------------------


@pytest.mark.parametrize("which", QUICK)
def test_half_sent_heads_and_silence_end_while_others_are_served(
    attacked: Make, which: str
) -> None:
    server = attacked(which, server_connections=8)
    slow = [server.open(HALF if number % 2 else b"") for number in range(24)]
    server.others_are_served()
    begun = time.monotonic()
    said = [ended(one) for one in slow]
    assert time.monotonic() - begun < SURELY
    # Those that were not needed for others were told what they did.
    told = [one for one in said if one]
    assert told
    for one in told:
        assert one.startswith(b"HTTP/1.1 408 ")
        assert b"content-security-policy:" in one
    server.others_are_served()


def test_a_byte_now_and_then_gains_no_time(attacked: Make) -> None:
    server = attacked()
    for begun in (HALF, head("/login", b"Content-Type: " + FORM, b"Content-Length: 9000")):
        one = server.open(begun)
        since = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - since < SURELY:
                one.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - since < SURELY, begun


def test_there_are_so_many_connections_and_no_more(attacked: Make) -> None:
    server = attacked(server_connections=6, server_timeout=30.0)
    threads = threading.active_count()
    # Somebody else, who is about to ask something.
    other = server.open(source="127.0.0.2")
    many = [server.open(HALF) for _ in range(30)]
    server.others_are_served()
    assert sum(is_open(one) for one in many) <= 6
    assert threading.active_count() <= threads + 2, "a thread for each client"
    other.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert ended(other).startswith(b"HTTP/1.1 200 "), "many of one client drove out another"


class Sender:
    """An application whose answer is large."""

    def __init__(self) -> None:
        self.left = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(300):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})
        self.left.set()


def test_an_answer_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    app = Sender()
    with served(app, settings_of(tmp_path)) as address, ExitStack() as stack:
        one = Attacked(address, stack, "/").open(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert app.left.wait(SURELY), "it waits for its reader for ever"
        assert not ended(one).endswith(b"end")


def test_a_slow_reader_gets_all_of_a_large_answer(tmp_path: Path) -> None:
    """Who took in little by little was given up where more waited at the end of a period."""
    # Long enough that a busy machine, which lets nobody read for a while, is not taken for a
    # reader who has gone.
    enough = 1.5
    settings = settings_of(tmp_path, server_timeout=enough)
    with served(Sender(), settings) as address, ExitStack() as stack:
        asked = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n"
        one = Attacked(address, stack, "/").open(asked, keeps=200_000)
        taken, last, begun = 0, b"", time.monotonic()
        # Of a sender that is ever ready, for two periods and a half.
        while part := one.recv(800_000):
            taken, last = taken + len(part), part
            time.sleep(len(part) * 2.5 * enough / 30_000_000)
        assert time.monotonic() - begun > 2 * enough
        assert taken > 30_000_000
        assert last.endswith(b"end")


def test_half_a_handshake_ends_and_https_is_served(attacked: Make, authority: trustme.CA) -> None:
    server = attacked(tls=context_of(authority), server_connections=8)
    server.address = server.address.replace("http:", "https:")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    # The first bytes of a greeting, and none at all.
    slow = [server.open(b"\x16\x03\x01\x02\x00\x01" if number % 2 else b"") for number in range(20)]
    server.others_are_served(trusting)
    for one in slow:
        ended(one)
    with httpx.Client(base_url=server.address, trust_env=False, verify=trusting) as browser:
        entered = browser.post("/login", data={"password": PASSWORD})
        assert entered.status_code == 303
        cookie = entered.headers["set-cookie"]
        assert cookie.startswith("__Secure-")
        assert "secure" in cookie.lower().split("; ")


# -- how much ----------------------------------------------------------------------


@pytest.mark.parametrize("which", QUICK)
def test_a_body_that_is_too_large_is_refused_before_it_is_read(attacked: Make, which: str) -> None:
    server = attacked(which)
    for path in ("/login", "/", "/metrics", "/nowhere"):
        length = b"Content-Length: 157286400"
        one = server.open(head(path, b"Content-Type: multipart/form-data; boundary=x", length))
        said = one.recv(65_536)
        assert said.startswith(b"HTTP/1.1 413 "), path
        assert b"content-security-policy:" in said
        # What is sent all the same is not waited for, nor read.
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 157_286_400:
                sent += one.send(bytes(1_000_000))
        assert sent < 30_000_000, path


def test_a_body_that_does_not_say_how_long_it_is_is_bounded_too(attacked: Make) -> None:
    server = attacked()
    one = server.open(head("/login", b"Content-Type: " + FORM, b"Transfer-Encoding: chunked"))
    sent = 0
    said = b""
    one.settimeout(0.02)
    while sent < 20_000_000 and not said:
        try:
            one.sendall(b"2000\r\n" + bytes(0x2000) + b"\r\n")
            sent += 0x2000
            said = one.recv(65_536)
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            break
    assert said.startswith(b"HTTP/1.1 413 ")
    assert sent < 2_000_000


def test_only_a_form_is_read_where_one_is_expected(attacked: Make) -> None:
    server = attacked()
    form = FORM.decode()
    with httpx.Client(base_url=server.address, trust_env=False) as client:
        for kind in ("multipart/form-data; boundary=x", "application/json", "text/plain", ""):
            answer = client.post("/login", content=b"password=x", headers={"Content-Type": kind})
            assert answer.status_code == 415, kind
        for body in (b"&".join([b"a=b"] * 50), b"\xff\xfe"):
            answer = client.post("/login", content=body, headers={"Content-Type": form})
            assert answer.status_code == 400, body
        good = client.post("/login", data={"password": PASSWORD})
        assert good.status_code == 303


NO_REQUESTS = {
    "a long header": HALF + b"x" * 200_000,
    "a long address": b"GET /" + b"x" * 200_000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"".join(b"A: b\r\n" for _ in range(40_000)),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a NUL": b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no ASCII": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length and chunks": (
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    ),
    "a head in one piece": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: "
    + b"b" * 33_000
    + b"\r\n\r\n",
    "no length": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a space before a colon": b"GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
}


@pytest.mark.parametrize("which", QUICK)
def test_what_is_no_request_is_refused_with_the_headers(attacked: Make, which: str) -> None:
    server = attacked(which)
    for what, sent in NO_REQUESTS.items():
        one = server.open()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            one.sendall(sent)
        said = ended(one)
        # Whoever sends on while the server hangs up may not see it.
        if said or len(sent) < 1_000:
            assert said.startswith(b"HTTP/1.1 400 "), (what, said[:200])
            assert b"content-security-policy:" in said
            assert said.count(b"HTTP/1.1 ") == 1
    server.others_are_served()


def test_what_no_application_is_asked_about_is_in_the_log(
    attacked: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = attacked(server_connections=4)
    assert ended(server.open(NO_REQUESTS["a NUL"])).startswith(b"HTTP/1.1 400 ")
    assert ended(server.open(HALF)).startswith(b"HTTP/1.1 408 ")
    many = [server.open(HALF) for _ in range(20)]
    server.others_are_served()
    assert [one.getMessage() for one in caplog.records if one.name.endswith("refusals")] == [
        "refused 400 Bad Request: nobody from 127.0.0.1: what is no request",
        "refused 408 Request Timeout: nobody from 127.0.0.1: what is no request",
        "refused 503 Service Unavailable: nobody from 127.0.0.1: more than 4 connections",
    ]
    for one in many:
        one.close()


@pytest.mark.parametrize("which", QUICK)
def test_a_websocket_is_refused(attacked: Make, which: str) -> None:
    server = attacked(which)
    one = server.open(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    said = one.recv(65_536)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"content-security-policy:" in said
