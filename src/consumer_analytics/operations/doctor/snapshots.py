"""The snapshots: one row per consumer and instant, and a constraint that says so."""

from __future__ import annotations

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl.federation import SHARD
from consumer_analytics.formatting import counted, moment
from consumer_analytics.operations.doctor.findings import Check, Context, Finding, Fix, Verdict, ok
from consumer_analytics.sql import query

_LISTED = 5


def once(context: Context) -> Finding:
    """Tell whether each snapshot is there once, and whether that is enforced."""
    connection = context.database
    constraint, owned, rows = connection.execute(
        query("operations/doctor/snapshots-unique")
    ).fetchone() or (
        None,
        False,
        0,
    )
    if constraint is not None:
        # What the server enforces need not be counted.
        about = "" if rows is None else f" (about {counted(rows, 'row')})"
        return ok(f"{constraint} lets each consumer and instant in once{about}")
    doubled, surplus = connection.execute(query("operations/doctor/doubled-sum")).fetchone() or (
        0,
        0,
    )
    if not doubled:
        return Finding(
            Verdict.WARNING,
            "nothing keeps a snapshot from being there twice",
            ("constraint consumer_analytics_once is missing; no row is doubled yet",),
            "somebody dropped it",
            Fix("consumer-analytics doctor --fix", _restore if owned else None),
        )
    listed = connection.execute(query("operations/doctor/doubled"), {"limit": _LISTED}).fetchall()
    return Finding(
        Verdict.PROBLEM,
        f"{counted(doubled, 'snapshot is', 'snapshots are')} there more than once, "
        f"{counted(surplus, 'row')} too many",
        (
            *(
                f"{consumer or '(the whole system)'} at {moment(at)}: rows "
                f"{', '.join(map(str, ids))}; {ids[0]} stays"
                for consumer, at, ids in listed
            ),
            *([f"… and {doubled - len(listed):,} more"] if doubled > len(listed) else []),
            "constraint consumer_analytics_once is missing",
        ),
        "somebody dropped the constraint, and rows were doubled by hand: with the constraint in "
        "place no run can write a row twice, however often it is repeated",
        Fix(
            "consumer-analytics doctor --fix   # as the tables' owner", _restore if owned else None
        ),
    )


def _restore(context: Context) -> str:
    """Keep the earliest of doubled rows and restore the constraint, both or neither.

    The others go among the revisions. Nobody writes meanwhile: runs wait for the
    job's lock, people for the table's.
    """
    connection = context.database
    with job_lock(connection, context.settings, sees_commits=True):
        connection.execute("lock table public.consumer_analytics in access exclusive mode")
        reason = f"doctor at {instants.now(connection).isoformat(timespec='seconds')}"
        removed = scalar_of(connection, "shared/snapshots-undouble", {"reason": reason})
        connection.execute(query("operations/doctor/snapshots-enforce-once"))
    kept = ", kept among the revisions," if removed else ""
    return f"removed {counted(removed, 'doubled row')}{kept} and restored the constraint"


def published(context: Context) -> Finding:
    """Tell whether what shards have is published, where figures are put together from several."""
    role, name, run_key, opened_at, awaited, first = (
        context.database.execute(query("operations/doctor/shards-unpublished")).fetchone()
        or (None,) * 6
    )
    if role is None:
        return ok("the database stands for itself")
    if role == SHARD:
        return ok(f"the database is the shard {name} of another one's figures")
    if run_key is not None:
        return Finding(
            Verdict.PROBLEM,
            f"run {run_key} has loaded in some shards, and nothing of it is published",
            (f"it was settled at {moment(opened_at)}",),
            "a shard was down, or the run was killed, after the first had begun to load",
            Fix("consumer-analytics run   # finishes it first"),
        )
    if awaited:
        return Finding(
            Verdict.WARNING,
            f"{counted(awaited, 'snapshot')} that some shards have are not published, from "
            f"{moment(first)} on",
            (),
            "not every shard has a snapshot of then: events have vanished there, it was held back "
            "from the period, or a backfill or a removal did not come to its end there",
            Fix("consumer-analytics backfill --start-date DATE --end-date DATE   # of these days"),
        )
    return ok("all that the shards have is published")


CHECKS = (
    Check("snapshots-once", "is each snapshot there once?", once),
    Check("snapshots-published", "is everything published that the shards have?", published),
)
