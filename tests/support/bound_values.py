"""Holds each statement of ours to what it is given: no value that it does not name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest
from psycopg import sql

_NAME = re.compile(r"/\* consumer_analytics: (\S+) \*/")
_BOUND = re.compile(r"%\((\w+)\)[sbt]")


def unused(text: str, values: Mapping[str, Any]) -> set[str]:
    """Return the values that a statement does not name."""
    return values.keys() - set(_BOUND.findall(text))


def watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every execution of a statement of ours fail that is given more than it names."""

    def watched(cursor: type[Any]) -> None:
        execute = cursor.execute

        def checked(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
            if isinstance(query, sql.Composed) and isinstance(params, Mapping):
                text = query.as_string(self)
                named = _NAME.search(text)
                if named is not None and (more := unused(text, params)):
                    raise AssertionError(f"{named[1]} is given what it does not use: {more}")
            return execute(self, query, params, **options)

        monkeypatch.setattr(cursor, "execute", checked)

    watched(psycopg.Cursor)
    watched(psycopg.ServerCursor)
