"""Customers' past: whatever happens to a customer, each snapshot tells one life's one truth.

Each case is a story, a step after the other, and what is right in the end: for each instant
that was reported, how many customers of which status each consumer had. Every story is told
with capture on and off, and looked at again in every way that the product has: by a sweep, one
instant alone, all in company (a backfill), a repair. None of them may find another truth.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support import lanes, oracle
from tests.support.stories import Step, alone, day, gone, identity, in_company, run, sweep
from tests.support.zoo.ground import Ground

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import vanished

CONSUMERS = {"A": uuid.UUID(int=0xA), "B": uuid.UUID(int=0xB)}
CREATION, CHANGE, DELETION = oracle.LIFECYCLE


def consumer_of(name: str | None) -> uuid.UUID | None:
    return None if name is None else CONSUMERS[name]


# -- steps of a story ----------------------------------------------------------


def backfill(start: int, end: int) -> Step:
    return lambda on: on.backfill(day(start).date(), day(end).date()) and None


def row(
    name: str, created: float | None, status: str | None = "ACTIVE", of: str | None = "A"
) -> Step:
    at = None if created is None else day(created)
    return lambda on: on.row(identity(name), consumer_of(of), status, at)


def event(
    name: str,
    kind: str,
    at: float,
    payload: Any = None,
    of: str | None = "A",
    number: int | None = None,
) -> Step:
    def step(on: Ground) -> None:
        on.event(
            kind,
            day(at),
            customer=identity(name),
            consumer=consumer_of(of),
            payload=payload,
            event_id=None if number is None else uuid.UUID(int=number),
        )

    return step


def change(name: str, at: float, old: str, new: str, of: str | None = "A") -> Step:
    return event(name, CHANGE, at, {"old_status": old, "new_status": new}, of)


def creation(name: str, at: float, status: str | None = "ACTIVE", of: str | None = "A") -> Step:
    return event(name, CREATION, at, {} if status is None else {"status": status}, of)


def deletion(name: str, at: float, status: str = "ACTIVE", of: str | None = "A") -> Step:
    return event(name, DELETION, at, {"status": status}, of)


def together(*steps: Step) -> Step:
    """Do it in one transaction, as an application does."""

    def step(on: Ground) -> None:
        with on.app.transaction():
            for one in steps:
                one(on)

    return step


def born(name: str, at: float, status: str = "ACTIVE", of: str | None = "A") -> Step:
    return together(row(name, at, status, of), creation(name, at, status, of))


def died(name: str, at: float, status: str = "ACTIVE", of: str | None = "A") -> Step:
    return together(gone(name), deletion(name, at, status, of))


def changed(name: str, at: float, old: str, new: str, of: str | None = "A") -> Step:
    return together(corrected(name, status=new), change(name, at, old, new, of))


def corrected(name: str, *, status: str) -> Step:
    return lambda on: _executed(
        on, "update customers set status = %s where customer_id = %s", status, identity(name)
    )


def moved(name: str, to: str | None) -> Step:
    return lambda on: _executed(
        on,
        "update customers set consumer_id = %s where customer_id = %s",
        consumer_of(to),
        identity(name),
    )


def purged(before: float, kind: str = "%") -> Step:
    return lambda on: _executed(
        on,
        "delete from customer_events where created_at < %s and event_type like %s",
        day(before),
        kind,
    )


def swept(since: int) -> Step:
    def step(on: Ground) -> None:
        on.sweep(day(since).date())

    return step


def accepted() -> Step:
    def step(on: Ground) -> None:
        on.sweep(accepted=vanished.EVERYTHING)

    return step


def watched() -> Step:
    """Switch capture on, if it is not."""
    return lambda on: on.capture(True)


def _executed(on: Ground, statement: str, *values: Any) -> None:
    on.app.execute(statement, values)


# -- cases ---------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A story and what is right in the end.

    Attributes:
        name: what it is about.
        steps: what happens, in this order.
        right: by day, the statuses of each consumer's customers; "AAB" would be three.
        means: by day, the mean lifetime in days of A's customers.
        right_if_seen: what is right where capture saw the rows, if that is something else.
        purges: events have vanished, so the sources alone do not tell the past.
    """

    name: str
    steps: tuple[Step, ...]
    right: dict[float, dict[str, str]]
    means: dict[float, float | None] = field(default_factory=dict)
    right_if_seen: dict[float, dict[str, str]] | None = None
    purges: bool = False


def a(statuses: str) -> dict[str, str]:
    """Return what A's customers are; B has none."""
    return {"A": statuses}


#: A customer of another tenant that lives through each story, so that no consumer is ever bare.
WITNESSES = together(born("witness of A", 1, "WITNESS"), born("witness of B", 1, "WITNESS", "B"))

