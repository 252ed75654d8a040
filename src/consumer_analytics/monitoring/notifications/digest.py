"""What a week's digest says: the week's figures against the week before, for whoever wants them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.formatting import count, percent_of, percent_signed, signed


@dataclass(frozen=True)
class DigestFigure:
    """A figure of the week.

    Attributes:
        label: what it is.
        value: in the week, or at its end; None where nothing is known of that.
        before: in the week before, or at its end; None where nothing is known of that.
    """

    label: str
    value: int | None
    before: int | None

    @property
    def change(self) -> str:
        """The change, as people read it: `+1,200 (+4.0 %)`."""
        if self.value is None or self.before is None:
            return ""
        difference = signed(self.value - self.before)
        if not self.before or self.value == self.before:
            return difference
        return f"{difference} ({percent_signed(percent_of(self.value - self.before, self.before))})"


@dataclass(frozen=True)
class DigestConsumer:
    """A consumer whose events rose or fell most.

    Attributes:
        name: what people call it; its id where it has no name.
        events: in the week.
        before: in the week before.
    """

    name: str
    events: int
    before: int

    @property
    def change(self) -> str:
        """The change, as people read it."""
        return DigestFigure("", self.events, self.before).change


@dataclass(frozen=True)
class DigestDay:
    """A day of the weeks that are drawn.

    Attributes:
        day: its date in the configured zone.
        events: that came on it; None where a snapshot at its beginning or end is missing.
        customers: at its end; None where no snapshot is of that.
    """

    day: dt.date
    events: int | None
    customers: int | None


@dataclass(frozen=True)
class Digest:
    """A week.

    Attributes:
        first: its first day, a Monday.
        last: its last day.
        as_of: the instant of the snapshot that ends it, or of the last one before that.
        figures: of the whole system.
        rose: consumers with most events more than the week before, most first.
        fell: consumers with most events less.
        days: four weeks, the digest's last.
        unusual: what was odd with consumers, a sentence each.
        fresh: whether the figures reach the end of the week, and health now, in a sentence.
    """

    first: dt.date
    last: dt.date
    as_of: dt.datetime
    figures: tuple[DigestFigure, ...]
    rose: tuple[DigestConsumer, ...]
    fell: tuple[DigestConsumer, ...]
    days: tuple[DigestDay, ...]
    unusual: tuple[str, ...]
    fresh: str

    @property
    def title(self) -> str:
        """The week in a line."""
        told = ", ".join(
            f"{count(one.value)} {one.label.lower()}{f' {one.change}' if one.change else ''}"
            for one in self.figures[:2]
        )
        return f"Week of {self.first.isoformat()}: {told}"

    @property
    def has_events(self) -> bool:
        """Whether there is a day to draw."""
        return any(one.events is not None for one in self.days)
