"""Exact customer and event snapshots per consumer, on PostgreSQL and Airflow."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    # To read it takes as long as a command's help in all, and few ask.
    if name == "__version__":
        from importlib.metadata import version

        return version("consumer-analytics")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
