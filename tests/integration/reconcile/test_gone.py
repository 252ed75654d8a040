"""Customers whose rows go and nobody sees it: what tells of it, and what stays as it was reported.

Each story is looked at by a sweep, a repair, each instant alone or all in company, and by capture;
none of them may find another truth. Days are of January 2025.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import pytest
from tests.support import lanes, oracle
from tests.support.stories import Step, alone, day, gone, identity, in_company, run, sweep
from tests.support.zoo.ground import Ground

A = uuid.UUID(int=0xA)
CREATION, CHANGE, DELETION = oracle.LIFECYCLE


def row(name: str, born: float) -> Step:
    return lambda on: on.row(identity(name), A, "ACTIVE", day(born))


def event(name: str, kind: str, at: float) -> Step:
    def step(on: Ground) -> None:
        said = {"status": "ACTIVE"}
        on.event(kind, day(at), customer=identity(name), consumer=A, payload=said)

    return step


def corrected(name: str, kind: str, to: float) -> Step:
    def step(on: Ground) -> None:
        on.app.execute(
            "update customer_events set created_at = %s where customer_id = %s and event_type = %s",
            [day(to), identity(name), kind],
        )

    return step


def taken_out(name: str, kind: str) -> Step:
    def step(on: Ground) -> None:
        on.app.execute(
            "delete from customer_events where customer_id = %s and event_type = %s",
            [identity(name), kind],
        )

    return step


def of_status(number: int) -> Step:
    """Put a customer of nobody's, with a status of its own."""
    return lambda on: on.row(identity(f"one of {number}"), None, f"S{number}", day(1))


def _nothing(on: Ground) -> None:
    """Whoever is to look has looked."""


#: Whether capture is on, and who looks.
WAYS: dict[str, tuple[bool, tuple[Step, ...]]] = {
    "a sweep": (False, (sweep,)),
    "a repair": (False, (Ground.repair,)),
    "each alone": (False, (alone, sweep)),
    "all in company": (False, (in_company, sweep)),
    "capture": (True, (_nothing,)),
    "capture, then a sweep": (True, (sweep,)),
}


#: Whether a creation event tells of the customer, and who else its consumer has.
TOLD: dict[str, tuple[bool, tuple[Step, ...]]] = {
    "a creation event": (True, ()),
    "a creation event, beside another": (True, (row("other", 1),)),
    "no event": (False, ()),
    "no event, beside another": (False, (row("other", 1),)),
}


def told(on: Ground, days: Iterable[int]) -> dict[int, int]:
    """Return how many customers A had at some instants, as the snapshots say now."""
    return {at: oracle.stored(on.app, day(at))[str(A)]["total_customers"] for at in days}


def tell(on: Ground, steps: tuple[Step, ...], *, captured: bool = False) -> None:
    on.clear()
    on.consumer(A, day(1))
    on.capture(captured)
    for step in steps:
        step(on)


def settled(on: Ground, right: dict[int, int]) -> None:
    """Hold what is right to whatever looks again: it is found, and changes nothing."""
    assert told(on, right) == right
    assert on.audit().clean
    kept = on.kept()
    for look in (sweep, alone, in_company, sweep):
        look(on)
        assert told(on, right) == right
    assert on.kept() == kept
    assert on.audit().clean


@pytest.mark.parametrize(("told_by", "way"), lanes.each_once(TOLD, WAYS, every=2))
def test_a_deletion_that_comes_before_its_row_goes_ends_the_life_then(
    ground: Ground, told_by: str, way: str
) -> None:
    """Event and row in two transactions, with a run between: the row wins until it goes."""
    (captured, looks), (is_created, others) = WAYS[way], TOLD[told_by]
    tell(
        ground,
        (
            event("nobody", "login", 1),
            *others,
            row("c", 2),
            *((event("c", CREATION, 2),) if is_created else ()),
            run(4, 6),
            event("c", DELETION, 6.5),
            run(8),
        ),
        captured=captured,
    )
    n = len(others)
    assert set(told(ground, (4, 6, 8)).values()) == {n + 1}
    for step in (gone("c"), run(10, 12), *looks):
        step(ground)
    settled(ground, {4: n + 1, 6: n + 1, 8: n, 10: n, 12: n})


@lanes.LONG
def test_whatever_the_number_of_statuses_in_the_system(ground: Ground) -> None:
    """More of them than have a column each."""
    steps = (row("c", 2), run(4, 6), event("c", DELETION, 6.5), run(8), gone("c"), sweep)
    tell(ground, (event("nobody", "login", 1), *(of_status(n) for n in range(60)), *steps))
    settled(ground, {4: 1, 6: 1, 8: 0})


def test_a_row_that_went_after_its_deletion_and_comes_back_is_as_if_it_had_stayed(
    ground: Ground,
) -> None:
    steps = (row("c", 2), run(4), event("c", DELETION, 4.5), run(6), gone("c"), run(8), sweep)
    tell(ground, (event("nobody", "login", 1), *steps))
    settled(ground, {4: 1, 6: 0, 8: 0})
    # The deletion that no creation follows contradicts it again.
    for step in (row("c", 2), run(10), sweep):
        step(ground)
    settled(ground, {4: 1, 6: 1, 8: 1, 10: 1})
    for step in (event("c", CREATION, 10.5), run(12), sweep):
        step(ground)
    settled(ground, {6: 0, 8: 0, 10: 0, 12: 1})


