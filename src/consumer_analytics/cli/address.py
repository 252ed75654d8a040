"""The options of the commands that serve."""

from __future__ import annotations

from typing import Any

import typer


def host_option(setting: str) -> Any:
    """Return the option of the address to listen on, which a setting has a default for."""
    return typer.Option(help=f"Address to listen on. Default: {setting}.")


def port_option(setting: str) -> Any:
    """Return the option of the port, which a setting has a default for."""
    return typer.Option(min=0, max=65535, help=f"Port; 0 for a free one. Default: {setting}.")
