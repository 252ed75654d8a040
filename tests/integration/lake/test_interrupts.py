"""Ctrl-C while DuckDB works: a stop, as anywhere else."""

from __future__ import annotations

import duckdb
import pyarrow as arrow  # noqa: ICN001
import pytest

from consumer_analytics.lake.engine import duck

#: What DuckDB 1.x raises by SIGINT while it executes, and what both have classes for.
HEARD = [
    RuntimeError("Query interrupted"),
    duckdb.InterruptException("INTERRUPT Error: Interrupted!"),
    arrow.ArrowCancelled("Operation cancelled"),
]


@pytest.mark.parametrize("error", HEARD, ids=lambda error: type(error).__name__)
def test_what_an_interrupt_raises_is_a_stop(error: Exception) -> None:
    with pytest.raises(KeyboardInterrupt), duck.started():
        raise error


def test_what_else_fails_at_run_time_is_no_stop() -> None:
    with pytest.raises(RuntimeError, match="something else"), duck.started():
        raise RuntimeError("something else")
