"""### The snapshots of a past range, equal to those that live runs would have written.

Trigger it with the form, or on the command line:

`airflow dags trigger consumer_analytics_backfill --conf '{"start_date": "2025-10-01", "end_date": "2025-11-01", "interval": "daily"}'`

* **`start_date`** is the first day, **`end_date`** the first day that is left out. Each period
  between them gets the snapshot at its end: October 2025, daily, is stamped 2025-10-02 to
  2025-11-01. The last period is clipped at `end_date`.
* **Bad parameters fail the first task**, with one sentence in its log, before anything is written.
* **Running it again changes nothing.** Snapshots that are there and right are not touched; those
  that live runs wrote keep their provenance. A run that was stopped goes on where it was.
* **It runs beside `consumer_analytics_etl`** and never moves the watermark.

What was backfilled is listed by `consumer-analytics backfill list`.
"""  # noqa: E501  # Airflow shows no line break within a command

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from consumer_analytics.airflow import dag_ids
from consumer_analytics.calendar import intervals
from consumer_analytics.errors import UsageError
from consumer_analytics.orchestration import assets, backfill, dag_arguments

with DAG(
    dag_id=dag_ids.BACKFILL,
    description=f"Snapshots of a past range, by {intervals.choices()}",
    schedule=None,
    # It runs when it is asked to, and never by itself.
    is_paused_upon_creation=False,
    params={
        "start_date": Param(
            type="string",
            format="date",
            title="Start date",
            description="First day of the range.",
        ),
        "end_date": Param(
            type="string",
            format="date",
            title="End date",
            description="First day that is left out; today at the latest.",
        ),
        "interval": Param(
            intervals.default(),
            type="string",
            enum=list(intervals.INTERVALS),
            title="Interval",
            description=f"A snapshot at the end of every {intervals.choices()}.",
        ),
    },
    doc_md=__doc__,
    **dag_arguments.shared(takes_long=True),
) as dag:

    @task(retries=0)
    def check_parameters() -> dict[str, Any]:
        """Refuse what cannot be done, before anything is written; say what will be done.

        Returns:
            How many periods and snapshots there will be, and how much is read.
        """
        context = get_current_context()
        try:
            return backfill.check(context["params"], context["dag_run"])
        except UsageError as error:
            # Trying again would not help.
            raise AirflowFailException(str(error)) from None

    @task(outlets=[assets.consumer_analytics()])
    def write_snapshots() -> dict[str, int]:
        """Write the snapshots, a chunk of periods at a time.

        Each chunk is one transaction with whole snapshots. A try after one that was stopped
        writes what is missing and leaves the rest alone.

        Returns:
            Periods, and snapshots written, untouched and restated.
        """
        context = get_current_context()
        return backfill.write(context["params"], context["dag_run"])

    check_parameters() >> write_snapshots()
