"""What may happen in a history, and how often: presets that can be switched on and off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

#: Steps by their weight: what every system does.
_PLAIN = {
    "advance": 12,
    "restate_one": 2,
    "snapshot_of_the_past": 2,
    "backfill_daily": 2,
    "backfill_weekly": 1,
    "move_watermark": 3,
    "sweep": 1,
    "repair": 1,
}
_CUSTOMERS = {
    "restore": 3,
    "bear_again": 2,
    "restore_under_its_return": 1,
    "move": 2,
    "correct_status": 2,
    "correct_birth": 2,
    "correct_consumer": 1,
    "erase_row": 2,
    "late_event": 2,
    "late_row": 2,
    "late_change": 2,
    "late_creation": 2,
    "late_deletion": 1,
    "contradicting_deletion": 2,
    "erase_contradicted": 2,
    "second_deletion": 1,
    "retype": 1,
}
_PURGES = {
    "purge_by_age": 2,
    "purge_by_type": 2,
    "purge_by_tenant": 1,
    "purge_by_hour": 1,
    "erase_events": 1,
    "late_event": 2,
}
_CAPTURE = {"switch_capture": 3}
_BARE = {
    "restore": 3,
    "bear_again": 3,
    "restore_under_its_return": 1,
    "move": 4,
    "late_event": 1,
    "late_row": 2,
    "late_change": 1,
    "contradicting_deletion": 3,
    "erase_contradicted": 3,
    "second_deletion": 1,
    "sweep": 2,
}
_REMOVALS = {"take_back": 8}
_THINNING = {"thin": 8, "snapshot_of_the_past": 4, "sweep": 2}
_ACCEPTANCES = {
    "accept": 6,
    "put_back": 6,
    "restored": 4,
    "switch_capture": 1,
}
_CHOSEN = {
    "backfill_chosen": 8,
    "backfill_daily": 3,
    "late_event": 3,
    "late_creation": 2,
    "sweep": 2,
}
_TIMES = {
    "timeless_event": 1,
    "timeless_row": 2,
    "event_beyond_the_calendar": 3,
    "row_beyond_the_calendar": 2,
    "switch_capture": 1,
}
#: What leaves something gone, or speaks of it: each of several shards judges that by itself.
_JUDGED_APART = {*_PURGES, *_ACCEPTANCES} - {"late_event", "switch_capture"}


@dataclass(frozen=True)
class Kinds:
    """What a history is made of.

    Attributes:
        steps: the weight of each step.
        odd: how many customers and events in a hundred are not as an application's should be:
            no creation event, a late one, a foreign consumer, an unreadable payload, a status
            that contradicts.
        ties: how many times in a hundred two rows share their microsecond.
        untold_births: whether customers may end of whom nothing tells when they were born.
        witnesses: whether each consumer has a customer that nobody touches. Without, all of its
            rows may be gone: where each deletion has its event, nothing is held for that.
    """

    steps: dict[str, int] = field(default_factory=lambda: dict(_PLAIN))
    odd: int = 0
    ties: int = 0
    untold_births: bool = False
    witnesses: bool = True

    def unwatched(self) -> Kinds:
        """Return the same without capture, for sources that it cannot watch."""
        return replace(
            self,
            steps={name: n for name, n in self.steps.items() if name != "switch_capture"},
        )

    def spread(self) -> Kinds:
        """Return the same without what each of several shards judges by itself: what is gone."""
        return replace(
            self,
            steps={name: n for name, n in self.steps.items() if name not in _JUDGED_APART},
        )


PRESETS = {
    "plain": Kinds(),
    "customers": Kinds({**_PLAIN, **_CUSTOMERS}, odd=25, ties=25),
    "purges": Kinds({**_PLAIN, **_PURGES}),
    "capture": Kinds({**_PLAIN, **_CUSTOMERS, **_CAPTURE}, odd=25, ties=25),
    "removals": Kinds({**_PLAIN, **_PURGES, **_REMOVALS}),
    # Nothing is odd: then lifecycle events are purged as well.
    "returns": Kinds(
        {
            **_PLAIN,
            **_PURGES,
            **_CAPTURE,
            "restore": 6,
            "bear_again": 3,
            "restore_under_its_return": 2,
        }
    ),
    "births": Kinds(
        {**_PLAIN, **_PURGES, **_CAPTURE, "timeless_customer": 6, "restore": 2}, untold_births=True
    ),
    "thinning": Kinds({**_PLAIN, **_PURGES, **_REMOVALS, **_THINNING, **_CAPTURE}),
    # Odd enough for lifecycle events to be spared: what accepted lives are is told by stories.
    "acceptances": Kinds({**_PLAIN, **_PURGES, **_ACCEPTANCES}, odd=1),
    "chosen": Kinds({**_PLAIN, **_CUSTOMERS, **_PURGES, **_CAPTURE, **_CHOSEN}, odd=10, ties=10),
    "bare": Kinds({**_PLAIN, **_BARE, **_CAPTURE}, ties=25, witnesses=False),
    "times": Kinds({**_PLAIN, **_TIMES}, odd=5),
    "all": Kinds({**_PLAIN, **_CUSTOMERS, **_PURGES, **_CAPTURE, **_TIMES}, odd=15, ties=15),
}
