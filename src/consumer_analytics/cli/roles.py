"""`consumer-analytics roles`: roles with least privilege, and who is which tenant."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, print_table, say, warn
from consumer_analytics.db.roles import PREFIX, AppliedRoles, apply
from consumer_analytics.errors import UsageError
from consumer_analytics.settings import settings


def roles(
    prefix: Annotated[
        str, typer.Option(help="What the roles' names begin with; one per database of a server.")
    ] = PREFIX,
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOGIN=CONSUMER_ID",
            help="Let an existing login read this consumer's snapshots and nothing else. "
            "May be given several times.",
        ),
    ] = None,
    remove_tenant: Annotated[
        list[str] | None,
        typer.Option(metavar="LOGIN", help="Take that back, for all of the login's consumers."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Create the roles owner, etl, maintenance, reader, dashboard and tenant, with their rights.

    Needs a superuser's login for this one command. Done twice, the second changes nothing.
    Make your logins members: GRANT consumer_analytics_etl TO your_login.
    """
    done = apply(
        settings(),
        prefix=prefix,
        add_tenants=[_pair(text) for text in tenant or []],
        remove_tenants=remove_tenant or [],
    )
    if as_json:
        print_json(asdict(done))
        return
    if tenant or remove_tenant:
        say(f"{len(done.grants)} rights are as they must be; without these options they are listed")
    else:
        _print_grants(done)
    for login, consumers in done.tenants.items():
        say(f"tenant {login}: {', '.join(consumers)}")
    for login in remove_tenant or []:
        if login not in done.tenants:
            say(f"tenant {login}: no longer")
    for warning in done.warnings:
        warn(warning)


def _print_grants(done: AppliedRoles) -> None:
    print_table(
        ["role", "object", "", "rights"],
        [
            [done.roles[one.role], one.kind, one.name or "this one", ", ".join(one.privileges)]
            for one in done.grants
        ],
    )


def _pair(text: str) -> tuple[str, uuid.UUID]:
    login, _, consumer = text.rpartition("=")
    try:
        identity = uuid.UUID(consumer)
    except ValueError:
        raise UsageError(f"{text!r}: write --tenant LOGIN=CONSUMER_ID, the latter a UUID") from None
    if not login:
        raise UsageError(f"{text!r}: write --tenant LOGIN=CONSUMER_ID")
    return login, identity
