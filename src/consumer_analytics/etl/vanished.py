"""What has vanished: events that were counted and are gone, though nobody corrected them.

They stay counted: what is counted is what the source holds and what is noted here. Whoever counts
days again passes what is missing through `settle`, which judges it once, by one rule; a run looks
at the source's oldest row besides, by `look`. What was noted goes only by `take_off`.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import archived, sources
from consumer_analytics.etl.plan import Plan
from consumer_analytics.formatting import exactly
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: All days, as PostgreSQL writes a datemultirange.
_ALWAYS = "{[-infinity,infinity]}"
#: So many instants are named, of those that are not written.
_NAMED = 5
#: Corrections of the counts, by consumer, day and type, that are added to snapshots together. Of
#: more, all snapshots change.
MOST_TOLD = 2_000
#: How rows without a consumer, and events without a type, are named.
NONE = "(none)"


@dataclass(frozen=True)
class Judged:
    """What of some days was judged.

    Attributes:
        noted: events noted as vanished.
        came_back: events that have come to where some had vanished, and count beside them.
    """

    noted: int = 0
    came_back: int = 0

    def __add__(self, other: Judged) -> Judged:
        return Judged(self.noted + other.noted, self.came_back + other.came_back)


@dataclass(frozen=True)
class Choice:
    """Which notes are meant; all where nothing is chosen.

    Attributes:
        days: UTC days.
        first: the first UTC day.
        last: the last UTC day.
        consumers: as text; `(none)` for events without a consumer.
        types: event types.
    """

    days: tuple[dt.date, ...] = ()
    first: dt.date | None = None
    last: dt.date | None = None
    consumers: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """Return it as statements name it."""
        return {
            "days": list(self.days) or None,
            "first": self.first,
            "last": self.last,
            "consumers": list(self.consumers) or None,
            "types": list(self.types) or None,
        }

    @property
    def gone(self) -> tuple[str, ...] | None:
        """Consumers meant where their customers are all gone; None: whoever it is.

        Of customers no day is known, and no type of event.
        """
        if self.days or self.types:
            return ()
        return self.consumers or None


EVERYTHING = Choice()


@dataclass(frozen=True)
class Note:
    """Events of one consumer, type and stretch of time that have vanished.

    Attributes:
        consumer_id: whose, as text; None for events without a consumer.
        event_type: their type.
        since: where the stretch begins, as PostgreSQL writes it: a UTC midnight, or an instant
            that was reported.
        until: where it ends, exclusive.
        events: how many.
        came_back: how many have come to the stretch since, and count beside them.
        noted_at: when it was last noted.
        noted_by: by what.
    """

    consumer_id: str | None
    event_type: str
    since: str
    until: str
    events: int
    came_back: int
    noted_at: dt.datetime
    noted_by: str


@dataclass(frozen=True)
class Listing:
    """What is noted as vanished.

    Attributes:
        notes: how many notes there are.
        events: of how many events.
        came_back: how many events have come to where some had vanished.
        listed: the first of the notes.
    """

    notes: int
    events: int
    came_back: int
    listed: tuple[Note, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


def look(connection: Connection, settings: Settings, by: str) -> Judged:
    """Look at the source's oldest row: what was counted before it is noted, if it is not yet.

    Within the caller's transaction, under the job's lock. Where it is the row that it was, nothing
    more is read; otherwise one day is, at most.

    Args:
        connection: in a transaction.
        settings: where the source is, and how many days are swept.
        by: what looks, as the note tells it.
    """
    moved, gone_before, days, its_day = connection.execute(
        query("etl/vanished/look", settings.sources)
    ).fetchone() or (False, None, None, None)
    if not moved:
        return Judged()
    judged = Judged()
    if days is not None:
        judged = judge_days(connection, settings, days, its_day, by)
    connection.execute(query("etl/vanished/looked"), {"gone_before": gone_before})
    return judged


def needs_look(connection: Connection, settings: Settings) -> bool:
    """Tell whether `look` would find anything to judge."""
    row = connection.execute(query("etl/vanished/look", settings.sources)).fetchone()
    return row is not None and row[0] and row[2] is not None


def lives_lacking(
    connection: Connection,
    settings: Settings,
    first: dt.datetime,
    known: dt.datetime,
    lifecycle: sql.Composable | None = None,
    *,
    corrected: str = "{}",
) -> str | None:
    """Return the days since an instant of which lifecycle events are gone that nobody has noted.

    Args:
        connection: in a transaction.
        settings: where the source is.
        first: as of this instant customers are told.
        known: how far the counts reach.
        lifecycle: where the lifecycle events are, with `at`, from the beginning of that instant's
            day on; None: in the source, which is read for it.
        corrected: days to leave out, whose lack was judged to be a correction.

    Returns:
        The days as PostgreSQL writes a datemultirange; None where there are none.
    """
    if first >= known:
        return None
    days: str | None = scalar_of(
        connection,
        "etl/vanished/lives-lacking",
        {"first": first, "known": known, "corrected": corrected},
        sources=settings.sources,
        lifecycle=lifecycle or query("etl/vanished/lives-held", settings.sources),
    )
    return days


def judge_lives(
    connection: Connection, settings: Settings, first: dt.datetime, known: dt.datetime, by: str
) -> Judged:
    """Judge what is gone of the lifecycle events that tell of customers as of an instant.

    Within the caller's transaction, under the job's lock. Whoever tells customers as of an instant
    in the past reads these events, and would take a loss that nobody has noted for the truth.

    Args:
        connection: in a transaction.
        settings: where the source is, and how many days are swept.
        first: as of this instant customers are told.
        known: how far the counts reach.
        by: what asks, as the note tells it.
    """
    days = lives_lacking(connection, settings, first, known)
    return Judged() if days is None else judge_days(connection, settings, days, days, by)


def judge_days(
    connection: Connection, settings: Settings, days: str, held_days: str, by: str
) -> Judged:
    """Judge what some days lack, without taking in what has come to them.

    Within the caller's transaction, under the job's lock.

    Args:
        connection: in a transaction.
        settings: where the source is, and how many days are swept.
        days: as PostgreSQL writes a datemultirange.
        held_days: those of them of which the source may hold anything.
        by: what asks, as the note tells it.
    """
    there = archived.held(connection, settings, held_days, ())
    held = query("etl/vanished/held-of-days", settings.sources, **there)
    values = {"recount": days, "held_days": held_days}
    differ = query("etl/vanished/differ", held=held)
    return _judge(connection, settings, differ, values, by, counted_too=False)


def judge_everything(connection: Connection, settings: Settings, by: str) -> Judged:
    """Judge all that was counted, as `judge_days` does; one scan of the source."""
    disbelieve(connection)
    archived.renew(connection, settings)
    judged = judge_days(connection, settings, _ALWAYS, _ALWAYS, by)
    connection.execute(query("etl/vanished/looked-at-births"))
    connection.execute("delete from consumer_analytics_internal.changed_events where doubted")
    return judged


def disbelieve(connection: Connection) -> None:
    """Take counts by day that the totals do not bear out for none, before a repair judges them.

    They were tampered with: nothing has vanished there.
    """
    connection.execute(query("etl/vanished/disbelieve"))


def settle(
    connection: Connection, settings: Settings, plan: Plan, events: sql.Composable, by: str
) -> tuple[sql.Composable, Judged]:
    """Judge what the days that a plan counts again lack, and add to an extract what has vanished.

    Within the caller's transaction, under the job's lock.

    Args:
        connection: in a transaction.
        settings: where the source is, and how many days are swept.
        plan: what the extract was made for.
        events: the extract, a relation that can stand in a FROM clause.
        by: what counts, as the note tells it.

    Returns:
        The extract with what is noted of these days, and what was judged.
    """
    if not plan.recount:
        return events, Judged()
    recount = {"recount": plan.recount_multirange}
    held = query("etl/vanished/held-of-extract", extracted_events=events)
    differ = query("etl/vanished/differ", held=held)
    judged = _judge(connection, settings, differ, recount, by, counted_too=True)
    if not scalar(connection, query("etl/vanished/any")):
        return events, judged
    connection.execute("drop table if exists pg_temp.noted_events")
    connection.execute(query("etl/vanished/noted"), {**recount, "bounds": list(plan.bounds)})
    return query("etl/vanished/with-noted", extracted_events=events), judged


def settle_differing(connection: Connection, settings: Settings, by: str) -> Judged:
    """Judge what days lack of which `differing_events` has what differs, all the rest being equal.

    Within the caller's transaction, under the job's lock, in which these days were counted.

    Args:
        connection: in a transaction.
        settings: where the source is, and how many days are swept.
        by: what counts, as the note tells it.
    """
    differ = query("etl/vanished/differ-of-differing")
    return _judge(connection, settings, differ, None, by, counted_too=True)


def _judge(
    connection: Connection,
    settings: Settings,
    differ: sql.Composed,
    values: dict[str, Any] | None,
    by: str,
    *,
    counted_too: bool,
) -> Judged:
    """Judge what is missing of some days, as the statement `differ` finds it.

    `counted_too`: whoever asks takes in what has come as well.
    """
    connection.execute(
        "drop table if exists pg_temp.event_differences, pg_temp.event_judged, pg_temp.event_placed"
    )
    connection.execute(differ, values)
    if not scalar(connection, "select exists (select from pg_temp.event_differences)"):
        return Judged()
    connection.execute(
        query("etl/vanished/judge", settings.sources),
        {"sweep_days": settings.sweep_days, "counted_too": counted_too},
    )
    days = scalar_of(connection, "etl/vanished/days-differ")
    there = archived.held_where_reported(connection, settings, days)
    connection.execute(query("etl/vanished/place", settings.sources, **there))
    connection.execute(query("etl/vanished/refine", settings.sources, **there))
    connection.execute(query("etl/vanished/exchange", settings.sources), {"by": by})
    judged = Judged(*(connection.execute(query("etl/vanished/note"), {"by": by}).fetchone() or ()))
    if judged.noted:
        connection.execute(query("etl/vanished/restate-undated", settings.sources))
        connection.execute(query("etl/vanished/doubt-births", settings.sources))
    return judged


def total(connection: Connection) -> int:
    """Return how many events are noted as vanished."""
    noted: int | None = scalar_of(connection, "etl/vanished/total")
    return noted or 0


def listing(connection: Connection, choice: Choice, *, limit: int) -> Listing:
    """List what is noted as vanished, in the order of time.

    Args:
        connection: to the product's database.
        choice: which notes.
        limit: how many to list; all are counted.
    """
    notes, events, came_back = connection.execute(
        query("etl/vanished/sum"), choice.values()
    ).fetchone() or (0, 0, 0)
    rows = connection.execute(query("etl/vanished/list"), {**choice.values(), "limit": limit})
    return Listing(notes, events, came_back, tuple(Note(*row) for row in rows))


def strangers(
    connection: Connection, settings: Settings, choice: Choice | None
) -> tuple[uuid.UUID, ...]:
    """Return the consumers of a choice that nothing tells of: no note, no snapshot and no row."""
    asked = [uuid.UUID(one) for one in (choice or EVERYTHING).consumers if one != NONE]
    if not asked:
        return ()
    rows = connection.execute(query("etl/vanished/consumers-untold"), {"consumers": asked})
    untold = [consumer for (consumer,) in rows]
    return sources.strangers(connection, settings.sources, untold) if untold else ()


def strange_types(connection: Connection, choice: Choice | None) -> tuple[str, ...]:
    """Return the event types of a choice that no count and no note tells of, or told once."""
    asked = list((choice or EVERYTHING).types)
    if not asked:
        return ()
    rows = connection.execute(query("etl/vanished/types-untold"), {"types": asked})
    return tuple(one for (one,) in rows)


def require_known_types(strange: Sequence[str]) -> None:
    """Refuse event types that nothing tells of: a typing error would else do nothing.

    Raises:
        UsageError: there is one; the first is named.
    """
    if strange:
        raise UsageError(
            f"event type {strange[0]!r} is unknown: no snapshot tells of it, and nothing of it is "
            "noted as vanished; `consumer-analytics vanished` lists what is"
        )


def named(instants: Sequence[dt.datetime]) -> str:
    """Write some instants for people: the first ones, and how many more there are."""
    more = len(instants) - _NAMED
    listed = ", ".join(exactly(at) for at in instants[:_NAMED])
    return listed + (f" and {more:,} more" if more > 0 else "")


def concerns(connection: Connection, first: dt.datetime) -> bool:
    """Tell whether anything that has vanished lies after an instant, around it, or in its day."""
    return bool(scalar_of(connection, "etl/vanished/concerns", {"first": first}))


def refused(
    connection: Connection,
    settings: Settings,
    instants: Sequence[dt.datetime],
    *,
    are_reported: bool = True,
    of_chosen: bool = False,
) -> tuple[dt.datetime, ...]:
    """Return those of some instants whose snapshots nobody can write any more.

    Vanished events lie around one of them, and nobody knows on which side; or it was never
    reported, and lies in a stretch that has lost some, or lifecycle events have vanished after it.

    Args:
        connection: to the product's database.
        settings: what the source's lifecycle events are called.
        instants: which.
        are_reported: whether to look if they are reported; False: as if none of them were.
        of_chosen: whether rows of chosen consumers alone count as reported.
    """
    found = connection.execute(
        query("etl/vanished/refused", settings.sources),
        {"instants": list(instants), "are_reported": are_reported, "of_chosen": of_chosen},
    )
    return tuple(at for (at,) in found)


def freeze(
    connection: Connection,
    settings: Settings,
    instants: Sequence[dt.datetime],
    consumers: Sequence[Any] | None = None,
    *,
    of_chosen: bool = False,
) -> tuple[dt.datetime, ...]:
    """Hold `rendered_snapshots` to what can be told: the rest stays as it was reported.

    Args:
        connection: in the transaction that has rendered them.
        settings: where the source is.
        instants: those that were rendered.
        consumers: only these were rendered; None: all, and the whole system.
        of_chosen: as `refused` has it.

    Returns:
        The instants that are not written.
    """
    lost = refused(connection, settings, instants, of_chosen=of_chosen)
    if lost:
        connection.execute(query("etl/vanished/spare"), {"refused": list(lost)})
    kept: dict[str, Any] = {"instants": [at for at in instants if at not in lost]}
    wanted = sql.SQL("true")
    if consumers is not None:
        wanted = sql.SQL("old.consumer_id = any(%(consumers)s)")
        kept["consumers"] = list(consumers)
    connection.execute(query("etl/vanished/freeze-rows", settings.sources))
    connection.execute(query("etl/vanished/freeze-kept", settings.sources, wanted=wanted), kept)
    connection.execute(query("etl/vanished/freeze-strangers", settings.sources))
    connection.execute(
        query("etl/vanished/freeze-whole", settings.sources), {"instants": kept["instants"]}
    )
    return lost


def keep_means(connection: Connection, settings: Settings) -> None:
    """Let `rendered_snapshots` say the means reported where a birth can't be told any more.

    Its customer counts all the same; a mean that was not reported leaves it out.
    """
    connection.execute(query("etl/vanished/keep-means", settings.sources))


def hold_gone(
    connection: Connection,
    settings: Settings,
    accepts_gone: Sequence[str] | None = (),
    *,
    absent: tuple[Sequence[Any], Sequence[dt.datetime]] = ((), ()),
) -> None:
    """Let `rendered_snapshots` say what was reported of consumers whose customers are all gone.

    Where no event tells why, nobody knows that they were not there.

    Args:
        connection: in the transaction that has rendered them.
        settings: where the source is.
        accepts_gone: consumers of whom somebody says so, as `Choice.gone` has them.
        absent: consumers, and instants without a row of the whole system, at which they may have
            been reported though nothing is rendered of them.
    """
    if accepts_gone is None:
        return
    told = archived.told(settings)
    hold = query("etl/vanished/hold-gone", settings.sources, told_events=told)
    consumers, instants = absent
    asked = {"accepted": list(accepts_gone), "consumers": list(consumers), "alone": list(instants)}
    held = connection.execute(hold, asked).fetchone()
    if held and held[0]:
        connection.execute(
            query("etl/vanished/freeze-whole", settings.sources), {"instants": held[0]}
        )


def take_off(connection: Connection, settings: Settings, choice: Choice, *, restored: bool) -> int:
    """Take notes off, and count so many less; snapshots are to be restated then.

    Within the caller's transaction, under the job's lock.

    Args:
        connection: in a transaction.
        settings: what the source's lifecycle events are called.
        choice: which notes.
        restored: only as far as rows have come back; otherwise what has vanished never happened.

    Returns:
        How many events are no longer noted.
    """
    n, since = connection.execute(
        query("etl/vanished/take-off", settings.sources),
        {**choice.values(), "restored": restored, "most": MOST_TOLD},
    ).fetchone() or (0, None)
    if n:
        connection.execute(query("etl/events-forget-zeros"))
        connection.execute(query("etl/backfill-changed"), {"after": since})
    return int(n)
