"""Airflow, as its metadata tell: whether it lives, knows our DAGs, and runs them on time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import psycopg
from psycopg import sql

from consumer_analytics.airflow import pauses
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.airflow.pauses import Pause
from consumer_analytics.db.connection import scalar
from consumer_analytics.formatting import duration, moment
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Finding,
    Fix,
    UnexaminableError,
    Verdict,
    ok,
)
from consumer_analytics.sql import query

ETL = "consumer_analytics_etl"
DAGS = (
    ETL,
    "consumer_analytics_sweep",
    "consumer_analytics_maintenance",
    "consumer_analytics_backfill",
    "consumer_analytics_monitor",
)
#: Airflow itself calls a component unhealthy after 30 s, the DAG processor after 60.
_SILENT_SECONDS = 60
_COMPONENTS = {
    "SchedulerJob": "scheduler",
    "DagProcessorJob": "dag-processor",
    "TriggererJob": "triggerer",
}
#: A scheduler makes a run within seconds of its time.
_GRACE = dt.timedelta(minutes=5)
#: A run takes seconds; a backfill of years takes longer, and is not looked at.
_LONG = dt.timedelta(hours=1)
_ELSEWHERE = "Airflow's tables are not in this database: not looked at"
_LISTED = 5


def metadata(context: Context) -> Finding:
    """Tell whether Airflow's metadata can be read, where this database has them."""
    found = AirflowTables.find(context.database)
    if found is None:
        return ok(_ELSEWHERE)
    schema = found.schema
    if found.readable:
        return ok(f"Airflow's tables are in schema {schema}")
    login = scalar(context.database, "select current_user")
    statements = [
        sql.SQL(text)
        .format(sql.Identifier(schema), sql.Identifier(login))
        .as_string(context.database)
        for text in (
            "GRANT USAGE ON SCHEMA {} TO {};",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {};",
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


def _tables(context: Context, *names: str) -> dict[str, sql.Composable] | None:
    """Return Airflow's tables by name; None where they are elsewhere.

    Raises:
        UnexaminableError: they are here, and this login may not read them.
    """
    found = _airflow(context)
    return None if found is None else found.named(*names)


def _airflow(context: Context) -> AirflowTables | None:
    """Return where Airflow's tables are; None where they are elsewhere.

    Raises:
        UnexaminableError: they are here, and this login may not read them.
    """
    found = AirflowTables.find(context.database)
    if found is not None and not found.readable:
        raise UnexaminableError("Airflow's metadata cannot be read: see airflow-metadata")
    return found


def components(context: Context) -> Finding:
    """Tell which of Airflow's components have not been heard of for long."""
    if _airflow(context) is None:
        return ok(_ELSEWHERE)
    heard_of = _heard_of(context)
    silent = [one for one in heard_of if _is_silent(one[-1])]
    if not silent:
        oldest = max(age for *_, age in heard_of if age is not None)
        return ok(f"scheduler, dag-processor and triggerer live: heard of {duration(oldest)} ago")
    names = [name for name, *_ in silent]
    without = {
        "scheduler": "without a scheduler no run is made and no task started",
        "dag-processor": "without a DAG processor no change of a DAG file is seen",
        "triggerer": "without a triggerer no deferred task and no asynchronous alarm goes on",
    }
    return Finding(
        Verdict.WARNING if names == ["triggerer"] else Verdict.PROBLEM,
        f"no heartbeat: {', '.join(names)}",
        tuple(
            f"{name} was never seen"
            if seen is None
            else f"{name} on {host} was last heard of at {moment(seen)}"
            for name, host, seen, _ in silent
        ),
        "it is not running, hangs, cannot reach its database, or waits for the web server; "
        + "; ".join(without[name] for name in names),
        Fix(
            "\n".join(f"airflow {name}   # or restart its service" for name in names)
            if context.restart is None
            else "consumer-analytics doctor --fix",
            None if context.restart is None else _restart,
        ),
    )


def _heard_of(context: Context) -> list[tuple[str, str | None, dt.datetime | None, float | None]]:
    """Return the components: name, host, when and how many seconds ago they were heard of."""
    tables = _tables(context, "job") or {}
    rows = context.database.execute(
        query("operations/doctor/airflow-components", "public", **tables)
    ).fetchall()
    return [(_COMPONENTS[kind], host, seen, age) for kind, host, seen, age in rows]


def _is_silent(age: float | None) -> bool:
    return age is None or age > _SILENT_SECONDS


def _restart(context: Context) -> str:
    if context.restart is None:
        raise UnexaminableError("the components do not run on this machine")
    return context.restart([name for name, *_, age in _heard_of(context) if _is_silent(age)])


def import_errors(context: Context) -> Finding:
    """Tell whether one of our DAG files cannot be read."""
    tables = _tables(context, "import_error")
    if tables is None:
        return ok(_ELSEWHERE)
    rows = context.database.execute(
        query("operations/doctor/airflow-errors", "public", **tables)
    ).fetchall()
    ours = [(file, error) for file, error, is_ours in rows if is_ours]
    if not ours:
        return ok(
            "every DAG file of ours can be read"
            + (f"; {len(rows)} of others cannot" if rows else "")
        )
    return Finding(
        Verdict.PROBLEM,
        f"Airflow cannot read {len(ours)} DAG file(s)",
        tuple(f"{file}: {error}" for file, error in ours[:_LISTED]),
        "the file, a setting that it reads, or what it imports is broken on Airflow's machine; "
        "its DAG stays as it was last read, or is gone",
        Fix("airflow dags list-import-errors   # mend the file or the setting; it is read again"),
    )


def dags(context: Context) -> Finding:
    """Tell whether our DAGs are known, and were ever let run."""
    tables = _tables(context, "dag")
    if tables is None:
        return ok(_ELSEWHERE)
    rows = context.database.execute(
        query("operations/doctor/airflow-dags", "public", **tables),
        {"dags": list(DAGS), "grace": _GRACE},
    ).fetchall()
    missing = [dag for dag, known, *_ in rows if not known]
    if missing:
        return Finding(
            Verdict.PROBLEM if ETL in missing else Verdict.WARNING,
            f"Airflow does not know {', '.join(missing)}",
            (),
            "its DAG folder does not have the files of consumer_analytics/dags, they cannot be "
            "read (see airflow-import-errors), or no DAG processor runs",
            Fix("airflow dags reserialize && airflow dags list"),
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
    return ok(f"Airflow knows our {len(rows)} DAGs")


def paused(context: Context) -> Finding:
    """Tell which of our DAGs somebody has paused; that is theirs to take back."""
    if _airflow(context) is None:
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
    tables = _airflow(context)
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
        context.airflow("dags", "unpause", dag)
    return f"unpaused {', '.join(new)}"


def schedule(context: Context) -> Finding:
    """Tell whether runs are made on time, end, and end well."""
    tables = _tables(context, "dag", "dag_run", "task_instance")
    if tables is None:
        return ok(_ELSEWHERE)
    ours = [dag for dag in DAGS if dag != "consumer_analytics_backfill"]
    known = context.database.execute(
        query("operations/doctor/airflow-dags", dag=tables["dag"]), {"dags": ours, "grace": _GRACE}
    ).fetchall()
    late = [(dag, at) for dag, _, paused, at, is_late in known if is_late and not paused]
    rows = context.database.execute(
        query("operations/doctor/airflow-runs", "public", **tables), {"dags": ours, "long": _LONG}
    ).fetchall()
    stuck = [row for row in rows if row[0] != "failed"]
    failed = [row for row in rows if row[0] == "failed"]
    if late or stuck:
        return Finding(
            Verdict.PROBLEM,
            f"not on schedule: {', '.join(sorted({*(dag for dag, _ in late), *_names(stuck)}))}",
            (
                *(
                    f"{dag}: the run of {at:%Y-%m-%d %H:%M} UTC has not been made"
                    for dag, at in late
                ),
                *(
                    f"{dag}: run {run} has been {state} since {at:%Y-%m-%d %H:%M} UTC"
                    for state, dag, run, at, _ in stuck
                ),
            ),
            "the scheduler is not running or busy (see airflow-components), or an earlier run is "
            "still at work: a DAG of ours runs once at a time",
            Fix("airflow dags list-runs " + (late[0][0] if late else stuck[0][1])),
        )
    if failed:
        return Finding(
            Verdict.PROBLEM if ETL in _names(failed) else Verdict.WARNING,
            f"the last run failed: {', '.join(_names(failed))}",
            tuple(
                f"{dag}: run {run} at {moment(at)}, task {tasks or '-'}"
                for _, dag, run, at, tasks in failed
            ),
            "the task's log says why, in a line that begins with its name; see watermark for the "
            "ETL's own error",
            Fix(f"airflow tasks clear --only-failed --yes {failed[0][1]}   # once it is mended"),
        )
    return ok("runs are made on time, and the last ones ended well")


def _names(rows: Iterable[tuple[object, ...]]) -> list[str]:
    return sorted({str(row[1]) for row in rows})


CHECKS = (
    Check("airflow-metadata", "can Airflow's metadata be read?", metadata),
    Check("airflow-components", "do Airflow's components live?", components),
    Check("airflow-import-errors", "can Airflow read our DAG files?", import_errors),
    Check("airflow-dags", "does Airflow know our DAGs, and were they ever let run?", dags),
    Check("airflow-paused", "has somebody paused a DAG of ours?", paused),
    Check("airflow-schedule", "do our DAGs run on schedule?", schedule),
)
