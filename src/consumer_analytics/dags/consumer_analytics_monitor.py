r"""### Whether all is well, looked at every five minutes.

Judges the four measures (DAG runtime, failed runs, watermark lag, pending events), opens and closes
incidents, and sends the mails that tell of them.

* **One mail when an incident opens or gets worse, one when it is over**, and reminders while it
  lasts (`CONSUMER_ANALYTICS_ALERT_REMINDER`). What fails together is in one mail.
* **Where asked for**, consumers are judged at each new snapshot, and a digest of the week is
  written on Mondays (`CONSUMER_ANALYTICS_ANOMALIES`, `CONSUMER_ANALYTICS_DIGEST_RECIPIENTS`).
* **A mail server that is down** gets them when it is back, once.
* After each good pass it calls `CONSUMER_ANALYTICS_HEARTBEAT_URL` or touches
  `CONSUMER_ANALYTICS_HEARTBEAT_FILE`, for an outside watcher: what keeps this DAG itself from
  running can send no mail.
* It never waits: what it could not do, the next pass does.

`consumer-analytics health` and `consumer-analytics incidents` tell the same at any time.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, task

from consumer_analytics.airflow import dag_ids
from consumer_analytics.orchestration import alerts, dag_arguments
from consumer_analytics.settings import settings

with DAG(
    dag_id=dag_ids.MONITOR,
    description="Judge health, note incidents, send mails, give the sign of life",
    schedule=dag_arguments.timetable(settings().monitor_schedule),
    start_date=dag_arguments.start_date(),
    # One that nobody has started would be missed only when it is needed.
    is_paused_upon_creation=False,
    doc_md=__doc__,
    **dag_arguments.shared(
        # What of Airflow is being restarted is back within a minute.
        retries=2,
        retry_delay=dt.timedelta(seconds=30),
    ),
) as dag:

    @task
    def watch() -> str:
        """Do one pass: judge, note incidents, send what waits, give the sign of life.

        Returns:
            The state of health.
        """
        return alerts.watch()

    watch()
