"""Births that nothing tells any more: who counts then, when, and what means say of it."""

from __future__ import annotations

import uuid

import pytest
from tests.support import lanes, oracle
from tests.support.stories import Step, alone, day, gone, identity, in_company, run, sweep
from tests.support.zoo.ground import Ground

from consumer_analytics.etl import comparison, vanished

A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)
CREATION, CHANGE, DELETION = oracle.LIFECYCLE


def row(name: str, created: float | None, of: uuid.UUID | None = A) -> Step:
    return lambda on: on.row(
        identity(name), of, "ACTIVE", None if created is None else day(created)
    )


def event(name: str, kind: str, at: float, of: uuid.UUID | None = A) -> Step:
    payload = {"status": "ACTIVE"} if kind in (CREATION, DELETION) else None

    def step(on: Ground) -> None:
        on.event(kind, day(at), customer=identity(name), consumer=of, payload=payload)

    return step


def purged(before: float, kind: str = "%", of: uuid.UUID = A) -> Step:
    def step(on: Ground) -> None:
        on.app.execute(
            "delete from customer_events "
            "where created_at < %s and event_type like %s and consumer_id = %s",
            [day(before), kind, of],
        )

    return step


def taken_out(name: str, at: float) -> Step:
    def step(on: Ground) -> None:
        on.app.execute(
            "delete from customer_events where customer_id = %s and created_at = %s",
            [identity(name), day(at)],
        )

    return step


def accepted(on: Ground) -> None:
    on.sweep(accepted=vanished.EVERYTHING)


#: Of A: `old` has its time, `new` has none and a creation event that goes.
PLAIN: tuple[Step, ...] = (
    row("old", 1),
    event("old", "login", 1.25),
    row("new", None),
    event("new", CREATION, 2.5),
    event("old", "login", 4.5),
    run(2, 3, 4, 5),
)

