"""Airflow's own login, for the dashboard in Airflow's web server.

What is mounted there has no authentication of its own. This asks as Airflow's
API does: the header's token first, else the cookie of its interface, verified by
the auth manager that is configured.
"""

from __future__ import annotations

import logging
from functools import partial

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import (
    DagAccessEntity,
    DagDetails,
)
from fastapi.concurrency import run_in_threadpool
from jwt import InvalidTokenError
from starlette.requests import HTTPConnection

from consumer_analytics.airflow import dag_ids
from consumer_analytics.web.auth import Principal, Refused

log = logging.getLogger(__name__)

#: Who may see this DAG may see what it has made.
DAG = dag_ids.ETL


class AirflowLogin:
    """Lets those in whom Airflow knows, and who may see the DAG."""

    has_login = False

    async def authenticate(self, connection: HTTPConnection) -> Principal | Refused:
        """Return Airflow's user, or why there is none."""
        token = token_of(connection)
        if not token:
            return Refused(401, "log in to Airflow first, and come back")
        manager = get_auth_manager()
        try:
            user = await manager.get_user_from_token(token)
        except InvalidTokenError:
            return Refused(401, "Airflow does not know this login, or it is over; log in again")
        allowed = await run_in_threadpool(
            manager.is_authorized_dag, method="GET", user=user, details=DagDetails(id=DAG)
        )
        if not allowed:
            return Refused(403, f"your Airflow login may not see the DAG {DAG}")
        # It may change what there is, and so it is asked for when somebody wants to.
        may_backfill = partial(
            manager.is_authorized_dag,
            method="POST",
            user=user,
            access_entity=DagAccessEntity.RUN,
            details=DagDetails(id=dag_ids.BACKFILL),
        )
        return Principal(str(user.get_name()), may_backfill=may_backfill)


def token_of(connection: HTTPConnection) -> str | None:
    """Return Airflow's token of a request: the header's, else its interface's cookie."""
    scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return presented.strip()
    return connection.cookies.get(COOKIE_NAME_JWT_TOKEN)
