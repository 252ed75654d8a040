"""The metrics on a port of their own: one address, for who has the token."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consumer_analytics import secret_files
from consumer_analytics.errors import SettingsError
from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.settings import Settings
from consumer_analytics.web import guard

PATH = "/metrics"


def token_of(settings: Settings) -> str | None:
    """Return the token that a scrape must have; None where none is asked for.

    Raises:
        SettingsError: its file cannot be read, or is empty.
    """
    path = settings.metrics_token_file
    if path is None:
        return None
    token = secret_files.line_for("CONSUMER_ANALYTICS_METRICS_TOKEN_FILE", path).strip()
    if not token:
        raise SettingsError(f"CONSUMER_ANALYTICS_METRICS_TOKEN_FILE: {path} has no token in it")
    return token


def create_app(exposition: Exposition, *, token: str | None, hosts: Sequence[str]) -> Starlette:
    """Build the server's application.

    Args:
        exposition: reads them; it is closed with the server.
        token: what a scrape must have; None for nothing.
        hosts: the names under which it may be reached; `*` for any.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        exposition.close()

    def metrics(request: Request) -> Response:
        if token is not None and not _has(request, token):
            told = {"WWW-Authenticate": "Bearer"}
            raise HTTPException(401, "send the token: Authorization: Bearer ...", told)
        text, content_type = exposition.text(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    async def refused(request: Request, error: Exception) -> Response:
        why = cast("HTTPException", error)
        lost = why.status_code == 404  # noqa: PLR2004  # what HTTP calls it
        told = f"the metrics are at {PATH}" if lost else why.detail
        response = guard.plain(request, why.status_code, told)
        response.headers.update(why.headers or {})
        return response

    return Starlette(
        routes=[Route(PATH, metrics), Route(f"{PATH}/", metrics)],
        middleware=[
            Middleware(guard.Guard),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        ],
        exception_handlers={HTTPException: refused},
        lifespan=lifespan,
    )


def _has(request: Request, token: str) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    # Headers come as Latin-1; compared in a time that tells nothing of the token.
    return kind.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode("latin-1"), token.encode()
    )
