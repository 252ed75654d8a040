"""The dashboard's pages."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

import consumer_analytics
from consumer_analytics.web.auth import path_below

router = APIRouter(include_in_schema=False)
_templates = Jinja2Templates(directory=str(files(__package__) / "templates"))


def base(request: Request) -> str:
    """Return what leads from a request's address to the dashboard's root: `../` or nothing."""
    return "../" * path_below(request.scope).removeprefix("/").count("/")


def render(request: Request, template: str, *, status_code: int = 200, **context: Any) -> Response:
    """Return a page."""
    return _templates.TemplateResponse(
        request,
        template,
        {"base": base(request), "version": consumer_analytics.__version__, **context},
        status_code=status_code,
    )
