"""Let a history that is known in full come into being step by step.

    simulate(connection, settings, plan)   # or anything else that fills the sources
    unfold.stage(connection)               # puts it aside; the sources are empty
    unfold.unfold(connection, monday)      # the sources as they stood on Monday
    unfold.unfold(connection, tuesday)     # and on Tuesday

Only for histories in which each customer's lifecycle events tell all there is,
and where of two events in one microsecond the later one has the lesser id: so
the simulator makes them.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
from psycopg import sql

TABLES = ("consumers", "customers", "customer_events")

_STEP = """
insert into {schema}.consumers
select * from unfolding.consumers where created_at >= {since} and created_at < {until};

insert into {schema}.customer_events
select * from unfolding.customer_events where created_at >= {since} and created_at < {until};

insert into {schema}.customers (customer_id, consumer_id, status, created_at, updated_at)
select customer_id, consumer_id, payload_json ->> 'status', created_at, created_at
from unfolding.customer_events
where event_type = 'customer_creation' and created_at >= {since} and created_at < {until};

update {schema}.customers
set status = change.new_status, updated_at = change.created_at
from (
    select distinct on (customer_id)
        customer_id, created_at, payload_json ->> 'new_status' as new_status
    from unfolding.customer_events
    where event_type = 'customer_status_change' and created_at >= {since} and created_at < {until}
    order by customer_id, created_at desc, event_id
) as change
where customers.customer_id = change.customer_id;

delete from {schema}.customers
using unfolding.customer_events as deletion
where customers.customer_id = deletion.customer_id
    and deletion.event_type = 'customer_deletion'
    and deletion.created_at >= {since} and deletion.created_at < {until};

update unfolding.position set reached = {until};
"""


def stage(connection: psycopg.Connection[Any], source_schema: str = "public") -> None:
    """Put the sources' rows aside, to be unfolded, and leave the sources empty."""
    with connection.transaction():
        connection.execute("create schema unfolding")
        for table in TABLES:
            source = sql.Identifier(source_schema, table)
            aside = sql.Identifier("unfolding", table)
            connection.execute(sql.SQL("create table {} as table {}").format(aside, source))
            connection.execute(sql.SQL("create index on {} (created_at)").format(aside))
            connection.execute(sql.SQL("analyze {}").format(aside))
            connection.execute(sql.SQL("delete from {}").format(source))
        connection.execute(
            "create table unfolding.position as select timestamptz '-infinity' as reached"
        )


def unfold(
    connection: psycopg.Connection[Any], until: dt.datetime, source_schema: str = "public"
) -> None:
    """Bring the sources to where they stood at an instant, from where they stand now."""
    # As text: an ordinary session cannot load the -infinity that it begins with.
    row = connection.execute(
        "select reached::text, reached <= %s from unfolding.position", [until]
    ).fetchone()
    assert row is not None
    since, is_ahead = row
    assert is_ahead, f"the history has unfolded until {since} already"
    # A single round, so that the sources are never seen between two states.
    connection.execute(
        sql.SQL(_STEP).format(
            schema=sql.Identifier(source_schema),
            since=sql.SQL("timestamptz {}").format(sql.Literal(since)),
            until=sql.SQL("timestamptz {}").format(sql.Literal(until.isoformat())),
        )
    )
