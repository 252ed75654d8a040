"""`consumer-analytics migrate`: bring the database to this version's schema."""

from __future__ import annotations

from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, say
from consumer_analytics.db import own_names, schema
from consumer_analytics.db.connection import connected
from consumer_analytics.settings import settings


def migrate(
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Change nothing; exit 1 where migrations, or the sources' names, are missing.",
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Create or update the product's tables; done twice, the second does nothing.

    What your own tables are called, where settings say so, is written down there as well.

    Each step tries for at most 30 seconds to lock what it changes, a moment at a time: nobody who
    uses these tables waits longer than that moment, and who is in the way is named.
    """
    if check:
        with connected(settings(), "migrate --check", as_admin=True) as connection:
            names = [migration.name for migration in schema.pending(connection)]
            if not names and not own_names.are_adopted(connection, settings().sources):
                names = ["the names of the sources"]
    else:
        notes: list[str] = []
        names = [migration.name for migration in schema.migrate(settings(), notes.append)]
        for note in () if as_json else notes:
            say(note)
    if as_json:
        print_json({"pending" if check else "applied": names})
    elif not names:
        say("the schema is up to date")
    else:
        for name in names:
            say(f"{'missing' if check else 'applied'}  {name}")
    if check and names:
        raise typer.Exit(1)