RESTORED = [
    Case(
        "restored under its old created_at: not there in between",
        (
            born("c", 2),
            run(3),
            died("c", 5),
            run(6),
            together(row("c", 2), creation("c", 8)),
            run(9),
        ),
        {3: a("ACTIVE"), 6: a(""), 9: a("ACTIVE")},
    ),
    Case(
        "restored with another status, and each life has its own",
        (
            born("c", 2, "PENDING"),
            run(3),
            changed("c", 4, "PENDING", "ACTIVE"),
            run(4.5),
            died("c", 5),
            run(6),
            together(row("c", 2, "BLOCKED"), creation("c", 8, "BLOCKED")),
            run(9),
        ),
        {3: a("PENDING"), 4.5: a("ACTIVE"), 6: a(""), 9: a("BLOCKED")},
    ),
    Case(
        "born again with a row of its own: its created_at is the creation",
        (born("c", 2), run(3), died("c", 5), run(6), row("c", 8), run(9)),
        {3: a("ACTIVE"), 6: a(""), 9: a("ACTIVE")},
    ),
    Case(
        "restored, deleted and restored again",
        (
            born("c", 2),
            run(3),
            died("c", 4),
            run(5),
            together(row("c", 2), creation("c", 6)),
            run(7),
            died("c", 8),
            run(9),
            together(row("c", 2), creation("c", 10)),
            run(11),
        ),
        {3: a("ACTIVE"), 5: a(""), 7: a("ACTIVE"), 9: a(""), 11: a("ACTIVE")},
    ),
    Case(
        "a creation that follows a deletion which its row contradicted until then",
        (born("c", 2), run(3), deletion("c", 4), run(5), creation("c", 6), run(7)),
        {3: a("ACTIVE"), 5: a(""), 7: a("ACTIVE")},
        {7: 1.0},
    ),
    Case(
        "a change between a row's return and the creation event that tells of it",
        (
            born("c", 2),
            run(3),
            died("c", 4),
            run(5),
            row("c", 8),
            run(8.5),
            change("c", 8.7, "PENDING", "ACTIVE"),
            creation("c", 9, "BLOCKED"),
            run(10),
        ),
        {3: a("ACTIVE"), 5: a(""), 8.5: a("PENDING"), 10: a("ACTIVE")},
        {10: 2.0},
    ),
    Case(
        "a second deletion of one life changes nothing",
        (born("c", 2), run(3), died("c", 5), run(6), deletion("c", 7, "BLOCKED"), run(8)),
        {3: a("ACTIVE"), 6: a(""), 8: a("")},
    ),
    Case(
        "a deletion that no creation follows, of a customer whose row is there",
        (born("c", 2), run(3), deletion("c", 4), run(5, 6)),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 6: a("ACTIVE")},
    ),
    Case(
        "one that comes after the row has come back under a time of its own",
        (born("c", 2), run(3), died("c", 4), run(5), row("c", 6), run(7), deletion("c", 8), run(9)),
        {3: a("ACTIVE"), 5: a(""), 7: a("ACTIVE"), 9: a("ACTIVE")},
    ),
    Case(
        "back under a time of its own, deleted, and restored under that time with a creation event",
        (
            born("c", 2),
            run(3),
            died("c", 4),
            run(4.5),
            row("c", 5),
            run(6),
            died("c", 7),
            run(8),
            together(row("c", 5), creation("c", 9)),
            run(10, 11),
        ),
        {3: a("ACTIVE"), 4.5: a(""), 6: a("ACTIVE"), 8: a(""), 10: a("ACTIVE"), 11: a("ACTIVE")},
        {6: 1.0, 10: 1.0, 11: 2.0},
    ),
    Case(
        "the same of one whose row was there all along",
        (
            born("c", 2),
            run(3),
            died("c", 4),
            row("c", 5),
            run(4.5, 6),
            deletion("c", 7),
            run(8),
            creation("c", 9),
            run(10),
        ),
        {3: a("ACTIVE"), 4.5: a(""), 6: a("ACTIVE"), 8: a(""), 10: a("ACTIVE")},
        {6: 1.0, 10: 1.0},
    ),
    Case(
        "the same in one transaction, of one who was another's before",
        (
            born("c", 2),
            run(3),
            died("c", 4),
            run(4.5),
            row("c", 5, of="B"),
            run(6),
            together(
                gone("c"),
                deletion("c", 7, of="B"),
                row("c", 5, of="B"),
                creation("c", 9, of="B"),
            ),
            run(10, 11),
        ),
        {3: a("ACTIVE"), 4.5: a(""), 6: {"B": "ACTIVE"}, 10: {"B": "ACTIVE"}, 11: {"B": "ACTIVE"}},
    ),
    Case(
        "the same in one transaction, of one who was nobody's before",
        (
            born("c", 2, of=None),
            run(3),
            died("c", 4, of=None),
            run(4.5),
            row("c", 5, of="B"),
            run(6),
            together(
                gone("c"),
                deletion("c", 7, of="B"),
                row("c", 5, of="B"),
                creation("c", 9, of="B"),
            ),
            run(10, 11),
        ),
        {4.5: a(""), 6: {"B": "ACTIVE"}, 10: {"B": "ACTIVE"}, 11: {"B": "ACTIVE"}},
    ),
    Case(
        "a change that changes nothing tells what it was",
        (
            born("c", 2),
            change("c", 4, "ACTIVE", "BLOCKED"),
            change("c", 6, "BLOCKED", "BLOCKED"),
            corrected("c", status="INACTIVE"),
            run(3, 5, 7),
        ),
        {3: a("ACTIVE"), 5: a("BLOCKED"), 7: a("INACTIVE")},
    ),
    Case(
        "deleted and restored between two runs, and changed since",
        (
            born("c", 2),
            run(3),
            died("c", 4),
            together(row("c", 2, "BLOCKED"), creation("c", 5, "BLOCKED")),
            changed("c", 6, "BLOCKED", "INACTIVE"),
            run(8),
            backfill(3, 7),
        ),
        {
            3: a("ACTIVE"),
            4: a("ACTIVE"),
            5: a(""),
            6: a("BLOCKED"),
            7: a("INACTIVE"),
            8: a("INACTIVE"),
        },
        {8: 3.0},
    ),
    Case(
        "deleted and restored twice between two runs, and moved in the end",
        (
            born("c", 2),
            run(3),
            died("c", 4),
            together(row("c", 2), creation("c", 5)),
            died("c", 6),
            together(row("c", 2, "BLOCKED"), creation("c", 7, "BLOCKED")),
            moved("c", "B"),
            run(8, 9),
        ),
        {3: a("ACTIVE"), 8: {"B": "BLOCKED"}, 9: {"B": "BLOCKED"}},
    ),
    Case(
        "deleted, and restored before its deletion event is written",
        (
            born("c", 2),
            run(3),
            gone("c"),
            together(row("c", 2, "BLOCKED"), creation("c", 5, "BLOCKED")),
            deletion("c", 4),
            run(8),
        ),
        {3: a("ACTIVE"), 8: a("BLOCKED")},
        {8: 3.0},
    ),
    Case(
        "deleted, and restored without an event: the row wins, as over any such deletion",
        (born("c", 2), run(3), died("c", 4), row("c", 2), run(5, 8)),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 8: a("ACTIVE")},
        {8: 6.0},
    ),
    Case(
        "deleted and born again in one microsecond: it was there all along, twice",
        (
            born("c", 2),
            run(3),
            together(
                deletion("c", 5), creation("c", 5, "BLOCKED"), corrected("c", status="BLOCKED")
            ),
            run(5, 6),
        ),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 6: a("BLOCKED")},
    ),
    Case(
        "deleted and born again in one microsecond, and only its row tells that it was there",
        (
            row("c", 2),
            together(creation("c", 5), deletion("c", 5)),
            run(4, 5, 6),
        ),
        # When that first life began nothing tells.
        {4: a(""), 5: a(""), 6: a("ACTIVE")},
        {6: 1.0},
    ),
    Case(
        "born and deleted in one microsecond, twice, of one that had been deleted before",
        (
            born("c", 2),
            run(3),
            died("c", 3.5),
            run(4),
            together(creation("c", 5), deletion("c", 5), creation("c", 6), deletion("c", 6)),
            run(7),
            deletion("c", 7.5),
            run(8),
        ),
        {3: a("ACTIVE"), 4: a(""), 7: a(""), 8: a("")},
    ),
    Case(
        "born and deleted in one microsecond",
        (together(creation("c", 4), deletion("c", 4)), run(4, 5)),
        {4: a(""), 5: a("")},
    ),
]

