"""What stands before every route: bounds of a request, headers of an answer, no trace of an error.

It looks at nothing that a client could be who it is by: what is too large is refused before
anybody's credentials are looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer_analytics.web.refusals import Refusals, request_of

log = logging.getLogger(__name__)

#: Answers that refuse what somebody tried: 404 says so to whom not all is shown.
_REFUSING = frozenset({400, 401, 403, 405, 408, 413, 414, 415, 422, 429})
#: Logins that fail are told of by who looks at them.
_LOGIN = "/login"

#: Bytes of a request's body; the largest that there is has a password or a token in it.
LONGEST_BODY = 16_384
#: Bytes of a request's head, all headers together.
LONGEST_HEAD = 32_768
#: Bytes of an address with its parameters.
LONGEST_ADDRESS = 8_192

HEADERS = {
    # Scripts, styles and data from here alone; shown in a frame by the same site alone, which
    # is what Airflow's interface does with it.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
#: The same for those answers that no application is asked for.
RAW_HEADERS = [
    (name.lower().encode(), value.encode())
    for name, value in {**HEADERS, "Cache-Control": "no-store"}.items()
]

#: Makes the answer for whom it refuses.
Problem = Callable[[Request, int, str], Response]


def plain(_: Request, status: int, detail: str) -> Response:
    """Refuse in a line of text."""
    return PlainTextResponse(f"{detail}\n", status)


class Guard:
    """Stands before an application, and answers in its place what must not reach it."""

    def __init__(
        self,
        app: ASGIApp,
        problem: Problem = plain,
        keep: Callable[[Scope], str | None] = lambda _: None,
    ) -> None:
        """Stand before `app`.

        Args:
            app: what is behind.
            problem: makes the answer for what is refused or went wrong.
            keep: tells how long browsers may keep a good answer, as `Cache-Control` has it;
                None for not at all.
        """
        self._app = app
        self._problem = problem
        self._keep = keep
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its bounds, and its answer with its headers."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            address = (scope.get("client") or ("",))[0]
            self._refusals.note(400, "nobody", address, f"a websocket at {scope['path']!r}")
            await _refuse_websocket(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        def answered(status: int) -> None:
            self._note(scope, status)

        protected = _Protected(send, self._keep(scope), answered)

        async def refuse(status: int, detail: str) -> None:
            response = self._problem(Request(scope, receive), status, detail)
            if detail in _NO_REQUEST:
                # As the parser does: what follows may be meant to be read in another way.
                response.headers["Connection"] = "close"
            await response(scope, receive, protected)

        refused = _refusal(scope)
        if refused is not None:
            await refuse(*refused)
            return
        try:
            await self._app(scope, _bounded(receive), protected)
        except ClientDisconnect:
            return
        except Exception as error:
            if protected.begun:
                # Too late to say so; the server notes it, and breaks the connection off.
                raise
            if isinstance(error, HTTPException):
                # Of who looks at credentials, before there is a route that would answer it.
                await refuse(error.status_code, error.detail)
                return
            log.exception("%r", scope["path"])
            await refuse(500, "something went wrong here; the server's log says what")

    def _note(self, scope: Scope, status: int) -> None:
        """Tell the log of what was refused; of what is merely not there, nothing."""
        principal = scope.get("state", {}).get("principal")
        if status == 404 and principal is not None and not principal.sees_all:  # noqa: PLR2004
            pass
        elif status not in _REFUSING or (status in {401, 429} and scope["path"].endswith(_LOGIN)):
            return
        if principal is not None:
            who = principal.name
        else:
            headers = Headers(scope=scope)
            presented = "authorization" in headers or "cookie" in headers
            who = "unknown credentials" if status == 401 and presented else "nobody"  # noqa: PLR2004
        address = (scope.get("client") or ("",))[0]
        self._refusals.note(status, who, address, request_of(scope))


class _Protected:
    """Sends an answer with its headers.

    Attributes:
        begun: whether some of it is sent.
    """

    def __init__(self, send: Send, kept: str | None, answered: Callable[[int], None]) -> None:
        self._send = send
        self._kept = kept
        self._answered = answered
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self._answered(message["status"])
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            is_good = message["status"] < 400  # noqa: PLR2004  # no error of HTTP's
            headers["Cache-Control"] = (is_good and self._kept) or "no-store"
        await self._send(message)


def _refusal(scope: Scope) -> tuple[int, str] | None:
    """Return why a request is not even begun with, by its head."""
    headers = Headers(scope=scope)
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_ADDRESS:
        return 414, f"an address has {LONGEST_ADDRESS} bytes at most, parameters included"
    if sum(len(name) + len(value) + _BETWEEN for name, value in headers.raw) > LONGEST_HEAD:
        # The server's parser bounds what it waits for, not what came in one piece.
        return 400, _LONG_HEAD
    length = headers.get("content-length", "")
    if length and "transfer-encoding" in headers:
        return 400, _TWO_LENGTHS
    if length.isdecimal() and int(length[:20]) > LONGEST_BODY:
        return 413, _TOO_LARGE
    if headers.get("upgrade", "").strip().lower() == "websocket":
        return 400, _NO_WEBSOCKETS
    return None


#: Bytes that a header has besides its name and its value: a colon, a blank, a line's end.
_BETWEEN = 4
_LONG_HEAD = f"a request's head has {LONGEST_HEAD} bytes at most"
_TWO_LENGTHS = "a request says in one way how long it is"
_NO_REQUEST = frozenset({_LONG_HEAD, _TWO_LENGTHS})
_TOO_LARGE = f"a request has {LONGEST_BODY} bytes at most"
_NO_WEBSOCKETS = "there are no websockets here"


def _bounded(receive: Receive) -> Receive:
    """Count what comes in: a body need not say how long it is."""
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LONGEST_BODY:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return receive_bounded


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a websocket before it is one, with the headers where the server can send some."""
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        headers = [*RAW_HEADERS, (b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "websocket.http.response.start", "status": 400, "headers": headers})
        body = f"{_NO_WEBSOCKETS}\n".encode()
        await send({"type": "websocket.http.response.body", "body": body})
    else:
        await send({"type": "websocket.close", "code": 1008})
