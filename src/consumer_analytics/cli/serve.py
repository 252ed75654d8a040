"""`consumer-analytics serve`: the dashboard and its HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consumer_analytics import secret_files
from consumer_analytics.cli.address import host_option, port_option, server_of
from consumer_analytics.errors import UsageError
from consumer_analytics.settings import settings


def serve(
    host: Annotated[str | None, host_option("CONSUMER_ANALYTICS_DASHBOARD_HOST")] = None,
    port: Annotated[int | None, port_option("CONSUMER_ANALYTICS_DASHBOARD_PORT")] = None,
    certificate: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file, for https.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file of its key.")
    ] = None,
) -> None:
    """Serve the dashboard and its HTTP API, on this machine alone unless told otherwise.

    On the loopback nobody is asked who they are, unless a password or tokens are set. Any other
    address needs them: CONSUMER_ANALYTICS_DASHBOARD_PASSWORD_FILE, or
    CONSUMER_ANALYTICS_DASHBOARD_TOKENS_FILE with `consumer-analytics tokens create`.
    """
    server = server_of("the dashboard")
    from consumer_analytics.cli.output import say, warn

    if (certificate is None) != (key is None):
        raise UsageError("give --certificate and --key together")
    if key is not None:
        secret_files.warn_if_exposed(key)
    config = settings()
    server.serve(
        config,
        host=config.dashboard_host if host is None else host,
        port=config.dashboard_port if port is None else port,
        certificate=certificate,
        key=key,
        say=say,
        warn=warn,
    )