PURGED = [
    Case(
        "the birth of a deleted customer outlives its creation event",
        (
            born("c2", 1),
            run(2, 3, 4, 5, 6),
            born("c1", 6),
            run(7),
            died("c2", 7.5),
            run(8),
            purged(6),
            run(9),
            backfill(6, 9),
        ),
        {2: a("ACTIVE"), 6: a("ACTIVE"), 7: a("ACTIVE ACTIVE"), 8: a("ACTIVE"), 9: a("ACTIVE")},
        {7: 3.50, 8: 2.0, 9: 3.0},
        purges=True,
    ),
    Case(
        "a birth known from an event alone outlives the event",
        (
            together(row("c2", 1), event("c2", "login", 1)),
            run(2, 6),
            born("c1", 6),
            run(7),
            died("c2", 7.5),
            run(8),
            purged(6),
            run(9),
        ),
        {2: a("ACTIVE"), 6: a("ACTIVE"), 7: a("ACTIVE ACTIVE"), 8: a("ACTIVE"), 9: a("ACTIVE")},
        {7: 3.50, 8: 2.0, 9: 3.0},
        purges=True,
    ),
    Case(
        "a return whose creation is purged began then, also where another creation comes",
        (
            born("c", 1.2),
            run(2),
            died("c", 3),
            run(3.5),
            together(row("c", 1.2), creation("c", 4.2)),
            run(5, 6),
            purged(4.5, CREATION),
            run(7),
            swept(1),
            creation("c", 7.5),
            run(8),
        ),
        {2: a("ACTIVE"), 3.5: a(""), 5: a("ACTIVE"), 6: a("ACTIVE"), 8: a("ACTIVE")},
        {6: 1.8, 8: 3.8},
        purges=True,
    ),
    Case(
        "the status that a change told outlives it, where the deletion does not tell it",
        (
            born("c", 2, "NEW"),
            run(3),
            changed("c", 4, "NEW", "BLOCKED"),
            run(5),
            together(gone("c"), event("c", DELETION, 6, {})),
            run(7),
            purged(4.5),
            swept(1),
            run(8),
        ),
        {3: a("NEW"), 5: a("BLOCKED"), 7: a(""), 8: a("")},
        purges=True,
    ),
    Case(
        "what of a return has vanished and is accepted: it is remembered, and began then",
        (
            born("c", 1.2),
            run(2),
            died("c", 3),
            run(3.5),
            together(row("c", 1.2), creation("c", 4.2)),
            run(5, 6),
            purged(4.5, CREATION),
            run(7),
            swept(1),
            accepted(),
            creation("c", 7.5),
            run(8),
        ),
        {2: a("ACTIVE"), 3.5: a(""), 5: a("ACTIVE"), 6: a("ACTIVE"), 8: a("ACTIVE")},
        {6: 1.8, 8: 3.8},
        purges=True,
    ),
    Case(
        "its deletion vanished, and its row is back without an event: it wins",
        (
            born("c", 2),
            run(3),
            died("c", 5),
            run(6),
            purged(5.5, DELETION),
            swept(1),
            run(7),
            row("c", 2),
            run(8),
        ),
        {3: a("ACTIVE"), 6: a("ACTIVE"), 7: a("ACTIVE"), 8: a("ACTIVE")},
        {8: 6.0},
        purges=True,
    ),
    Case(
        "a late event of any kind tells the birth of whom no creation and no row tells",
        (
            event("c", "login", 6),
            deletion("c", 8),
            run(3, 5, 7, 9),
            event("c", "login", 4),
            run(10),
        ),
        {3: a(""), 5: a("ACTIVE"), 7: a("ACTIVE"), 9: a("")},
    ),
    Case(
        "an event of any kind that is moved to before it does, too",
        (
            event("c", "login", 6),
            event("c", "pay", 7),
            deletion("c", 8),
            run(3, 5, 7, 9),
            lambda on: _executed(
                on,
                "update customer_events set created_at = %s where event_type = 'pay'",
                day(4),
            ),
            run(10),
        ),
        {3: a(""), 5: a("ACTIVE"), 7: a("ACTIVE"), 9: a("")},
        # Purged before a sweep has seen where it went, it was there twice.
        purges=True,
    ),
    Case(
        "a birth outlives its creation event where capture, switched on since, sees that go",
        (
            born("c", 2),
            run(3, 5),
            died("c", 6),
            run(7),
            watched(),
            purged(4, CREATION),
            run(8),
        ),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 7: a(""), 8: a("")},
        {3: 1.0, 5: 3.0},
        purges=True,
    ),
    Case(
        "creations alone are purged",
        (
            born("c2", 1),
            run(2, 6),
            born("c1", 6),
            run(7),
            died("c2", 7.5),
            run(8),
            purged(6, CREATION),
            run(9),
        ),
        {2: a("ACTIVE"), 6: a("ACTIVE"), 7: a("ACTIVE ACTIVE"), 8: a("ACTIVE"), 9: a("ACTIVE")},
        {7: 3.50, 8: 2.0, 9: 3.0},
        purges=True,
    ),
    Case(
        "what is remembered is not worked out anew from less: an event comes after the purge",
        (
            born("c2", 1),
            run(2, 6),
            born("c1", 6),
            run(7),
            died("c2", 7.5),
            run(8),
            purged(6),
            run(9),
            event("c2", "login", 9.5),
            run(10),
        ),
        {2: a("ACTIVE"), 7: a("ACTIVE ACTIVE"), 8: a("ACTIVE"), 10: a("ACTIVE")},
        {7: 3.50, 8: 2.0, 10: 4.0},
        purges=True,
    ),
]

WITHOUT_CREATION = [
    Case(
        "no creation event: born at its earliest event",
        (
            run(5, 18),
            together(row("c", 20), event("c", "login", 20), event("c", "login", 20.5)),
            run(21, 22),
            died("c", 23),
            run(24),
        ),
        {5: a(""), 18: a(""), 21: a("ACTIVE"), 22: a("ACTIVE"), 24: a("")},
    ),
    Case(
        "no creation event, and its earliest event is a change of status",
        (
            run(5),
            together(row("c", 20, "BLOCKED"), change("c", 20, "ACTIVE", "BLOCKED")),
            run(21),
            died("c", 23, "BLOCKED"),
            run(24),
        ),
        {5: a(""), 21: a("BLOCKED"), 24: a("")},
    ),
    Case(
        "no event but its deletion: only whoever saw the row knows that it was there",
        (run(5), row("c", 20), run(21, 22), died("c", 23), run(24)),
        {5: a(""), 21: a(""), 22: a(""), 24: a("")},
        right_if_seen={5: a(""), 21: a("ACTIVE"), 22: a("ACTIVE"), 24: a("")},
    ),
    Case(
        "a creation event that is later than the birth: the row that was seen stands",
        (
            run(5),
            row("c", 20),
            run(21),
            creation("c", 21.5),
            run(22),
            died("c", 23),
            run(24),
        ),
        {5: a(""), 21: a(""), 22: a("ACTIVE"), 24: a("")},
        right_if_seen={5: a(""), 21: a("ACTIVE"), 22: a("ACTIVE"), 24: a("")},
    ),
]


def _unsure(of_change: str | None, of_deletion: str | None, of_creation: str | None = "A") -> Any:
    return (
        together(row("c", 2), creation("c", 2, "ACTIVE", of_creation)),
        run(3),
        changed("c", 4, "ACTIVE", "BLOCKED", of_change),
        run(5),
        died("c", 6, "BLOCKED", of_deletion),
        run(7),
    )


ALL_OF_A: dict[float, dict[str, str]] = {3: a("ACTIVE"), 5: a("BLOCKED"), 7: a("")}
CONSUMER = [
    Case("a change without a consumer moves nobody", _unsure(None, "A"), ALL_OF_A),
    Case("a change of another consumer moves nobody", _unsure("B", "A"), ALL_OF_A),
    Case("a creation without a consumer moves nobody", _unsure("A", "A", None), ALL_OF_A),
    Case("a deletion without a consumer: the change before it tells", _unsure("A", None), ALL_OF_A),
    Case(
        "a deletion without a consumer: the creation tells where the change has none",
        _unsure(None, None),
        ALL_OF_A,
    ),
    Case(
        "a deletion without a consumer after another's change",
        _unsure("B", None),
        {3: {"B": "ACTIVE"}, 5: {"B": "BLOCKED"}, 7: a("")},
        right_if_seen=ALL_OF_A,
    ),
    Case(
        "moved while alive, deleted under its new consumer: one answer for all",
        (born("c", 2), run(3), moved("c", "B"), run(5), died("c", 6, of="B"), run(7)),
        {3: {"B": "ACTIVE"}, 5: {"B": "ACTIVE"}, 7: a("")},
    ),
    Case(
        "moved, and still there",
        (born("c", 2), run(3), moved("c", "B"), run(5)),
        {3: {"B": "ACTIVE"}, 5: {"B": "ACTIVE"}},
    ),
    Case(
        "moved there and back",
        (born("c", 2), run(3), moved("c", "B"), run(4), moved("c", "A"), run(5)),
        {3: a("ACTIVE"), 4: a("ACTIVE"), 5: a("ACTIVE")},
    ),
    Case(
        "moved to nobody",
        (born("c", 2), run(3), moved("c", None), run(5)),
        {3: a(""), 5: a("")},
    ),
]

