"""What is remembered of customers: the lives that have ended, one row for the end of each.

A customer's past follows from its row, its lifecycle events and this memory. Whatever takes in a
deletion remembers the life that it ended while the source still tells of it: whose it was, when
it began, what the customer was last. What an ended life was is worked out here and nowhere else;
which customers there were at an instant, `etl/customers.py` asks of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection, scalar, scalar_of
from consumer_analytics.etl import archived
from consumer_analytics.etl.plan import TimeRange, joined, within
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

_NOTHING = sql.SQL("")
#: Of what a run reads few are looked up: the planner would read all customers instead.
_ONE_BY_ONE = sql.SQL("offset 0")
_EVER = TimeRange(MINUS_INFINITY, INFINITY)
_TIMED = sql.SQL("created_at is not null")
_CONCERNED = sql.SQL(
    "created_at is not null "
    "and customer_id in (select customer_id from pg_temp.concerned_customers)"
)
_APART = sql.Identifier("pg_temp", "lifecycle_events")
_OF_SOME = sql.SQL(
    "customer_id in (select customer_id from pg_temp.rows_of_some "
    "union select customer_id from pg_temp.lives_of_some)"
)


def remember(
    connection: Connection,
    settings: Settings,
    ranges: Sequence[TimeRange],
    *,
    first: dt.datetime = INFINITY,
    looking_back: bool = False,
    may_be_gone: bool = True,
) -> dt.datetime | None:
    """Remember the lives that ended in some ranges, and correct what events in them correct.

    Within the caller's transaction.

    Args:
        connection: in a transaction that may write.
        settings: where the source is.
        ranges: of the events that are read.
        first: instants from this one on are asked next: the lives that ended since are needed.
        looking_back: whether the ranges lie in what was counted before, so that events may have
            come late, or be gone.
        may_be_gone: False where it is known that none is.

    Returns:
        From when on what was known is corrected, as far as it was known; None where it is not.
    """
    asked = [*ranges] if first == INFINITY else [*ranges, TimeRange(first, INFINITY)]
    stretches = [TimeRange(*one) for one in joined((one.lower, one.upper) for one in asked)]
    if not stretches:
        return None
    if stretches == [_EVER] and not looking_back:
        every = _lay_apart(connection, _lifecycle(settings))
        return _remember(connection, settings, every, first, apart=True, every=every)
    if looking_back:
        remember_undated(connection, settings, judged=ranges)
    also: sql.Composable = _NOTHING
    if stretches[0].lower > MINUS_INFINITY:
        since = sql.Literal(stretches[0].lower)
        also += query(
            "etl/lives/concern-returned",
            settings.sources,
            since=since,
            one_by_one=_NOTHING if looking_back else _ONE_BY_ONE,
        )
    if looking_back:
        also += query(
            "etl/lives/concern-late",
            settings.sources,
            first=sql.Literal(stretches[0].lower),
            may_be_gone=sql.Literal(may_be_gone),
            in_ranges=within(stretches),
            ended_in_ranges=within(stretches, "deleted_at"),
            born_in_ranges=within(stretches, "created_at"),
            reborn_in_ranges=within(stretches, "reborn_at"),
            told_events=archived.told(settings),
        )
    events = _lifecycle(settings, stretches)
    postpones = not looking_back and lacks_index(connection, settings)
    if postpones:
        postpone = query("etl/lives/postpone", settings.sources, lifecycle=events)
        connection.execute(postpone, {"first": first})
    return _remember(
        connection,
        settings,
        events,
        first,
        looking_back=looking_back,
        postpones=postpones,
        also=also,
        judged=ranges if looking_back else (),
    )


def lacks_index(connection: Connection, settings: Settings) -> bool:
    """Tell whether looking a customer's events up would read all of them."""
    return bool(scalar_of(connection, "etl/lives/lacks-index", sources=settings.sources))


