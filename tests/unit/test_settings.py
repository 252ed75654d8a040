"""Defaults, which are not checked at each start."""

from __future__ import annotations

from consumer_analytics.settings import Settings


def test_every_default_would_be_accepted_where_it_is_given() -> None:
    defaults = Settings()  # type: ignore[call-arg]  # home has a factory
    assert Settings(**defaults.model_dump()) == defaults
