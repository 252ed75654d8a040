"""The watermark: whether it advances, and what keeps it from that."""

from __future__ import annotations

import datetime as dt
from typing import Any

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import MINUS_INFINITY, scalar
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import HoldbackBlindError, SchemaError
from consumer_analytics.etl import extract, holdback, watermark
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
from consumer_analytics.sql import INTERNAL, query

#: A run that says it is at work, with no session of ours to be seen for this long, is gone.
_ABANDONED = dt.timedelta(minutes=15)
#: From this age on an open transaction is no slow query any more.
_FORGOTTEN = dt.timedelta(hours=1)
_WHO = "doctor"
#: New rows are counted up to here.
_COUNTED = 100_000


def state(context: Context) -> Finding:
    """Tell whether it is known how far runs have counted."""
    if schema.has_state(context.database):
        return ok("it is known how far runs have counted")
    through, has_counted = _recorded(context)
    if through is None and has_counted:
        fix = Fix(f"restore the schema {INTERNAL} from a backup, all of it")
        evidence = "no run that ended well is recorded any more, to tell it by"
    else:
        fix = Fix("consumer-analytics doctor --fix", _put_state_back)
        evidence = (
            "nothing was counted yet"
            if through is None
            else f"the runs' records tell it: {moment(through)}"
        )
    return Finding(
        Verdict.PROBLEM,
        schema.STATE_LOST,
        (evidence,),
        "somebody deleted it, or emptied etl_job_watermarks with all that refers to it",
        fix,
    )


def _recorded(context: Context) -> tuple[dt.datetime | None, bool]:
    row = context.database.execute(query("operations/doctor/state-recorded")).fetchone()
    return row or (None, False)


def _put_state_back(context: Context) -> str:
    with job_lock(context.database, context.settings, sees_commits=True):
        through, _ = _recorded(context)
        values = {"through": MINUS_INFINITY if through is None else through}
        context.database.execute(query("operations/doctor/state-put-back"), values)
    return "put it back; the next run looks at all snapshots again"


def advancing(context: Context) -> Finding:
    """Tell whether runs move the watermark, and why not."""
    connection = context.database
    if not schema.has_state(connection):
        raise UnexaminableError("it needs what watermark-state asks for")
    try:
        mark = watermark.read_with_reach(connection)
    except SchemaError as error:
        return Finding(
            Verdict.PROBLEM,
            "the job has no row in etl_job_watermarks",
            (str(error),),
            "somebody deleted it",
            Fix("consumer-analytics watermark reset --yes", _put_back),
        )
    now = instants.now(connection)
    if mark.last_run_status == "failed":
        metadata = mark.metadata
        return Finding(
            Verdict.PROBLEM,
            f"the last run failed, at {moment(mark.last_run_at)}",
            (
                f"{metadata.get('error_type')}: {metadata.get('error')}",
                *((f"run {key}",) if (key := metadata.get("run_key")) else ()),
            ),
            "the error above; the watermark stayed where it was, and nothing was half-written",
            # Whether what made it fail is gone is not known here.
            Fix("consumer-analytics run   # once what the error says is mended"),
        )
    if mark.last_run_status == "running" and (gone := _abandoned(context)) is not None:
        return gone
    if mark.is_ahead:
        return _ahead(context, mark, now)
    held = mark.metadata.get("held_back_by") or []
    requested = mark.metadata.get("requested")
    if mark.last_run_status == "success" and held:
        return Finding(
            Verdict.WARNING,
            f"the last run was held back at {moment(mark.last_processed_timestamp)}",
            (f"it was asked for {moment(requested)}", *(_held(one) for one in held)),
            "these transactions were open, and may still have committed rows from before that "
            "instant",
            Fix("consumer-analytics run   # once they have ended; see watermark-transactions"),
        )
    newer = connection.execute(
        query("operations/doctor/newer-rows", context.settings.sources),
        {"from": mark.last_processed_timestamp, "limit": _COUNTED},
    ).fetchone() or (0, 0)
    return ok(
        f"watermark {moment(mark.last_processed_timestamp)}, last run {mark.last_run_status}"
        f" at {moment(mark.last_run_at)}",
        f"the next run takes in what is after the watermark: {_some(newer[0], 'customer')} "
        f"and {_some(newer[1], 'event')}",
    )


