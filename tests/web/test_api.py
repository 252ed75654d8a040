"""The API's answers are the database's."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_an_empty_database_gives_empty_answers(empty: TestClient) -> None:
    for path in ("system", "system/series", "consumers", "freshness"):
        answer = empty.get(f"/api/v1/{path}")
        assert answer.status_code == 200, (path, answer.text)
    assert empty.get("/api/v1/system").json()["at"] is None
    assert empty.get("/api/v1/system/series").json()["points"] == []
    assert empty.get("/api/v1/consumers").json()["rows"] == []
