"""Defaults, which are not checked at each start, and values that can or cannot be used."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from consumer_analytics.errors import SettingsError
from consumer_analytics.fields import Secret, described
from consumer_analytics.settings import PREFIX, Settings, load_settings, variable

EXAMPLE = "alerts-to@example.com"


def test_every_default_would_be_accepted_where_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defaults = Settings()
    for field in dataclasses.fields(Settings):
        value = getattr(defaults, field.name)
        if value not in (None, ""):
            described(field).check(value)
            monkeypatch.setenv(variable(field.name), str(value))
    assert load_settings() == defaults


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("sweep_days", " 12 ", 12),
        ("lag_warning", "1.5e3", 1500.0),
        ("allow_superuser", "Yes", True),
        ("allow_superuser", "0", False),
        ("start_date", "2025-11-03", dt.date(2025, 11, 3)),
        ("smtp_security", "tls", "tls"),
        ("home", "/srv/analytics", Path("/srv/analytics")),
        ("smtp_ca_file", "ca.pem", Path("ca.pem")),
        ("keep_snapshots_days", "90", 90),
        ("database_url", "postgresql:///x", Secret("postgresql:///x")),
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("schedule", "@quarterly", "@quarterly"),
        ("schedule", "*/7 * * * *", "*/7 * * * *"),
        ("retries", "", 2),
    ],
)
def test_a_value_that_can_be_used(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any
) -> None:
    monkeypatch.setenv(variable(name), text)
    found = getattr(load_settings(), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("sweep_days", "soon", "'soon' is not a whole number"),
        ("sweep_days", "1.5", "'1.5' is not a whole number"),
        ("sweep_days", "0", "must be 1 or more, and is 0"),
        ("lag_warning", "0", "must be more than 0, and is 0"),
        ("lag_warning", "nan", "must be more than 0, and is nan"),
        ("lag_warning", "an hour", "'an hour' is not a number"),
        ("lag_critical", "inf", "must be 31622400 or less, and is inf"),
        ("keep_state_days", "9" * 30, "must be 36525 or less, and is 1e+30"),
        ("schedule", "0 0 31 2 *", "'0 0 31 2 *' is a day that never comes"),
        ("schedule", "x" * 99, f"'{'x' * 60}…' is neither a cron expression nor a preset (@daily)"),
        ("smtp_port", "65536", "must be 65535 or less, and is 65536"),
        ("allow_superuser", "maybe", "'maybe' is neither true nor false"),
        ("start_date", "yesterday", "'yesterday' is not a date; write it like 2025-11-03"),
        ("smtp_security", "ssl", "'ssl' is none of starttls, tls, none"),
        (
            "timezone",
            "localtime",
            "'localtime' is not an IANA time zone such as UTC or Europe/Berlin",
        ),
        ("timezone", "Mars/X", "'Mars/X' is not an IANA time zone such as UTC or Europe/Berlin"),
        ("schedule", "often", "'often' is neither a cron expression nor a preset (@daily)"),
        *(
            (
                "trusted_proxies",
                text,
                f"{text.split(', ')[-1]!r} is neither an address nor a network such as 10.1.0.0/16",
            )
            for text in ("*", "proxy.example.com", "10.0.0.1, 10.0.0.1/8", "10.0.0.300", "::/200")
        ),
        *(
            (name, text, f"{text.split(', ')[-1]!r} is not a mail address such as {EXAMPLE}")
            for name in ("alert_recipients", "digest_recipients")
            for text in ("foo", "a@b.example, foo", "A <foo>", "a@b.example>", "<a@b.example", "@b")
        ),
        ("alert_sender", "Analytics", f"'Analytics' is not a mail address such as {EXAMPLE}"),
        ("server_connections", "3", "must be 4 or more, and is 3"),
        ("server_timeout", "0", "must be more than 0, and is 0"),
    ],
)
def test_a_value_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, reason: str
) -> None:
    monkeypatch.setenv(variable(name), text)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value) == f"{variable(name)}: {reason}"


def test_mail_addresses_are_taken_as_people_write_them() -> None:
    written = 'a@b.example, Ana <ana+x@b.example>,<c@localhost>, "odd one"@b.example,'
    assert len(Settings(alert_recipients=written, digest_recipients=written).recipients) == 4
    for sender in ('"Doe, Jane" <jane@b.example>', "jane@b.example", "Jane Doe <jane@b.example>"):
        assert Settings(alert_sender=sender).alert_sender == sender


def test_every_number_has_an_end_at_either_side() -> None:
    for one in dataclasses.fields(Settings):
        if isinstance(one.default, int | float) and not isinstance(one.default, bool):
            bounds = described(one)
            assert (bounds.ge, bounds.gt).count(None) == 1, one.name
            assert bounds.le is not None, one.name


def test_every_variable_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SWEEP_DAYS", "soon"), ("SCHEDULE", "often"), ("TIMEZONE", "Mars/X")):
        monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    for name in ("SWEEP_DAYS", "SCHEDULE", "TIMEZONE"):
        assert f"{PREFIX}{name}: " in str(refused.value)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"lag_warning": "7200", "lag_critical": "3600"}, "LAG_WARNING (7200) is greater than"),
        ({"keep_daily_snapshots_days": "90"}, "KEEP_DAILY_SNAPSHOTS_DAYS is 90; .* is unset"),
        (
            {"keep_snapshots_days": "90", "keep_daily_snapshots_days": "30"},
            "KEEP_DAILY_SNAPSHOTS_DAYS is 30; .* is 90",
        ),
    ],
)
def test_values_that_do_not_go_together(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], reason: str
) -> None:
    for name, text in values.items():
        monkeypatch.setenv(variable(name), text)
    with pytest.raises(SettingsError, match=reason.replace("(", r"\(").replace(")", r"\)")):
        load_settings()


def test_a_typo_is_refused_and_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}SWEEP_DAY", "3")
    with pytest.raises(SettingsError, match=f"did you mean {PREFIX}SWEEP_DAYS"):
        load_settings()
    monkeypatch.delenv(f"{PREFIX}SWEEP_DAY")
    monkeypatch.setenv(f"{PREFIX}sweep_day", "3")
    with pytest.raises(SettingsError, match=f"did you mean {PREFIX}SWEEP_DAYS"):
        load_settings()


def test_a_secret_shows_nowhere() -> None:
    settings = Settings(database_url=Secret("postgresql://a:hidden@b/c"))
    for text in (repr(settings), str(dataclasses.asdict(settings)), f"{settings.database_url}"):
        assert "hidden" not in text
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://a:hidden@b/c"


def test_other_values_are_checked_too() -> None:
    with pytest.raises(SettingsError, match="SWEEP_DAYS: must be 1 or more, and is 0"):
        Settings().replaced({"sweep_days": 0})


def test_a_proxy_is_known_by_either_kind_of_its_address() -> None:
    settings = Settings(trusted_proxies=" 127.0.0.1,10.1.0.0/16 , 2001:db8::/32,")
    assert settings.proxies == [
        "127.0.0.1/32",
        "::ffff:127.0.0.1/128",
        "10.1.0.0/16",
        "::ffff:10.1.0.0/112",
        "2001:db8::/32",
    ]
    assert Settings().proxies == []