#: By day how many customers A has, and their mean lifetime.
Right = dict[float, tuple[int, float | None]]
REMEMBERED: Right = {
    2: (1, 1.0),
    3: (2, 1.25),
    4: (2, 2.25),
    5: (2, 3.25),
    6: (2, 4.25),
}
STORIES: dict[str, tuple[tuple[Step, ...], Right]] = {
    "all is there": (PLAIN, {2: (1, 1.0), 3: (2, 1.25), 4: (2, 2.25), 5: (2, 3.25)}),
    # What a run has read of it is remembered.
    "a creation is gone": ((*PLAIN, purged(4, CREATION), run(6)), REMEMBERED),
    "all old events are gone": ((*PLAIN, purged(4), run(6)), REMEMBERED),
    "a later event would tell": (
        (*PLAIN, event("new", "login", 5.5), purged(4, CREATION), run(6)),
        REMEMBERED,
    ),
    "one that is remembered goes as well": (
        (
            *PLAIN,
            purged(4, CREATION),
            run(6),
            gone("new"),
            event("new", DELETION, 6.5),
            run(7),
        ),
        {**REMEMBERED, 7: (1, 6.0)},
    ),
    "of one without a creation all old events are gone": (
        (
            row("old", 1),
            event("old", "login", 1.25),
            row("new", None),
            event("new", "login", 2.5),
            event("old", "login", 4.5),
            event("new", "login", 4.5),
            run(2, 3, 4, 5),
            purged(4),
            run(6),
            gone("new"),
            event("new", DELETION, 6.5),
            run(7),
        ),
        {**REMEMBERED, 7: (1, 6.0)},
    ),
    # It tells nothing that was not so: it is corrected.
    "a creation is taken out": (
        (
            row("old", 1),
            event("old", CREATION, 1.25),
            row("new", None),
            event("new", CREATION, 2.5),
            event("new", CREATION, 3.5),
            event("old", "login", 4.5),
            run(2, 3, 4, 5),
            taken_out("new", 2.5),
            run(6),
        ),
        {2: (1, 1.0), 3: (1, 2.0), 4: (2, 1.75), 5: (2, 2.75), 6: (2, 3.75)},
    ),
    # It counts at each instant that can be told, and what was reported of means stays.
    "nothing ever told": (
        (
            row("old", 1),
            event("old", CREATION, 1.5),
            row("never", None),
            event("old", "login", 4.5),
            run(2, 3, 4, 5),
            purged(4),
            run(6),
        ),
        {2: (2, 1.0), 3: (2, 2.0), 4: (2, 3.0), 5: (2, 4.0), 6: (2, 5.0)},
    ),
    # What is lost of another consumer's says nothing of this one's.
    "another consumer's creation is gone": (
        (
            row("old", 1),
            row("never", None),
            event("of B", CREATION, 2.5, B),
            event("of B", "login", 3.5, B),
            run(2, 3, 4, 5),
            purged(3, CREATION, B),
            run(6),
        ),
        {2: (1, 1.0), 5: (1, 4.0), 6: (1, 5.0)},
    ),
    # What it told is remembered all the same.
    "what is gone is accepted": ((*PLAIN, purged(4, CREATION), run(6), accepted), REMEMBERED),
    # Its row told its birth as long as it was there: its end comes after what told it is gone.
    "of a life that ends after the loss": (
        (
            row("old", 1),
            event("old", "login", 1.25),
            row("new", 2.5),
            event("new", CREATION, 2.5),
            event("old", "login", 4.5),
            run(2, 3, 4, 5),
            purged(4, CREATION),
            run(6),
            gone("new"),
            event("new", DELETION, 6.5),
            run(7),
        ),
        {3: (2, 1.25), 4: (2, 2.25), 5: (2, 3.25), 6: (2, 4.25), 7: (1, 6.0)},
    ),
}
#: Whether capture is on, and how all is looked at once more.
LOOKS: dict[str, tuple[bool, tuple[Step, ...]]] = {
    f"{name}, {'captured' if captured else 'capture off'}": (captured, steps)
    for name, steps in {
        "a sweep": (sweep,),
        "each alone": (alone, sweep),
        "all in company": (in_company,),
        "a repair": (Ground.repair,),
    }.items()
    for captured in (False, True)
}


@pytest.mark.parametrize(("story", "look"), lanes.each_once(STORIES, LOOKS, hours=True, every=6))
def test_who_counts_where_nothing_tells_a_birth(ground: Ground, story: str, look: str) -> None:
    (steps, right), (captured, looks) = STORIES[story], LOOKS[look]
    ground.clear()
    for consumer in (A, B):
        ground.consumer(consumer, day(1))
    ground.capture(captured)
    for step in (*steps, sweep, *looks):
        step(ground)
    stored = {number: oracle.stored(ground.app, day(number))[str(A)] for number in right}
    assert {
        number: (one["total_customers"], one["avg_customer_lifetime_days"])
        for number, one in stored.items()
    } == right
    audited = ground.audit()
    assert audited.clean, audited.as_json()["first_differences"]
    kept = ground.kept()
    sweep(ground)
    assert ground.kept() == kept


def test_of_nobody_the_day_alone_tells_what_has_vanished(ground: Ground) -> None:
    """No snapshot tells events of nobody by type: which of two went before noon is not known."""
    story = (
        row("back", 1, None),
        event("back", CREATION, 1, None),
        run(2),
        gone("back"),
        event("back", DELETION, 2.5, None),
        run(3),
        event("other", CHANGE, 4.25, None),
        row("back", 1, None),
        event("back", CREATION, 4.75, None),
        run(4, 4.5, 5),
        taken_out("back", 1),
        taken_out("back", 2.5),
        taken_out("back", 4.75),
        taken_out("other", 4.25),
        sweep,
        event("back", "login", 6.25, None),
        gone("back"),
        event("back", DELETION, 6.75, None),
        run(6, 7),
    )
    ground.clear()
    for step in story:
        step(ground)
    for again in (sweep, in_company):
        assert ground.app.execute(
            "select extract(day from snapshot_timestamp at time zone 'UTC')::int, "
            "(metrics_json ->> 'unattributed_customers')::int from consumer_analytics "
            "where consumer_id is null and snapshot_timestamp <> %s order by 1",
            [day(4.5)],
        ).fetchall() == [(2, 1), (3, 0), (4, 0), (5, 1), (6, 1), (7, 0)]
        audited = ground.audit()
        assert audited.clean, audited.as_json()["first_differences"]
        again(ground)


