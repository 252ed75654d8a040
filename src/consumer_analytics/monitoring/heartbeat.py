"""The dead-man's signal: given after each good pass, so that its absence is the alarm.

What keeps the monitor itself from running (a scheduler that is dead, a DAG that
cannot be read, a machine that is off) can send no mail. An outside watcher that
misses the signal can.
"""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request

import consumer_analytics
from consumer_analytics.errors import HeartbeatError
from consumer_analytics.settings import PREFIX, Settings

_TIMEOUT_SECONDS = 10.0


class _NowhereElse(urllib.request.HTTPRedirectHandler):
    """Goes where the operator said and nowhere that an answer leads to."""

    def redirect_request(self, *_: object) -> None:
        """Leave the answer as it is: an error."""


_OPENER = urllib.request.build_opener(_NowhereElse)


def is_wanted(settings: Settings) -> bool:
    """Tell whether there is a signal to give."""
    return settings.heartbeat_url is not None or settings.heartbeat_file is not None


def beat(settings: Settings) -> None:
    """Call the URL and touch the file, whichever of them are set.

    Raises:
        HeartbeatError: one of them could not be; the other was. The URL, which may hold a
            key, is not repeated.
    """
    problems = [problem for problem in (_touch(settings), _call(settings)) if problem]
    if problems:
        raise HeartbeatError("; ".join(problems))


def _touch(settings: Settings) -> str | None:
    if settings.heartbeat_file is None:
        return None
    try:
        settings.heartbeat_file.touch()
    except OSError as error:
        return f"{PREFIX}HEARTBEAT_FILE cannot be touched: {error.strerror}: {error.filename}"
    return None


def _call(settings: Settings) -> str | None:
    if settings.heartbeat_url is None:
        return None
    url = settings.heartbeat_url.get_secret_value()
    problem = f"{PREFIX}HEARTBEAT_URL cannot be called: no answer in {_TIMEOUT_SECONDS:g} s"
    found: list[str | None] = []
    # The time is for all of it, and not anew for each byte that comes. No process waits for such a
    # thread at its end.
    calling = threading.Thread(target=lambda: found.append(_called(url)), daemon=True)
    calling.start()
    calling.join(_TIMEOUT_SECONDS)
    return found[0] if found else problem


def _called(url: str) -> str | None:
    request = urllib.request.Request(  # noqa: S310  (the settings have looked at it)
        url, headers={"User-Agent": f"consumer-analytics/{consumer_analytics.__version__}"}
    )
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        # In the standard's words: its own may repeat an address that it leads to.
        known = http.client.responses.get(error.code, "")
        return f"{PREFIX}HEARTBEAT_URL answers {error.code} {known}".rstrip()
    except (OSError, ValueError, http.client.HTTPException) as error:
        # In words of their own, some of these repeat the address.
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
        return f"{PREFIX}HEARTBEAT_URL cannot be called: {reason or type(error).__name__}"
