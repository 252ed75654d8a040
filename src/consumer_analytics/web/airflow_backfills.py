"""Backfills of the dashboard in Airflow's web server: through Airflow's own interface.

What is asked for is asked of the application that the dashboard is mounted in, within the process:
no address, no certificate and no secret of ours. The token is that of whoever asks, so that Airflow
decides by its own rules, and its log of what was done names them.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import HTTPException, Request

from consumer_analytics import backfill
from consumer_analytics.airflow import dag_ids
from consumer_analytics.web.airflow_login import token_of
from consumer_analytics.web.backfills import BackfillRun

_RUNS = f"/api/v2/dags/{dag_ids.BACKFILL}/dagRuns"
_SECONDS = 20.0


class AirflowBackfills:
    """Runs the backfill's DAG.

    Attributes:
        airflow: the application that the dashboard is mounted in; None until the first request.
    """

    def __init__(self) -> None:
        """Describe it; the application is told with the first request."""
        self.airflow: Any = None

    async def start(self, request: Request, asked: backfill.Request) -> str:
        """Run the DAG; return the run's id."""
        answer = await self._ask(
            request,
            "POST",
            _RUNS,
            json={
                "logical_date": None,
                "conf": {
                    "start_date": asked.start.isoformat(),
                    "end_date": asked.end.isoformat(),
                    "interval": asked.interval,
                },
                "note": "asked for on the dashboard",
            },
        )
        if answer.is_error:
            raise HTTPException(
                answer.status_code, f"Airflow refused the backfill: {_detail(answer)}"
            )
        return str(answer.json()["dag_run_id"])

    async def find(self, request: Request, run: str) -> BackfillRun | None:
        """Return a run of the DAG."""
        # What would be another address there is the id of none.
        if "/" in run or run in {".", ".."}:
            return None
        answer = await self._ask(request, "GET", f"{_RUNS}/{quote(run, safe='')}")
        return None if answer.is_error else BackfillRun(run, str(answer.json()["state"]))

    async def _ask(self, request: Request, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token_of(request)}"}
        transport = httpx.ASGITransport(app=self.airflow, raise_app_exceptions=False)
        try:
            # Within the process nothing heeds a time that httpx is given.
            async with (
                asyncio.timeout(_SECONDS),
                httpx.AsyncClient(
                    transport=transport, base_url="http://airflow", headers=headers
                ) as client,
            ):
                return await client.request(method, path, **more)
        except TimeoutError:
            raise HTTPException(503, f"Airflow did not answer in {_SECONDS:g} s") from None


def _detail(answer: httpx.Response) -> str:
    """Return what Airflow said, in a line."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.reason_phrase
    return " ".join(str(detail).split())[:300]
