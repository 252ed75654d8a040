#!/opt/consumer-analytics/bin/python
"""Tell by the exit code whether the component of Airflow that runs in this container is well.

    health                 # whichever runs here
    health scheduler       # that one
    health metrics         # `consumer-analytics metrics --serve`

The web server is asked by HTTP. Of the others the heartbeat counts that they write to Airflow's
metadata, for this host: `airflow jobs check` says the same, and takes seconds of a processor's time
to start, every half minute, in each container. A worker of Celery's answers a ping.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from socket import gethostname

import psycopg

#: Airflow itself takes a component for dead after 30 s, the DAG processor after 60.
SILENT_SECONDS = 60
JOBS = {
    "scheduler": "SchedulerJob",
    "dag-processor": "DagProcessorJob",
    "triggerer": "TriggererJob",
}
HEARTBEAT = """
select extract(epoch from now() - max(latest_heartbeat))
from job
where job_type = %s and hostname = %s and state = 'running'
"""


def main() -> str | None:
    """Return what is wrong; None for nothing."""
    component = sys.argv[1] if len(sys.argv) > 1 else next(running(), None)
    if component is None:
        return "no component of Airflow runs here"
    if component == "api-server":
        web_server()
        return None
    if component == "metrics":
        metrics()
        return None
    if component == "celery":
        return worker()
    if component in JOBS:
        return heartbeat(component)
    return f"{component!r} is none of api-server, celery, metrics, {', '.join(JOBS)}"


def running() -> Iterator[str]:
    """Yield the components whose processes are in this container."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
        except OSError:
            continue
        # Airflow renames some of its processes: `airflow scheduler -- …`.
        for before, word in pairwise(words):
            name = word.replace("_", "-")
            if Path(before).name == "airflow" and name in {"api-server", "celery", *JOBS}:
                yield name


def web_server() -> None:
    """Ask the web server for its version: a request that touches nothing else."""
    port = os.environ.get("AIRFLOW__API__PORT", "8080")
    # What is no success raises.
    urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/version", timeout=15).close()


def metrics() -> None:
    """Ask for what is not there: the answer shows that it works, and no figure is read for it."""
    port = os.environ.get("CONSUMER_ANALYTICS_METRICS_PORT", "8083")
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=15).close()
    except urllib.error.HTTPError as error:
        error.close()


def heartbeat(component: str) -> str | None:
    """Ask Airflow's metadata when this host's was last heard of."""
    url = (
        given("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
        .replace("+psycopg://", "://", 1)
        .replace("+psycopg2://", "://", 1)
    )
    with psycopg.connect(url, connect_timeout=10) as connection:
        row = connection.execute(HEARTBEAT, [JOBS[component], gethostname()]).fetchone()
    age = row[0] if row else None
    if age is None:
        return f"{component} has not been heard of here"
    return f"silent for {age:.0f} s" if age > SILENT_SECONDS else None


def given(name: str) -> str:
    """Return a setting of Airflow's: its variable, or what the variable's command prints."""
    if command := os.environ.get(f"{name}_CMD"):
        return subprocess.check_output(shlex.split(command), text=True).strip()
    return os.environ[name]


def worker() -> str | None:
    """Have this host's worker of Celery's answer.

    By an application that knows the broker alone: Airflow's own takes seconds to import.
    """
    from celery import Celery

    name = f"celery@{gethostname()}"
    app = Celery(broker=given("AIRFLOW__CELERY__BROKER_URL"), set_as_current=False)
    # Without the limit it waits for further answers until the time is over.
    answers = app.control.ping(destination=[name], timeout=10, limit=1)
    return None if answers else f"{name} does not answer"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, psycopg.Error, KeyError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
