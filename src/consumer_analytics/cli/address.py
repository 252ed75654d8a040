"""The options of the commands that serve."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import typer

from consumer_analytics import installation


def host_option(setting: str) -> Any:
    """Return the option of the address to listen on, which a setting has a default for."""
    return typer.Option(metavar="ADDRESS", help=f"Address to listen on. Default: {setting}.")


def port_option(setting: str) -> Any:
    """Return the option of the port, which a setting has a default for."""
    return typer.Option(
        metavar="N", min=0, max=65535, help=f"Port; 0 for a free one. Default: {setting}."
    )


def server_of(what: str) -> ModuleType:
    """Return the module of our servers, which wants packages that not every installation has.

    Args:
        what: the server that is to run, for people.

    Raises:
        MissingExtraError: they are not there.
    """
    with installation.of_extra("web", what):
        from consumer_analytics.web import server
    return server
