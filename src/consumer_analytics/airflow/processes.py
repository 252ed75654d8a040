"""Airflow's processes, by the names of the commands that start them.

It imports nothing: every command of Airflow's reads it before anything else.
"""

from __future__ import annotations

import sys

API_SERVER = "api-server"
SCHEDULER = "scheduler"
DAG_PROCESSOR = "dag-processor"
TRIGGERER = "triggerer"

#: What starts each. Logs are on the machine's disk, where the web server reads them: no
#: servers for them, no ports.
COMMANDS = {
    API_SERVER: "airflow api-server",
    SCHEDULER: "airflow scheduler --skip-serve-logs",
    DAG_PROCESSOR: "airflow dag-processor",
    TRIGGERER: "airflow triggerer --skip-serve-logs",
}


def is_scheduler() -> bool:
    """Tell whether this process is the scheduler."""
    return sys.argv[1:2] == [SCHEDULER]


def is_dag_test() -> bool:
    """Tell whether this process is `airflow dags test`."""
    return sys.argv[1:3] == ["dags", "test"]