def _some(n: int, thing: str) -> str:
    return f"{n:,} or more {thing}s" if n >= _COUNTED else counted(n, thing)


def _held(one: dict[str, Any]) -> str:
    age = one.get("age_seconds")
    if one.get("kind") == "prepared":
        who = f"prepared transaction {one.get('application_name')!r} of user {one.get('user')}"
    else:
        who = (
            f"pid {one.get('pid')} ({one.get('application_name') or 'no application name'}, "
            f"user {one.get('user')}, {one.get('state')})"
        )
    where = f" in shard {one['shard']}" if "shard" in one else ""
    return who + where + (f", open for {duration(age)} then" if age is not None else "")


def _ahead(context: Context, mark: watermark.Watermark, now: dt.datetime) -> Finding:
    metadata = mark.metadata
    who = metadata.get("override_by") or (
        "an UPDATE by hand"
        if metadata.get("manual_override")
        else "an UPDATE that does not say whose it was"
    )
    through = _processed_through(context)
    set_to = moment(mark.last_processed_timestamp)
    has_come = mark.last_processed_timestamp <= now
    return Finding(
        Verdict.WARNING if has_come else Verdict.PROBLEM,
        f"the watermark is {set_to}, which "
        + ("is beyond what is processed" if has_come else "has not come yet"),
        (
            f"the server's clock says {moment(now)}",
            "nothing is counted yet"
            if through == watermark.EPOCH
            else f"counted so far is what came before {moment(through)}",
            f"set by {who}",
        ),
        "it was set by hand to beyond what is counted: it does not say what has been read, until "
        "a run, which begins where the counts end, has set it right",
        Fix(f"consumer-analytics watermark set {through.isoformat()} --yes", _put_back),
    )


def _processed_through(context: Context) -> dt.datetime:
    return max(watermark.processed_through(context.database), watermark.EPOCH)


def _put_back(context: Context) -> str:
    """Set the watermark to where the counts themselves have come to."""
    through = _processed_through(context)
    with job_lock(context.database, context.settings, sees_commits=True):
        watermark.move(context.database, through, who=_WHO, reason="back to what is counted")
    return f"set the watermark to {moment(through)}, up to which events are counted"


def _abandoned(context: Context) -> Finding | None:
    """Return the finding of a run that says it is at work and cannot be."""
    row = context.database.execute(
        query("operations/doctor/abandoned-run"), {"after": _ABANDONED}
    ).fetchone()
    if row is None:
        return None
    key, opened, quiet = row
    return Finding(
        Verdict.WARNING,
        f"a run has been at work since {moment(opened)}, and no session of ours is",
        (f"run {key}", f"opened {quiet} ago"),
        "its process was killed, or its task never ran; it left nothing half-written, and the "
        "next run is not kept back by it",
        Fix("consumer-analytics run", _give_up),
    )


def _give_up(context: Context) -> str:
    """Note that the run is gone, as it would have itself."""
    from consumer_analytics.etl import run

    row = context.database.execute(
        query("operations/doctor/abandoned-run"), {"after": _ABANDONED}
    ).fetchone()
    if row is None:
        return "it has ended meanwhile"
    run.record_failure(
        context.database, row[0], UnexaminableError("the run's process is gone: found by doctor")
    )
    # Its failure is told; that the next run succeeds is no longer in doubt.
    context.database.execute(query("shared/watermark-status"), {"status": "pending"})
    return f"noted the run {row[0]} as failed, and the job as waiting for its next run"


def transactions(context: Context) -> Finding:
    """Tell which open transactions would hold a run back now."""
    connection = context.database
    settings = context.settings
    now = instants.now(connection)
    patience = dt.timedelta(seconds=settings.holdback_wait)
    try:
        holders, seen_at, _ = holdback.look(
            connection, now - patience, settings.ignored_roles, noted=context.is_migrated
        )
    except HoldbackBlindError as error:
        return Finding(
            Verdict.PROBLEM,
            "this login cannot tell whether rows are in flight, and runs refuse to guess",
            (str(error),),
            "it may not see the sessions of others, or they are on another server",
            Fix("see database-sessions and database-login"),
        )
    if not holders:
        return ok(f"no transaction is older than the {settings.holdback_wait:g} s a run waits")
    oldest = min(holder.began for holder in holders)
    age = seen_at - oldest
    return Finding(
        Verdict.PROBLEM if age >= _FORGOTTEN else Verdict.WARNING,
        f"{counted(len(holders), 'open transaction')} would hold a run back at {moment(oldest)}",
        tuple(holder.describe() + _on_our_tables(context, holder) for holder in holders),
        "they may still commit rows stamped with their own start, so a run stops short of it; "
        "idle ones are mostly a client that forgot to commit",
        # Whose work it is, and whether it may be lost, only its owner knows.
        Fix("\n".join(_ending(context, holder) for holder in holders)),
    )


