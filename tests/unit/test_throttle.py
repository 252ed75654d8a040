"""Failed logins: who has to wait, who has not, and how much is remembered of them."""

from __future__ import annotations

import pytest

from consumer_analytics.web import throttle
from consumer_analytics.web.throttle import Throttle

GUEST, OTHER = "192.0.2.1", "192.0.2.2"


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(tried: Throttle, times: int, account: str = "password", address: str = GUEST) -> int:
    """Fail as often as one may, a number of times at most; how often that was."""
    for done in range(times):
        if not tried.allows(account, address):
            return done
        tried.failed(account, address)
    return times


def test_an_address_waits_with_an_account_and_others_do_not(clock: Clock) -> None:
    tried = Throttle(clock)
    assert fail(tried, 50) == 10
    assert not tried.allows("password", GUEST)
    assert tried.allows("password", OTHER)
    assert tried.allows("token a", GUEST)
    clock.now += 59
    assert not tried.allows("password", GUEST)
    clock.now += 2
    assert tried.allows("password", GUEST)


def test_an_address_waits_with_all_after_many(clock: Clock) -> None:
    tried = Throttle(clock)
    done = sum(fail(tried, 50, f"token {number}") for number in range(10))
    assert done == 30
    assert not tried.allows("another", GUEST)
    assert tried.allows("another", OTHER)


def test_an_account_tried_from_everywhere_is_open_to_who_has_not_failed(clock: Clock) -> None:
    tried = Throttle(clock)
    for number in range(200):
        fail(tried, 5, address=f"10.0.{number // 200}.{number}")
    # Every new address has one try, and its owner, who knows the password, needs no more.
    assert tried.allows("password", OTHER)
    assert fail(tried, 5, address=OTHER) == 1
    assert tried.allows("token a", OTHER)
    clock.now += 61
    assert fail(tried, 50, address=OTHER) == 10


def test_what_is_remembered_is_bounded_and_passes(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_REMEMBERED", 100)
    tried = Throttle(clock)
    for number in range(1_000):
        tried.failed("password", f"10.0.{number // 250}.{number % 250}")
        tried.failed(f"token {number}", GUEST)
    assert len(tried) <= 100
    clock.now += 61
    tried.failed("password", GUEST)
    assert len(tried) == 3
