"""The pages: the system, the consumers, a comparison, freshness.

Each is one read-only look at the database and a template. Links are relative and carry all that
makes up a view, so that a page works under any prefix and its address brings back what it shows.

A page more is a module here, with a `router`, its template, and an entry in `PAGES`.
"""

from __future__ import annotations

from importlib import import_module

from fastapi import APIRouter

from consumer_analytics.web.pages.page import PAGES, base, render

__all__ = ["PAGES", "base", "render", "router"]

router = APIRouter(include_in_schema=False)
for page in PAGES:
    router.include_router(import_module(f"{__name__}.{page.name}").router)