LATE_DELETION = [
    Case(
        "a late deletion of a customer that nobody knows: it never counts",
        (run(3, 5, 7, 9), deletion("c", 8), run(10)),
        {3: a(""), 5: a(""), 7: a(""), 9: a(""), 10: a("")},
    ),
    Case(
        "a late deletion of a customer of whom one other event tells",
        (event("c", "login", 4), run(3, 5, 7, 9), deletion("c", 8), run(10)),
        {3: a(""), 5: a("ACTIVE"), 7: a("ACTIVE"), 9: a(""), 10: a("")},
    ),
    Case(
        "a late deletion with a late creation",
        (run(3, 5, 7, 9), deletion("c", 8), creation("c", 4), run(10)),
        {3: a(""), 5: a("ACTIVE"), 7: a("ACTIVE"), 9: a(""), 10: a("")},
    ),
]

STATUS = [
    Case(
        "a fresh change whose old status is not what was reported",
        (born("c", 1), run(3), change("c", 4, "BLOCKED", "ACTIVE"), run(5)),
        {3: a("BLOCKED"), 5: a("ACTIVE")},
    ),
    Case(
        "a late change whose old status is not what was reported",
        (born("c", 1), run(3, 5), change("c", 4, "BLOCKED", "ACTIVE"), run(6)),
        {3: a("BLOCKED"), 5: a("ACTIVE"), 6: a("ACTIVE")},
    ),
    Case(
        "a status corrected without an event: so it was since the last change",
        (
            born("c", 1),
            run(2),
            changed("c", 3, "ACTIVE", "BLOCKED"),
            run(4),
            corrected("c", status="CLOSED"),
            run(5),
        ),
        {2: a("ACTIVE"), 4: a("CLOSED"), 5: a("CLOSED")},
    ),
    Case(
        "a creation later than the birth that tells no status",
        (row("c", 2), run(3), creation("c", 4, None), run(5)),
        {3: a("ACTIVE"), 5: a("ACTIVE")},
    ),
    Case(
        "a creation later than the birth tells the time between",
        (row("c", 2), run(3), creation("c", 4, "PENDING"), run(5)),
        {3: a("PENDING"), 5: a("ACTIVE")},
    ),
    Case(
        "a creation later than the birth, where a change says otherwise",
        (
            row("c", 2),
            run(3),
            creation("c", 4, "PENDING"),
            run(5),
            changed("c", 6, "ACTIVE", "BLOCKED"),
            run(7),
        ),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 7: a("BLOCKED")},
    ),
    Case(
        "changes of one microsecond, in the order of what they say",
        (
            born("c", 2, "W"),
            run(3),
            together(
                change("c", 4, "Y", "Z"),
                change("c", 4, "W", "X"),
                change("c", 4, "X", "Y"),
                corrected("c", status="Z"),
            ),
            run(4, 5),
        ),
        {3: a("W"), 4: a("W"), 5: a("Z")},
    ),
    Case(
        "there and back in one microsecond",
        (
            born("c", 2),
            run(3),
            together(change("c", 4, "X", "ACTIVE"), change("c", 4, "ACTIVE", "X")),
            run(4, 5),
        ),
        {3: a("ACTIVE"), 4: a("ACTIVE"), 5: a("ACTIVE")},
    ),
    Case(
        "a deletion without a status: the last change tells it",
        (
            born("c", 2),
            run(3),
            changed("c", 4, "ACTIVE", "BLOCKED"),
            run(5),
            together(gone("c"), event("c", DELETION, 6, {})),
            run(7),
        ),
        {3: a("ACTIVE"), 5: a("BLOCKED"), 7: a("")},
    ),
    Case(
        "a deletion without a status, after two changes in one microsecond: where both have led",
        (
            born("c", 2),
            run(3),
            together(change("c", 4, "BLOCKED", "CLOSED"), change("c", 4, "ACTIVE", "BLOCKED")),
            event("c", CHANGE, 4.5, {"new_status": "PENDING"}),
            together(gone("c"), event("c", DELETION, 6, {})),
            run(5, 7),
        ),
        {3: a("ACTIVE"), 5: a("CLOSED"), 7: a("")},
    ),
    Case(
        "a creation event later than the birth, of a customer that had lived before",
        (
            together(creation("c", 1.5), deletion("c", 2)),
            together(row("c", 3), creation("c", 5.5, "PENDING")),
            run(4, 5, 6),
        ),
        {4: a("PENDING"), 5: a("PENDING"), 6: a("ACTIVE")},
    ),
    Case(
        "a deletion without a status, of one whose life before ended as this one was reported",
        (
            born("c", 2, "BLOCKED"),
            run(3),
            died("c", 4, "BLOCKED"),
            run(4.5),
            together(row("c", 5, "BLOCKED"), creation("c", 5, "PENDING")),
            run(5.5),
            together(gone("c"), event("c", DELETION, 6, {})),
            run(7),
        ),
        {3: a("BLOCKED"), 4.5: a(""), 5.5: a("PENDING"), 7: a("")},
    ),
    Case(
        "neither the deletion nor the first creation can be read: a later one tells it",
        (
            together(row("c", 2), event("c", CREATION, 2, {}), creation("c", 2.5, "PENDING")),
            run(3),
            together(gone("c"), event("c", DELETION, 6, [1])),
            run(7),
        ),
        {3: a("PENDING"), 7: a("")},
    ),
    Case(
        "a deletion without a status, of a customer that never changed: its creation tells it",
        (born("c", 2), run(3), together(gone("c"), event("c", DELETION, 6, [1])), run(7)),
        {3: a("ACTIVE"), 7: a("")},
    ),
]

WITHOUT_EVENT = [
    Case(
        "a row that goes without an event",
        (born("c", 2), run(3), gone("c"), run(5)),
        {3: a(""), 5: a("")},
        # It ended when it went, which is today.
        right_if_seen={3: a("ACTIVE"), 5: a("ACTIVE")},
    ),
    Case(
        "a row that goes, and whose deletion event comes later",
        (born("c", 2), run(3), gone("c"), run(5), deletion("c", 4), run(6)),
        {3: a("ACTIVE"), 5: a(""), 6: a("")},
    ),
    Case(
        "a row that goes and comes back",
        (born("c", 2), run(3), gone("c"), run(5), row("c", 2), run(6)),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 6: a("ACTIVE")},
    ),
]

