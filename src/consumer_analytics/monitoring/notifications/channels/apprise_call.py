"""One call of Apprise's, in a process of its own: `python apprise_call.py`, asked by its input.

A service that answers a byte at a time, or without end, Apprise leaves to a thread when the time is
over, which reads on; and Python waits for that thread at its end. This process ends with its
answer. It imports nothing of the product, and its log goes nowhere.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import apprise
    import requests

#: How Apprise's log tells of an answer that is no success.
_ANSWERED = re.compile(r"\berror=(\d{3})\b")
#: Bytes of an answer that are read: what services say of a message is shorter.
_LARGEST_ANSWER = 256 * 1024


def plugin_of(address: str) -> apprise.NotifyBase | None:
    """Return what Apprise makes of an address; None where it does not take it."""
    import apprise

    asset = apprise.AppriseAsset(
        app_id="consumer-analytics",
        app_desc="Alerts of consumer-analytics",
        # Apprise's own page, and pictures from there, are nothing that people are to see.
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        http_redirects=False,
    )
    made = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    return made if isinstance(made, apprise.NotifyBase) else None


def answer_to(asked: dict[str, Any]) -> dict[str, Any]:
    """Hand a message over.

    Args:
        asked: `address`, `title`, `body`, `type` as Apprise has it, and `seconds`.

    Returns:
        The `outcome`: `missing` (Apprise), `address` (not taken), `told`, `late` or `refused`; the
        `service`'s name; and the number of its answer, `code`, where it gave one.
    """
    try:
        import apprise
    except ModuleNotFoundError:
        return {"outcome": "missing"}
    plugin = plugin_of(asked["address"])
    if plugin is None:
        return {"outcome": "address"}
    sender = apprise.Apprise()
    sender.add(plugin)
    result = sender.notify(
        title=asked["title"],
        body=asked["body"],
        body_format="text",
        notify_type=asked["type"],
        timeout=asked["seconds"],
    )
    outcome = "told" if result else "refused"
    if result.status == apprise.AppriseResultStatus.TIMEOUT:
        outcome = "late"
    said = "\n".join(entry.message for entry in result.logs())
    answered = None if result else _ANSWERED.search(said)
    return {
        "outcome": outcome,
        "service": str(plugin.service_name),
        "code": answered and int(answered[1]),
    }


def _bound_answers() -> None:
    """Let no answer be read to its end that has none; of this process alone."""
    try:
        from requests.adapters import HTTPAdapter
    except ModuleNotFoundError:
        return
    send = HTTPAdapter.send

    def bounded(self: HTTPAdapter, *arguments: Any, **named: Any) -> requests.Response:
        response = send(self, *arguments, **named)
        # As far as is read of it, it is the whole.
        begins = response.raw.read(_LARGEST_ANSWER, decode_content=True)
        response.close()
        response.raw = io.BytesIO(begins)
        return response

    HTTPAdapter.send = bounded  # type: ignore[method-assign]


def main() -> None:
    """Answer the question that stands in the input, and be gone, whatever is still at work."""
    asked = json.load(sys.stdin)
    _bound_answers()
    sys.stdout.write(json.dumps(answer_to(asked)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
