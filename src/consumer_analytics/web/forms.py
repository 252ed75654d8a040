"""Forms that pages send: of this site alone, small, and in one way."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request

from consumer_analytics.web.auth import is_from_elsewhere

#: How a browser sends a form, and the most fields that one of ours might have.
_FORM = "application/x-www-form-urlencoded"
_FIELDS = 10


async def read(request: Request, seconds: float) -> dict[str, str]:
    """Read what a form of ours sends: a few short fields, in the one way that it sends them.

    Args:
        request: the form's.
        seconds: how long it may take to arrive.

    Raises:
        HTTPException: it is something else, or does not come in time.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise HTTPException(415, f"send the form as {_FORM}")
    try:
        async with asyncio.timeout(seconds):
            body = await request.body()
    except TimeoutError:
        raise HTTPException(408, "the form took too long to arrive") from None
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        raise HTTPException(400, "the form cannot be read") from None
    return dict(fields)


def refuse_other_sites(request: Request) -> None:
    """Refuse a form that another site made a browser send.

    Raises:
        HTTPException: 403.
    """
    if is_from_elsewhere(request):
        raise HTTPException(403, "this form was sent by another site; use the one here")