@pytest.mark.parametrize(
    ("untold", "captured"),
    lanes.each_once(
        [
            pytest.param(event("untold", DELETION, 12), id="over"),
            pytest.param(row("untold", None), id="going on"),
        ],
        [False, True],
    ),
)
def test_who_was_not_reported_has_no_row_for_customers_that_nobody_can_tell(
    ground: Ground, untold: Step, captured: bool
) -> None:
    unreported(ground, untold, captured=captured)
    for look in (lambda _: None, sweep, in_company, alone, Ground.repair):
        look(ground)
        at_first = oracle.stored(ground.app, day(3))
        assert (at_first[None]["consumers_in_system"], len(at_first)) == (1, 2)
        assert at_first[None]["total_customers_all_consumers"] == 0
        assert oracle.stored(ground.app, day(8))[str(A)]["total_customers"] == 2
        audited = ground.audit()
        assert audited.clean, audited.as_json()["first_differences"]


@pytest.mark.parametrize("mend", lanes.first(1, [sweep, Ground.repair]))
def test_who_was_not_reported_has_no_row_for_customers_that_come_to_it(
    ground: Ground, mend: Step
) -> None:
    """A customer of B moves to A, of whom nobody can tell the customers of then."""
    unreported(ground, row("moved", 2, B), captured=False)
    ground.app.execute(
        "update customers set consumer_id = %s where customer_id = %s", [A, identity("moved")]
    )
    assert day(3) in ground.audit().wrong_snapshots
    mend(ground)
    at_first = oracle.stored(ground.app, day(3))
    assert str(A) not in at_first
    assert at_first[str(B)]["total_customers"] == 0
    audited = ground.audit()
    assert audited.clean, audited.as_json()["first_differences"]


def unreported(ground: Ground, untold: Step, *, captured: bool) -> None:
    """A is registered after the first run, and what tells of its first customer vanishes."""
    ground.clear()
    ground.consumer(B, day(1))
    ground.consumer(A, day(5))
    ground.capture(captured)
    for step in (
        row("other", 4, B),
        event("other", "login", 1.5, B),
        row("first", 6),
        event("first", CREATION, 6),
        untold,
        run(3, 8, 13),
        purged(7),
        run(14),
        sweep,
    ):
        step(ground)


@pytest.mark.parametrize(
    "most", lanes.first(1, [comparison.MOST_COLUMNS, -1]), ids=["few statuses", "many"]
)
def test_a_birth_that_nothing_tells_any_more_is_new_in_no_window(
    ground: Ground, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor in one that another snapshot lies in, where the mean stays as it was reported."""
    monkeypatch.setattr(comparison, "MOST_COLUMNS", most)
    ground.clear()
    ground.consumer(A, day(1))
    for step in (
        row("other", 1.5),
        event("other", CREATION, 1.5),
        row("c", 4.7),
        event("c", CREATION, 4.7),
        run(4, 6, 8, 4.5),
        purged(7),
        sweep,
        gone("c"),
        event("c", DELETION, 9),
        run(10),
        sweep,
    ):
        step(ground)
    of_then = oracle.stored(ground.app, day(6))[str(A)]
    assert of_then["total_customers"] == 2
    assert of_then["new_customers_in_window"] == 0
    audited = ground.audit()
    assert audited.clean, audited.as_json()["first_differences"]
    kept = ground.kept()
    sweep(ground)
    assert ground.kept() == kept
