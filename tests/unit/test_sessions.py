"""Sessions of people who logged in: which go on, and which are over."""

from __future__ import annotations

from consumer_analytics.web import sessions
from consumer_analytics.web.sessions import Sessions


def test_a_session_goes_on_while_it_is_used() -> None:
    clock = [0.0]
    known = Sessions(60, clock=lambda: clock[0])
    used, left = known.begin("password"), known.begin("password")
    for clock[0] in (50, 100, 150):
        assert known.use("password", used)
    assert not known.use("password", left)
    # And is no more to be had back.
    clock[0] = 0
    assert not known.use("password", left)


def test_an_end_is_one_for_good_however_many_come_after() -> None:
    known = Sessions(60)
    ended = known.begin("token a")
    assert known.end("token a", ended)
    assert not known.end("token a", ended)
    for _ in range(11_000):
        known.end("token a", known.begin("token a"))
    assert not known.use("token a", ended)


def test_who_logs_in_without_end_drives_out_nobody_else() -> None:
    known = Sessions(60)
    other, first, second = known.begin("password"), known.begin("token a"), known.begin("token a")
    assert known.use("token a", first)
    for _ in range(sessions.MOST - 1):
        known.begin("token a")
    assert known.use("token a", first)
    assert not known.use("token a", second)
    assert known.use("password", other)
    assert not known.use("token b", first)


def test_what_is_over_is_forgotten() -> None:
    clock = [0.0]
    known = Sessions(60, clock=lambda: clock[0])
    for clock[0] in range(0, 10_000, 10):
        known.begin("password")
    assert len(known._used["password"]) <= 7