def remember_since(
    connection: Connection, settings: Settings, first: dt.datetime, *, many: bool = True
) -> sql.Composable:
    """Remember the lives that ended from an instant on, where that is much of the source.

    Within the caller's transaction. The source is read once: where `many` lives are to be worked
    out and what lies before the instant is less than what follows, all lifecycle events are, and
    ended lives are worked out from them.

    Returns:
        Where the lifecycle events from that instant on are then, as `lifecycle_since` has them.
    """
    is_all = False
    if many:
        mostly = query("etl/lives/mostly-since", settings.sources)
        (is_all,) = connection.execute(mostly, {"first": first}).fetchone() or (False,)
    # From the day's beginning on: counts of days show whether any is gone.
    day = _day_of(first)
    lifecycle = _lifecycle(settings) if is_all else lifecycle_since(settings, day)
    apart = _lay_apart(connection, lifecycle)
    since: sql.Composable = apart
    if is_all or day < first:
        since = laid_apart_since(first)
    _remember(connection, settings, since, first, apart=True, every=apart if is_all else None)
    return since


def lay_apart_of_some(connection: Connection, settings: Settings, first: dt.datetime) -> None:
    """Lay lifecycle events since an instant apart: of who is in `rows_of_some`, `lives_of_some`."""
    since = within([TimeRange(first, INFINITY)])
    wanted = sql.SQL("{} and {}").format(since, _OF_SOME)
    _lay_apart(connection, _lifecycle_where(settings, wanted))


def laid_apart_since(first: dt.datetime) -> sql.Composable:
    """Compose those of the lifecycle events that were laid apart that are from an instant on."""
    return query("etl/lives/lifecycle-since", apart=_APART, first=sql.Literal(first))


def laid_apart_of_days_since(first: dt.datetime) -> sql.Composable:
    """Compose those that `remember_since` has laid apart, of an instant's day and all after it."""
    return laid_apart_since(_day_of(first))


def _day_of(at: dt.datetime) -> dt.datetime:
    """Return when the day of an instant begins; days are counted as UTC has them."""
    return at.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _lay_apart(connection: Connection, lifecycle: sql.Composable) -> sql.Identifier:
    """Lay lifecycle events down in a table of their own, and return its name."""
    connection.execute("drop table if exists pg_temp.lifecycle_events")
    connection.execute(query("etl/lives/lifecycle-apart", lifecycle=lifecycle))
    connection.execute("analyze pg_temp.lifecycle_events (customer_id, event_type)")
    return _APART


def lifecycle_since(settings: Settings, first: dt.datetime) -> sql.Composed:
    """Compose the lifecycle events from an instant on: a relation for a FROM clause."""
    return _lifecycle(settings, [TimeRange(first, INFINITY)])


def _lifecycle(settings: Settings, ranges: Sequence[TimeRange] | None = None) -> sql.Composed:
    """Compose the lifecycle events of some ranges, or all that have a time."""
    return _lifecycle_where(settings, _TIMED if ranges is None else within(ranges))


def _lifecycle_where(settings: Settings, condition: sql.Composable) -> sql.Composed:
    lifecycle = query(
        "etl/lives/lifecycle",
        settings.sources,
        in_ranges=condition,
        told_events=archived.told(settings),
    )
    return sql.SQL("({})").format(lifecycle)


def _remember(
    connection: Connection,
    settings: Settings,
    events: sql.Composable,
    first: dt.datetime,
    *,
    looking_back: bool = False,
    postpones: bool = False,
    also: sql.Composable = _NOTHING,
    apart: bool = False,
    every: sql.Composable | None = None,
    judged: Sequence[TimeRange] = (),
) -> dt.datetime | None:
    """Work out the lives that lifecycle events, and what else is asked for, concern.

    `postpones`: what nobody has worked out may wait. `apart`: the events lie in a table of their
    own. `every`: where all of them are, if they have been read. `judged`: as `work_out` has it.
    """
    connection.execute("drop table if exists pg_temp.concerned_customers")
    concern = query(
        "etl/lives/concern",
        settings.sources,
        lifecycle=events,
        materialized=sql.SQL("not materialized" if apart else "materialized"),
        looking_back=sql.Literal(looking_back),
        is_postponed=sql.Literal(postpones),
        also=also,
    )
    connection.execute(concern, {"first": first})
    return work_out(connection, settings, every, judged)


