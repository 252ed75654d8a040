"""A customer's lives: when each began and ended, whose it was, and its status at any instant."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.oracle.moments import AFTER_ALL, BEFORE_ALL, Moment

CREATION, CHANGE, DELETION = "customer_creation", "customer_status_change", "customer_deletion"
LIFECYCLE = (CREATION, CHANGE, DELETION)
NONE = "(none)"
LONGEST_TYPE = 200


@dataclass(frozen=True)
class Event:
    """A row of `customer_events` that has a time."""

    event_id: uuid.UUID
    customer: uuid.UUID | None
    consumer: uuid.UUID | None
    kind: str | None
    payload: Any
    at: Moment

    def says(self, key: str) -> str | None:
        """Return what the payload says under a key; None where it cannot be read."""
        value = self.payload.get(key) if isinstance(self.payload, dict) else None
        if value is None:
            return None
        return named(value if isinstance(value, str) else json.dumps(value))


@dataclass(frozen=True)
class Row:
    """A row of `customers`."""

    consumer: uuid.UUID | None
    status: str | None
    created: Moment | None


@dataclass(frozen=True)
class End:
    """What is remembered of an end that no event in the source tells of, or tells less of.

    Attributes:
        at: when the life ended.
        born: its birth, of a row that was seen; None where only events tell of it.
        by_row: the row was seen to go, and no event says why.
        of_row: consumer and status of the row that was seen; None where none was.
        reborn: when the row was seen to come back.
    """

    at: Moment
    born: Moment | None = None
    by_row: bool = False
    of_row: tuple[uuid.UUID | None, str | None] | None = None
    reborn: Moment | None = None


@dataclass(frozen=True)
class Customer:
    """All that tells of one customer."""

    row: Row | None
    events: Sequence[Event] = ()
    ends: Sequence[End] = ()


@dataclass(frozen=True)
class Life:
    """One life of a customer.

    Attributes:
        birth: when it began; None where nothing tells.
        end: when it ended; after all where it goes on.
        consumer: whose.
        changes: readable changes of status by their microsecond, in order.
        last: the status of its last stretch.
        created: its first creation event, with the status that it says, if that can be read.
    """

    birth: Moment | None
    end: Moment
    consumer: uuid.UUID | None
    changes: tuple[tuple[Moment, tuple[Event, ...]], ...]
    last: str
    created: tuple[Moment, str | None] | None

    def holds(self, at: Moment) -> bool:
        """Tell whether the customer existed at an instant: what lies exactly there comes after."""
        return (self.birth is None or self.birth < at) and self.end >= at

    def status(self, at: Moment) -> str:
        """Return the status at an instant: the last stretch's, with the changes since undone."""
        status = self.last
        if not self.changes and self.created is not None:
            when, said = self.created
            if said is not None and when >= at and (self.birth is None or when > self.birth):
                return said
        for when, group in reversed(self.changes):
            if when < at:
                break
            status = _before(group, status)
        return status


def named(text: str | None) -> str:
    """Return the name that a status or a type counts under."""
    return text if text is not None and text.strip() else NONE


def named_type(text: str | None) -> str:
    """Return the name that an event's type counts under: of one that is long its beginning."""
    name = named(text)
    if len(name) <= LONGEST_TYPE:
        return name
    return f"{name[:LONGEST_TYPE]} #{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _before(group: tuple[Event, ...], after: str) -> str:
    """Return the status before the changes of one microsecond, given what follows them."""
    if len(group) == 1:
        return str(group[0].says("old_status"))
    olds = Counter(event.says("old_status") for event in group)
    news = Counter(event.says("new_status") for event in group)
    if olds == news:
        return after
    begins = olds - news
    if sum(begins.values()) == 1:
        return str(next(iter(begins)))
    # Several chains: the one that leads to what follows comes last, the others by their ids.
    rest = [event for event in group if event.says("old_status") in begins]
    others = [event for event in rest if event.says("new_status") != after]
    return str((others or rest)[0].says("old_status"))


@dataclass
class _Stretch:
    """From one end to the next, before it is known what happened in it."""

    #: After the end of the life before.
    after: Moment
    #: The creation that began it; None for the first one.
    begin: Moment | None = None
    end: Moment | None = None
    events: list[Event] = field(default_factory=list)


def lives_of(
    customer: Customer, creations_vanished: Collection[uuid.UUID | None] = ()
) -> list[Life]:
    """Return a customer's lives, in order; without those that nothing tells the end of.

    Args:
        customer: what tells of it.
        creations_vanished: consumers of whom creation events have vanished.
    """
    row, events = customer.row, sorted(customer.events, key=lambda one: (one.at, one.event_id))
    stretches = _walk(customer, events, ())
    if row is not None and row.created is not None:
        ended = [one.end for one in stretches if one.end is not None]
        # Where the row is there and no creation follows its last end, it may be one itself.
        if ended and row.created >= ended[-1]:
            stretches = _walk(customer, events, (row.created,))
    if row is not None and stretches[-1].end is not None:
        # A deletion that no creation follows contradicts the row.
        stretches[-1].end = None
    for number, stretch in enumerate(stretches):
        stretch.events = [one for one in events if _is_in(one, stretches, number)]
    found = []
    for stretch in stretches:
        if stretch.end is not None:
            found.append(_over(stretch, customer, creations_vanished))
        elif row is not None:
            first = stretch is stretches[0]
            found.append(_going_on(stretch, row, creations_vanished, first=first))
    return found


