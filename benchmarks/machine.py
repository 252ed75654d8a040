"""What was measured on what: machine, versions, settings."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import psutil

from benchmarks.server import Server

HERE = Path(__file__).parent


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _pinned(peer: str, *packages: str) -> dict[str, str]:
    text = (HERE / "peers" / peer / "requirements.txt").read_text()
    found = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE))
    return {package: found[package] for package in packages}


def describe(server: Server) -> dict[str, Any]:
    """Describe what everything runs on and with."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "postgresql": server.version(),
        "postgresql_settings": server.options,
        "versions": {
            **{
                package: importlib.metadata.version(package)
                for package in ("consumer-analytics", "psycopg", "apache-airflow")
            },
            **_pinned("dbt", "dbt-core", "dbt-postgres"),
            **_pinned("sqlmesh", "sqlmesh"),
        },
    }
