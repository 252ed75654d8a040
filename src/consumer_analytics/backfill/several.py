"""Chosen consumers where several databases do a backfill: each says for whom it was asked.

What one database has of a consumer is part of a row. It is put together when all were asked; one
in which the consumer had nothing yet has no row to tell that by. And all parts are of one window:
that in which the consumer was first asked for, whatever a later backfill has for one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise

from consumer_analytics.backfill.job import Job
from consumer_analytics.backfill.request import Request
from consumer_analytics.db.connection import Connection
from consumer_analytics.sql import query


def concerns(request: Request) -> bool:
    """Tell whether a backfill is one of chosen consumers, in one of several databases."""
    return request.is_of_several and request.consumers is not None


def put_off(connection: Connection, job: Job) -> None:
    """Take rows out of `rendered_snapshots` that are not there and belong to another window.

    Within the transaction that writes the others. `windows.left` tells what to write then.
    """
    rows = connection.execute(query("backfill/other-windows")).fetchall()
    job.put_off.update(rows)


def note(
    connection: Connection,
    request: Request,
    bounds: Sequence[dt.datetime],
    refused: Sequence[dt.datetime],
) -> None:
    """Note for whom it was asked, those too that have no row here.

    Args:
        connection: in the transaction that has written the rows of the others.
        request: what is asked for.
        bounds: where the first of some periods begins, then the end of each.
        refused: ends of those that were not written.
    """
    told = [(at, start) for start, at in pairwise(bounds) if at not in refused]
    connection.execute(
        query("backfill/asked"),
        {
            "instants": [at for at, _ in told],
            "starts": [start for _, start in told],
            "source": request.source,
            "consumers": list(request.consumers or ()),
        },
    )
