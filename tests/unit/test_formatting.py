"""How figures are written: one table of values for each kind."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from tests.support.durations import WRITTEN

from consumer_analytics import formatting
from consumer_analytics.web import rendering


@pytest.mark.parametrize(("seconds", "text"), WRITTEN)
def test_a_duration(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


def test_a_duration_of_any_kind() -> None:
    assert formatting.duration(None) == "-"
    assert formatting.duration(dt.timedelta(minutes=62)) == "1 h 2 min"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("5 s", "15 s", "5-15 s"),
        ("1 h", "6 h", "1-6 h"),
        ("30 min", "2 h", "30 min - 2 h"),
        ("1 h 30 min", "2 h 30 min", "1 h 30 min - 2 h 30 min"),
        ("1 h 30 min", "6 h", "1 h 30 min - 6 h"),
        ("1", "2", "1-2"),
        ("3 d", "3 d", "3 d"),
    ],
)
def test_a_range(low: str, high: str, text: str) -> None:
    assert formatting.between(low, high) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "seconds", "-"),
        (None, "events", "-"),
        (3720, "seconds", "1 h 2 min"),
        (1200, "events", "1,200"),
        (2, "runs", "2"),
    ],
)
def test_an_amount(value: float | None, unit: str, text: str) -> None:
    assert formatting.amount(value, unit) == text


BERLIN = dt.timezone(dt.timedelta(hours=1))


@pytest.mark.parametrize(
    ("at", "precision", "text"),
    [
        (None, "seconds", "-"),
        (dt.datetime(2025, 11, 3, 6, tzinfo=dt.UTC), "seconds", "2025-11-03 06:00:00 UTC"),
        (dt.datetime(2025, 11, 3, 6, tzinfo=BERLIN), "seconds", "2025-11-03 05:00:00 UTC"),
        (dt.datetime(2025, 11, 3, 6, 0, 59, tzinfo=dt.UTC), "minutes", "2025-11-03 06:00 UTC"),
        (
            dt.datetime(2025, 11, 3, 6, 0, 1, 999_999, tzinfo=dt.UTC),
            "seconds",
            "2025-11-03 06:00:01 UTC",
        ),
        (
            dt.datetime(2025, 11, 3, 6, 0, 1, 120_000, tzinfo=dt.UTC),
            "microseconds",
            "2025-11-03 06:00:01.12 UTC",
        ),
        (dt.datetime(2025, 11, 3, 6, tzinfo=dt.UTC), "microseconds", "2025-11-03 06:00:00 UTC"),
        (dt.datetime(987, 1, 1, tzinfo=dt.UTC), "seconds", "0987-01-01 00:00:00 UTC"),
        (dt.datetime.min.replace(tzinfo=dt.UTC), "seconds", "the beginning"),
        (dt.datetime.max.replace(tzinfo=dt.UTC), "minutes", "never"),
        ("2025-11-03T06:00:00+01:00", "seconds", "2025-11-03 05:00:00 UTC"),
    ],
)
def test_an_instant(
    at: dt.datetime | str | None, precision: formatting.Precision, text: str
) -> None:
    assert formatting.moment(at, to=precision) == text


def test_numbers() -> None:
    assert [formatting.count(value) for value in (None, 0, 1200, 1_234_567.4)] == [
        "-", "0", "1,200", "1,234,567",
    ]  # fmt: skip
    # What somebody wrote into a snapshot, as an audit shows it.
    assert formatting.count(10**5000) == "1.000E+5000"
    assert [formatting.signed(value) for value in (None, 0, 1200, -3)] == [
        "-",
        "±0",
        "+1,200",
        "-3",
    ]


def test_how_many() -> None:
    assert [formatting.counted(n, "day") for n in (0, 1, 1200)] == ["0 days", "1 day", "1,200 days"]
    assert formatting.counted(2, "figure differs", "figures differ") == "2 figures differ"


def test_how_many_on_a_page() -> None:
    """Of what a page reads somebody may have edited any."""
    assert [rendering.counted(n, "customer") for n in (None, 0, 1, 1200)] == [
        "\N{EN DASH} customers",
        "0 customers",
        "1 customer",
        "1,200 customers",
    ]
    plural = re.compile(r"\| count \}\} \w+s\b")
    for page in Path(rendering.__file__).with_name("templates").glob("*.html"):
        assert plural.findall(page.read_text()) == [], page.name


def test_ratios() -> None:
    assert [formatting.percent(value) for value in (None, 0, 0.1563, 1)] == [
        "-", "0.00 %", "15.63 %", "100.00 %",
    ]  # fmt: skip
    assert [formatting.points(value) for value in (None, 0.0025, -0.1)] == [
        "-", "+0.25 points", "-10.00 points",
    ]  # fmt: skip
    assert [formatting.percent_signed(value) for value in (None, 2.54, -1234.5)] == [
        "-", "+2.5 %", "-1,234.5 %",
    ]  # fmt: skip
    # Less than it shows is no fall.
    assert (formatting.percent_signed(-0.04), formatting.points(-0.0)) == ("±0.0 %", "±0.00 points")


def test_a_half_is_rounded_as_in_snapshots_away_from_zero() -> None:
    assert (formatting.percent_signed(12.25), formatting.percent_signed(-0.25)) == (
        "+12.3 %", "-0.3 %",
    )  # fmt: skip
    assert [formatting.percent_of(*pair) for pair in ((49, 400), (-1, 400), (-1, 3000))] == [
        12.3, -0.3, 0.0,
    ]  # fmt: skip
    assert (formatting.days(67.25), formatting.size(2.25 * 1024)) == ("67.3 days", "2.3 KiB")


def test_days() -> None:
    assert [formatting.days(value) for value in (None, 0.04, 1234.5)] == [
        "-", "0.0 days", "1,234.5 days",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1.5 * 1024**3, "1.5 GiB"),
        (1023.6, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (2048 * 1024**4, "2048.0 TiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_a_size(bytes_: float, text: str) -> None:
    assert formatting.size(bytes_) == text


def test_seconds_are_never_negative() -> None:
    assert formatting.seconds(dt.timedelta(seconds=1.5)) == 1.5
    assert formatting.seconds(dt.timedelta(seconds=-1)) == 0.0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Beacon Bank 0001", "Beacon Bank 0001"),
        ("A\n\nOVER: figures are fresh again", "A OVER: figures are fresh again"),
        ("a\u2028b\u2029c\x85d\x0be\x1b[2Jf", "a b c d e [2Jf"),
        ("\u202eknaB\u2066 x", "knaB x"),
        ("मुंबई 👨\u200d👩\u200d👧", "मुंबई 👨\u200d👩\u200d👧"),
        ("x" * 81, "x" * 79 + "…"),
        ("\n \u202e", "-"),
    ],
)
def test_a_name_that_others_chose(name: str, text: str) -> None:
    assert formatting.named(name) == text
