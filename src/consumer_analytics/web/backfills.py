"""Backfills that are asked for on a page: by whom that may be, and what comes of it.

The dashboard itself reads only. Where it is a page of Airflow's, it hands the request on to
Airflow's own interface, as the one who asks: Airflow decides whether they may, checks what they ask
for, notes it, and runs the DAG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from consumer_analytics import backfill
from consumer_analytics.settings import Settings
from consumer_analytics.web import forms
from consumer_analytics.web.auth import Caller, require_all

_FIELDS = ("start_date", "end_date", "interval")
#: Characters of a run's id, at most.
LONGEST_RUN = 250


@dataclass(frozen=True)
class BackfillRun:
    """A run of the backfill's DAG.

    Attributes:
        run: its id.
        state: such as `queued`, `running`, `success`, `failed`.
    """

    run: str
    state: str

    @property
    def goes_on(self) -> bool:
        """Whether it may still do something."""
        return self.state not in {"success", "failed"}


class Backfills(Protocol):
    """Starts backfills, and tells how far they are."""

    async def start(self, request: Request, asked: backfill.Request) -> str:
        """Start a backfill as whoever sent a request; return its run's id.

        Raises:
            HTTPException: it is refused, or cannot be started; in one line.
        """

    async def find(self, request: Request, run: str) -> BackfillRun | None:
        """Return a run; None where there is none, or not for whoever asks."""


def router_of(backfills: Backfills, settings: Settings) -> APIRouter:
    """Return the route that takes in what the form sends."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(require_all)])

    @router.post("/backfills")
    async def start(request: Request, caller: Caller) -> Response:
        """Start a backfill, and show how far it is."""
        forms.refuse_other_sites(request)
        if not await run_in_threadpool(caller.may_backfill):
            raise HTTPException(403, "your login may not start a backfill")
        given = await forms.read(request, settings.server_timeout)
        asked = backfill.request_of(*(given.get(name, "") for name in _FIELDS), who=caller.name)
        run = await backfills.start(request, asked)
        return RedirectResponse(f"backfills?{urlencode({'run': run})}", 303)

    return router
