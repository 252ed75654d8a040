"""What the engine's own record says of runs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from consumer_analytics.db.connection import Connection, named_row
from consumer_analytics.etl.watermark import Watermark
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: The scheduler, and the next try, come a little later than they might.
_SCHEDULERS_DELAY = 60.0


@dataclass(frozen=True)
class LatestRun:
    """The last run for an instant that the watermark has not reached.

    Attributes:
        run_key: its key.
        state: `open`, `success`, `failed` or `interrupted`.
        requested_at: the instant that it was for.
        reached_at: how far it came; None while it is open.
        held_back_by: the transactions that held it back, as `metadata_json` has them.
        opened_at: when it began.
        finished_at: when it ended; None while it is open.
    """

    run_key: str
    state: str
    requested_at: dt.datetime
    reached_at: dt.datetime | None
    held_back_by: tuple[dict[str, Any], ...]
    opened_at: dt.datetime
    finished_at: dt.datetime | None


@dataclass(frozen=True)
class FinishedRun:
    """The run that ended last.

    Attributes:
        run_key: its key.
        state: `success` or `failed`.
        opened_at: when it began.
        finished_at: when it ended.
        step_seconds: how long each of its steps took; empty where it failed.
    """

    run_key: str
    state: str
    opened_at: dt.datetime
    finished_at: dt.datetime
    step_seconds: dict[str, float]


@dataclass(frozen=True)
class EngineRuns:
    """What the engine knows of its own runs.

    Attributes:
        latest: the last run for an instant that the watermark has not reached, if there is one.
        finished: the run that ended last; None before the first.
        failed: how many runs failed within 24 hours.
        failed_outside_airflow: how many of them no DAG run stands for.
        last_error: of the last of them, `error_type` and `error`; None where none failed.
        installed_at: when the schema was made; None where that is not known.
    """

    latest: LatestRun | None
    finished: FinishedRun | None
    failed: int
    failed_outside_airflow: int
    last_error: dict[str, Any] | None
    installed_at: dt.datetime | None

    @classmethod
    def read(
        cls, connection: Connection, settings: Settings, mark: Watermark, at: dt.datetime
    ) -> EngineRuns:
        """Read what is known at an instant."""
        row = named_row(
            connection,
            query("monitoring/observation/runs"),
            now=at,
            watermark=mark.reach,
            until_tried_again=settings.retry_delay + _SCHEDULERS_DELAY,
        )
        return cls(
            latest=None
            if row["run_key"] is None
            else LatestRun(
                run_key=row["run_key"],
                state=row["state_now"],
                requested_at=row["requested_at"],
                reached_at=row["reached_at"],
                held_back_by=tuple(row["held_back_by"] or ()),
                opened_at=row["opened_at"],
                finished_at=row["finished_at"],
            ),
            finished=None
            if row["finished_run_key"] is None
            else FinishedRun(
                run_key=row["finished_run_key"],
                state=row["finished_state"],
                opened_at=row["finished_opened_at"],
                finished_at=row["finished_finished_at"],
                step_seconds=(row["finished_summary"] or {}).get("seconds", {}),
            ),
            failed=row["failed"],
            failed_outside_airflow=row["failed_outside_airflow"],
            last_error=row["last_error"],
            installed_at=row["installed_at"],
        )
