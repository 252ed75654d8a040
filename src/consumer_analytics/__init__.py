"""Exact customer and event snapshots per consumer, on PostgreSQL and Airflow."""

from importlib.metadata import version

__version__ = version("consumer-analytics")
