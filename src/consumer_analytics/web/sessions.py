"""Sessions of people who logged in: each ends when it is over, or when nobody has used it for long.

A cookie alone is worth nothing: the server knows the sessions that go on. A restart ends all.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

#: Of one account, the password or a token: where there are more, the one that was used longest
#: ago ends. So nobody who logs in without end drives out another account's.
MOST = 1_000


class Sessions:
    """The sessions that go on, and when each was last used."""

    def __init__(self, idle: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Know of none yet.

        Args:
            idle: seconds after which one ends that nobody uses.
            clock: seconds that only grow.
        """
        self._idle = idle
        self._clock = clock
        #: By account; of each the one that was used longest ago stands first.
        self._used: dict[str, OrderedDict[str, float]] = {}
        self._lock = threading.Lock()

    def begin(self, account: str) -> str:
        """Begin a session; return its id."""
        session = secrets.token_hex(16)
        with self._lock:
            of_account = self._used.setdefault(account, OrderedDict())
            of_account[session] = self._clock()
            while len(of_account) > MOST or self._is_over(next(iter(of_account.values()))):
                of_account.popitem(last=False)
        return session

    def use(self, account: str, session: str) -> bool:
        """Use a session; tell whether it goes on."""
        with self._lock:
            of_account = self._used.get(account, OrderedDict())
            used = of_account.pop(session, None)
            if used is None or self._is_over(used):
                return False
            of_account[session] = self._clock()
            return True

    def end(self, account: str, session: str) -> bool:
        """End a session; tell whether it went on until now."""
        with self._lock:
            used = self._used.get(account, OrderedDict()).pop(session, None)
            return used is not None and not self._is_over(used)

    def _is_over(self, used: float) -> bool:
        return self._clock() - used > self._idle
