"""Who is asking, and what they may see.

`Gate` stands before every route: what it does not know to be open answers 401
without credentials, whether there is such a route or not. What counts as
credentials is an `Authenticator`'s to say: the dashboard's own password and
tokens, nobody's on the loopback, or Airflow's login.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from consumer_analytics import secret_files
from consumer_analytics.errors import ConsumerAnalyticsError, SettingsError
from consumer_analytics.net import client_network, is_loopback
from consumer_analytics.settings import Settings
from consumer_analytics.web import tokens
from consumer_analytics.web.sessions import Sessions
from consumer_analytics.web.throttle import Throttle
from consumer_analytics.web.tokens import Token, TokensFile

log = logging.getLogger(__name__)

COOKIE = "consumer_analytics_session"
#: Paths that answer anybody: the login, what its page is made of, and whether the server is up.
OPEN = frozenset({"/login", "/logout", "/healthz"})
OPEN_BELOW = "/static/"

_SHORTEST_PASSWORD = 12
_LONGEST_SECRET = 1_000


@dataclass(frozen=True)
class Principal:
    """Who is asking.

    Attributes:
        name: for people.
        consumers: the consumers they may see, and nothing else; None for everything.
        can_log_out: whether they came by the dashboard's own login page.
        runs_it: whether they sit at the machine that it runs on, and may know why it does not.
        may_backfill: tells whether they may start a backfill. It may ask who decides that: not
            where nothing may wait.
    """

    name: str
    consumers: frozenset[uuid.UUID] | None = None
    can_log_out: bool = False
    runs_it: bool = False
    may_backfill: Callable[[], bool] = lambda: False

    @property
    def sees_all(self) -> bool:
        """Whether they may see the whole system and every consumer."""
        return self.consumers is None

    def may_see(self, consumer: uuid.UUID) -> bool:
        """Tell whether they may see a consumer."""
        return self.consumers is None or consumer in self.consumers


@dataclass(frozen=True)
class Refused:
    """Why somebody does not get in.

    Attributes:
        status: 401; 403 where it is known who asks and they may not; 429 where somebody has
            tried too often; 503 where it cannot be found out just now.
        reason: one line for people.
    """

    status: int
    reason: str


#: Where the credentials cannot be read; whoever keeps them has told the log, once.
_UNKNOWABLE = Refused(503, "nobody can be let in just now; the server's log says why")

#: Makes the answer for whom the gate does not let in.
Refuse = Callable[[Request, Refused], Response]


class Authenticator(Protocol):
    """Tells who is asking."""

    #: Whether there is a login page of our own to send people to.
    has_login: bool

    async def authenticate(self, connection: HTTPConnection) -> Principal | Refused:
        """Return who sent a request, or why they do not get in."""


class NoCredentials:
    """Everybody may see everything: for the loopback alone."""

    has_login = False

    async def authenticate(self, connection: HTTPConnection) -> Principal | Refused:  # noqa: ARG002
        """Return the one user of this machine."""
        return Principal("local", runs_it=True)


class OwnCredentials:
    """The dashboard's own password and tokens, in a header or behind a session's cookie."""

    has_login = True

    def __init__(self, settings: Settings) -> None:
        """Read password and tokens.

        Raises:
            SettingsError: a file is unreadable, or the password too short.
        """
        self._lifetime = settings.dashboard_session_hours * 3600
        self._password = (
            _read_password(settings.dashboard_password_file)
            if settings.dashboard_password_file
            else None
        )
        self._tokens = (
            TokensFile(settings.dashboard_tokens_file) if settings.dashboard_tokens_file else None
        )
        # Of this process: a restart ends all sessions.
        self._signer = URLSafeTimedSerializer(
            secrets.token_bytes(32),
            salt="session",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )
        self._sessions = Sessions(settings.dashboard_idle_minutes * 60)
        self._throttle = Throttle()

    @property
    def lets_nobody_in(self) -> bool:
        """Whether there is neither a password nor a token."""
        return self._password is None and (self._tokens is None or self._tokens.is_empty)

    async def authenticate(self, connection: HTTPConnection) -> Principal | Refused:
        """Return whom the header, or else the cookie, is of."""
        scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer":
                return Refused(401, "send a token as Authorization: Bearer …")
            token = await run_in_threadpool(self._verify, presented.strip())
            return _principal(token) if token else Refused(401, "the token is unknown or expired")
        cookie = connection.cookies.get(cookie_of(connection))
        if not cookie:
            return Refused(401, "log in, or send a token as Authorization: Bearer …")
        return await run_in_threadpool(self._resume, cookie)

    def _verify(self, presented: str) -> Token | None:
        return self._tokens.verify(presented) if self._tokens else None

    def log_in(self, secret: str, address: str) -> str | Refused:
        """Return the cookie for a password or a token, or why there is none.

        Args:
            secret: what somebody typed.
            address: where they are, so that nobody tries passwords without end.
        """
        try:
            return self._log_in(secret, address)
        except SettingsError:
            return _UNKNOWABLE

    def _log_in(self, secret: str, address: str) -> str | Refused:
        account, place = self._account(secret), client_network(address)
        if not self._throttle.allows(account, place):
            return Refused(429, "too many failed logins from this address; wait a minute")
        if len(secret) <= _LONGEST_SECRET:
            if self._password and hmac.compare_digest(_digest(secret), self._password):
                log.info("login: password from %s", place)
                return self._session({"kind": "password"})
            token = self._verify(secret.strip())
            if token:
                log.info("login: token %s from %s", token.token_id, place)
                return self._session({"kind": "token", "token": token.token_id})
        self._throttle.failed(account, place)
        log.warning("login failed: %s from %s", account, place)
        if not self._throttle.allows(account, place):
            # Once: what is held off is noted no further, however often it comes.
            log.warning("login held off: %s from %s", account, place)
        return Refused(401, "that is neither the password nor a valid token")

    def _account(self, secret: str) -> str:
        """Return whose secret somebody tries: one of few names, none of their own choice."""
        named = tokens.id_in(secret.strip())
        if named is None:
            return "password"
        known = self._tokens is not None and self._tokens.find(named) is not None
        return f"token {named}" if known else "no token"

    def log_out(self, cookie: str) -> None:
        """End a session: its cookie is worth nothing from now on."""
        session = self._opened(cookie)
        if session is not None and self._sessions.end(_account_of(session), session["id"]):
            log.info("logout: %s", _account_of(session))

    def _session(self, what: dict[str, str]) -> str:
        return str(self._signer.dumps({"id": self._sessions.begin(_account_of(what)), **what}))

    def _opened(self, cookie: str) -> dict[str, str] | None:
        try:
            session: dict[str, str] = self._signer.loads(cookie, max_age=int(self._lifetime))
        except BadSignature:
            return None
        return session

    def _resume(self, cookie: str) -> Principal | Refused:
        session = self._opened(cookie)
        if session and not self._sessions.use(_account_of(session), session["id"]):
            session = None
        if session and session["kind"] == "password":
            return Principal("password", can_log_out=True)
        # Its token may have been revoked, or have expired, since.
        token = self._tokens.find(session["token"]) if session and self._tokens else None
        if token is None:
            return Refused(401, "the session is over; log in again")
        return _principal(token, can_log_out=True)

    @property
    def lifetime(self) -> int:
        """Seconds that a session lasts."""
        return int(self._lifetime)


def _principal(token: Token, *, can_log_out: bool = False) -> Principal:
    consumers = None if token.consumers is None else frozenset(token.consumers)
    return Principal(token.name, consumers, can_log_out=can_log_out)


def _account_of(session: dict[str, str]) -> str:
    """Return whose a session is: the password's, or a token's."""
    return " ".join(filter(None, map(session.get, ("kind", "token"))))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _read_password(path: Path) -> bytes:
    """Return the digest of a file's first line."""
    try:
        password = secret_files.first_line(path)
    except OSError as error:
        raise SettingsError(
            f"the dashboard's password file {path} cannot be read: {error}"
        ) from None
    if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_SECRET:
        raise SettingsError(
            f"the dashboard's password in {path} has {len(password)} characters; it needs "
            f"{_SHORTEST_PASSWORD} to {_LONGEST_SECRET}"
        )
    return _digest(password)


