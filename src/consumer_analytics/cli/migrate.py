"""`consumer-analytics migrate`: bring the database to this version's schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, say
from consumer_analytics.db import own_names, schema
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.operations.upgrade import capture_lacks, upgrade
from consumer_analytics.settings import Settings, settings


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

    What your own tables are called, where settings say so, is written down there as well. Where
    several databases are the source, each of them is migrated.

    Each step tries for at most 30 seconds to lock what it changes, a moment at a time: nobody who
    uses these tables waits longer than that moment, and who is in the way is named.
    """
    by_shard: dict[str, list[str]] = {}
    notes: list[str] = []
    for shard, own in _databases():
        told: list[str] = []
        by_shard[shard] = _missing(own, told) if check else _migrate(shard, own, told)
        notes += [f"shard {shard}: {one}" if shard else one for one in told]
    for note in () if as_json else notes:
        say(note)
    names = by_shard.pop("")
    missing = bool(names) or any(by_shard.values())
    verb = "pending" if check else "applied"
    if as_json:
        of_shards = {"shards": {name: {verb: of} for name, of in by_shard.items()}}
        print_json({verb: names} | (of_shards if by_shard else {}))
    elif not missing:
        say("the schema is up to date" + (", in every shard too" if by_shard else ""))
    else:
        for shard, of_shard in {"": names, **by_shard}.items():
            for name in of_shard:
                where = f"  (shard {shard})" if shard else ""
                say(f"{'missing' if check else 'applied'}  {name}{where}")
    if check and missing:
        raise typer.Exit(1)


def _databases() -> Iterator[tuple[str, Settings]]:
    """Yield the database's settings, without a name, and those of the shards."""
    if settings().shards_file is None:
        yield "", settings()
        return
    from consumer_analytics.shards import addresses

    shards = addresses.read(settings())
    yield "", addresses.of_analytics(settings())
    for address in shards:
        yield address.name, address.settings(settings())


def _missing(own: Settings, notes: list[str]) -> list[str]:
    with connected(own, "migrate --check", as_admin=True) as connection:
        names = [migration.name for migration in schema.pending(connection)]
        if not names and not own_names.are_adopted(connection, own.sources):
            names = ["the names of the sources"]
        wrong = None if names else capture_lacks(connection, own)
        if wrong is not None:
            notes.append(wrong)
    return names


def _migrate(shard: str, own: Settings, notes: list[str]) -> list[str]:
    try:
        return [migration.name for migration in upgrade(own, notes.append)]
    except ConsumerAnalyticsError as error:
        if not shard:
            raise
        from consumer_analytics.shards.sessions import of_shard

        raise of_shard(shard, error) from error
