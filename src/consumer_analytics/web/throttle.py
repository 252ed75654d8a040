"""How often somebody may try to log in: by who they say they are, and where they are.

Ten failures in a minute and an address waits with that account; thirty, and it waits with all of
them. An account that is tried from everywhere is shut to nobody who has not failed yet: else
whoever likes could lock its owner out.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

#: Seconds for which a failure counts.
_WINDOW = 60.0
#: Failures of an address with one account, and with all, before it has to wait.
_TRIES = 10
_TRIES_IN_ALL = 30
#: Failures with one account from everywhere, from which on an address has so few.
_SIEGE = 100
_TRIES_UNDER_SIEGE = 1
#: Accounts, addresses and pairs of them that are remembered, the latest.
_REMEMBERED = 10_000

_Key = tuple[str | None, str | None]


class Throttle:
    """Failed logins of the last minute; what it remembers is bounded, whatever is tried."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet.

        Args:
            clock: seconds that only grow.
        """
        self._clock = clock
        self._at: OrderedDict[_Key, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how much is remembered."""
        return len(self._at)

    def failed(self, account: str, address: str) -> None:
        """Note a failure.

        Args:
            account: one of few: no text of the client's own choice.
            address: whom the client's address stands for, as `net.client_network` tells.
        """
        now = self._clock()
        with self._lock:
            for key in ((account, address), (None, address), (account, None)):
                self._at.setdefault(key, deque(maxlen=_SIEGE)).append(now)
                self._at.move_to_end(key)
            # Those that failed longest ago stand first.
            while self._at and (len(self._at) > _REMEMBERED or self._is_over(now)):
                self._at.popitem(last=False)

    def _is_over(self, now: float) -> bool:
        latest = next(iter(self._at.values()))[-1]
        return now - latest > _WINDOW

    def allows(self, account: str, address: str) -> bool:
        """Tell whether somebody may try."""
        with self._lock:
            of_pair = self._count((account, address))
            besieged = self._count((account, None)) >= _SIEGE
            return (
                of_pair < (_TRIES_UNDER_SIEGE if besieged else _TRIES)
                and self._count((None, address)) < _TRIES_IN_ALL
            )

    def _count(self, key: _Key) -> int:
        since = self._clock() - _WINDOW
        return sum(at >= since for at in self._at.get(key, ()))
