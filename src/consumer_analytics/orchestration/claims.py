"""Which of several workers tells of something when the product's own database cannot say.

Airflow's metadata is what tasks on all workers reach then, and the DAG processor too: through its
web server, where the figures' database is another server, or lets only our login no longer in. A
variable of Airflow's says who tells. Nothing there is atomic: whoever finds none writes his name,
waits until everybody who found none as well has written theirs, and looks whose has stayed.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

#: What the names of all these variables begin with.
PREFIX = "consumer_analytics_told_"
#: Many times as long as it takes from looking to writing.
_SETTLE_SECONDS = 2.0
#: By which machines' clocks, and the waiting above, may differ.
_SLACK_SECONDS = 60.0
_RUNNER = "airflow.sdk.execution_time.task_runner"


def claim(what: str, pace: float) -> bool:
    """Claim that this process tells of something; return whether nobody else does or did.

    Where Airflow cannot be asked it is nobody: a message twice is better than none.

    Args:
        what: what is told, and how.
        pace: seconds after which it may be told again.
    """

    def ask(variable: Any) -> bool:
        key, ours = _key(what), {"by": secrets.token_hex(8), "at": time.time()}
        known = variable.get(key, default=None, deserialize_json=True)
        if known is not None and ours["at"] - known["at"] < pace - _SLACK_SECONDS:
            return False
        variable.set(key, ours, "who told of a failure past the database", serialize_json=True)
        time.sleep(_SETTLE_SECONDS)
        found = variable.get(key, default=None, deserialize_json=True)
        return found is None or found["by"] == ours["by"]

    return bool(_with_variables(ask, otherwise=True))


def release(what: str) -> None:
    """Take a claim back: it could not be told, and another may try."""
    _with_variables(lambda variable: variable.delete(_key(what)))


def forget() -> None:
    """Take all claims back: the database is there again, and knows itself who was told."""
    _with_variables(
        lambda variable: [variable.delete(key) for key in list(variable.keys(prefix=PREFIX))]
    )


def _key(what: str) -> str:
    return f"{PREFIX}{hashlib.sha256(what.encode()).hexdigest()[:24]}"


def _with_variables(ask: Callable[[Any], Any], otherwise: Any = None) -> Any:
    """Ask Airflow's variables, where this is a task's process or the DAG processor's."""
    if not hasattr(sys.modules.get(_RUNNER), "SUPERVISOR_COMMS"):
        return otherwise
    try:
        from airflow.sdk import Variable

        return ask(Variable)
    except Exception as error:  # noqa: BLE001  # nobody is to go untold for it, whatever it is
        log.warning("Airflow could not be asked who tells of it: %s", error)
        return otherwise
