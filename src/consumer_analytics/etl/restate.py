"""Restating: snapshots that the counts have outgrown are computed again, the old ones kept.

Through the same write as a run's own, some instants at a time, each time in a transaction that
holds the job's lock: in between another run may have its turn, and restate what is left.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import comparison, job_state, untold, vanished, watermark
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.windows import all_in_a_row, in_a_row, restate_window, windows
from consumer_analytics.formatting import counted, moment
from consumer_analytics.messages import Information
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Rows computed together: what a kill loses, and how long a run may have to wait. Each time costs
#: a look at all that came later.
_ROWS_AT_ONCE = 50_000
#: Snapshots, where consumers are few.
_MOST_AT_ONCE = 400
#: Rows compared together, where nothing but customers may differ.
_ROWS_COMPARED = 200_000
#: How often one call begins again as a recount has found more. An application that writes all the
#: time has something for each of them: what is left then is the next run's.
_MOST_BEGINNINGS = 3


def restate(
    connection: Connection,
    settings: Settings,
    reason: str,
    notify: Callable[[str], None] = lambda _: None,
    *,
    accepts_gone: Sequence[str] | None = (),
    has_turn: bool = False,
) -> int:
    """Restate the snapshots that the counts have outgrown, some at a time.

    Where it is interrupted the next call goes on; so it does with what others have written
    since this one has begun again several times. What of a snapshot the source can no longer tell
    stays as it was reported.

    Args:
        connection: outside of a transaction, or, with `has_turn`, in one that has the job's lock.
        settings: where the source is.
        reason: kept with what a snapshot said before.
        notify: told what is restated.
        accepts_gone: as `apply` has it.
        has_turn: whether all of it belongs to the caller's transaction.

    Returns:
        Snapshot rows restated.

    Raises:
        BusyError: another run would not end.
    """
    restated = beginnings = 0
    reached: dt.datetime | None = None
    while True:
        with nullcontext() if has_turn else job_lock(connection, settings):
            restated += _tell_untold(connection, settings, reason, notify, accepts_gone)
            rows_restated, compared = _compare_customers(
                connection, settings, reason, notify, accepts_gone
            )
            restated += rows_restated
            if not compared:
                continue
            after = scalar_of(connection, "shared/state-restate-from")
            if after is None:
                return restated
            if reached is None or after < reached:
                beginnings += 1
                if beginnings > _MOST_BEGINNINGS:
                    return restated
                known = job_state.read(connection).processed_through
                vanished.judge_lives(connection, settings, after, known, reason)
            state = job_state.read(connection)
            limit = _at_once(connection, settings)
            rows = connection.execute(
                query("etl/restate/snapshots-outgrown"),
                {"after": after, "until": state.processed_through, "limit": limit},
            ).fetchall()
            chunk = in_a_row(rows)
            more = len(rows) == limit or len(chunk) < len(rows)
            reached = chunk[-1][0] if more else None
            # First, so that what the recount below may find moves it back again.
            connection.execute(query("etl/restate/state-restated"), {"after": reached})
            if chunk:
                rows_restated = _restate_chunk(
                    connection, settings, state, chunk, reason, accepts_gone=accepts_gone
                )
                restated += rows_restated
                if rows_restated:
                    notify(_restated(chunk, rows_restated))
            restated += restate_alone(
                connection, settings, reason, after, reached, accepts_gone=accepts_gone
            )


def restate_these(
    connection: Connection,
    settings: Settings,
    snapshots: list[dt.datetime],
    reason: str,
    notify: Callable[[str], None] = lambda _: None,
) -> int:
    """Restate snapshots by their instants, whatever the counts say, some at a time.

    Called outside of a transaction. Rows that are missing at these instants are
    inserted, which counts as restated here.

    Returns:
        Snapshot rows restated.
    """
    restated = 0
    reach = watermark.processed_through(connection)
    # Later ones a run computes again when it comes to them.
    left = sorted(at for at in snapshots if at <= reach)
    while left:
        with job_lock(connection, settings):
            state = job_state.read(connection)
            rows = windows(connection, left[: _at_once(connection, settings)])
            chunk = in_a_row(rows)
            rows_restated = _restate_chunk(connection, settings, state, chunk, reason)
            restated += rows_restated
            if rows_restated:
                notify(_restated(chunk, rows_restated))
        left = left[len(chunk) :]
    return restated


def restate_alone(
    connection: Connection,
    settings: Settings,
    reason: str,
    after: dt.datetime,
    until: dt.datetime | None = None,
    *,
    accepts_gone: Sequence[str] | None = (),
) -> int:
    """Restate rows of chosen consumers where there is no whole snapshot, since an instant.

    Within the caller's transaction, under the job's lock: the one that uses up what they wait for.

    Returns:
        Rows restated.
    """
    state = job_state.read(connection)
    values = {"after": after, "until": until or state.processed_through}
    alone = connection.execute(query("etl/restate/windows-alone"), values).fetchall()
    if not alone:
        return 0
    return sum(
        restate_window(
            connection,
            settings,
            state,
            chunk,
            reason,
            accepts_gone=accepts_gone,
            of_chosen=True,
        )
        for chunk in all_in_a_row(alone, _at_once(connection, settings))
    )


def _at_once(connection: Connection, settings: Settings) -> int:
    """Return how many snapshots are computed together: fewer, the more consumers there are."""
    consumers: int = scalar(connection, query("etl/restate/consumers", settings.sources))
    return max(1, min(_MOST_AT_ONCE, _ROWS_AT_ONCE // (consumers + 1)))


def _tell_untold(
    connection: Connection,
    settings: Settings,
    reason: str,
    notify: Callable[[str], None],
    accepts_gone: Sequence[str] | None,
) -> int:
    """Restate what corrections of events alone have changed, as far as the counts prove it."""
    waiting = untold.reach(connection)
    if waiting is None:
        return 0
    state = job_state.read(connection)
    after = scalar_of(connection, "shared/state-restate-from")
    known = state.processed_through
    restated, cut = untold.tell(connection, settings, reason, waiting, known, after)
    for chunk in all_in_a_row(cut, _at_once(connection, settings)):
        restated += _restate_chunk(
            connection, settings, state, chunk, reason, accepts_gone=accepts_gone
        )
    restated += restate_alone(connection, settings, reason, waiting[0], accepts_gone=accepts_gone)
    if restated:
        since = moment(waiting[0])
        notify(Information(f"restated {counted(restated, 'row')} of snapshots since {since}"))
    return restated


def _compare_customers(
    connection: Connection,
    settings: Settings,
    reason: str,
    notify: Callable[[str], None],
    accepts_gone: Sequence[str] | None,
) -> tuple[int, bool]:
    """Compare what the next snapshots say of customers, where that may have changed.

    What takes more than to say who there was is left to be computed again.

    Returns:
        Snapshot rows restated, and whether all that was to be compared has been.
    """
    waiting = job_state.to_compare(connection)
    if waiting is None:
        return 0, True
    state = job_state.read(connection)
    if accepts_gone == () and waiting.consumers and waiting.until is not None:
        put_right = comparison.put_right_of(
            connection,
            settings,
            state,
            waiting.consumers,
            waiting.after,
            waiting.until,
            reason,
        )
        if put_right is not None:
            connection.execute(query("etl/restate/customers-compared"), {"after": None})
            differing, restated_of = put_right
            restated_of += restate_alone(connection, settings, reason, waiting.after)
            if restated_of:
                notify(
                    Information(
                        f"restated {counted(restated_of, 'row')} of "
                        f"{counted(differing, 'snapshot')} since {moment(waiting.after)}"
                    )
                )
            return restated_of, True
    # Those after it are computed again in any case.
    again = scalar_of(connection, "shared/state-restate-from")
    until = state.processed_through if again is None else min(again, state.processed_through)
    limit = max(1, _ROWS_COMPARED * _at_once(connection, settings) // _ROWS_AT_ONCE)
    values = {"after": waiting.after, "until": until, "limit": limit}
    rows = connection.execute(query("etl/restate/snapshots-outgrown"), values).fetchall()
    snapshots = [at for at, _ in rows]
    reached = snapshots[-1] if len(rows) == limit else None
    connection.execute(query("etl/restate/customers-compared"), {"after": reached})
    alone = restate_alone(
        connection, settings, reason, waiting.after, reached or until, accepts_gone=accepts_gone
    )
    if not snapshots:
        return alone, True
    restated: int | None = None
    if accepts_gone == ():
        found = comparison.differing(connection, settings, state, snapshots)
        restated = 0
        if found.wrong:
            restated = comparison.put_right(connection, settings, state, found, reason)
    if restated is None:
        job_state.restate_from(connection, snapshots[0])
    elif restated:
        notify(_restated(rows, restated))
    return (restated or 0) + alone, reached is None


def _restated(chunk: list[tuple[dt.datetime, dt.datetime | None]], rows: int) -> Information:
    first, last = moment(chunk[0][0]), moment(chunk[-1][0])
    these = f"snapshot {first}" if len(chunk) == 1 else f"snapshots between {first} and {last}"
    return Information(f"restated {counted(rows, 'row')} of {these}")


def _restate_chunk(
    connection: Connection,
    settings: Settings,
    state: JobState,
    chunk: list[tuple[dt.datetime, dt.datetime | None]],
    reason: str,
    *,
    accepts_gone: Sequence[str] | None = (),
) -> int:
    accept: dict[str, Any] = {"accepts_gone": accepts_gone}
    restated = restate_window(connection, settings, state, chunk, reason, **accept)
    apart = connection.execute(
        query("etl/restate/windows-apart"), {"snapshots": [at for at, _ in chunk]}
    ).fetchall()
    for at, start in apart:
        restated += restate_window(connection, settings, state, [(at, start)], reason, **accept)
    return restated
