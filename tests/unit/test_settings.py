"""Defaults, which are not checked at each start, and values that cannot be used."""

from __future__ import annotations

import pytest

from consumer_analytics.errors import SettingsError
from consumer_analytics.settings import PREFIX, Settings, load_settings


def test_every_default_would_be_accepted_where_it_is_given() -> None:
    defaults = Settings()  # type: ignore[call-arg]  # home has a factory
    assert Settings(**defaults.model_dump()) == defaults


def test_every_variable_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SWEEP_DAYS", "soon"), ("SCHEDULE", "often"), ("TIMEZONE", "Mars/X")):
        monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    for name in ("SWEEP_DAYS", "SCHEDULE", "TIMEZONE"):
        assert f"{PREFIX}{name}: " in str(refused.value)