def _walk(
    customer: Customer, events: Sequence[Event], also_created: tuple[Moment, ...]
) -> list[_Stretch]:
    """Go through creations and deletions in order."""
    created = {one.at for one in events if one.kind == CREATION} | set(also_created)
    created |= {end.reborn for end in customer.ends if end.reborn is not None}
    created |= {end.born for end in customer.ends if end.born is not None}
    ended = {one.at for one in events if one.kind == DELETION}
    ended |= {end.at for end in customer.ends}
    stretches = [_Stretch(BEFORE_ALL)]
    # Everything that tells of a life before its first deletion.
    signs = [one.at for one in events]
    signs += [end.born for end in customer.ends if end.born is not None]
    if customer.row is not None and customer.row.created is not None:
        signs.append(customer.row.created)
    for at in sorted(created | ended):
        last = stretches[-1]
        if last.end is None:
            was_open = last.begin is not None or any(sign < at for sign in signs)
        else:
            was_open = False
        if at in ended and at in created and not was_open:
            if last.end is not None:
                last = _Stretch(last.end, begin=at)
                stretches.append(last)
            last.end = at
        elif at in ended and last.end is None:
            last.end = at
            if at in created:
                stretches.append(_Stretch(at, begin=at))
        elif at in created and last.end is not None:
            stretches.append(_Stretch(last.end, begin=at))
    return stretches


def _is_in(event: Event, stretches: Sequence[_Stretch], number: int) -> bool:
    """Tell whether an event is of a life: what lies at its end is, but for the next one's birth."""
    stretch, rest = stretches[number], stretches[number + 1 :]
    if event.kind == CREATION:
        if stretch.begin == event.at:
            return True
        if rest and rest[0].begin == event.at:
            return False
    begins = stretch.after < event.at or stretch.after == BEFORE_ALL
    return begins and event.at <= (AFTER_ALL if stretch.end is None else stretch.end)


def _told(stretch: _Stretch) -> dict[str, Any]:
    """Return what the events of a life say of its status."""
    groups: dict[Moment, list[Event]] = {}
    for one in stretch.events:
        if one.kind == CHANGE and one.says("old_status") is not None:
            groups.setdefault(one.at, []).append(one)
    creations = [(one.at, one.says("status")) for one in stretch.events if one.kind == CREATION]
    return {
        "changes": tuple((at, tuple(group)) for at, group in sorted(groups.items())),
        "created": creations[0] if creations else None,
    }


def _going_on(
    stretch: _Stretch,
    row: Row,
    creations_vanished: Collection[uuid.UUID | None],
    *,
    first: bool,
) -> Life:
    birth = row.created
    if birth is None or (not first and birth < stretch.after):
        birth = stretch.begin
    if birth is None:
        birth = min((one.at for one in stretch.events if one.kind == CREATION), default=None)
    if birth is None:
        untold = None if row.consumer in creations_vanished else AFTER_ALL
        birth = min((one.at for one in stretch.events), default=untold)
    return Life(birth, AFTER_ALL, row.consumer, last=named(row.status), **_told(stretch))


def _over(
    stretch: _Stretch, customer: Customer, creations_vanished: Collection[uuid.UUID | None]
) -> Life:
    end = stretch.end
    assert end is not None
    remembered = next((one for one in customer.ends if one.at == end), None)
    born: list[Moment | None] = [
        remembered.born if remembered is not None else None,
        stretch.begin,
        min((one.at for one in stretch.events if one.kind == CREATION), default=None),
        min(
            (one.at for one in stretch.events if one.kind != DELETION or one.at < end),
            default=None,
        ),
    ]
    told = _told(stretch)
    deletions = [one for one in stretch.events if one.kind == DELETION and one.at == end]
    until_then = sorted(
        (one for one in customer.events if one.at <= end), key=lambda one: (one.at, one.event_id)
    )
    consumer = _whose(until_then, deletions, remembered)
    known = [one for one in born if one is not None]
    birth = known[0] if known else None if consumer in creations_vanished else end
    said = next((one.says("status") for one in deletions if one.says("status") is not None), None)
    if said is None and remembered is not None and remembered.of_row is not None:
        said = named(remembered.of_row[1]) if remembered.by_row else None
    if said is None:
        said = _last_new_status(told["changes"])
    if said is None:
        said = next(
            (
                str(one.says("status"))
                for one in reversed(stretch.events)
                if one.kind == CREATION and one.says("status") is not None
            ),
            NONE,
        )
    return Life(birth, end, consumer, last=said, **told)


def _last_new_status(changes: Sequence[tuple[Moment, tuple[Event, ...]]]) -> str | None:
    """Return where the changes have led to: the end of the last microsecond's chain."""
    for _, group in reversed(changes):
        olds = Counter(event.says("old_status") for event in group)
        news = Counter(event.says("new_status") for event in group)
        ends = [status for status in news - olds if status is not None]
        if ends:
            return ends[0]
        said = [one.says("new_status") for one in group if one.says("new_status") is not None]
        if said:
            return said[-1]
    return None


def _whose(
    events: Sequence[Event], deletions: Sequence[Event], remembered: End | None
) -> uuid.UUID | None:
    """Return whose a customer was in a life that is over, by all its events until then."""
    if remembered is not None and remembered.of_row is not None:
        return remembered.of_row[0]
    rest = [one for one in events if one not in deletions]
    earlier = [one for one in reversed(rest) if one.kind in LIFECYCLE]
    earlier += [one for one in reversed(rest) if one.kind not in LIFECYCLE]
    return next((one.consumer for one in [*deletions, *earlier] if one.consumer is not None), None)
