"""The few calls to Airflow's web server that `up` and the doctor need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from consumer_analytics.airflow.readiness import TASKS_HEALTH
from consumer_analytics.errors import UpError

_HEALTH = "/api/v2/monitor/health"
#: What that reports on.
PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")


class AirflowApi:
    """A session with Airflow's web server, as its administrator."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Describe it; nothing is sent yet."""
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._login = {"username": user, "password": password}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def require_answer(self, seconds: float) -> None:
        """Check that the web server answers.

        Args:
            seconds: how long it may take.

        Raises:
            httpx.HTTPError: it does not.
        """
        self._client.get(_HEALTH, timeout=seconds).raise_for_status()

    def unhealthy(self) -> list[str]:
        """Return the parts of Airflow that do not report themselves healthy yet."""
        try:
            # The tasks' own interface is built at its first request, for seconds, which
            # tasks would take for a failure.
            self._client.get(TASKS_HEALTH).raise_for_status()
            answer = self._client.get(_HEALTH)
            answer.raise_for_status()
            health = answer.json()
        except (httpx.HTTPError, ValueError):
            return ["api-server"]
        return [part for part in PARTS if (health.get(part) or {}).get("status") != "healthy"]

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str
    ) -> Any:
        try:
            if "Authorization" not in self._client.headers:
                answer = self._client.post("/auth/token", json=self._login)
                self._check(answer, "log in")
                token = answer.json()["access_token"]
                self._client.headers["Authorization"] = f"Bearer {token}"
            answer = self._client.request(method, f"/api/v2/{path}", json=body, params=query)
        except httpx.HTTPError as error:
            raise UpError(f"Airflow's web server does not answer: {error}") from None
        if method == "GET" and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        self._check(answer, f"{method} {path}")
        return answer.json()

    @staticmethod
    def _check(answer: httpx.Response, what: str) -> None:
        if answer.is_error:
            raise UpError(
                f"Airflow's web server refused to {what}: {answer.status_code} "
                f"{' '.join(answer.text.split())[:300]}"
            )

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether Airflow has read a DAG, so that it can be triggered.

        Raises:
            UpError: it could not read its file.
        """
        dag = self._call("GET", f"dags/{dag_id}")
        # A stale one is shown, but not found by who triggers it: one from before that is not read
        # again yet, or one that a busy machine has not read for long.
        if dag is not None and not dag["is_stale"]:
            return True
        for failed in self._call("GET", "importErrors")["import_errors"]:
            if failed["filename"].endswith(f"{dag_id}.py"):
                reason = failed["stack_trace"].strip().splitlines()[-1]
                raise UpError(f"Airflow cannot read the DAG {dag_id}: {reason}")
        return False

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self._call("PATCH", f"dags/{dag_id}", {"is_paused": False}, update_mask="is_paused")

    def trigger(self, dag_id: str) -> str:
        """Run a DAG now; return the id of its run.

        Raises:
            UpError: it cannot be run; such as one that Airflow has not read (`has_dag`).
        """
        answer = self._call(
            "POST",
            f"dags/{dag_id}/dagRuns",
            {"logical_date": None, "note": "consumer-analytics up"},
        )
        return str(answer["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> tuple[str, float | None]:
        """Return the state of a DAG run, and how many seconds it took once it ended."""
        run = self._call("GET", f"dags/{dag_id}/dagRuns/{run_id}")
        if run is None:
            raise UpError(f"the run {run_id} of {dag_id} is gone")
        began, ended = (
            dt.datetime.fromisoformat(run[name]) if run[name] else None
            for name in ("start_date", "end_date")
        )
        return str(run["state"]), (ended - began).total_seconds() if began and ended else None

    def run_ahead(self, dag_id: str) -> str | None:
        """Return the DAG run that is at work now, which others wait for."""
        answer = self._call("GET", f"dags/{dag_id}/dagRuns", state="running", limit="1")
        runs = (answer or {}).get("dag_runs", [])
        return str(runs[0]["dag_run_id"]) if runs else None

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task of a DAG run."""
        answer = self._call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {
            task["task_id"]: task["state"] or "waiting"
            for task in (answer or {}).get("task_instances", [])
        }
