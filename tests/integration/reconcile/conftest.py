"""What stories and histories are told on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.zoo.ground import Ground, opened


@pytest.fixture(scope="module")
def ground(servers: Any) -> Iterator[Ground]:
    """Return a database that a file's stories are told on, one after the other."""
    with opened(servers.get("main")) as ground:
        yield ground
