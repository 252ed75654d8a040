"""Whatever is asked of the API, its answer is as described, and never an error of its own.

Schemathesis makes requests from the description, good ones and bad ones; the hostile ones that
it does not think of are listed.
"""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support import lanes
from tests.web.conftest import Operated

from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import NoCredentials

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
#: How many requests for each operation: a few for each change, in the long lane a search.
EXAMPLES = lanes.first(1, [2, 30])


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("mode", lanes.first(1, [GenerationMode.NEGATIVE, GenerationMode.POSITIVE]))
def test_every_answer_is_as_described(
    operated: Operated, mode: GenerationMode, examples: int
) -> None:
    app = create_app(operated.database.settings, authenticator=NoCredentials())
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    asked = 0

    def ask(case: Case[Any]) -> None:
        nonlocal asked
        asked += 1
        case.call_and_validate(checks=CHECKS)

    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == len(app.openapi()["paths"])
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not list(operation.iter_parameters()):
            continue  # nothing to get wrong
        strategy = operation.as_strategy(generation_mode=mode)
        hypothesis.settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )(hypothesis.given(strategy)(ask))()
    assert asked > len(operations)


HOSTILE = [
    "\x00",
    "a\x00b",
    "%00",
    "'; drop table consumer_analytics; --",
    "%(at)s {figure} %s %",
    "\\",
    "\\%_",
    "\ud7ff\uffff\U0010ffff",
    "\u202e",
    "=1+1",
    "9" * 200,
    "-1",
    "1e400",
    "NaN",
    "Infinity",
    "0001-01-01",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "10000-01-01",
    "-4713-01-01",
    "2025-02-30",
    "2025-01-01T00:00:00.1234567890Z",
    "253402300800",
    "-62135596801",
    "infinity",
    "",
    " ",
    "null",
    "[]",
    "00000000-0000-0000-0000-000000000000",
]


def parameters(description: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return path, name and place of every parameter of every operation."""
    found = [
        (path, parameter["name"], parameter["in"])
        for path, operations in description["paths"].items()
        for parameter in operations["get"].get("parameters", [])
    ]
    assert len(found) > 60
    return found


@pytest.mark.parametrize(
    "values", lanes.first(1, [HOSTILE[first::3] for first in range(3)]), ids=range(3)
)
def test_hostile_values_are_refused_or_answered(operated: Operated, values: list[str]) -> None:
    app = create_app(operated.database.settings, authenticator=NoCredentials())
    own = str(operated.database.rows("select consumer_id from consumers limit 1")[0][0])
    with TestClient(app, raise_server_exceptions=False) as client:
        description = client.get("/api/v1/openapi.json").json()
        for path, name, place in parameters(description):
            needed = {"consumer": own} if "compare" in path else {}
            for value in values:
                if place == "path":
                    # An empty one, or one with a slash, is another address.
                    address, query = path.replace("{consumer_id}", value or "x"), needed
                else:
                    address, query = path.replace("{consumer_id}", own), {**needed, name: value}
                if place == "path" and not value.isprintable():
                    continue  # no client sends that
                answer = client.get(address, params=query)
                assert answer.status_code in {200, 404, 422}, (path, name, value, answer.text)
                if answer.status_code != 200:
                    assert answer.json().keys() == {"detail"}
                    assert "\n" not in answer.json()["detail"]
                    assert "should" not in answer.json()["detail"]
