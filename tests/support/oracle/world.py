"""What the product must have noted and remembered, worked out from what happened.

The product reads what it remembers from its own tables; here it follows from the steps of a
history: which rows were seen to go, which events had been counted when they went, and what was
known of a deleted customer before. It is told of each step, and says what any snapshot that was
reported must say now.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from tests.support.oracle.figures import OF_CUSTOMERS, Figures, birthless, snapshot, whole
from tests.support.oracle.lives import (
    CREATION,
    DELETION,
    LIFECYCLE,
    Customer,
    End,
    Event,
    Row,
    named_type,
)
from tests.support.oracle.moments import BEFORE_ALL, DAY, Moment, midnight, moment
from tests.support.oracle.reading import Sources

_MEAN = "avg_customer_lifetime_days"
#: What a row of the counts is: this event, counted as of this consumer, type and time.
_Counted = tuple[uuid.UUID, uuid.UUID | None, str, Moment]


@dataclass(frozen=True)
class Vanished:
    """An event that was counted and is gone, and the stretch that it was noted under."""

    event: Event
    since: Moment
    until: Moment


@dataclass
class Judgement:
    """What counts: rows of the source, and rows that have vanished."""

    counted: dict[_Counted, Event]
    vanished: dict[_Counted, Vanished]


@dataclass(frozen=True)
class _Everything:
    """What figures are a function of."""

    consumers: Iterable[tuple[uuid.UUID, Moment | None]]
    customers: Mapping[uuid.UUID, Customer]
    events: Iterable[Event]
    creations_vanished: Collection[uuid.UUID | None]


@dataclass
class World:
    """What is noted and remembered at this point of a history.

    Attributes:
        sweep_days: the product's setting.
        processed: up to where runs have counted.
        reported: every snapshot that was reported, as it was last right.
        alone: rows of chosen consumers that were reported where there is no snapshot.
        ends: what was seen of rows when they went, by customer.
        kept: events that have vanished, of customers that were gone by then, or whose row has no
            time.
    """

    sweep_days: int = 7
    processed: Moment = BEFORE_ALL
    judged: Judgement = field(default_factory=lambda: Judgement({}, {}))
    reported: dict[dt.datetime, Figures] = field(default_factory=dict)
    alone: dict[dt.datetime, Figures] = field(default_factory=dict)
    ends: dict[uuid.UUID, list[End]] = field(default_factory=lambda: defaultdict(list))
    kept: dict[uuid.UUID, list[Event]] = field(default_factory=lambda: defaultdict(list))
    #: Rows of the counts that were seen to change: corrections, however old.
    changed: set[_Counted] = field(default_factory=set)

    # -- what is told ------------------------------------------------------------

    def row_went(
        self, customer: uuid.UUID, row: Row, at: Moment, *, by_row: bool, last_end: Moment | None
    ) -> None:
        """Remember a row that capture saw go.

        Args:
            customer: whose.
            row: what it was.
            at: when: of the deletion event, or now where there is none.
            by_row: no event says why.
            last_end: of the life before; None where this is the first.
        """
        born = row.created
        if born is not None and last_end is not None and born < last_end:
            born = None
        self.ends[customer].append(End(at, born, by_row=by_row, of_row=(row.consumer, row.status)))

    def row_came_back(self, customer: uuid.UUID, at: Moment) -> None:
        """Remember that capture saw a row come back, of which no event tells."""
        *before, last = self.ends[customer]
        self.ends[customer] = [*before, replace(last, reborn=at)]

    def deletion_came(self, customer: uuid.UUID, at: Moment) -> None:
        """Let a deletion event override that the row was seen to go."""
        self.ends[customer] = [
            replace(end, at=at, by_row=False) if end.by_row else end for end in self.ends[customer]
        ]

    def event_changed(self, event: Event) -> None:
        """Note that capture saw an event change that was counted like this."""
        self.changed.add(_counted(event))

    # -- looks -------------------------------------------------------------------

    def ran(self, sources: Sources, at: dt.datetime, *, recounted: Moment | None = None) -> None:
        """A run has counted what is new, and looked at days again.

        Args:
            sources: as it read them.
            at: up to where.
            recounted: the start of what it counted again; None for nothing.
        """
        before, self.processed = self.processed, max(self.processed, moment(at))
        for event in sources.events:
            if before <= event.at < self.processed:
                self.judged.counted.setdefault(_counted(event), event)
        if recounted is not None:
            self.looked(sources, since=recounted)

    def looked(self, sources: Sources, since: Moment = BEFORE_ALL) -> None:
        """Something has looked at all days from one on: what it judges is judged for good."""
        gone_before = set(self.judged.vanished)
        self.judged = self.judge(sources, since)
        fresh = [one.event for key, one in self.judged.vanished.items() if key not in gone_before]
        for event in fresh:
            if event.customer is not None and self._was_remembered(sources, event, fresh):
                self.kept[event.customer].append(event)

    def _was_remembered(self, sources: Sources, event: Event, fresh: list[Event]) -> bool:
        """Tell whether an event is of a life whose end had been taken in, or began the next.

        Or of a customer whose row has no time: it may have told its birth.
        """
        assert event.customer is not None
        row = sources.rows.get(event.customer)
        if row is not None and row.created is None:
            return True
        of_customer = [
            *(one for one in sources.events if one.customer == event.customer),
            *self.kept[event.customer],
            *(one for one in fresh if one.customer == event.customer),
        ]
        ends = {one.at for one in of_customer if one.kind == DELETION and one.at < self.processed}
        if not ends:
            return False
        reborn = [one.at for one in of_customer if one.kind == CREATION and one.at >= max(ends)]
        return event.at <= max(ends) or (
            event.kind == CREATION and event.at == min(reborn, default=None)
        )

    def taken_off(
        self, consumer: uuid.UUID | None, kind: str, since: Moment, until: Moment, n: int
    ) -> None:
        """Forget some of the events that are noted under a stretch: they are counted no more."""

        def noted() -> list[_Counted]:
            return sorted(
                key
                for key in self.judged.vanished
                if _cell(key) == (consumer, kind) and (since <= key[3] < until or key[3] == since)
            )

        of_note = noted()
        if consumer is None and len(of_note) < n:
            self._exchange(kind, since, until, n - len(of_note))
            of_note = noted()
        if len(of_note) < n:
            raise AssertionError(f"{n} of {len(of_note)} events taken off: {consumer} {kind}")
        for key in of_note[:n]:
            del self.judged.vanished[key], self.judged.counted[key]

    def _exchange(self, kind: str, since: Moment, until: Moment, n: int) -> None:
        """Let events of one type have vanished in a stretch, and as many others where they did.

        No snapshot tells unattributed events by type: how many of a type have vanished of a day is
        known, and how many of a stretch, but not which type in which stretch. Lifecycle events
        stay where they are: customers hang on when they were.
        """
        of_day = sorted(
            key
            for key in self.judged.vanished
            if key[1] is None and _day_of(key[3]) == _day_of(since) and key[2] not in LIFECYCLE
        )
        others = [key for key in of_day if key[2] != kind and since <= key[3] < until]
        elsewhere = [key for key in of_day if key[2] == kind and not since <= key[3] < until]
        for one, other in list(zip(others, elsewhere, strict=False))[:n]:
            first, second = self.judged.vanished[one], self.judged.vanished[other]
            for key, mine, its in ((one, first, second), (other, second, first)):
                del self.judged.vanished[key], self.judged.counted[key]
                event = replace(mine.event, at=its.event.at)
                self.judged.counted[_counted(event)] = event
                self.judged.vanished[_counted(event)] = replace(its, event=event)

    def judge(self, sources: Sources, since: Moment = BEFORE_ALL) -> Judgement:
        """Return what counts, where all days from one on are looked at now."""
        held = {_counted(one): one for one in sources.events if one.at < self.processed}
        answer = Judgement(dict(self.judged.counted), dict(self.judged.vanished))
        days = {_day_of(key[3]) for key in {*held, *self.judged.counted} if key[3] >= since}
        for day in sorted(days):
            self._judge_day(day, held, answer)
        return answer

    def _judge_day(self, day: Moment, held: dict[_Counted, Event], answer: Judgement) -> None:
        of_day = {key: one for key, one in held.items() if _day_of(key[3]) == day}
        counted = {key for key in answer.counted if _day_of(key[3]) == day}
        noted = {key for key in answer.vanished if _day_of(key[3]) == day}
        gone = counted - noted - set(of_day)
        corrected = gone & self.changed
        gone -= corrected
        if len(of_day) + len(noted) >= len(counted) - len(corrected):
            corrected |= gone
            gone = set()
        missing = Counter(_cell(key) for key in gone)
        missing.subtract(_cell(key) for key in of_day if key not in counted)
        vanished: set[_Counted] = set()
        for cell in {_cell(key) for key in gone}:
            of_cell = sorted(key for key in gone if _cell(key) == cell)
            if missing[cell] <= 0 or self._is_correction(cell, day, held):
                corrected |= set(of_cell)
            else:
                vanished |= set(of_cell[: missing[cell]])
                corrected |= set(of_cell[missing[cell] :])
        for key in corrected:
            answer.counted.pop(key, None)
        for key in vanished:
            since, until = self._stretch(key[3])
            answer.vanished[key] = Vanished(answer.counted[key], since, until)
        answer.counted.update(of_day)

    def _is_correction(
        self,
        cell: tuple[uuid.UUID | None, str],
        day: Moment,
        held: dict[_Counted, Event],
    ) -> bool:
        """Tell whether the day is young and the day counted before it still holds such rows."""
        if day < midnight(int(self.processed)) - self.sweep_days * DAY:
            return False
        earlier = [
            midnight(int(key[3]))
            for key in self.judged.counted
            if _cell(key) == cell and BEFORE_ALL < key[3] < day
        ]
        if not earlier:
            return False
        return any(
            _cell(key) == cell and max(earlier) <= key[3] < max(earlier) + DAY for key in held
        )

    def _stretch(self, at: Moment) -> tuple[Moment, Moment]:
        if at == BEFORE_ALL:
            return at, at
        day = midnight(int(at))
        bounds = {day, day + DAY, *(moment(one) for one in self.reported)}
        return (
            max(bound for bound in bounds if bound <= at),
            min(bound for bound in bounds if bound > at),
        )

    # -- what is right -----------------------------------------------------------

    def truth(
        self,
        sources: Sources,
        at: dt.datetime,
        window_start: dt.datetime | None = None,
        *,
        alone: bool = False,
    ) -> Figures:
        """Return what the snapshot at an instant must say, or rows that stand `alone` there."""
        vanished = [one.event for one in self.judge(sources).vanished.values()]
        everything = _Everything(
            sources.consumers,
            {
                customer: Customer(
                    sources.rows.get(customer),
                    [
                        *(
                            sources.customers[customer].events
                            if customer in sources.customers
                            else ()
                        ),
                        *self.kept.get(customer, ()),
                    ],
                    self.ends.get(customer, ()),
                )
                for customer in {*sources.customers, *self.kept, *self.ends}
            },
            [*sources.events, *vanished],
            {one.consumer for one in vanished if one.kind == CREATION},
        )
        figures = snapshot(everything, at, window_start)
        frozen = self.frozen(vanished, at)
        reported = (self.alone if alone else self.reported).get(at)
        if reported is None:
            return figures
        if everything.creations_vanished:
            for owner in map(str, birthless(everything, at) - {None}):
                if owner in reported:
                    figures[owner][_MEAN] = reported[owner][_MEAN]
        if not frozen:
            return figures
        unattributed = figures[None]["unattributed_customers"]
        if None in frozen and None in reported:
            unattributed = reported[None]["unattributed_customers"]
        nothing = {"total_events": 0, "events_by_type": {}, "new_events_in_window": 0}
        for consumer in frozen - {None}:
            if str(consumer) in reported:
                kept = {key: reported[str(consumer)][key] for key in OF_CUSTOMERS}
                figures[str(consumer)] = {**nothing, **figures.get(str(consumer), {}), **kept}
        figures[None] = whole(figures, unattributed, figures[None]["unattributed_events"])
        return figures

    def frozen(self, vanished: Iterable[Event], at: dt.datetime) -> set[uuid.UUID | None]:
        """Return consumers whose customers of an instant cannot be told any more."""
        return {one.consumer for one in vanished if one.kind in LIFECYCLE and one.at >= moment(at)}

    def may_be_written(self, sources: Sources, at: dt.datetime) -> bool:
        """Tell whether the snapshot at an instant can be told, where it was not reported."""
        if at in self.reported:
            return True
        vanished = self.judge(sources).vanished.values()
        if self.frozen((one.event for one in vanished), at):
            return False
        return not any(one.since < moment(at) < one.until for one in vanished)


def _counted(event: Event) -> _Counted:
    return event.event_id, event.consumer, named_type(event.kind), event.at


def _day_of(at: Moment) -> Moment:
    """Return the start of an instant's UTC day; what lies before everything is a day of its own."""
    return at if at == BEFORE_ALL else midnight(int(at))


def _cell(key: _Counted) -> tuple[uuid.UUID | None, str]:
    return key[1], key[2]
