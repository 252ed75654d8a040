"""A database whose source tables have names of their own, as hostile as names can be.

Beside them, in the schema `application`, views have the product's names, through which a test
writes the same rows to both kinds of database. The product is told of the mapping alone.
"""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Database

from consumer_analytics.mapping import Words

#: Quotes, blanks, percent signs, braces, a name that another column has in the product, one that a
#: variable has in a function of ours; two tables in schemas of their own.
MAPPING = r"""
schema = 'The "App" 100%'

[consumers]
table = "tenants; drop table x --"
[consumers.columns]
consumer_id = "id"
name = "{title} %s"
status = { constant = "it's a 100% \\ constant" }
created_at = "below"

[customers]
schema = "people"
table = "customer_events"
[customers.columns]
customer_id = "consumer_id"
consumer_id = "customer_id"
status = "Zu%(stand)s"
created_at = "updated_at"
updated_at = { missing = true }

[customer_events]
schema = "log"
table = "customers"
[customer_events.columns]
event_id = "%"
customer_id = "who's \"it\""
consumer_id = "whose"
event_type = "select"
payload_json = "{}"
created_at = "at\\time"

[values]
customer_creation = "customer_deletion"
customer_status_change = "100% new\\' {status}"
customer_deletion = "customer_creation"
ACTIVE = "%(on)s"
INACTIVE = "ACTIVE"

[payload]
status = "st%ate"
old_status = "fr'om"
new_status = "st%ate"
"""
WORDS = Words(
    customer_creation="customer_deletion",
    customer_status_change="100% new\\' {status}",
    customer_deletion="customer_creation",
    active="%(on)s",
    inactive="ACTIVE",
    status_key="st%ate",
    old_status_key="fr'om",
    new_status_key="st%ate",
)
TABLES = r'''
create schema "The ""App"" 100%";
create schema people;
create schema log;
create table "The ""App"" 100%"."tenants; drop table x --" (
    id uuid primary key,
    "{title} %s" text,
    below timestamptz not null default now()
);
create table people.customer_events (
    consumer_id uuid primary key,
    customer_id uuid,
    "Zu%(stand)s" varchar(40),
    updated_at timestamptz not null default now(),
    status int
);
create table log.customers (
    "%" uuid primary key,
    "who's ""it""" uuid,
    whose uuid,
    "select" text,
    "{}" jsonb not null default '{}',
    "at\time" timestamptz not null default now()
);
create index on log.customers ("at\time");
create index on log.customers ("who's ""it""");
create schema application;
create view application.consumers as
select id as consumer_id, "{title} %s" as name, below as created_at
from "The ""App"" 100%"."tenants; drop table x --";
create view application.customers as
select
    consumer_id as customer_id, customer_id as consumer_id, "Zu%(stand)s" as status,
    updated_at as created_at
from people.customer_events;
create view application.customer_events as
select
    "%" as event_id, "who's ""it""" as customer_id, whose as consumer_id, "select" as event_type,
    "{}" as payload_json, "at\time" as created_at
from log.customers;
'''


def mapping_file(folder: Path, text: str = MAPPING) -> Path:
    """Write a mapping, and return where."""
    path = folder / "sources.toml"
    path.write_text(text, encoding="utf-8")
    return path


def make_tables(database: Database) -> None:
    """Make the source tables of the mapping, and the views, in a database that has none."""
    with database.connect_admin() as connection:
        owner = database.rows("select current_user")[0][0]
        connection.execute(f'set role "{owner}"')
        connection.execute(TABLES)
