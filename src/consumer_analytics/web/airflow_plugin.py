"""The dashboard as a page of Airflow's web interface.

Every component of Airflow, and every one of its commands, imports this module;
so it imports nothing itself, and builds the dashboard at the first request.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/consumer-analytics"
#: Addresses in Airflow's interface are relative to where that is, prefix included.
_HERE = PREFIX.removeprefix("/")


class _Dashboard:
    """The application, built when it is first asked for."""

    def __init__(self) -> None:
        self._app: Any = None
        self._backfills: Any = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            from starlette.concurrency import run_in_threadpool

            from consumer_analytics.errors import ConsumerAnalyticsError

            try:
                await run_in_threadpool(self._build)
            except ConsumerAnalyticsError as error:
                await _unusable(error)(scope, receive, send)
                return
        # Airflow's own application, which backfills are asked of.
        self._backfills.airflow = scope.get("app")
        await self._app(scope, receive, send)

    def _build(self) -> None:
        from consumer_analytics.settings import settings
        from consumer_analytics.web.airflow_backfills import AirflowBackfills
        from consumer_analytics.web.airflow_login import AirflowLogin
        from consumer_analytics.web.app import create_app

        with self._lock:
            if self._app is None:
                self._backfills = AirflowBackfills()
                self._app = create_app(
                    settings(), authenticator=AirflowLogin(), starts=self._backfills
                )


def _unusable(error: Exception) -> Any:
    """Return what answers where the dashboard cannot be built; why not is for Airflow's log."""
    import logging

    from starlette.exceptions import HTTPException

    from consumer_analytics.web.guard import Guard

    async def refuse(*_: Any) -> None:
        logging.getLogger(__name__).error("%s", error)
        told = "the dashboard is not set up as it needs to be; the server's log says why"
        raise HTTPException(503, told)

    return Guard(refuse)


class ConsumerAnalyticsPlugin(AirflowPlugin):
    """Mounts the dashboard in the web server, and adds it to the navigation."""

    name = "consumer_analytics"
    fastapi_apps: ClassVar[list[Any]] = [
        {"app": _Dashboard(), "url_prefix": PREFIX, "name": "consumer-analytics"}
    ]
    external_views: ClassVar[list[Any]] = [
        {
            # Beside "Security": what is longer is cut there.
            "name": "Analytics",
            "href": f"{_HERE}/",
            "icon": f"{_HERE}/static/icon.svg",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "consumer-analytics",
        }
    ]
