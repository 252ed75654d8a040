"""Holds the scheduler back until tasks can report to the web server.

Airflow's scheduler starts tasks as soon as it is up itself. A task asks the web
server first whether it may run; where that is still starting, for a minute on a
busy machine, the task has failed after seconds, and so has each further try: an
alarm about a system in which nothing is wrong.
"""

from __future__ import annotations

import logging
import time

from consumer_analytics.airflow.processes import is_scheduler

log = logging.getLogger(__name__)

#: Where the tasks' own interface says whether it is there.
TASKS_HEALTH = "/execution/health"
#: The tasks' interface is built at its first request, which may take as long.
_ANSWER_SECONDS = 60
_POLL_SECONDS = 0.5


def await_web_server(url: str) -> None:
    """Wait until the tasks' interface answers, where this process is the scheduler.

    It waits for as long as it takes: without the web server there is nothing to schedule,
    and the scheduler's heartbeat, which does not begin before, tells that it does not work.

    Args:
        url: the address of Airflow's web server.
    """
    if not is_scheduler():
        return
    # Every command of Airflow's imports this module.
    import httpx

    warned = False
    with httpx.Client(base_url=url, timeout=_ANSWER_SECONDS, trust_env=False) as client:
        while True:
            try:
                client.get(TASKS_HEALTH).raise_for_status()
            except httpx.HTTPError as error:
                if not warned:
                    log.warning("waiting for the web server, to which tasks report: %s", error)
                    warned = True
                time.sleep(_POLL_SECONDS)
            else:
                return
