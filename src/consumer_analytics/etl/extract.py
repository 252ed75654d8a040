"""The two extracts: what the sources say, left in the database for the load.

Each counts into a temporary table. Where it is a step of its own, in one read
snapshot, what it finds waits for the load in an unlogged table under the run's id,
beside the plan it was made for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import Connection, consistent
from consumer_analytics.etl import job_state
from consumer_analytics.etl.customers import EXTRACTED_CUSTOMERS, extract_customers
from consumer_analytics.etl.events import EXTRACTED_EVENTS, extract_events
from consumer_analytics.etl.models import CustomerExtract, EventExtract, Run
from consumer_analytics.etl.plan import Plan, plan_run
from consumer_analytics.settings import Settings
from consumer_analytics.sql import INTERNAL, query

_TRIES = 5
_Figures = TypeVar("_Figures", CustomerExtract, EventExtract)


@dataclass(frozen=True)
class Extraction(Generic[_Figures]):
    """One of the two extracts.

    Attributes:
        name: as the database knows it.
        make: makes it for a plan, within the caller's transaction.
        figures: what it tells of itself.
        made: the table that `make` leaves.
    """

    name: str
    make: Callable[[Connection, Settings, Plan], _Figures]
    figures: type[_Figures]
    made: sql.Identifier

    @property
    def left(self) -> sql.Identifier:
        """The table in which it waits for the load."""
        return sql.Identifier(INTERNAL, f"extracted_{self.name}")


CUSTOMERS = Extraction("customers", extract_customers, CustomerExtract, EXTRACTED_CUSTOMERS)
EVENTS = Extraction("events", extract_events, EventExtract, EXTRACTED_EVENTS)


@dataclass(frozen=True)
class Extracts:
    """Where a plan's extracts are: relations that can stand in a FROM clause.

    Attributes:
        customers: as `customers-changes` makes it.
        events: consumer_id, day, slot, event_type, n.
    """

    customers: sql.Composable
    events: sql.Composable


#: Those that this transaction has made.
OWN = Extracts(CUSTOMERS.made, EVENTS.made)


def customers(connection: Connection, settings: Settings, run: Run) -> CustomerExtract:
    """Count the customers as they stood at the run's instants, and leave them for the load."""
    return _leave(connection, settings, run, CUSTOMERS)


def events(connection: Connection, settings: Settings, run: Run) -> EventExtract:
    """Count the events that the run reads, and leave them for the load."""
    return _leave(connection, settings, run, EVENTS)


def _leave(
    connection: Connection, settings: Settings, run: Run, part: Extraction[_Figures]
) -> _Figures:
    """Make one extract in a transaction of its own; after a twin of it, if one was at work."""
    for attempt in range(_TRIES):
        try:
            with consistent(connection):
                plan = plan_run(connection, job_state.read(connection), run.reached_at)
                # The extract's row first, then what it stands for: as the load does that
                # clears them, so that one waits for the other and never both.
                forget(connection, run.run_id, part)
                figures = part.make(connection, settings, plan)
                hand_over(connection, run.run_id, part)
                connection.execute(
                    query("etl/extract/put"),
                    {
                        "run_id": run.run_id,
                        "part": part.name,
                        "plan": Jsonb(plan.as_json()),
                        "figures": Jsonb(figures.as_json()),
                    },
                )
                return figures
        except psycopg.errors.SerializationFailure:
            # A try of the same step that was taken for dead, or a load that cleans up.
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def hand_over(connection: Connection, run_id: int, part: Extraction[Any]) -> None:
    """Leave what this transaction has extracted for the session that loads."""
    connection.execute(query(f"etl/extract/{part.name}-hand-over"), {"run_id": run_id})


def take(
    connection: Connection,
    settings: Settings,
    run: Run,
    plan: Plan,
    part: Extraction[_Figures],
    notify: Callable[[str], None],
) -> tuple[sql.Composable, _Figures]:
    """Return where a plan's extract is: the one left for the run where it fits, or a new one.

    Returns:
        A relation that can stand in a FROM clause, and what the extract tells of itself.
    """
    row = connection.execute(
        query("etl/extract/find"),
        {"plan": Jsonb(plan.as_json()), "run_id": run.run_id, "part": part.name},
    ).fetchone()
    if row is not None and row[1]:
        left = sql.SQL("(select * from {} where run_id = {})").format(part.left, run.run_id)
        return left, part.figures(**row[0])
    if row is not None:
        notify(f"the extract of {part.name} is stale, extracting again")
        forget(connection, run.run_id, part)
    return part.made, part.make(connection, settings, plan)


def forget(connection: Connection, run_id: int, part: Extraction[Any]) -> None:
    """Drop what an extract has left, if it has, within the caller's transaction."""
    connection.execute(query("etl/extract/remove"), {"run_id": run_id, "part": part.name})
    connection.execute(sql.SQL("delete from {} where run_id = %s").format(part.left), [run_id])


def forget_all(connection: Connection, run_id: int) -> None:
    """Drop what was extracted for a run, and what given-up runs left behind.

    The extracts' own rows come first, as where an extract begins.
    """
    stale = connection.execute(query("etl/extract/stale"), {"run_id": run_id}).fetchall()
    if not stale:
        return
    ids = sorted(one for (one,) in stale)
    for table in ("extracts", "extracted_events", "extracted_customers"):
        connection.execute(
            query("etl/extract/forget", table=sql.Identifier(table)), {"run_ids": ids}
        )
