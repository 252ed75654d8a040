"""Airflow, as its metadata tell: whether it lives, knows our DAGs, and runs them on time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import psycopg
from psycopg import sql

from consumer_analytics.airflow import command_lines, dag_runs, pauses
from consumer_analytics.airflow import components as airflow_components
from consumer_analytics.airflow import dags as airflow_dags
from consumer_analytics.airflow.command import unpause
from consumer_analytics.airflow.dag_ids import DAGS, ETL, SCHEDULED
from consumer_analytics.airflow.dag_runs import TroubledRun
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.airflow.pauses import Pause
from consumer_analytics.airflow.processes import DAG_PROCESSOR, SCHEDULER, TRIGGERER
from consumer_analytics.db.connection import scalar
from consumer_analytics.formatting import counted, duration, moment
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Finding,
    Fix,
    UnexaminableError,
    Verdict,
    ok,
)

#: A scheduler makes a run within seconds of its time.
_GRACE = dt.timedelta(minutes=5)
#: A run takes seconds; a backfill of years takes longer, and is not looked at.
_LONG = dt.timedelta(hours=1)
_ELSEWHERE = "Airflow's tables are not in this database: not looked at"
_LISTED = 5


def metadata(context: Context) -> Finding:
    """Tell whether Airflow's metadata can be read, where this database has them."""
    tables = AirflowTables.find(context.database)
    if tables is None:
        return ok(_ELSEWHERE)
    schema = tables.schema
    if tables.readable:
        return ok(f"Airflow's tables are in schema {schema}")
    login = scalar(context.database, "select current_user")
    names = tables.to_read(context.database)
    statements = [
        sql.SQL(text)
        .format(sql.Identifier(schema), sql.Identifier(login))
        .as_string(context.database)
        for text in (
            "GRANT USAGE ON SCHEMA {} TO {};",
            f"GRANT SELECT ON {', '.join(f'{{0}}.{name}' for name in names)} TO {{1}};",
        )
    ]
    return Finding(
        Verdict.PROBLEM,
        f"login {login} may not read Airflow's metadata in schema {schema}",
        (),
        "the grants were never made, or Airflow's tables were made again; health, status and this "
        "doctor can't tell what Airflow does",
        Fix("\n".join(statements)),
    )


def _tables(context: Context) -> AirflowTables | None:
    """Return where Airflow's tables are; None where they are elsewhere.

    Raises:
        UnexaminableError: they are here, and this login may not read them.
    """
    tables = AirflowTables.find(context.database)
    if tables is not None and not tables.readable:
        raise UnexaminableError("Airflow's metadata cannot be read: see airflow-metadata")
    return tables


def components(context: Context) -> Finding:
    """Tell which of Airflow's components have not been heard of for long."""
    tables = _tables(context)
    if tables is None:
        return ok(_ELSEWHERE)
    heartbeats = airflow_components.heartbeats(context.database, tables)
    silent = [one for one in heartbeats if one.is_silent]
    if not silent:
        oldest = max(one.age for one in heartbeats if one.age is not None)
        return ok(f"scheduler, dag-processor and triggerer live: heard of {duration(oldest)} ago")
    names = [one.component for one in silent]
    without = {
        SCHEDULER: "without a scheduler no run is made and no task started",
        DAG_PROCESSOR: "without a DAG processor no change of a DAG file is seen",
        TRIGGERER: "without a triggerer no deferred task and no asynchronous alarm goes on",
    }
    return Finding(
        Verdict.WARNING if names == [TRIGGERER] else Verdict.PROBLEM,
        f"no heartbeat: {', '.join(names)}",
        tuple(
            f"{one.component} was never seen"
            if one.seen_at is None
            else f"{one.component} on {one.host} was last heard of at {moment(one.seen_at)}"
            for one in silent
        ),
        "it is not running, hangs, cannot reach its database, or waits for the web server; "
        + "; ".join(without[name] for name in names),
        Fix(
            "\n".join(f"{command_lines.start(name)}   # or restart its service" for name in names)
            if context.restart is None
            else "consumer-analytics doctor --fix",
            None if context.restart is None else _restart,
        ),
    )


def _restart(context: Context) -> str:
    tables = _tables(context)
    if context.restart is None or tables is None:
        raise UnexaminableError("the components do not run on this machine")
    heartbeats = airflow_components.heartbeats(context.database, tables)
    return context.restart([one.component for one in heartbeats if one.is_silent])


def import_errors(context: Context) -> Finding:
    """Tell whether one of our DAG files cannot be read."""
    tables = _tables(context)
    if tables is None:
        return ok(_ELSEWHERE)
    unreadable = airflow_dags.unreadable_files(context.database, tables)
    ours = [one for one in unreadable if one.is_ours]
    if not ours:
        return ok(
            "every DAG file of ours can be read"
            + (f"; {len(unreadable)} of others cannot" if unreadable else "")
        )
    return Finding(
        Verdict.PROBLEM,
        f"Airflow cannot read {counted(len(ours), 'DAG file')}",
        tuple(f"{one.file}: {one.reason}" for one in ours[:_LISTED]),
        "the file, a setting that it reads, or what it imports is broken on Airflow's machine; "
        "its DAG stays as it was last read, or is gone",
        Fix(
            f"{command_lines.LIST_IMPORT_ERRORS}   # mend the file or the setting; it is read again"
        ),
    )


