"""A history: steps in an order that a seed decides, everything compared after each."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.support.oracle import Sources, stored
from tests.support.oracle.figures import Figures
from tests.support.oracle.lives import named_type
from tests.support.oracle.moments import BEFORE_ALL, instant, moment
from tests.support.oracle.world import World
from tests.support.zoo.application import BEGIN, HOUR, Application
from tests.support.zoo.ground import Ground
from tests.support.zoo.kinds import Kinds

from consumer_analytics.etl import vanished

#: Steps that leave something gone, of which a look must know before anything else happens.
_PURGES = ("purge_by_age", "purge_by_type", "purge_by_tenant", "purge_by_hour", "erase_events")


class DisagreementError(AssertionError):
    """The product and the oracle do not say the same."""


#: The steps of a history: each with its number, which decides all chance within it.
Script = Sequence[tuple[int, str]]


def script_of(kinds: Kinds, seed: int, steps: int) -> Script:
    """Draw the steps of a history."""
    names, weights = zip(*kinds.steps.items(), strict=True)
    return list(enumerate(random.Random(seed).choices(names, weights, k=steps)))


class History:
    """One history.

    Attributes:
        told: its steps so far, for people.
    """

    def __init__(self, ground: Ground, kinds: Kinds, seed: int, *, audited: bool = True) -> None:
        """Begin it, in a cleared database.

        Args:
            ground: where.
            kinds: what may happen.
            seed: decides everything.
            audited: whether the audit has to agree as well.
        """
        ground.clear()
        self.ground, self.kinds, self.seed, self.audited = ground, kinds, seed, audited
        self.rng = random.Random(seed)
        self.world = World(sweep_days=ground.settings.sweep_days)
        self.app = Application(ground, self.world, kinds, self.rng)
        self.told: list[str] = ["begin"]

    def play(self, script: Script) -> Iterator[int]:
        """Do the steps, and yield the number of each that is done and compared.

        Raises:
            DisagreementError: what differs after a step, with all steps up to there.
        """
        try:
            self._advance()
            for number, name in script:
                # A step is the same whatever was left out before it.
                self.rng.seed(f"{self.seed} {number}")
                self.told.append(name)
                self._step(name)
                yield number
        except DisagreementError as error:
            raise DisagreementError(f"{error}\nafter {' '.join(self.told)}") from None
        except Exception as error:
            error.add_note(f"seed {self.seed}, after {' '.join(self.told)}")
            raise

    def _step(self, name: str) -> None:
        own: Callable[[], None] | None = getattr(self, f"_{name}", None)
        if own is not None:
            own()
        else:
            self._happens(name)

    # -- what happens to the sources ---------------------------------------------

    def _happens(self, name: str) -> None:
        """Let the application do something, and look at it in one of the ways there are."""
        getattr(self.app, name)()
        self.told[-1] += f"({self.app.clock:%d %H:%M})"
        if name in _PURGES:
            self._look(also_by_reset=True)
        elif self.app.captured:
            self._advance()
        else:
            if self.rng.random() < 0.5:
                self._run(self._tick())
            self._finds_and_repairs()
        self._compare()

    def _finds_and_repairs(self) -> None:
        """Let the audit find exactly what differs, and a sweep or a repair mend it."""
        wrong, noted = self._differences(), self._notes()
        audited = self.ground.audit()
        if self._notes() != noted:
            # It was the first to look at what is gone, and has judged it.
            self.world.looked(Sources(self.ground.app))
            wrong = self._differences()
        if self.audited and set(audited.wrong_snapshots) != {at for at, *_ in wrong}:
            found = sorted(map(str, audited.wrong_snapshots))
            right = sorted({str(at) for at, *_ in wrong})
            raise DisagreementError(
                f"the audit finds {found} wrong, which are {right}: {self._shown(wrong)}; "
                f"it says {audited.as_json()['first_differences'][:5]}"
            )
        self._look()

    def _look(self, *, also_by_reset: bool = False) -> None:
        """Let the product look at all that there is, in one of the ways there are."""
        way = self.rng.random()
        if way < 0.3 and also_by_reset:
            self.told[-1] += "+reset"
            self.ground.set_watermark(dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
            self.ground.run(self.app.clock)
        elif way < 0.8:
            self.ground.sweep(dt.date.min)
        else:
            self.told[-1] += "+repair"
            self.ground.repair()
        self.world.looked(Sources(self.ground.app))

    # -- what the product does ---------------------------------------------------

    def _tick(self) -> dt.datetime:
        """Move the clock: often to a midnight, else anywhere."""
        app = self.app
        later = app.clock + self.rng.randrange(2, 40) * HOUR
        if self.rng.random() < 0.5:
            later = later.replace(hour=0, minute=0, second=0, microsecond=0)
        elif self.rng.random() < 0.3:
            later += dt.timedelta(microseconds=self.rng.randrange(10**9))
        return later if later > app.clock else app.clock + HOUR

    def _advance(self) -> None:
        """Let ordinary things happen, and run."""
        until = self._tick()
        self.app.live(until)
        self._run(until)
        is_odd = self.kinds.odd or self.kinds.untold_births or self.app.tells_otherwise
        if is_odd and not self.app.captured:
            # An odd row may tell something of the past.
            self._finds_and_repairs()
        self.app.tells_otherwise = False
        self._compare()

    def _run(self, at: dt.datetime) -> None:
        self.told[-1] += f"->{at:%d %H:%M}"
        self.ground.run(at, in_steps=self.rng.random() < 0.3)
        self.app.clock = max(self.app.clock, at)
        sources = Sources(self.ground.app)
        self.world.ran(sources, at)
        if self.app.captured:
            self.world.looked(sources)

    def _restate_one(self) -> None:
        """Run as of an instant that was reported: nothing changes."""
        at, in_steps = self.rng.choice(self.ground.reported()), self.rng.random() < 0.3
        self._again(lambda: self.ground.run(at, in_steps=in_steps))

    def _snapshot_of_the_past(self) -> None:
        """Run as of an instant that was not reported yet, perhaps one that cannot be told."""
        low = self.ground.reported()[0]
        at = self.app.moment_between(low, self.app.clock)
        writable = self.world.may_be_written(Sources(self.ground.app), at)
        self.told[-1] += f"({at:%d %H:%M:%S.%f})"
        self._again(lambda: self.ground.run(at))
        if (at in self.ground.reported()) != writable:
            raise DisagreementError(f"{at} was {'not ' if writable else ''}written")
        self._compare()

    def _backfill_daily(self) -> None:
        self._backfill("daily", 1, 9)

    def _backfill_weekly(self) -> None:
        self._backfill("weekly", 3, 20)

    def _backfill(self, interval: str, shortest: int, longest: int) -> None:
        """Backfill a range that has been processed: what is there stays as it is."""
        first, last = BEGIN.date(), self.app.clock.date()
        start = first + dt.timedelta(days=self.rng.randrange(max((last - first).days, 1)))
        end = min(start + dt.timedelta(days=self.rng.randrange(shortest, longest)), last)
        if start >= end:
            return
        self.told[-1] += f"({start:%d}..{end:%d})"
        writable = self._writable_midnights(start, end)
        self._again(lambda: self.ground.backfill(start, end, interval))
        left_out = [at for at in self.ground.reported() if at in writable and not writable[at]]
        if left_out:
            raise DisagreementError(f"{left_out} cannot be told, and were written")
        self._compare()

    def _backfill_chosen(self) -> None:
        """Backfill some consumers by themselves, where there may be no snapshot."""
        consumers = sorted(str(consumer) for consumer, _ in Sources(self.ground.app).consumers)
        first, last = BEGIN.date(), self.app.clock.date()
        start = first + dt.timedelta(days=self.rng.randrange(max((last - first).days, 1)))
        end = min(start + dt.timedelta(days=self.rng.randrange(1, 9)), last)
        chosen = self.rng.sample(consumers, min(len(consumers), self.rng.choice([1, 1, 2])))
        if start >= end or not chosen:
            return
        interval = self.rng.choice(["daily", "daily", "weekly"])
        self.told[-1] += f"({start:%d}..{end:%d} {interval})"
        self._again(lambda: self.ground.backfill(start, end, interval, chosen))
        self._compare()

    def _writable_midnights(self, start: dt.date, end: dt.date) -> dict[dt.datetime, bool]:
        sources = Sources(self.ground.app)
        midnights = (
            dt.datetime(start.year, start.month, start.day, tzinfo=dt.UTC) + dt.timedelta(days=n)
            for n in range(1, (end - start).days + 1)
        )
        return {at: self.world.may_be_written(sources, at) for at in midnights}

    def _again(self, again: Callable[[], Any]) -> None:
        """Compute something a second time, which may keep no document: nothing was restated."""
        before = self.ground.kept()
        again()
        if self.ground.kept() != before:
            raise DisagreementError("computed again, a snapshot was restated")

    def _move_watermark(self) -> None:
        """Set the watermark by hand, anywhere, and run."""
        to = self.rng.choice(
            [
                dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
                self.app.past(),
                self.app.clock + dt.timedelta(days=3),
            ]
        )
        self.told[-1] += f"({to:%d %H:%M})"
        self.ground.set_watermark(to)
        self._advance()

    def _take_back(self) -> None:
        """Take a snapshot back, and perhaps write it again: where it was said that nobody can."""
        reported = self.ground.reported()
        if len(reported) < 3:  # some are to be left
            return
        at, kept = self.rng.choice(reported), self.ground.kept()
        self.told[-1] += f"({at:%d %H:%M:%S.%f})"
        removal = self.ground.take_back(at)
        if at in self.ground.reported() or self.ground.kept() != kept + removal.rows:
            raise DisagreementError(f"{at} is still there, or not kept")
        self._compare()
        if self.rng.random() < 0.5:
            return
        self.told[-1] += "+again"
        self._again(lambda: self.ground.run(at))
        if (at in self.ground.reported()) == (at in removal.not_writable):
            raise DisagreementError(
                f"{at} was written although it was said that nobody can, or not"
            )
        self._compare()

    def _thin(self) -> None:
        """Keep each day's last snapshot; a midnight is of the day that it ends."""
        reported = self.ground.reported()
        last = {(at - dt.timedelta(microseconds=1)).date(): at for at in reported}
        # What no run has come to stays; so does the latest, which is its day's last.
        right = sorted({*last.values(), *(at for at in reported if at > self.app.clock)})
        self.ground.thin()
        if self.ground.reported() != right:
            raise DisagreementError(f"{self.ground.reported()} are left, and not {right}")
        self._compare()

    def _accept(self) -> None:
        """Accept some of what has vanished, chosen in some way."""
        self._take_notes_off(restored=False)

    def _restored(self) -> None:
        """Say that what came to where some had vanished is that."""
        self._take_notes_off(restored=True)

    def _take_notes_off(self, *, restored: bool) -> None:
        choice = self._choice()
        self.told[-1] += f"({[*filter(None, choice.values().values())]})"
        listed = self.ground.noted(choice).listed
        if restored:
            self.ground.sweep(restored=choice)
        else:
            self.ground.sweep(accepted=choice)
        for note in listed:
            self.world.taken_off(
                None if note.consumer_id is None else uuid.UUID(note.consumer_id),
                note.event_type,
                moment(dt.datetime.fromisoformat(note.since)),
                moment(dt.datetime.fromisoformat(note.until)),
                min(note.events, note.came_back) if restored else note.events,
            )
        self.world.looked(Sources(self.ground.app))
        self._compare()

    def _choice(self) -> vanished.Choice:
        """Choose among what has vanished: by day, consumer, type, several of these, or nothing."""
        notes = [one.event for one in self.world.judged.vanished.values()]
        if not notes or self.rng.random() < 0.2:
            return vanished.EVERYTHING
        notes.sort(key=lambda one: one.event_id)
        some = self.rng.sample(notes, min(2, len(notes)))
        days = tuple({instant(int(one.at)).date() for one in some if one.at > BEFORE_ALL})
        by = self.rng.sample(["days", "first", "last", "consumers", "types"], 2)[
            : self.rng.choice([1, 2])
        ]
        return vanished.Choice(
            days=days if "days" in by else (),
            first=min(days, default=None) if "first" in by else None,
            last=max(days, default=None) if "last" in by else None,
            consumers=tuple(str(one.consumer or vanished.NONE) for one in some)
            if "consumers" in by
            else (),
            types=tuple(named_type(one.kind) for one in some) if "types" in by else (),
        )

    def _sweep(self) -> None:
        self._again(self.ground.sweep)

    def _repair(self) -> None:
        self._again(self.ground.repair)

    def _switch_capture(self) -> None:
        self.app.captured = not self.app.captured
        self.told[-1] += "(on)" if self.app.captured else "(off)"
        self.ground.capture(self.app.captured)

    def _notes(self) -> tuple[Any, ...] | None:
        """Return how many notes there are of what has vanished, and of how many events."""
        row: tuple[Any, ...] | None = self.ground.app.execute(
            "select count(*), sum(n) from consumer_analytics_internal.vanished_events"
        ).fetchone()
        return row

    # -- comparing ---------------------------------------------------------------

    def _compare(self) -> None:
        """Every snapshot is what the oracle says, and the audit finds nothing."""
        wrong = self._differences()
        if wrong:
            raise DisagreementError(f"{len(wrong)} rows differ: {self._shown(wrong)}")
        audited = self.ground.audit()
        if self.audited and not audited.clean:
            listed = audited.as_json()["first_differences"][:5]
            raise DisagreementError(f"the audit is not clean: {listed}")
        self.ground.hold()

    def _differences(self) -> list[tuple[Any, ...]]:
        """Return rows that are not what they should be; remember those that are."""
        sources = Sources(self.ground.app)
        rows = self.ground.app.execute(
            "select snapshot_timestamp, consumer_id::text, "
            "(metrics_json #>> '{incremental_stats,window_start}')::timestamptz "
            "from consumer_analytics order by 1"
        ).fetchall()
        whole = {at: start for at, consumer, start in rows if consumer is None}
        apart: dict[dt.datetime, dict[str, dt.datetime]] = defaultdict(dict)
        for at, consumer, start in rows:
            if consumer is not None and whole.get(at) != start:
                apart[at][consumer] = start
        found: list[tuple[Any, ...]] = []
        seen: dict[dt.datetime, Figures] = {}
        alone: dict[dt.datetime, Figures] = {}
        for at in sorted(whole.keys() | apart.keys() | self.world.alone.keys()):
            there = stored(self.ground.app, at)
            if at in whole:
                true, is_of = self.world.truth(sources, at, whole[at]), seen
            else:
                true, is_of = {}, alone
                for consumer in self.world.alone.get(at, {}).keys() - there.keys():
                    # It may be gone where it has no part any more.
                    apart[at].setdefault(str(consumer), at)
            for consumer, start in apart[at].items():
                own = self.world.truth(sources, at, start, alone=at not in whole)
                true.pop(consumer, None)
                if consumer in own:
                    true[consumer] = own[consumer]
            if self.world.judged.vanished:
                # What of a stretch lay before the window's start nobody can tell.
                there, true = _without_new_events(there), _without_new_events(true)
            differing = [
                (at, consumer, there.get(consumer), true.get(consumer))
                for consumer in there.keys() | true.keys()
                if there.get(consumer) != true.get(consumer)
            ]
            found += differing
            is_of[at] = there
        if not found:
            self.world.reported, self.world.alone = seen, alone
        return found

    @staticmethod
    def _shown(wrong: list[tuple[Any, ...]]) -> str:
        """Say where the first rows differ, key by key."""
        lines = []
        for at, consumer, there, true in sorted(wrong, key=lambda one: (one[0], str(one[1])))[:6]:
            keys = (there or {}).keys() | (true or {}).keys()
            said = {
                key: ((there or {}).get(key), (true or {}).get(key))
                for key in sorted(keys)
                if (there or {}).get(key) != (true or {}).get(key)
            }
            lines.append(f"\n  {at:%m-%d %H:%M:%S.%f} {consumer}: (stored, right) {said}")
        return "".join(lines)


