"""What was refused, in the log: whom, from where, and what for, in few lines however often.

Whoever asks for what he may not see, or sends what is no request, is to be seen by who keeps the
server; and is not to fill its log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from http.client import responses

from starlette.types import Scope

from consumer_analytics.formatting import counted, named
from consumer_analytics.net import client_network

log = logging.getLogger(__name__)

#: Seconds in which one line tells of everything that is refused to one client for one reason.
_WINDOW = 600.0
#: Such clients that are remembered, the latest; and lines of all of them in a window.
_REMEMBERED = 1_000
_LINES = 200
_LONGEST_PATH = 200

_Key = tuple[int, str, str]


class Refusals:
    """Writes refusals to the log; what it remembers is bounded, whatever is tried."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet.

        Args:
            clock: seconds that only grow.
        """
        self._clock = clock
        #: When a line last told of it, and how often it has been since.
        self._told: OrderedDict[_Key, tuple[float, int]] = OrderedDict()
        self._since = clock()
        self._lines = 0
        self._lock = threading.Lock()

    def note(self, status: int, who: str, address: str, what: str) -> None:
        """Note a refusal.

        Args:
            status: of the answer.
            who: whose credentials came with it.
            address: the client's.
            what: was asked for.
        """
        place = client_network(address)
        with self._lock:
            line = self._line((status, named(who), place), what[:_LONGEST_PATH])
        if line is not None:
            log.warning("%s", line)

    def _line(self, key: _Key, what: str) -> str | None:
        """Return the line that is to be written; None where there is none."""
        now = self._clock()
        if now - self._since > _WINDOW:
            self._since, self._lines = now, 0
        at, more = self._told.pop(key, (None, 0))
        while len(self._told) >= _REMEMBERED:
            self._told.popitem(last=False)
        if at is not None and now - at <= _WINDOW:
            self._told[key] = at, more + 1
            return None
        if self._lines > _LINES:
            return None
        self._told[key] = now, 0
        self._lines += 1
        if self._lines > _LINES:
            return f"refused: too much to tell of; no more of it for {_WINDOW / 60:g} minutes"
        status, who, place = key
        since = f" (and {counted(more, 'time')} before)" if more else ""
        return f"refused {status} {responses[status]}: {who} from {place}: {what}{since}"


def request_of(scope: Scope) -> str:
    """Return what a request asks for, without what may be a secret in its parameters."""
    return f"{scope['method']} {scope['path']!r}"