def dags(context: Context) -> Finding:
    """Tell whether our DAGs are known, and were ever let run."""
    tables = _tables(context)
    if tables is None:
        return ok(_ELSEWHERE)
    registered = airflow_dags.read(context.database, tables, DAGS, grace=_GRACE)
    missing = [dag.dag_id for dag in registered if not dag.is_known]
    if missing:
        return Finding(
            Verdict.PROBLEM if ETL in missing else Verdict.WARNING,
            f"Airflow does not know {', '.join(missing)}",
            (),
            "its DAG folder does not have the files of consumer_analytics/dags, they cannot be "
            "read (see airflow-import-errors), or no DAG processor runs",
            Fix(command_lines.RESERIALIZE),
        )
    new = [pause for pause in _pauses(context) if pause.is_new]
    if new:
        return _paused(
            new,
            "never let run",
            "Airflow pauses DAGs that it sees for the first time, and nobody has let it run: "
            "nothing runs on schedule, and what is triggered waits",
            Fix(
                "\n".join(pause.command for pause in new),
                None if context.airflow is None else _unpause,
            ),
        )
    return ok(f"Airflow knows our {len(registered)} DAGs")


def paused(context: Context) -> Finding:
    """Tell which of our DAGs somebody has paused; that is theirs to take back."""
    if _tables(context) is None:
        return ok(_ELSEWHERE)
    decided = [pause for pause in _pauses(context) if not pause.is_new]
    if not decided:
        return ok("nobody has paused a DAG of ours")
    return _paused(
        decided,
        "paused",
        "somebody stopped it, and it has not been let run since: nothing runs on schedule, and "
        "what is triggered waits",
        Fix("\n".join(f"{pause.command}   # once whoever paused it agrees" for pause in decided)),
    )


def _paused(those: Sequence[Pause], what: str, cause: str, fix: Fix) -> Finding:
    names = [pause.dag_id for pause in those]
    return Finding(
        Verdict.PROBLEM if ETL in names else Verdict.WARNING,
        f"{what}: {', '.join(names)}",
        tuple(f"{pause.dag_id}: paused {pause.describe()}" for pause in those),
        cause,
        fix,
    )


def _pauses(context: Context) -> list[Pause]:
    """Return those of our DAGs that are paused.

    Raises:
        UnexaminableError: this login may not read who paused them.
    """
    tables = _tables(context)
    if tables is None:
        return []
    try:
        return pauses.read(context.database, tables, DAGS)
    except psycopg.errors.InsufficientPrivilege as error:
        raise UnexaminableError(
            f"{error.diag.message_primary}: grant SELECT on all tables in schema {tables.schema}"
        ) from None


def _unpause(context: Context) -> str:
    if context.airflow is None:
        raise UnexaminableError("Airflow's command is not on this machine")
    new = [pause.dag_id for pause in _pauses(context) if pause.is_new]
    for dag in new:
        unpause(context.airflow, dag)
    return f"unpaused {', '.join(new)}"


def schedule(context: Context) -> Finding:
    """Tell whether runs are made on time, end, and end well."""
    tables = _tables(context)
    if tables is None:
        return ok(_ELSEWHERE)
    registered = airflow_dags.read(context.database, tables, SCHEDULED, grace=_GRACE)
    late = [dag for dag in registered if dag.is_late and not dag.is_paused]
    troubled = dag_runs.troubled(context.database, tables, SCHEDULED, long=_LONG)
    stuck = [run for run in troubled if not run.has_failed]
    failed = [run for run in troubled if run.has_failed]
    if late or stuck:
        names = sorted({*(dag.dag_id for dag in late), *_names(stuck)})
        return Finding(
            Verdict.PROBLEM,
            f"not on schedule: {', '.join(names)}",
            (
                *(
                    f"{dag.dag_id}: the run of {dag.next_run_at:%Y-%m-%d %H:%M} UTC "
                    "has not been made"
                    for dag in late
                ),
                *(
                    f"{run.dag_id}: run {run.run_id} has been {run.state} since "
                    f"{run.at:%Y-%m-%d %H:%M} UTC"
                    for run in stuck
                ),
            ),
            "the scheduler is not running or busy (see airflow-components), or an earlier run is "
            "still at work: a DAG of ours runs once at a time",
            Fix(command_lines.list_runs(late[0].dag_id if late else stuck[0].dag_id)),
        )
    if failed:
        return Finding(
            Verdict.PROBLEM if ETL in _names(failed) else Verdict.WARNING,
            f"the last run failed: {', '.join(_names(failed))}",
            tuple(
                f"{run.dag_id}: run {run.run_id} at {moment(run.at)}, "
                f"task {run.failed_tasks or '-'}"
                for run in failed
            ),
            "the task's log says why, in a line that begins with its name; see watermark for the "
            "ETL's own error",
            Fix(f"{command_lines.clear_failed(failed[0].dag_id)}   # once it is mended"),
        )
    return ok("runs are made on time, and the last ones ended well")


def _names(runs: Iterable[TroubledRun]) -> list[str]:
    return sorted({run.dag_id for run in runs})


CHECKS = (
    Check("airflow-metadata", "can Airflow's metadata be read?", metadata),
    Check("airflow-components", "do Airflow's components live?", components),
    Check("airflow-import-errors", "can Airflow read our DAG files?", import_errors),
    Check("airflow-dags", "does Airflow know our DAGs, and were they ever let run?", dags),
    Check("airflow-paused", "has somebody paused a DAG of ours?", paused),
    Check("airflow-schedule", "do our DAGs run on schedule?", schedule),
)
