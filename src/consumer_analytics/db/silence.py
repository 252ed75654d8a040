"""A statement that is never answered: whether the server is still at work on it.

TCP's timers see a peer that acknowledges nothing. A proxy may go on acknowledging for a server
that it has lost, and whoever waits for an answer then waits for ever. A statement may also take
hours. So the server is asked, by another session.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

import psycopg
from psycopg import generators, waiting
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

_T = TypeVar("_T")

#: Seconds without a word after which the server is asked, and between one time and the next where
#: it did not say that it is at work; with what it takes to ask, less than a minute.
SILENCE = 25.0
AGAIN = 5.0
#: An answer may have been on its way the first time.
_TIMES = 2
#: Seconds for its answer.
_PATIENCE = 10


def watched(
    gen: PQGen[_T], is_at_work: Callable[[], bool], give_up: Callable[[], NoReturn]
) -> PQGen[_T]:
    """Do as psycopg's generator does, for as long as the server answers or is at work.

    Args:
        gen: what waits for the server; psycopg resumes it, with nothing ready, ten times a second.
        is_at_work: asks whether the server works on what `gen` waits for.
        give_up: ends the wait where it twice does not.

    Returns:
        What `gen` does.
    """
    doubts = 0
    ask_at = time.monotonic() + SILENCE
    try:
        state = next(gen)
        while True:
            ready = yield state
            if ready:
                doubts = 0
                ask_at = time.monotonic() + SILENCE
            elif time.monotonic() >= ask_at:
                doubts = 0 if is_at_work() else doubts + 1
                if doubts == _TIMES:
                    give_up()
                ask_at = time.monotonic() + (AGAIN if doubts else SILENCE)
            state = gen.send(ready)
    except StopIteration as ended:
        result: _T = ended.value
        return result


def is_at_work(conninfo: str, process: int) -> bool:
    """Ask the server whether a process of it is at work on a statement; in doubt it is.

    Args:
        conninfo: where to; the login that the process belongs to.
        process: the backend's id.

    Returns:
        False where there is no such process, where it waits for its client, and where the server
        cannot be reached.
    """
    # Nobody else's operators in a statement that a superuser's login may send.
    alone = make_conninfo(conninfo, options="-c search_path=pg_catalog")
    try:
        with psycopg.connect(alone, autocommit=True, connect_timeout=_PATIENCE) as connection:
            return _works(connection.pgconn, process)
    except psycopg.OperationalError as error:
        # It may have no place for one more session, and does answer.
        return "FATAL" in str(error)


def _works(pgconn: PGconn, process: int) -> bool:
    pgconn.send_query_params(
        b"select state, wait_event_type from pg_stat_activity where pid = $1::text::int",
        [str(process).encode()],
    )
    (result,) = waiting.wait(generators.execute(pgconn), pgconn.socket, timeout=_PATIENCE)
    if result.status != ExecStatus.TUPLES_OK:
        return True
    if result.ntuples == 0:
        return False
    state, waits_for = result.get_value(0, 0) or b"", result.get_value(0, 1)
    return not state.startswith(b"idle") and waits_for != b"Client"
