"""What a run's steps share: the run as it was opened."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """An opened run.

    Attributes:
        run_id: its number in this database.
        run_key: what its steps hand each other; the same for every try.
        snapshot_source: provenance, such as `airflow_etl` or `cli_etl`.
        requested_at: the instant asked for.
        reached_at: the instant it may process up to; less than the one asked
            for where a transaction held it back.
        named: whether somebody named the instant, so that its snapshot is owed.
        held_back_by: who held it back, as `metadata_json` tells it.
    """

    run_id: int
    run_key: str
    snapshot_source: str
    requested_at: dt.datetime
    reached_at: dt.datetime
    named: bool
    held_back_by: tuple[dict[str, Any], ...]
