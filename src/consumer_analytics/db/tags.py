"""Tags: what a session says of itself, for as long as it lives, to whoever looks at `pg_locks`.

Advisory locks of the session, so that a killed process leaves none and a pooler gives them back.
Any login may take advisory locks; so nobody ever waits for one of these, and each has a key
drawn by lot, which nobody can have taken before.
"""

from __future__ import annotations

import secrets
from enum import IntEnum
from typing import Any

import psycopg

_KEYS = 2**31


class Tag(IntEnum):
    """A class of tags, the first of PostgreSQL's two keys; seen in `pg_locks.classid`.

    Attributes:
        READER: this session writes no row to the sources: runs do not wait for its transactions.
        BACKFILL: this session works on a backfill; its record has the other key.
    """

    READER = 0x0CA0
    BACKFILL = 0x0CA3


def draw() -> int:
    """Return a second key that nobody can foresee."""
    return secrets.randbelow(_KEYS)


def put(connection: psycopg.Connection[Any], tag: Tag) -> int:
    """Tag the session, and return the second key."""
    while True:
        key = draw()
        row = connection.execute(
            "select pg_try_advisory_lock_shared(%s, %s::int)", [tag.value, key]
        ).fetchone()
        if row is not None and row[0]:
            return key
