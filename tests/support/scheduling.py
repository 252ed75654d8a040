"""Which tests run on one worker: those that share something dear to make.

pytest-xdist's own groups (`--dist=loadgroup`, the marker `xdist_group`) do not work with
pytest 9.2: a test's id no longer takes the group's name, and its tests are spread over all
workers. So the ids alone decide here.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

#: Folders whose tests share something: Airflow's imports and its metadata.
FOLDERS = ("tests/dags/",)
#: Folders, and files elsewhere, in which each file's tests share something: a running Airflow, a
#: year of operation, a browser, a database, a process that has read packages, the graph of
#: imports, the sources.
FILES = (
    "tests/e2e/",
    "tests/web/",
    "tests/integration/cli/test_warm_command.py",
    "tests/integration/db/test_credentials.py",
    "tests/integration/etl/test_writing.py",
    "tests/integration/monitoring/test_incident_statements.py",
    "tests/integration/reconcile/test_comparisons.py",
    "tests/integration/reconcile/test_lives.py",
    "tests/unit/test_contracts.py",
    "tests/unit/test_house.py",
)

#: Files that stay together for each change alone: the long lane has so much of theirs that one
#: worker would be left with it. Each tuple shares something: Airflow's tables, a world of settings.
FOR_EACH_CHANGE: tuple[tuple[str, ...], ...] = (
    (
        "tests/integration/monitoring/test_health.py",
        "tests/integration/monitoring/test_incidents.py",
        "tests/integration/operations/test_doctor.py",
    ),
    ("tests/integration/db/test_session.py",),
    ("tests/integration/reporting/test_dashboard_plans.py",),
)

#: Files that start an Airflow each: as many at once as there are tuples, or two cores have no
#: time for any of them.
AIRFLOWS: tuple[tuple[str, ...], ...] = (
    (
        "tests/e2e/test_alerts_airflow.py",
        "tests/e2e/test_backfill_airflow.py",
        "tests/e2e/test_celery_airflow.py",
        "tests/e2e/test_up_airflow.py",
    ),
    (
        "tests/e2e/test_operation.py",
        "tests/e2e/test_up_again_airflow.py",
        "tests/e2e/test_tutorial.py",
    ),
)


def group_of(nodeid: str, *, is_long: bool = False) -> str:
    """Return the name of those that a test runs together with, on one worker; else its own id.

    Args:
        nodeid: of the test.
        is_long: whether there is enough to do for the second server, and what some files share,
            to be worth making on each worker, as in the long lane.
    """
    for folder in FOLDERS:
        if nodeid.startswith(folder):
            return folder
    file = nodeid.partition("::")[0]
    for files in AIRFLOWS if is_long else AIRFLOWS + FOR_EACH_CHANGE:
        if file in files:
            return files[0]
    if nodeid.startswith(FILES):
        return file
    if "[other" in nodeid and not is_long:
        return "the other server"
    return nodeid


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it is untyped
    """Hands whole groups to workers, in the order in which they stand."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test."""
        chosen = self.config.getoption("markexpr")
        return group_of(nodeid, is_long=chosen.startswith(("long", "hours")))
