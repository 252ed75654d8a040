"""The audit proves: with any one rule of a customer's life broken in the engine, it is red.

One history has a customer for each rule. The engine computes it with a rule broken, in whichever
statement says it; the audit, which is as it is, has to find that.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.conftest import Database
from tests.support import lanes

from consumer_analytics import sql
from consumer_analytics.etl import capture, run
from consumer_analytics.reconcile import audit, sweep

A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)
LAST = 12

REMEMBER, LIVES = "etl/lives/remember", "etl/customers/lives"
#: A rule, and what breaks it: a statement, what it says, and what it says then.
RULES: dict[str, list[tuple[str, str, str]]] = {
    # What a row said nobody can work out again: the audit believes it, but not what is made of it.
    "a birth is what the row is remembered to have said": [
        (LIVES, "else life.created_at end as birth", "else life.deleted_at end as birth"),
    ],
    "else its creation event": [
        (
            REMEMBER,
            "when began_at <= ended_at then began_at",
            "when began_at <= ended_at then ended_at",
        ),
    ],
    "else its earliest event": [
        (
            REMEMBER,
            "when first.at < over.ended_at then first.at",
            "when false then null",
        ),
    ],
    "else its deletion, so that it never counts": [
        (
            REMEMBER,
            "when creations.consumer_id is null then over.ended_at",
            "when creations.consumer_id is null then '2026-01-01'",
        ),
    ],
    "a creation after a deletion begins the next life": [
        (REMEMBER, "sum(turns::int)", "sum(0)"),
    ],
    "the birth of one that came back is its return": [
        (LIVES, "known.reborn_at as birth", "today.created_at::timestamptz as birth"),
    ],
    "a second deletion of one life changes nothing": [
        (
            REMEMBER,
            "coalesce(min(at) filter (where not begins and by = 'event')",
            "coalesce(max(at) filter (where not begins and by = 'event')",
        ),
    ],
    "the row wins over a deletion that no creation follows": [
        (REMEMBER, "and not (life = last_life and exists", "and not (false and exists"),
        (LIVES, "and life.reborn_at is null", "and false"),
    ],
    "a row that goes without an event was there until it went": [
        (
            LIVES,
            "where life.deleted_at >= ",
            "where life.ended_by = 'event' and life.deleted_at >= ",
        ),
    ],
    "between two changes the later one's old status": [
        (LIVES, "old_status as status, new_status\n", "new_status as status, new_status\n"),
    ],
    "in the last stretch the deletion's status": [
        (REMEMBER, "coalesce(last_words.status, case", "coalesce(null, case"),
    ],
    "else the last new status": [
        (REMEMBER, "end, led_to.status, new_status, created_as)", "end, created_as)")
    ],
    "of several in one microsecond where they have led to": [
        (REMEMBER, "end, led_to.status, new_status", "end, new_status")
    ],
    "else the creation's": [
        (REMEMBER, "led_to.status, new_status, created_as)", "led_to.status, new_status)")
    ],
    "a later creation tells the time before it": [
        (
            LIVES,
            "where (customer_id, at) not in (select customer_id, at from told_earlier)",
            "where false",
        ),
    ],
    "but where a change does": [
        (
            LIVES,
            "where later.customer_id = first_of_life.customer_id",
            "where false",
        ),
    ],
    "what cannot be read undoes nothing": [(LIVES, " and old_status is not null", "")],
    "what leads back in one microsecond changes nothing, what leads on does": [
        (
            LIVES,
            "array_agg(new_status order by event_id) as news",
            "array_agg(status order by event_id) as news",
        ),
    ],
    "an ended life is its deletion's consumer's": [
        (
            REMEMBER,
            "coalesce(last_words.consumer_id, lifecycle_consumer, others.consumer_id)",
            "others.consumer_id",
        ),
    ],
    "else the nearest earlier lifecycle event's": [
        (
            REMEMBER,
            "coalesce(last_words.consumer_id, lifecycle_consumer, others.consumer_id)",
            "coalesce(last_words.consumer_id, others.consumer_id)",
        ),
    ],
}


def day(number: float) -> dt.datetime:
    return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number - 1)


class Application:
    """Writes the sources, a customer for each rule."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.events = 0

    def event(self, name: str, number: float, kind: str, consumer: Any = A, **payload: Any) -> None:
        self.events += 1
        text = payload.pop("raw", None) or json.dumps(payload)
        self.database.execute(
            "insert into customer_events "
            "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
            "values (%s, md5(%s)::uuid, %s, %s, %s, %s)",
            [uuid.UUID(int=self.events), name, consumer, kind, text, day(number)],
        )

    def created(self, name: str, number: float, status: str | None = "NEW", **of: Any) -> None:
        self.event(
            name, number, "customer_creation", **({"status": status} if status else {}), **of
        )

    def changed(self, name: str, number: float, old: str, new: str) -> None:
        self.event(name, number, "customer_status_change", old_status=old, new_status=new)

    def deleted(self, name: str, number: float, **of: Any) -> None:
        self.event(name, number, "customer_deletion", **of)

    def row(self, name: str, number: float, status: str = "NOW") -> None:
        self.database.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            "values (md5(%s)::uuid, %s, %s, %s)",
            [name, A, status, day(number)],
        )

    def gone(self, name: str) -> None:
        self.database.execute("delete from customers where customer_id = md5(%s)::uuid", [name])