def _on_our_tables(context: Context, holder: holdback.Holder) -> str:
    """Say that a transaction has locked the watermark's row, by which it stops runs altogether."""
    row = context.database.execute(
        query("operations/doctor/locks-watermark"), {"pid": holder.pid}
    ).fetchone()
    return "; it has written to etl_job_watermarks: runs wait for it" if row and row[0] else ""


def _ending(context: Context, holder: holdback.Holder) -> str:
    if holder.kind == "prepared":
        return (
            sql.SQL("ROLLBACK PREPARED {};   -- or COMMIT PREPARED, as its owner says")
            .format(sql.Literal(holder.application))
            .as_string(context.database)
        )
    return f"SELECT pg_terminate_backend({holder.pid});   -- {holder.application or holder.user}"


def locks(context: Context) -> Finding:
    """Tell who has the job's lock, and whether it is still at work."""
    rows = context.database.execute(
        query("operations/doctor/job-lock"),
        {"patience": context.settings.lock_wait},
    ).fetchall()
    stuck = [row for row in rows if row[4]]
    if not stuck:
        if not rows:
            return ok("nobody has the job's lock")
        pid, application, state, since, _ = rows[0]
        return ok(f"pid {pid} ({application}, {state}) has the job's lock, for {since}")
    return Finding(
        Verdict.PROBLEM,
        "a session has the job's lock and does nothing",
        tuple(
            f"pid {pid} ({application}, {state}), for {since}"
            for pid, application, state, since, _ in stuck
        ),
        "its process hangs or was suspended, or a pooler has kept the session after its client "
        "was gone; every run waits for it and gives up",
        Fix(
            "\n".join(f"SELECT pg_terminate_backend({row[0]});" for row in stuck),
            _release,
        ),
    )


def _release(context: Context) -> str:
    """End the sessions that have the lock and do nothing: a run leaves nothing half-written."""
    values = {"patience": context.settings.lock_wait}
    ended = []
    for pid, *_, stuck in context.database.execute(
        query("operations/doctor/job-lock"), values
    ).fetchall():
        # Waits for its end, so that the next look does not find it.
        if stuck and scalar(context.database, "select pg_terminate_backend(%s, 5000)", pid):
            ended.append(str(pid))
    return f"ended the session of pid {', '.join(ended) or '(none: they have ended meanwhile)'}"


def extracts(context: Context) -> Finding:
    """Tell whether extracts of runs that are gone take up room."""
    runs, size = context.database.execute(query("operations/doctor/extracts")).fetchone() or (0, "")
    if not runs:
        return ok("no extract is left behind")
    return Finding(
        Verdict.WARNING,
        f"extracts of {counted(runs, 'run that is', 'runs that are')} gone were left behind",
        (f"the extracts' tables take {size}",),
        "runs were killed between extract and load; the next load, or maintenance, takes them away",
        Fix("consumer-analytics maintenance", _forget),
    )


def _forget(context: Context) -> str:
    with job_lock(context.database, context.settings, sees_commits=True):
        extract.forget_all(context.database, 0)
        for table in ("extracts", "extracted_events", "extracted_customers"):
            context.database.execute(
                query("operations/doctor/extracts-forget-orphans", table=sql.Identifier(table))
            )
    return "removed them"


CHECKS = (
    Check("watermark-state", "is it known how far runs have counted?", state),
    Check("watermark", "does the watermark advance?", advancing),
    Check("watermark-transactions", "does a transaction hold runs back?", transactions),
    Check("watermark-locks", "is a lock stuck?", locks),
    Check("watermark-extracts", "is anything left of runs that are gone?", extracts),
)
