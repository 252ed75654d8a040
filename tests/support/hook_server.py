"""A real HTTP server that takes what is posted, and answers as it is told."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """How the server answers once.

    Attributes:
        status: the number; 0 hangs up without an answer.
        headers: beside the usual ones.
        body: what stands in it.
        seconds: after which it answers.
        trickle: sends its head byte by byte, for ever.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    seconds: float = 0.0
    trickle: bool = False


@dataclass(frozen=True)
class Posted:
    """What was posted: the path, the headers in lower case, the body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body as what it stands for."""
        return json.loads(self.body)


@dataclass
class HookServer:
    """The server.

    Attributes:
        port: that it listens on.
        posted: what came, in order.
        answers: those to come; after the last, 200 to all.
        ended: is set when it stops: what waits need wait no longer.
    """

    port: int = 0
    posted: list[Posted] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Return its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def hook_server(tls: ssl.SSLContext | None = None) -> Iterator[HookServer]:
    """Run a server for a `with` block, behind TLS where there is a context for it."""
    made = HookServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.posted.append(Posted(self.path, headers, body))
            answer = made.answers.pop(0) if made.answers else Answer()
            made.ended.wait(answer.seconds)
            if answer.trickle:
                self._trickle()
            elif answer.status:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

        def _trickle(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not made.ended.wait(0.05):
                self.wfile.write(b"A")
                self.wfile.flush()

        def log_message(self, *_: object) -> None: ...

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that hang up: they are to."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
