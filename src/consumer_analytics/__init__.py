"""Exact customer and event snapshots per consumer, on PostgreSQL and Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consumer_analytics.notebooks import Analytics

__all__ = ["Analytics"]


def __getattr__(name: str) -> Any:
    # To read either takes as long as a command's help in all, and few ask.
    if name == "__version__":
        from importlib.metadata import version

        return version("consumer-analytics")
    if name == "Analytics":
        from consumer_analytics.notebooks import Analytics

        return Analytics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
