"""The dashboard as an ASGI application, alone or mounted in Airflow's web server.

Every address in it is relative, so that it works below any prefix.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import psycopg
from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import consumer_analytics
from consumer_analytics.errors import (
    ConsumerAnalyticsError,
    MissingExtraError,
    SettingsError,
    UsageError,
    one_line,
)
from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.settings import Settings
from consumer_analytics.web import api, backfills, forms, pages, parameters
from consumer_analytics.web.auth import (
    OPEN_BELOW,
    Authenticator,
    Gate,
    OwnCredentials,
    Principal,
    Refused,
    cookie_of,
    is_secure,
    path_below,
    require_all,
)
from consumer_analytics.web.guard import Guard
from consumer_analytics.web.parameters import require_known_zone
from consumer_analytics.web.pool import NoSessionError, Pool, SlowQueryError
from consumer_analytics.web.rendering import address

log = logging.getLogger(__name__)

_API = "/api/"
#: Answers smaller than this are not worth compressing.
_COMPRESSED_FROM = 1_000
#: The default takes up to ten times as long, for a quarter less at the most.
_COMPRESSION = 1
_STATIC_SECONDS = 3600
_UNPROCESSABLE = 422
#: SQLSTATEs of a session that is gone: no connection, or somebody ended it or the server.
_LOST = ("08", "57P")


def create_app(
    settings: Settings,
    *,
    authenticator: Authenticator,
    hosts: Sequence[str] = ("*",),
    starts: backfills.Backfills | None = None,
) -> FastAPI:
    """Build the dashboard.

    Args:
        settings: for the database, and its limits.
        authenticator: tells who is asking.
        hosts: the names under which it may be reached; `*` for any. A server without
            credentials names its own, so that no other site's name can be made to mean it.
        starts: starts backfills for those who may; None where nothing here does.
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
    app.state.backfills = starts
    app.include_router(api.router, dependencies=[Depends(require_known_zone)])
    app.include_router(pages.router, dependencies=[Depends(require_known_zone)])
    if isinstance(authenticator, OwnCredentials):
        _add_login(app, authenticator, settings)
    if starts is not None:
        app.include_router(backfills.router_of(starts, settings))
    app.add_api_route("/healthz", _alive, include_in_schema=False)
    _add_metrics(app, exposition)
    app.mount("/static", StaticFiles(directory=str(files(__package__) / "static")), name="static")
    _handle_errors(app)
    _describe(app)
    # The last one added is the first one asked.
    app.add_middleware(Gate, authenticator=authenticator, refuse=_refuse)
    app.add_middleware(GZipMiddleware, minimum_size=_COMPRESSED_FROM, compresslevel=_COMPRESSION)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(Guard, problem=_problem, keep=_keep)
    return app


def _keep(scope: Scope) -> str | None:
    """Tell how long browsers may keep an answer: what pages are made of, as its name changes."""
    return f"max-age={_STATIC_SECONDS}" if path_below(scope).startswith(OPEN_BELOW) else None


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


