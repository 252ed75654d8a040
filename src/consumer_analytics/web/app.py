"""The dashboard as an ASGI application, alone or mounted in Airflow's web server.

Every address in it is relative, so that it works below any prefix.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

import psycopg
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import consumer_analytics
from consumer_analytics.errors import ConsumerAnalyticsError, UsageError
from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.settings import Settings
from consumer_analytics.web import api, pages
from consumer_analytics.web.auth import (
    COOKIE,
    Authenticator,
    Gate,
    OwnCredentials,
    Refused,
    is_from_elsewhere,
    path_below,
    require_all,
)
from consumer_analytics.web.pool import Pool

log = logging.getLogger(__name__)

_API = "/api/"
#: Answers smaller than this are not worth compressing.
_COMPRESSED_FROM = 1_000
#: The default takes up to ten times as long, for a quarter less at the most.
_COMPRESSION = 1
_STATIC_SECONDS = 3600
_UNPROCESSABLE = 422

_HEADERS = {
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


class _Headers:
    """Adds to every answer what keeps browsers from being used against it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_static = path_below(scope).startswith("/static/")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if is_static and message["status"] < 400:  # noqa: PLR2004  # not an error
                    headers["Cache-Control"] = f"max-age={_STATIC_SECONDS}"
                else:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, answer)


