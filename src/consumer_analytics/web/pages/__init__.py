"""The pages: the system, the consumers, a comparison, freshness.

Each is one read-only look at the database and a template. Links are relative and carry all that
makes up a view, so that a page works under any prefix and its address brings back what it shows.

A page more is a module here, with a `router`, its template, and an entry in `PAGES`; in `BESIDE`
where others lead to it.
"""

from __future__ import annotations

from importlib import import_module

from fastapi import APIRouter

from consumer_analytics.web.pages.page import PAGES, base, render

__all__ = ["PAGES", "base", "render", "router"]

#: Pages that the navigation does not name.
BESIDE = ("backfills",)

router = APIRouter(include_in_schema=False)
for name in (*(page.name for page in PAGES), *BESIDE):
    router.include_router(import_module(f"{__name__}.{name}").router)