def live(app: Application, advance: Callable[[float], None]) -> None:
    """Let everything happen that a rule is about, with a snapshot every day."""
    app.row("of row", 2)
    app.created("of row", 4.5)
    app.row("restored", 2)
    app.created("restored", 2)
    app.row("silent", 2)
    app.row("wins", 2)
    app.created("wins", 2)
    app.row("later created", 2)
    app.row("told otherwise", 2)
    app.row("steps", 2, "C")
    app.row("unreadable", 2)
    app.row("tied", 2, "Z")
    for number in (3, 4, 5):
        advance(number)
    # Customers of whom only events were ever there.
    app.created("creation", 3.5)
    app.deleted("creation", 5.5, status="END")
    app.event("earliest", 2.5, "login")
    app.deleted("earliest", 5.5, status="END")
    app.deleted("nothing", 5.5, status="END")
    app.created("twice", 2.5)
    app.deleted("twice", 4.5, status="END")
    app.deleted("twice", 5.5, status="END")
    app.created("again", 2.5)
    app.deleted("again", 3.5, status="END")
    app.created("again", 4.2)
    app.deleted("again", 5.5, status="END")
    app.created("last new", 2.5)
    app.changed("last new", 3.2, "NEW", "OLD")
    app.deleted("last new", 5.5)
    app.created("led to", 2.5)
    app.changed("led to", 3.2, "MID", "OLD")
    app.changed("led to", 3.2, "NEW", "MID")
    app.deleted("led to", 5.5)
    app.created("as created", 2.5)
    app.deleted("as created", 5.5)
    app.created("whose", 2.5, consumer=B)
    app.deleted("whose", 5.5, status="END", consumer=A)
    app.created("nearest", 2.5, consumer=A)
    app.event("nearest", 3.5, "login", consumer=B)
    app.deleted("nearest", 5.5, status="END", consumer=None)
    app.gone("of row")
    app.deleted("of row", 5.5, status="END")
    app.gone("restored")
    app.deleted("restored", 5.5, status="END")
    app.gone("silent")
    app.deleted("wins", 5.5, status="END")
    app.created("later created", 5.5, "FIRST")
    app.created("told otherwise", 5.2, "FIRST")
    app.changed("told otherwise", 5.6, "BEFORE", "NOW")
    app.changed("steps", 3.5, "A", "B")
    app.changed("steps", 4.5, "B", "C")
    app.event("unreadable", 4.5, "customer_status_change", raw='["NOW"]')
    app.changed("tied", 4.5, "Y", "Z")
    app.changed("tied", 4.5, "X", "Y")
    for number in (6, 7):
        advance(number)
    app.row("restored", 2)
    app.created("restored", 7.5)
    for number in range(8, LAST + 1):
        advance(number)


@contextmanager
def broken(patch: pytest.MonkeyPatch, changes: list[tuple[str, str, str]]) -> Iterator[None]:
    """Let some statements say something else."""
    right = sql.text

    def wrong(name: str) -> str:
        text = right(name)
        for statement, said, says in changes:
            if statement == name:
                assert said in text, f"{name} no longer says {said!r}"
                text = text.replace(said, says)
        return text

    def forget() -> None:
        sql._composed_alone.cache_clear()
        sql._fragments.cache_clear()

    with patch.context() as patched:
        patched.setattr(sql, "text", wrong)
        forget()
        yield
    forget()


def audited(
    database: Database, patch: pytest.MonkeyPatch, changes: list[tuple[str, str, str]]
) -> audit.AuditResult:
    """Live with some statements broken, and return what the audit finds of it."""
    with database.connect() as connection:
        capture.enable(connection, database.settings)
        for consumer in (A, B):
            connection.execute(
                "insert into consumers (consumer_id, name, created_at) values (%s, 'one', %s)",
                [consumer, day(1)],
            )

    def advance(number: float) -> None:
        with database.connect("run", writes_sources=False) as connection:
            run.run(connection, database.settings, at=day(number))

    with broken(patch, changes):
        live(Application(database), advance)
        with database.connect("sweep", writes_sources=False) as connection:
            sweep.sweep(connection, database.settings, since=day(1).date())
    with database.connect("audit", writes_sources=False) as connection:
        return audit.audit(connection, database.settings)


def test_the_history_as_it_is_is_clean(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    found = audited(database, monkeypatch, [])
    assert found.listed == []
    assert found.snapshots == LAST - 2


@pytest.mark.parametrize("rule", lanes.first(1, RULES))
def test_a_broken_rule_makes_it_red(
    database: Database, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    assert audited(database, monkeypatch, RULES[rule]).listed != []