# Lives that begin as another ends, and creation events that come later than a birth.
AT_ONCE = [
    Case(
        "back under a time of its own, and its creation event later, with another status",
        (
            born("c", 2),
            died("c", 4),
            together(row("c", 5), creation("c", 7, "PENDING")),
            run(6, 7, 8),
        ),
        {6: a("PENDING"), 7: a("PENDING"), 8: a("ACTIVE")},
    ),
    Case(
        "deleted and born again in one transaction",
        (
            run(1, 2),
            born("c", 2, "Y"),
            run(3),
            together(
                gone("c"),
                deletion("c", 3.25, "Y"),
                row("c", 3.25, "X"),
                creation("c", 3.25, "X"),
            ),
            run(4, 5),
        ),
        {3: a("Y"), 4: a("X"), 5: a("X")},
    ),
    Case(
        "a deletion that says no status, and born again in that microsecond",
        (
            born("c", 2, "Y"),
            run(3),
            together(gone("c"), event("c", DELETION, 4.5, {})),
            together(row("c", 4.5, "X"), creation("c", 4.5, "X")),
            run(4, 5),
        ),
        {3: a("Y"), 4: a("Y"), 5: a("X")},
    ),
    Case(
        "a row without a time, deleted and born again in one microsecond",
        (
            row("c", None),
            event("c", "login", 2),
            deletion("c", 4.5),
            creation("c", 4.5),
            run(3, 4, 5),
        ),
        {3: a("ACTIVE"), 4: a("ACTIVE"), 5: a("ACTIVE")},
    ),
    Case(
        "no row: an event, then deleted and born again in one microsecond",
        (event("c", "login", 2), together(creation("c", 4.5), deletion("c", 4.5)), run(3, 4, 5)),
        {3: a("ACTIVE"), 4: a("ACTIVE"), 5: a("")},
    ),
    Case(
        "two deletions in one microsecond, one of which says no status",
        (creation("c", 2, "Y"), event("c", DELETION, 4.5, {}), deletion("c", 4.5), run(3, 4, 5)),
        {3: a("ACTIVE"), 4: a("ACTIVE"), 5: a("")},
    ),
    Case(
        "born and deleted in one microsecond, then back, and its creation event later",
        (
            together(creation("c", 2), deletion("c", 2)),
            row("c", 3),
            creation("c", 5, "Z"),
            run(4, 5, 6),
        ),
        {4: a("Z"), 5: a("Z"), 6: a("ACTIVE")},
    ),
    Case(
        "a row between two deletions, of which the second says no status, and a creation after it",
        (
            together(deletion("c", 2, "Y"), creation("c", 2, "X")),
            row("c", 3),
            event("c", DELETION, 5, {}),
            creation("c", 7, "X"),
            run(4, 5, 6, 8),
        ),
        {4: a("(none)"), 5: a("(none)"), 6: a(""), 8: a("ACTIVE")},
    ),
    Case(
        "a creation later than the birth, and a change there and back after it",
        (
            row("c", 2),
            creation("c", 4, "Y"),
            together(change("c", 6, "Y", "ACTIVE"), change("c", 6, "ACTIVE", "Y")),
            run(3, 5, 7),
        ),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 7: a("ACTIVE")},
    ),
    Case(
        "two changes in one microsecond, one of which leads nowhere, and a row without a status",
        (
            row("c", 2, None),
            # The first of the two: nothing but its id tells which it is.
            event("c", CHANGE, 4, {"old_status": "X"}, number=1),
            change("c", 4, "Y", "Z"),
            run(3, 5),
        ),
        {3: a("X"), 5: a("(none)")},
    ),
    Case(
        "a creation before the birth, and one after it",
        (creation("c", 2, "X"), row("c", 3), creation("c", 6, "Z"), run(4, 5, 7)),
        {4: a("ACTIVE"), 5: a("ACTIVE"), 7: a("ACTIVE")},
    ),
    Case(
        "born, deleted and back in one microsecond, as the row says, and its creation event later",
        (
            row("c", 3),
            together(creation("c", 3), deletion("c", 3)),
            creation("c", 4, "Y"),
            run(3.5, 5),
        ),
        {3.5: a("Y"), 5: a("ACTIVE")},
    ),
    Case(
        "born and deleted in one microsecond, and again, and deleted",
        (
            together(creation("c", 3), deletion("c", 3)),
            together(creation("c", 4), deletion("c", 4)),
            deletion("c", 6),
            run(3.5, 5, 7),
        ),
        {3.5: a(""), 5: a(""), 7: a("")},
    ),
]

UNREADABLE = {
    "doubly encoded": json.dumps({"old_status": "BLOCKED", "new_status": "ACTIVE"}),
    "an array": ["BLOCKED", "ACTIVE"],
    "a number": 7,
    "true": True,
    "empty": {},
}
PASSED_OVER = [
    Case(
        f"a change whose payload is {what} undoes nothing",
        (born("c", 2), run(3), event("c", CHANGE, 4, payload), run(5)),
        {3: a("ACTIVE"), 5: a("ACTIVE")},
    )
    for what, payload in UNREADABLE.items()
]

SECTIONS = {
    "restored": RESTORED,
    "purged": PURGED,
    "without a creation": WITHOUT_CREATION,
    "consumer": CONSUMER,
    "late deletion": LATE_DELETION,
    "status": STATUS,
    "without an event": WITHOUT_EVENT,
    "at once": AT_ONCE,
    "passed over": PASSED_OVER,
}
NAMED = {f"{section}: {case.name}": case for section, cases in SECTIONS.items() for case in cases}
CASES = [pytest.param(case, id=name) for name, case in NAMED.items()]
UNPURGED = [pytest.param(case, id=name) for name, case in NAMED.items() if not case.purges]

# -- ways to look again --------------------------------------------------------


WAYS: dict[str, tuple[bool, tuple[Callable[[Ground], None], ...]]] = {
    "a sweep": (False, (sweep,)),
    "capture": (True, ()),
    "a sweep, then each alone": (False, (sweep, alone)),
    "all in company, then a sweep": (False, (in_company, sweep)),
    "a repair": (False, (Ground.repair,)),
    "capture, then each alone": (True, (alone,)),
    "capture, then all in company": (True, (in_company,)),
    "capture, then a sweep": (True, (sweep,)),
}


def tell(ground: Ground, case: Case, *, captured: bool) -> None:
    """Let a story happen."""
    ground.clear()
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    WITNESSES(ground)
    ground.capture(captured)
    for step in case.steps:
        step(ground)


def statuses_of(figures: dict[str, Any]) -> list[str]:
    """Return the statuses of a consumer's customers, but for the witness, in order."""
    counts = {"WITNESS": 0, **figures["customers_by_status"]}
    counts["WITNESS"] -= 1
    return sorted(status for status, n in counts.items() for _ in range(n))


def told(connection: Connection, days: Any) -> dict[float, dict[str, list[str]]]:
    """Return what the snapshots say of these days."""
    answer = {}
    for number in days:
        snapshot = oracle.stored(connection, day(number))
        answer[number] = {
            name: statuses_of(snapshot[str(consumer)]) for name, consumer in CONSUMERS.items()
        }
    return answer


@pytest.mark.parametrize(
    ("case", "way"), lanes.seldom(3, lanes.each_once(CASES, WAYS, hours=True, every=9))
)
def test_a_life_is_told_as_it_was(ground: Ground, case: Case, way: str) -> None:
    captured, looks = WAYS[way]
    tell(ground, case, captured=captured)
    for look in looks:
        look(ground)

    right = (captured and case.right_if_seen) or case.right
    assert told(ground.app, right) == {
        number: {name: sorted(of.get(name, "").split()) for name in CONSUMERS}
        for number, of in right.items()
    }
    for number, mean in case.means.items():
        # The witness is there from the first day on.
        others = len(right[number]["A"].split())
        of_a = oracle.stored(ground.app, day(number))[str(CONSUMERS["A"])]
        whole = (mean or 0) * others + number - 1
        assert of_a["avg_customer_lifetime_days"] == pytest.approx(whole / (others + 1), abs=0.006)
    audited = ground.audit()
    assert audited.clean, audited.as_json()["first_differences"]
    if not case.purges and not (captured and case.right_if_seen):
        sources = oracle.Sources(ground.app)
        for at in ground.reported():
            assert oracle.without_window(oracle.stored(ground.app, at)) == oracle.without_window(
                oracle.snapshot(sources, at)
            ), at


class Unwatched(Ground):
    """The application alone: nothing runs."""

    def __init__(self, ground: Ground) -> None:
        """Share the other's sessions."""
        self.__dict__.update(ground.__dict__)

    def run(self, at: dt.datetime, *, in_steps: bool = False) -> None:
        """Run nothing."""

    def backfill(self, *_: Any, **__: Any) -> Any:
        """Fill nothing."""


