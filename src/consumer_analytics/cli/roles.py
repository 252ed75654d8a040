"""`consumer-analytics roles`: roles with least privilege, and who is which tenant."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, say, say_wrapped, warn
from consumer_analytics.db.roles import PREFIX, AppliedRoles, Grant, apply
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import counted
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
    show_all: Annotated[
        bool, typer.Option("--all", help="List every right of the roles, not what has changed.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Create the roles owner, etl, maintenance, reader, dashboard and tenant, with their rights.

    Needs a superuser's login for this one command. Says what it has changed; done twice, the
    second changes nothing. Make your logins members: GRANT consumer_analytics_etl TO your_login.
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
    if show_all:
        _print_rights(
            Grant(done.roles[one.role], one.kind, one.name or "this one", one.privileges)
            for one in done.grants
        )
    elif not (tenant or remove_tenant):
        _print_changes(done)
    if not show_all:
        say(f"as they must be: {counted(len(done.grants), 'right')}; --all lists them")
    for login, consumers in done.tenants.items():
        say(f"tenant {login}: {', '.join(consumers)}")
    for login in remove_tenant or []:
        if login not in done.tenants:
            say(f"tenant {login}: no longer")
    for warning in done.warnings:
        warn(warning)


def _print_changes(done: AppliedRoles) -> None:
    if done.made:
        say(f"made       {', '.join(done.made)}")
    for heading, changed in (("given", done.given), ("taken back", done.taken)):
        if changed:
            say(heading)
            _print_rights(changed)
    if not (done.made or done.given or done.taken):
        say("nothing has changed")


def _print_rights(rights: Iterable[Grant]) -> None:
    """Print rights by role, those objects together of which the same is true."""
    for role, of_role in groupby(rights, key=lambda one: one.role):
        say(f"  {role}")
        alike: dict[str, list[str]] = {}
        for one in of_role:
            alike.setdefault(", ".join(one.privileges), []).append(f"{one.kind} {one.name}")
        for privileges, objects in alike.items():
            say_wrapped(f"    {privileges}: ", objects)


def _pair(text: str) -> tuple[str, uuid.UUID]:
    login, _, consumer = text.rpartition("=")
    try:
        identity = uuid.UUID(consumer)
    except ValueError:
        raise UsageError(f"{text!r}: write --tenant LOGIN=CONSUMER_ID, the latter a UUID") from None
    if not login:
        raise UsageError(f"{text!r}: write --tenant LOGIN=CONSUMER_ID")
    return login, identity
