"""Of several workers one tells; on real ones: tests/e2e/test_celery_airflow.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from consumer_analytics.orchestration import claims

DAY = 86400.0


class Variables:
    """Airflow's variables, as its tasks on all machines have them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.kept: dict[str, str] = {}

    def get(self, key: str, default: Any = None, deserialize_json: bool = False) -> Any:
        assert deserialize_json
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any, description: str, serialize_json: bool = False) -> None:
        assert serialize_json
        assert description
        self.kept[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    def keys(self, prefix: str) -> list[str]:
        return [key for key in self.kept if key.startswith(prefix)]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    kept = Variables()

    def ask(question: Callable[[Any], Any], otherwise: Any = None) -> Any:
        del otherwise
        return question(kept)

    monkeypatch.setattr(claims, "_with_variables", ask)
    monkeypatch.setattr(claims, "_SETTLE_SECONDS", 0.2)
    return kept


def test_of_many_that_claim_at_once_one_has_it(variables: Variables) -> None:
    together = threading.Barrier(8)

    def claim(_: int) -> bool:
        together.wait()
        return claims.claim("mail etl run_1", DAY)

    with ThreadPoolExecutor(8) as workers:
        assert sum(workers.map(claim, range(8))) == 1
    assert not claims.claim("mail etl run_1", DAY)
    assert claims.claim("mail etl run_2", DAY)
    assert len(variables.kept) == 2


def test_it_is_told_again_at_the_pace_of_reminders_or_where_it_could_not_be(
    variables: Variables,
) -> None:
    assert claims.claim("mail monitor", DAY)
    assert not claims.claim("mail monitor", DAY)
    ((key, kept),) = variables.kept.items()
    # Whose clock is a little ahead tells it all the same.
    earlier = json.loads(kept)
    variables.kept[key] = json.dumps({**earlier, "at": earlier["at"] - DAY + 30})
    assert claims.claim("mail monitor", DAY)
    claims.release("mail monitor")
    assert claims.claim("mail monitor", float("inf"))
    assert not claims.claim("mail monitor", float("inf"))


def test_all_claims_go_when_the_database_is_there_again_and_nothing_else(
    variables: Variables,
) -> None:
    claims.claim("mail one", DAY)
    claims.claim("mail other", DAY)
    variables.kept["somebody's own"] = "1"
    claims.forget()
    assert variables.kept == {"somebody's own": "1"}


def test_without_airflow_it_is_told() -> None:
    assert claims.claim("mail one", DAY)
    claims.release("mail one")
    claims.forget()