@pytest.mark.parametrize("case", UNPURGED)
def test_the_recount_says_so_too(ground: Ground, case: Case) -> None:
    tell(Unwatched(ground), case, captured=False)
    sources = oracle.Sources(ground.app)
    for number, right in case.right.items():
        snapshot = oracle.snapshot(sources, day(number))
        assert {name: statuses_of(snapshot[str(one)]) for name, one in CONSUMERS.items()} == {
            name: sorted(right.get(name, "").split()) for name in CONSUMERS
        }, number


@pytest.mark.parametrize(
    "captured", lanes.first(1, [False, True]), ids=["capture off", "capture on"]
)
def test_payloads_that_cannot_be_read_are_counted(ground: Ground, captured: bool) -> None:
    for case in PASSED_OVER:
        tell(ground, case, captured=captured)
        # In the run that took it in, and in no other.
        (first, second) = ground.app.execute(
            "select summary -> 'bad_rows' from consumer_analytics_internal.runs order by run_id"
        ).fetchall()
        assert 1 not in first[0].values(), case.name
        assert 1 in second[0].values(), case.name


def test_a_run_knows_a_return_that_its_row_has_contradicted_until_then(ground: Ground) -> None:
    """Without capture, before any sweep: its own snapshot is right."""
    ground.clear()
    ground.consumer(CONSUMERS["A"], day(1))
    for step in (born("c", 2), run(3), deletion("c", 4), run(5), creation("c", 6), run(7)):
        step(ground)
    of_a = oracle.stored(ground.app, day(7))[str(CONSUMERS["A"])]
    assert of_a["avg_customer_lifetime_days"] == 1.0


def test_a_backfill_knows_lives_that_ended_before_its_first_instant(ground: Ground) -> None:
    """Also where no run has taken them in."""
    ground.clear()
    ground.consumer(CONSUMERS["A"], day(1))
    for step in (row("c", 2), creation("c", 2), deletion("c", 3), creation("c", 4), backfill(5, 7)):
        step(ground)
    for number, mean in ((6, 2.0), (7, 3.0)):
        of_a = oracle.stored(ground.app, day(number))[str(CONSUMERS["A"])]
        assert of_a["avg_customer_lifetime_days"] == mean


def taken_out(name: str, kind: str, at: float | None = None) -> Step:
    return lambda on: _executed(
        on,
        "delete from customer_events "
        "where customer_id = %s and event_type = %s and created_at = coalesce(%s, created_at)",
        identity(name),
        kind,
        None if at is None else day(at),
    )


#: What told a beginning goes on purpose: its day is young, and one before it still holds such rows.
TAKEN_OUT: dict[str, tuple[tuple[Step, ...], dict[float, dict[str, str]]]] = {
    "of a life that is over": (
        (
            creation("c", 2),
            event("c", "login", 3.5),
            run(3, 4),
            deletion("c", 6),
            run(7),
            taken_out("c", CREATION),
        ),
        {3: a(""), 4: a("ACTIVE"), 7: a("")},
    ),
    "of one whose other events go as well": (
        (
            event("c", "login", 2),
            # At its instant something happens to another one, which tells nothing of it.
            event("another", "login", 2),
            run(3),
            deletion("c", 4),
            run(5),
            taken_out("c", "login"),
        ),
        {3: a(""), 5: a("")},
    ),
    "of one that came back": (
        (
            row("c", 2),
            run(3),
            died("c", 4),
            run(5),
            together(row("c", 2), creation("c", 6)),
            run(7),
            taken_out("c", CREATION),
        ),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 7: a("ACTIVE")},
    ),
}


#: Of a life that is over, events tell whose it was, or what: they go on purpose, come late, or
#: vanish. What has vanished has told it; what was taken out has not.
_NOBODYS = creation("c", 2, of=None)
_OVER = (run(3, 4), deletion("c", 6, of=None), run(7))
_UNREADABLE = event("c", DELETION, 6, {})
_BLOCKED = (run(3), change("c", 3.2, "NEW", "BLOCKED"), run(4), _UNREADABLE, run(7))
_OF_A: dict[float, dict[str, str]] = {3: a("ACTIVE"), 4: a("ACTIVE"), 7: a("")}
_OF_B: dict[float, dict[str, str]] = {3: {"B": "ACTIVE"}, 4: {"B": "ACTIVE"}, 7: a("")}
_OF_NOBODY: dict[float, dict[str, str]] = {3: a(""), 4: a(""), 7: a("")}


def _told(name: str, kind: str, at: float, of: str | None = "A") -> Step:
    return event(name, kind, at, {"old_status": "ACTIVE"} if kind == CHANGE else None, of)


DERIVED: dict[str, tuple[tuple[Step, ...], dict[float, dict[str, str]]]] = {
    "an event alone told whose, and is taken out": (
        (_NOBODYS, _told("c", "login", 3.2), *_OVER, taken_out("c", "login")),
        _OF_NOBODY,
    ),
    "the status was told by a change that is taken out": (
        (
            creation("c", 2, "NEW"),
            *_BLOCKED,
            taken_out("c", CHANGE),
        ),
        {3: a("NEW"), 4: a("NEW"), 7: a("")},
    ),
    "an event alone told whose, and another tells it now": (
        (
            _NOBODYS,
            _told("c", "login", 2.5, "B"),
            _told("c", "login", 3.2),
            *_OVER,
            taken_out("c", "login", 3.2),
        ),
        _OF_B,
    ),
    "an event of any kind comes late, nearer to the end": (
        (_NOBODYS, _told("c", "login", 2.5, "B"), *_OVER, _told("c", "login", 3.2)),
        _OF_A,
    ),
    "an event of any kind comes late, and nothing told it": (
        (_NOBODYS, *_OVER, _told("c", "login", 3.2)),
        _OF_A,
    ),
    "a lifecycle event comes late, and tells it better": (
        (_NOBODYS, _told("c", "login", 3.2, "B"), *_OVER, _told("c", CHANGE, 2.2)),
        _OF_A,
    ),
    "a change told whose, and is taken out": (
        (_NOBODYS, _told("c", CHANGE, 3.2), *_OVER, taken_out("c", CHANGE)),
        _OF_NOBODY,
    ),
    "a change told whose, and an event of any kind tells it now": (
        (
            _NOBODYS,
            _told("c", "login", 2.5, "B"),
            _told("c", CHANGE, 3.2),
            *_OVER,
            taken_out("c", CHANGE),
        ),
        _OF_B,
    ),
    "the event that told whose is given to another": (
        (
            _NOBODYS,
            _told("c", "login", 3.2),
            *_OVER,
            lambda on: _executed(
                on,
                "update customer_events set consumer_id = %s "
                "where customer_id = %s and event_type = 'login'",
                CONSUMERS["B"],
                identity("c"),
            ),
        ),
        _OF_B,
    ),
    "nothing but a change told the status, and it is taken out": (
        (
            event("c", "login", 2),
            *_BLOCKED,
            taken_out("c", CHANGE),
        ),
        {3: a("(none)"), 4: a("(none)"), 7: a("")},
    ),
    "the event that told whose has vanished": (
        (_NOBODYS, _told("c", "pay", 3.2), *_OVER, purged(5, "pay")),
        _OF_A,
    ),
    "the event that told whose has vanished, and an earlier one is another's": (
        (_NOBODYS, _told("c", "login", 2.5, "B"), _told("c", "pay", 3.2), *_OVER, purged(5, "pay")),
        _OF_A,
    ),
    "the change that told whose has vanished, and the creation is another's": (
        (creation("c", 2, of="B"), _told("c", CHANGE, 2.6), *_OVER, purged(5, CHANGE)),
        _OF_A,
    ),
    "the same, and an event comes late": (
        (
            creation("c", 2, of="B"),
            _told("c", CHANGE, 2.6),
            *_OVER,
            purged(5, CHANGE),
            swept(1),
            _told("c", "login", 2.8, None),
        ),
        _OF_A,
    ),
    "the change that told the status has vanished": (
        (
            creation("c", 2, "NEW"),
            change("c", 2.6, "NEW", "BLOCKED"),
            run(3, 4),
            _UNREADABLE,
            run(7),
            purged(5, CHANGE),
        ),
        {3: a("BLOCKED"), 4: a("BLOCKED"), 7: a("")},
    ),
}