@pytest.mark.parametrize("at", [3, pytest.param(9, marks=lanes.LONG)])
@pytest.mark.parametrize("look", lanes.first(1, ["a sweep", "a repair", "all in company"]))
def test_a_second_deletion_of_another_tells_of_no_row_that_went(
    ground: Ground, look: str, at: float
) -> None:
    tell(
        ground,
        (
            event("nobody", "login", 1),
            row("c", 2),
            event("c", CREATION, 2),
            event("before", CREATION, 1.5),
            event("before", DELETION, 2.5),
            run(4, 6, 8),
            event("before", DELETION, at),
            gone("c"),
            run(10),
            *WAYS[look][1],
        ),
    )
    settled(ground, {4: 1, 6: 1, 8: 1, 10: 0})


@pytest.mark.long
def test_as_long_as_one_end_is_not_told_nobody_knows_which_snapshots_it_was_in(
    ground: Ground,
) -> None:
    tell(
        ground,
        (
            event("nobody", "login", 1),
            *(row(name, 2) for name in "cd"),
            *(event(name, CREATION, 2) for name in "cd"),
            run(4, 6, 8),
            gone("c"),
            gone("d"),
            run(10),
            sweep,
        ),
    )
    settled(ground, {4: 2, 6: 2, 8: 2, 10: 0})
    event("c", DELETION, 5)(ground)
    sweep(ground)
    settled(ground, {4: 2, 6: 2, 8: 2, 10: 0})


@pytest.mark.long
def test_an_end_that_was_told_before_tells_of_no_other(ground: Ground) -> None:
    """One of two ends late, with its event; later the other goes, and nothing tells of it."""
    tell(
        ground,
        (
            event("nobody", "login", 1),
            *(row(name, 2) for name in "cd"),
            *(event(name, CREATION, 2) for name in "cd"),
            run(4, 6, 8),
            gone("c"),
            event("c", DELETION, 5),
            sweep,
        ),
    )
    settled(ground, {4: 2, 6: 1, 8: 1})
    for step in (gone("d"), run(10), sweep):
        step(ground)
    settled(ground, {4: 2, 6: 1, 8: 1, 10: 0})


@pytest.mark.parametrize("kind", lanes.first(1, ["login", CREATION]))
def test_an_audit_before_anybody_else_knows_the_birth_of_one_whose_row_had_no_time(
    ground: Ground, kind: str
) -> None:
    """What told the birth is purged, and then the row goes, after its deletion."""
    tell(
        ground,
        (
            event("nobody", "login", 1),
            row("other", 1),
            lambda on: on.row(identity("c"), A, "ACTIVE", None),
            event("c", kind, 2.5),
            run(4),
            event("c", DELETION, 4.5),
            run(6),
            lambda on: on.app.execute("delete from customer_events where event_type = %s", [kind]),
            sweep,
            gone("c"),
            run(8),
        ),
    )
    assert {*ground.audit().wrong_snapshots} == {day(6)}
    sweep(ground)
    settled(ground, {4: 2, 6: 1, 8: 1})


def test_a_lifecycle_event_that_was_taken_out_stops_no_backfill(ground: Ground) -> None:
    """A correction by the days before it, which nobody has recounted yet."""
    tell(
        ground,
        (
            event("nobody", "login", 1),
            event("c", CREATION, 2),
            run(4),
            event("d", CREATION, 5.25),
            run(6),
            taken_out("d", CREATION),
            run(8),
            in_company,
        ),
    )
    sweep(ground)
    settled(ground, {4: 0, 6: 0, 8: 0})


@pytest.mark.parametrize(
    "looked", lanes.first(1, [True, False]), ids=["looked at between", "in one go"]
)
def test_the_end_of_an_earlier_life_tells_of_no_row_that_went_after_the_return(
    ground: Ground, looked: bool
) -> None:
    """The first life's end is late, and nothing tells of the second one's."""
    tell(
        ground,
        (
            event("nobody", "login", 1),
            row("c", 2),
            run(4, 6, 8),
            event("c", DELETION, 3),
            event("c", CREATION, 5),
            *((sweep,) if looked else ()),
            gone("c"),
            run(10),
            sweep,
        ),
    )
    settled(ground, {4: 0, 6: 1, 8: 1, 10: 0})


@pytest.mark.long
def test_a_life_before_the_rows_that_comes_late_tells_of_no_row_that_went(ground: Ground) -> None:
    tell(
        ground,
        (
            event("nobody", "login", 1),
            row("c", 5),
            run(6, 8),
            event("c", CREATION, 2),
            event("c", DELETION, 3),
            sweep,
            gone("c"),
            run(10),
            sweep,
        ),
    )
    settled(ground, {6: 1, 8: 1, 10: 0})


def test_a_contradicted_end_that_a_return_follows_tells_of_the_time_between(
    ground: Ground,
) -> None:
    """The row goes in its second life, of whose end nothing tells."""
    tell(
        ground,
        (
            event("nobody", "login", 1),
            row("c", 2),
            run(4),
            event("c", DELETION, 4.5),
            run(6),
            event("c", CREATION, 6.5),
            run(8),
            gone("c"),
            run(10),
            sweep,
        ),
    )
    settled(ground, {6: 0, 8: 1, 10: 0})


@pytest.mark.parametrize("look", lanes.first(0, ["a sweep", "a repair", "all in company"], long=1))
def test_an_end_whose_time_is_corrected_tells_of_no_other(ground: Ground, look: str) -> None:
    """It was known already that this one is gone, under another time."""
    tell(
        ground,
        (
            event("nobody", "login", 1),
            *(row(name, 2) for name in "cd"),
            *(event(name, CREATION, 2) for name in "cd"),
            run(4),
            event("c", DELETION, 4.5),
            gone("c"),
            run(6, 8),
            corrected("c", DELETION, 4.25),
            gone("d"),
            run(10),
            *WAYS[look][1],
        ),
    )
    settled(ground, {4: 2, 6: 1, 8: 1, 10: 0})