def _without_new_events(figures: Figures) -> Figures:
    return {
        consumer: {key: value for key, value in row.items() if key != "new_events_in_window"}
        for consumer, row in figures.items()
    }


def told_of(error: Exception) -> str:
    """Say what went wrong, and after which steps."""
    if isinstance(error, DisagreementError):
        return str(error)
    return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])


def shortened(
    ground: Ground, kinds: Kinds, seed: int, script: Script, *, audited: bool = True
) -> tuple[Script, str]:
    """Leave out steps as long as it still ends in the same way; return the rest and how it ends."""
    kind: list[type[Exception]] = []

    def plays(steps: Script) -> tuple[Script, str] | None:
        done = 0
        try:
            for _ in History(ground, kinds, seed, audited=audited).play(steps):
                done += 1
        except Exception as error:  # noqa: BLE001
            if not kind:
                kind.append(type(error))
            if isinstance(error, kind[0]):
                return steps[: done + 1], told_of(error)
            # Something else went wrong without the steps that were left out.
        return None

    found = plays(script)
    if found is None:
        return script, "nothing differs"
    size = len(found[0])
    while size:
        start = 0
        while start < len(found[0]):
            fewer = plays([*found[0][:start], *found[0][start + size :]])
            found, start = (fewer, start) if fewer else (found, start + size)
        size //= 2
    return found