def _add_login(app: FastAPI, credentials: OwnCredentials, settings: Settings) -> None:
    hint = _HiddenClients(settings)

    @app.get("/login", include_in_schema=False)
    def login_page(request: Request, next: str = "") -> Response:  # noqa: A002  # its name in links
        return pages.render(request, "login.html", next=_within(next), problem=None)

    @app.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        forms.refuse_other_sites(request)
        hint.look(request)
        given = await forms.read(request, settings.server_timeout)
        target = _within(given.get("next", ""))
        client = request.client.host if request.client else ""
        found = await run_in_threadpool(credentials.log_in, given.get("password", ""), client)
        if isinstance(found, Refused):
            return pages.render(
                request,
                "login.html",
                status_code=found.status,
                next=target,
                problem=found.reason,
            )
        name = cookie_of(request)
        credentials.log_out(request.cookies.get(name, ""))
        response = RedirectResponse(target or "./", status_code=303)
        response.set_cookie(
            name,
            found,
            max_age=credentials.lifetime,
            path=str(request.scope.get("root_path", "")) + "/",
            secure=is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return response

    @app.post("/logout", include_in_schema=False)
    def log_out(request: Request) -> Response:
        forms.refuse_other_sites(request)
        name = cookie_of(request)
        credentials.log_out(request.cookies.get(name, ""))
        # What browsers keep although they were told not to; over https alone they listen.
        response = RedirectResponse("login", 303, {"Clear-Site-Data": '"cache"'})
        response.delete_cookie(
            name,
            path=str(request.scope.get("root_path", "")) + "/",
            secure=is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return response


class _HiddenClients:
    """Says once that a proxy hides who logs in, which makes one client of all."""

    def __init__(self, settings: Settings) -> None:
        self._is_due = not settings.proxies

    def look(self, request: Request) -> None:
        """Look at a login."""
        if self._is_due and "x-forwarded-for" in request.headers:
            self._is_due = False
            log.warning(
                "logins come through a proxy that CONSUMER_ANALYTICS_TRUSTED_PROXIES does not "
                "name: whoever fails too often there keeps all others behind it waiting"
            )


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
        if detail == "Not Found":
            detail = "Nothing is at this address."
        # Whoever filled in a form wants to correct it.
        has_form = request.method == "POST" and path_below(request.scope) == "/backfills"
        response = pages.render(
            request,
            "error.html",
            status_code=status,
            heading=_HEADINGS.get(status),
            detail=detail,
            corrects=has_form and status in {400, _UNPROCESSABLE},
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
    408: "That took too long",
    413: "That is too much",
    414: "That is too much",
    415: "That cannot be read",
    429: "Too many tries",
    500: "Something went wrong",
    503: "No figures just now",
}


def _refuse(request: Request, refused: Refused) -> Response:
    authenticator: Authenticator = request.app.state.authenticator
    if refused.status == 401 and authenticator.has_login and _wants_page(request):  # noqa: PLR2004
        here = path_below(request.scope).removeprefix("/")
        query = request.scope["query_string"].decode("latin-1")
        target = f"{here}?{query}" if query else here
        # Not by a URL of the whole: its host is what the client says, and may be none.
        login = address("login", {"next": target}) if target else "login?next="
        return RedirectResponse(pages.base(request) + login, status_code=303)
    headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}  # noqa: PLR2004
    return _problem(request, refused.status, refused.reason, **headers)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(UsageError)
    def usage(request: Request, error: UsageError) -> Response:
        return _problem(request, _UNPROCESSABLE, str(error))

    @app.exception_handler(SettingsError)
    @app.exception_handler(MissingExtraError)
    def misset(request: Request, error: UsageError) -> Response:
        return _unavailable(request, str(error), "the dashboard is not set up as it needs to be")

    @app.exception_handler(SlowQueryError)
    @app.exception_handler(NoSessionError)
    def busy(request: Request, error: ConsumerAnalyticsError) -> Response:
        return _problem(request, 503, str(error))

    @app.exception_handler(ConsumerAnalyticsError)
    def ours(request: Request, error: ConsumerAnalyticsError) -> Response:
        return _unavailable(request, str(error), "the figures cannot be read just now")

    @app.exception_handler(psycopg.errors.InsufficientPrivilege)
    def forbidden(request: Request, error: psycopg.Error) -> Response:
        return _unavailable(
            request,
            f"the dashboard's login may not read what it needs ({error.diag.message_primary}); run "
            "`consumer-analytics roles`, and make the login a member of the dashboard's role",
            "the dashboard's login may not read what it needs",
        )

    @app.exception_handler(psycopg.errors.UndefinedTable)
    @app.exception_handler(psycopg.errors.UndefinedColumn)
    @app.exception_handler(psycopg.errors.InvalidSchemaName)
    def outdated(request: Request, error: psycopg.Error) -> Response:
        return _unavailable(
            request,
            f"the database is not this version's ({error.diag.message_primary}); run "
            "`consumer-analytics migrate`",
            "the database is not this version's",
        )

    @app.exception_handler(psycopg.Error)
    def failed(request: Request, error: psycopg.Error) -> Response:
        lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
        told = (
            "the connection to the database was lost, try again"
            if lost or str(error.sqlstate).startswith(_LOST)
            else "the figures cannot be read just now"
        )
        return _unavailable(request, one_line(error), told)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return _problem(request, _UNPROCESSABLE, parameters.refused(error.errors()[0]))

    @app.exception_handler(StarletteHTTPException)
    def refused(request: Request, error: StarletteHTTPException) -> Response:
        return _problem(request, error.status_code, str(error.detail), **(error.headers or {}))


def _unavailable(request: Request, why: str, told: str) -> Response:
    """Say that there are no figures; why, with names and places, to whoever runs this alone."""
    log.warning("%r: %s", request.scope["path"], why)
    caller: Principal | None = getattr(request.state, "principal", None)
    if caller is not None and caller.runs_it:
        return _problem(request, 503, why)
    return _problem(request, 503, f"{told}; the server's log says why")


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