def _run_on(on: Ground) -> None:
    run(8)(on)


LOOKS = {"a sweep": (False, sweep), "a repair": (False, Ground.repair), "capture": (True, _run_on)}


@pytest.mark.parametrize(
    ("story", "look"), lanes.seldom(2, lanes.each_once(TAKEN_OUT | DERIVED, LOOKS, every=5))
)
def test_what_told_something_and_was_taken_out_tells_it_no_more(
    ground: Ground, story: str, look: str
) -> None:
    (steps, right), (captured, looks) = (TAKEN_OUT | DERIVED)[story], LOOKS[look]
    ground.clear()
    ground.capture(captured)
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    WITNESSES(ground)
    for kind in ("login", CHANGE):
        event("witness of A", kind, 1, 7)(ground)
    for step in (*steps, looks):
        step(ground)
    assert told(ground.app, right) == {
        number: {name: of.get(name, "").split() for name in CONSUMERS}
        for number, of in right.items()
    }
    assert ground.audit().clean
    kept = ground.kept()
    sweep(ground)
    assert ground.kept() == kept


#: What was of one customer is another's from now on, or nobody's: no count tells it.
GIVEN: dict[str, tuple[str, str | None, list[str]]] = {
    "its creation": (CREATION, "another", ["", "BLOCKED", ""]),
    "its creation, to nobody": (CREATION, None, ["", "BLOCKED", ""]),
    "what told its status": (CHANGE, "another", ["ACTIVE", "ACTIVE", ""]),
    "its end": (DELETION, None, ["", "", ""]),
}


@pytest.mark.parametrize("what", lanes.first(1, GIVEN))
def test_what_is_given_to_another_customer_tells_of_it_no_more(ground: Ground, what: str) -> None:
    """Capture sees it, so the next run works out anew what it told."""
    kind, to, right = GIVEN[what]
    ground.clear()
    ground.capture(True)
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    WITNESSES(ground)
    for step in (
        creation("c", 2),
        change("c", 3.5, "ACTIVE", "BLOCKED"),
        run(3, 4),
        event("c", DELETION, 6, {}),
        run(7),
        lambda on: _executed(
            on,
            "update customer_events set customer_id = %s "
            "where customer_id = %s and event_type = %s",
            None if to is None else identity(to),
            identity("c"),
            kind,
        ),
        run(8),
    ):
        step(ground)
    days = (3, 4, 7)
    assert [" ".join(told(ground.app, days)[number]["A"]) for number in days] == right
    assert ground.audit().clean


def _set_back(on: Ground) -> None:
    on.set_watermark(day(1))
    on.run(day(14))


#: With capture on or off: what happens to a customer that came back, before anybody has looked.
BEFORE_A_LOOK: dict[str, tuple[bool, tuple[Step, ...]]] = {
    "all is counted again": (False, (_set_back,)),
    "all is counted again, captured": (True, (_set_back,)),
    "its status changes": (False, (changed("c", 14.5, "ACTIVE", "BLOCKED"), run(15))),
    "its status changes, captured": (True, (changed("c", 14.5, "ACTIVE", "BLOCKED"), run(15))),
    "a change comes late, captured": (True, (change("c", 4.8, "ACTIVE", "ACTIVE"), run(15))),
}


@pytest.mark.parametrize("meanwhile", lanes.first(1, BEFORE_A_LOOK))
def test_a_birth_stays_where_nobody_has_looked_yet_whether_what_told_it_has_vanished(
    ground: Ground, meanwhile: str
) -> None:
    """Older rows are still there, so no run sees that any are gone."""
    captured, steps = BEFORE_A_LOOK[meanwhile]
    ground.clear()
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    WITNESSES(ground)
    for step in (
        event("witness of A", "login", 1),
        born("c", 2.5),
        event("c", "login", 2.75),
        run(3, 4),
        died("c", 4.25),
        together(row("c", 2.5), creation("c", 4.5)),
        change("c", 4.75, "ACTIVE", "ACTIVE"),
        run(5, 14),
    ):
        step(ground)
    ground.capture(captured)
    purged(3, CREATION)(ground)
    for step in (*steps, sweep):
        step(ground)
    of_a = [oracle.stored(ground.app, day(number))[str(CONSUMERS["A"])] for number in (3, 4)]
    # The witness is there from the first day on.
    assert [one["avg_customer_lifetime_days"] for one in of_a] == [1.25, 2.25]
    assert ground.audit().clean


def _swept_lately(on: Ground) -> None:
    on.sweep()


#: What tells customers of the past again, before anybody has looked at what was purged.
UNNOTICED: dict[str, tuple[Step, ...]] = {
    "a run of that instant": (lambda on: on.run(day(3)),),
    "a backfill": (backfill(2, 4),),
    "a sweep that goes further back": (corrected("d", status="LATER"), _swept_lately),
    "a run that restates": (watched(), row("e", 2.75), run(22)),
}


@pytest.mark.parametrize("look", lanes.first(1, UNNOTICED))
def test_what_was_lost_and_nobody_has_noted_tells_no_other_past(ground: Ground, look: str) -> None:
    """Older rows are there, so no run sees that any are gone: whoever tells the past looks."""
    ground.clear()
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    WITNESSES(ground)
    for step in (
        born("c", 2, "NEW"),
        born("d", 2.5, "EARLY"),
        run(3),
        changed("c", 4, "NEW", "ACTIVE"),
        run(5, 20, 21),
        purged(5, CHANGE),
        *UNNOTICED[look],
    ):
        step(ground)
    assert "NEW" in told(ground.app, [3])[3]["A"]
    assert "ACTIVE" in told(ground.app, [5])[5]["A"]
    assert ground.noted(vanished.EVERYTHING).events == 1
    sweep(ground)
    assert "NEW" in told(ground.app, [3])[3]["A"]
    assert ground.audit().clean


def test_an_accepted_end_takes_the_accepted_birth_of_its_life_along(ground: Ground) -> None:
    """Of two lives the first is accepted whole, and the birth of the second."""
    ground.clear()
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    WITNESSES(ground)
    for step in (
        born("c", 2.25),
        died("c", 2.5),
        born("c", 2.75, "NEW"),
        run(3),
        changed("c", 4.5, "NEW", "ACTIVE"),
        run(5),
        died("c", 6.5),
        run(15),
        purged(3),
        swept(1),
        accepted(),
    ):
        step(ground)
    assert [told(ground.app, [at])[at]["A"] for at in (3, 5)] == [[], ["ACTIVE"]]
    assert ground.audit().clean
    kept = ground.kept()
    sweep(ground)
    assert ground.kept() == kept