def create_app(
    settings: Settings,
    *,
    authenticator: Authenticator,
    hosts: Sequence[str] = ("*",),
) -> FastAPI:
    """Build the dashboard.

    Args:
        settings: for the database, and its limits.
        authenticator: tells who is asking.
        hosts: the names under which it may be reached; `*` for any. A server without
            credentials names its own, so that no other site's name can be made to mean it.
    """
    pool = Pool(settings)
    exposition = Exposition(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()
        exposition.close()

    app = FastAPI(
        title="consumer-analytics",
        version=consumer_analytics.__version__,
        summary="Customers and events of every consumer and of the whole system, over time.",
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        # Their pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.pool = pool
    app.state.authenticator = authenticator
    app.include_router(api.router)
    app.include_router(pages.router)
    if isinstance(authenticator, OwnCredentials):
        _add_login(app, authenticator)
    app.add_api_route("/healthz", _alive, include_in_schema=False)
    _add_metrics(app, exposition)
    app.mount("/static", StaticFiles(directory=str(files(__package__) / "static")), name="static")
    _handle_errors(app)
    _describe(app)
    # The last one added is the first one asked.
    app.add_middleware(Gate, authenticator=authenticator, refuse=_refuse)
    app.add_middleware(GZipMiddleware, minimum_size=_COMPRESSED_FROM, compresslevel=_COMPRESSION)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(_Headers)
    return app


_DESCRIPTION = """\
Every chart and table of the dashboard, as JSON and as CSV. Authenticate with
`Authorization: Bearer <token>`. Times are ISO 8601, in UTC unless they say otherwise; a
snapshot's instant is exclusive: it counts what happened before it.
"""


async def _alive() -> Response:
    return Response("ok\n", media_type="text/plain")


def _add_metrics(app: FastAPI, exposition: Exposition) -> None:
    @app.get("/metrics", include_in_schema=False, dependencies=[Depends(require_all)])
    def metrics(request: Request) -> Response:
        text, content_type = exposition.text(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})


# -- login ---------------------------------------------------------------------


def _add_login(app: FastAPI, credentials: OwnCredentials) -> None:
    @app.get("/login", include_in_schema=False)
    def login_page(request: Request, next: str = "") -> Response:  # noqa: A002  # its name in links
        return pages.render(request, "login.html", next=_within(next), problem=None)

    @app.post("/login", include_in_schema=False)
    def log_in(
        request: Request,
        password: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "",  # noqa: A002
    ) -> Response:
        _refuse_other_sites(request)
        address = request.client.host if request.client else ""
        found = credentials.log_in(password, address)
        if isinstance(found, Refused):
            return pages.render(
                request,
                "login.html",
                status_code=found.status,
                next=_within(next),
                problem=found.reason,
            )
        response = RedirectResponse(_within(next) or "./", status_code=303)
        response.set_cookie(
            COOKIE,
            found,
            max_age=credentials.lifetime,
            path=str(request.scope.get("root_path", "")) + "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response

    @app.post("/logout", include_in_schema=False)
    def log_out(request: Request) -> Response:
        _refuse_other_sites(request)
        credentials.log_out(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("login", status_code=303)
        response.delete_cookie(COOKIE, path=str(request.scope.get("root_path", "")) + "/")
        return response


def _refuse_other_sites(request: Request) -> None:
    if is_from_elsewhere(request):
        raise HTTPException(403, "this form was sent by another site; log in here")


def _within(target: str) -> str:
    """Return where to go after a login, if it is a page of ours; relative, as all addresses are."""
    is_ours = (
        target.isprintable()
        and "\\" not in target
        and ":" not in target.split("?", 1)[0]
        and not target.startswith("/")
    )
    return target if is_ours else ""


# -- refusals and errors -------------------------------------------------------


def _wants_page(request: Request) -> bool:
    return not path_below(request.scope).startswith(_API) and "text/html" in request.headers.get(
        "accept", ""
    )


def _problem(request: Request, status: int, detail: str, **headers: str) -> Response:
    """Answer with one clear line: as a page to people, as JSON to programs."""
    if _wants_page(request):
        response = pages.render(
            request, "error.html", status_code=status, heading=_HEADINGS.get(status), detail=detail
        )
        response.headers.update(headers)
        return response
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)


_HEADINGS = {
    400: "That cannot be asked",
    401: "Who are you?",
    403: "Not for this login",
    404: "There is no such page",
    405: "That cannot be done here",
    422: "That cannot be asked",
    429: "Too many tries",
    500: "Something went wrong",
    503: "No figures just now",
}


def _refuse(request: Request, refused: Refused) -> Response:
    authenticator: Authenticator = request.app.state.authenticator
    if refused.status == 401 and authenticator.has_login and _wants_page(request):  # noqa: PLR2004
        here = path_below(request.scope).removeprefix("/")
        target = f"{here}?{request.url.query}" if request.url.query else here
        login = request.url_for("login_page").include_query_params(next=target)
        return RedirectResponse(pages.base(request) + f"login?{login.query}", status_code=303)
    headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}  # noqa: PLR2004
    return _problem(request, refused.status, refused.reason, **headers)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(UsageError)
    def usage(request: Request, error: UsageError) -> Response:
        return _problem(request, _UNPROCESSABLE, str(error))

    @app.exception_handler(ConsumerAnalyticsError)
    def ours(request: Request, error: ConsumerAnalyticsError) -> Response:
        log.warning("%s: %s", request.url.path, error)
        return _problem(request, 503, str(error))

    @app.exception_handler(psycopg.errors.InsufficientPrivilege)
    def forbidden(request: Request, error: psycopg.Error) -> Response:
        log.error("%s: %s", request.url.path, error)
        return _problem(
            request,
            503,
            f"the dashboard's login may not read what it needs ({error.diag.message_primary}); run "
            "`consumer-analytics roles`, and make the login a member of the dashboard's role",
        )

    @app.exception_handler(psycopg.errors.UndefinedTable)
    @app.exception_handler(psycopg.errors.UndefinedColumn)
    @app.exception_handler(psycopg.errors.InvalidSchemaName)
    def outdated(request: Request, error: psycopg.Error) -> Response:
        log.error("%s: %s", request.url.path, error)
        return _problem(
            request,
            503,
            f"the database is not this version's ({error.diag.message_primary}); run "
            "`consumer-analytics migrate`",
        )

    @app.exception_handler(psycopg.OperationalError)
    def lost(request: Request, error: psycopg.Error) -> Response:
        log.warning("%s: %s", request.url.path, error)
        return _problem(request, 503, "the connection to the database was lost; try again")

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return _problem(request, _UNPROCESSABLE, f"{where}: {first['msg']}")

    @app.exception_handler(StarletteHTTPException)
    def refused(request: Request, error: StarletteHTTPException) -> Response:
        return _problem(request, error.status_code, str(error.detail), **(error.headers or {}))

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s", request.url.path, exc_info=error)
        return _problem(request, 500, "something went wrong here; the server's log says what")


# -- the API's description -----------------------------------------------------


def _describe(app: FastAPI) -> None:
    """Describe the API, with how to authenticate, which the gate asks for and no route."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
            found.setdefault("components", {})["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer"}
            }
            found["security"] = [{"token": []}]
            for operations in found["paths"].values():
                for status, answer in operations["get"]["responses"].items():
                    # FastAPI describes problems in the form of what is asked for.
                    if status != "200" and "text/csv" in answer["content"]:
                        answer["content"] = {"application/json": answer["content"]["text/csv"]}
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's own way to extend it