def work_out(
    connection: Connection,
    settings: Settings,
    every: sql.Composable | None = None,
    judged: Sequence[TimeRange] = (),
) -> dt.datetime | None:
    """Work out the ended lives of the customers in `concerned_customers`.

    Args:
        connection: in the transaction that has made that table.
        settings: where the source is.
        every: where all lifecycle events are; None: in the source.
        judged: of what told these lives, and is gone from these stretches, is known whether it has
            vanished or was corrected. Elsewhere it goes on telling: nobody has judged it yet.

    Returns:
        From when on what was known is corrected; None where it is not.
    """
    if not scalar(connection, "select exists (select from pg_temp.concerned_customers)"):
        return None
    connection.execute("analyze pg_temp.concerned_customers")
    # Said within, so that events of others are not looked at.
    lifecycle = _lifecycle_where(settings, _CONCERNED) if every is None else every
    if scalar_of(connection, "etl/lives/seen-to-go"):
        explain = query("etl/lives/explain", settings.sources, lifecycle=lifecycle)
        connection.execute(explain)
    told = {"told_events": archived.told(settings)}
    remembered = query(
        "etl/lives/remember",
        settings.sources,
        lifecycle=lifecycle,
        unjudged=_unjudged(settings, judged),
        birth_is_unjudged=_birth_is_unjudged(settings, judged),
        birth_is_lost=query("etl/lives/lost-birth", settings.sources),
        stays=query("etl/lives/stays", settings.sources, **told),
        **told,
    )
    row: Any = connection.execute(remembered).fetchone() or (None, None, 0)
    return min((at for at in row[:2] if at is not None), default=None)


def _unjudged(settings: Settings, judged: Sequence[TimeRange]) -> sql.Composed:
    """Compose what of the memory still tells although what told it may be gone."""
    return query(
        "etl/lives/unjudged",
        settings.sources,
        end_is_judged=_is_judged(judged, "deleted_at"),
        birth_is_unjudged=_birth_is_unjudged(settings, judged),
        return_is_judged=_is_judged(judged, "reborn_at"),
        first_judged=sql.Literal(min((one.lower for one in judged), default=INFINITY)),
    )


def _birth_is_unjudged(settings: Settings, judged: Sequence[TimeRange]) -> sql.Composed:
    """Compose whether a birth that is remembered still tells although what told it may be gone."""
    is_judged = _is_judged(judged, "created_at")
    return query("etl/lives/unjudged-birth", settings.sources, is_judged=is_judged)


def _is_judged(judged: Sequence[TimeRange], column: str) -> sql.Composable:
    return within(judged, column) if judged else sql.SQL("false")


def remember_undated(
    connection: Connection,
    settings: Settings,
    *,
    customers: sql.Composable | None = None,
    judged: Sequence[TimeRange] = (),
) -> None:
    """Remember the births of customers whose row has no time, as far as events tell of them.

    Within the caller's transaction.

    Args:
        connection: in a transaction that may write.
        settings: where the source is.
        customers: a relation that stands for the customers; None: all.
        judged: as `work_out` has it.
    """
    narrowed = {} if customers is None else {"customers": customers}
    connection.execute(
        query(
            "etl/lives/undated",
            settings.sources,
            told_events=archived.told(settings),
            is_unjudged=_birth_is_unjudged(settings, judged),
            is_lost=query("etl/lives/lost-birth", settings.sources),
            **narrowed,
        )
    )