def test_one_of_whom_only_its_row_speaks_is_in_the_sum_also_where_it_has_customers_now(
    ground: Ground,
) -> None:
    """It is not registered, its first life is accepted whole, and what vanished later holds it."""
    ground.clear()
    ground.consumer(CONSUMERS["A"], day(1))
    for step in (
        born("witness of A", 1),
        event("witness of A", "login", 1),
        born("c", 1.2, of="B"),
        run(1.5),
        died("c", 1.6, of="B"),
        born("d", 2.5, of="B"),
        change("d", 2.7, "ACTIVE", "ACTIVE", of="B"),
        run(3, 14),
        purged(3),
        swept(1),
    ):
        step(ground)
    for kind in (DELETION, CREATION):
        ground.sweep(accepted=vanished.Choice(types=(kind,)))
        assert ground.audit().clean
    stored = oracle.stored(ground.app, day(1.5))
    assert stored[str(CONSUMERS["B"])]["total_customers"] == 1
    assert stored[None]["total_customers_all_consumers"] == 2


@pytest.mark.parametrize(
    "look", lanes.first(1, [sweep, Ground.repair]), ids=["a sweep", "a repair"]
)
def test_what_comes_late_to_a_life_whose_creation_was_accepted_waits_for_a_sweep(
    ground: Ground, look: Callable[[Ground], None]
) -> None:
    """As any late row does without capture: the audit is red until then, and a run leaves it so."""
    ground.clear()
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    WITNESSES(ground)
    for step in (
        born("c", 2, "NEW"),
        run(3, 5),
        died("c", 6, "BLOCKED"),
        run(7),
        purged(2.5, CREATION),
        swept(1),
        accepted(),
    ):
        step(ground)
    assert ground.audit().clean
    change("c", 4.5, "NEW", "BLOCKED")(ground)
    run(8)(ground)
    assert not ground.audit().clean
    look(ground)
    # Its creation never happened: it begins with what is left of its course.
    assert told(ground.app, [3, 5, 7])[3]["A"] == []
    assert told(ground.app, [3, 5, 7])[5]["A"] == ["BLOCKED"]
    assert ground.audit().clean


#: What leaves A without any customer's row, and something tells why: nobody is counted twice.
TOLD_WHY: dict[str, tuple[tuple[Step, ...], dict[float, dict[str, str]]]] = {
    "moved, and back again": (
        (born("c", 2), run(3), moved("c", "B"), run(5), moved("c", "A"), run(7)),
        {3: a("ACTIVE"), 5: a("ACTIVE"), 7: a("ACTIVE")},
    ),
    "moved, and only the row tells": (
        (row("c", 2), run(3), moved("c", "B"), run(5)),
        {3: {"B": "ACTIVE"}, 5: {"B": "ACTIVE"}},
    ),
    "moved to nobody": ((born("c", 2), run(3), moved("c", None), run(5)), {3: {}, 5: {}}),
    "moved, then deleted under the other": (
        (born("c", 2), run(3), moved("c", "B"), run(5), died("c", 6, of="B"), run(7)),
        {3: {"B": "ACTIVE"}, 5: {"B": "ACTIVE"}, 7: {}},
    ),
    "its deletion comes late": (
        (born("c", 2), run(3, 5), died("c", 4), run(6)),
        {3: a("ACTIVE"), 5: {}, 6: {}},
    ),
}


@pytest.mark.parametrize("captured", [False, True], ids=["capture off", "capture on"])
@pytest.mark.parametrize("story", lanes.first(2, TOLD_WHY))
def test_a_past_follows_what_is_told_also_where_no_row_is_left(
    ground: Ground, story: str, captured: bool
) -> None:
    steps, right = TOLD_WHY[story]
    ground.clear()
    ground.capture(captured)
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    for step in steps:
        step(ground)
    if not captured:
        # What the sweep changes the audit has found.
        assert not ground.audit().clean
        ground.sweep(day(1).date())
    assert told(ground.app, right) == {
        number: {name: of.get(name, "").split() for name in CONSUMERS}
        for number, of in right.items()
    }
    assert ground.audit().clean


def test_a_late_customer_of_another_is_not_one_that_moved(ground: Ground) -> None:
    """Its creation event tells whose it is."""
    ground.clear()
    for consumer in CONSUMERS.values():
        ground.consumer(consumer, day(1))
    for step in (born("c", 2), born("d", 2, of="B"), run(3, 5), gone("c"), born("e", 2, of="B")):
        step(ground)
    ground.sweep(day(1).date())
    assert told(ground.app, [3]) == {3: {"A": ["ACTIVE"], "B": ["ACTIVE", "ACTIVE"]}}
    assert ground.audit().clean


@pytest.mark.parametrize("when", ["infinity", "2200-01-01"])
def test_what_is_yet_to_happen_tells_what_was_before_it(ground: Ground, when: str) -> None:
    """Infinity is a future like any."""
    ground.clear()
    ground.consumer(CONSUMERS["A"], day(1))
    row("c", 2)(ground)
    creation("d", 2)(ground)
    of_a: dict[str, Any] = {"consumer": CONSUMERS["A"]}
    ground.event(CHANGE, when, customer=identity("c"), payload={"old_status": "NEW"}, **of_a)
    ground.event(DELETION, when, customer=identity("d"), payload={"status": "OLD"}, **of_a)
    for look in (run(3, 5), backfill(3, 4)):
        look(ground)
        for at in ground.reported():
            stored = oracle.stored(ground.app, at)[str(CONSUMERS["A"])]
            assert stored["customers_by_status"] == {"NEW": 1, "OLD": 1}
        assert ground.audit().clean


@pytest.mark.parametrize("captured", [False, True], ids=["capture off", "capture on"])
def test_what_was_before_everything_tells_a_birth(ground: Ground, captured: bool) -> None:
    """Of a row without a time, and of a life that is over: it counts, and stays out of means."""
    ground.clear()
    ground.capture(captured)
    ground.consumer(CONSUMERS["A"], day(1))
    WITNESSES(ground)
    of_a: dict[str, Any] = {"consumer": CONSUMERS["A"]}
    ground.row(identity("c"), CONSUMERS["A"], "ACTIVE", None)
    for name in ("c", "d"):
        ground.event("login", "-infinity", customer=identity(name), **of_a)
        ground.event("login", day(2), customer=identity(name), **of_a)
    deletion("d", 4.5)(ground)
    run(4, 5)(ground)
    ground.sweep(dt.date.min)
    for at, mean, status in ((4, 3.0, {"ACTIVE": 2}), (5, 4.0, {"ACTIVE": 1})):
        stored = oracle.stored(ground.app, day(at))[str(CONSUMERS["A"])]
        assert stored["customers_by_status"] == {"WITNESS": 1, **status}
        assert stored["avg_customer_lifetime_days"] == mean
    assert ground.audit().clean


@pytest.mark.parametrize("captured", [False, True], ids=["capture off", "capture on"])
def test_a_change_at_minus_infinity_tells_the_status(ground: Ground, captured: bool) -> None:
    """Where the deletion says none: no life has ended before it."""
    ground.clear()
    ground.capture(captured)
    ground.consumer(CONSUMERS["A"], day(1))
    ground.event(
        CHANGE,
        "-infinity",
        customer=identity("c"),
        consumer=CONSUMERS["A"],
        payload={"old_status": "X", "new_status": "Z"},
    )
    event("c", DELETION, 4, {})(ground)
    run(3, 5)(ground)
    of_a = oracle.stored(ground.app, day(3))[str(CONSUMERS["A"])]
    assert of_a["customers_by_status"] == {"Z": 1}
    audited = ground.audit()
    assert audited.clean, audited.as_json()["first_differences"]
