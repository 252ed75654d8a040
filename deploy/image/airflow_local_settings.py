"""Read by every command of Airflow's in the image: what the scheduler does before it begins."""

import os

from consumer_analytics.airflow.preload import preload
from consumer_analytics.airflow.readiness import await_web_server

#: Where tasks report to, below the web server's own address.
_TASKS = "/execution/"

preload()
if url := os.environ.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL"):
    await_web_server(url.removesuffix(_TASKS))