def authenticator(settings: Settings, host: str) -> Authenticator:
    """Return who decides for a server of ours on an address.

    Raises:
        SettingsError: others could reach the address, and nothing asks who they are.
    """
    if settings.dashboard_password_file or settings.dashboard_tokens_file:
        return OwnCredentials(settings)
    if is_loopback(host):
        return NoCredentials()
    raise SettingsError(
        f"others can reach {host}: set CONSUMER_ANALYTICS_DASHBOARD_PASSWORD_FILE or "
        "CONSUMER_ANALYTICS_DASHBOARD_TOKENS_FILE, or serve on 127.0.0.1"
    )


class Gate:
    """Lets requests through to the app from those alone who may see something of it."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, refuse: Refuse) -> None:
        """Stand before `app`.

        Args:
            app: what is behind.
            authenticator: tells who is asking.
            refuse: makes the answer for whom it does not let in.
        """
        self._app = app
        self._authenticator = authenticator
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its principal, or answer it."""
        if scope["type"] == "lifespan" or self._is_open(scope):
            await self._app(scope, receive, send)
            return
        try:
            found = await self._authenticator.authenticate(HTTPConnection(scope))
        except ConsumerAnalyticsError:
            found = _UNKNOWABLE
        if isinstance(found, Principal):
            scope.setdefault("state", {})["principal"] = found
            await self._app(scope, receive, send)
            return
        response = self._refuse(Request(scope, receive), found)
        await response(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path = path_below(scope)
        return path in OPEN or path.startswith(OPEN_BELOW)


def path_below(scope: Scope) -> str:
    """Return a request's path below where the app is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    rest = path.removeprefix(root)
    return rest if rest.startswith("/") else path


def is_secure(connection: HTTPConnection) -> bool:
    """Tell whether a request came by https, as far as the client's side of it goes."""
    return bool(connection.scope.get("scheme") == "https")


def cookie_of(connection: HTTPConnection) -> str:
    """Return the name of a session's cookie; one of https cannot be set from elsewhere."""
    return f"__Secure-{COOKIE}" if is_secure(connection) else COOKIE


def is_from_elsewhere(request: Request) -> bool:
    """Tell whether another site made a browser send this; others do not send these headers."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


async def _caller(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


#: Who is asking, in a route.
Caller = Annotated[Principal, Depends(_caller)]


async def require_all(caller: Caller) -> None:
    """Refuse whoever may see single consumers only.

    Raises:
        HTTPException: 403.
    """
    if not caller.sees_all:
        raise HTTPException(403, "this token sees its own consumer only")
