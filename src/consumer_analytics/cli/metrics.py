"""`consumer-analytics metrics`: the metrics for Prometheus, its rules, and Grafana's dashboard."""

from __future__ import annotations

from typing import Annotated

import typer

from consumer_analytics.cli.address import host_option, port_option, server_of
from consumer_analytics.cli.output import print_text, say
from consumer_analytics.errors import ConsumerAnalyticsError, UsageError
from consumer_analytics.monitoring.metrics import dashboards, exposition
from consumer_analytics.settings import settings


class MetricsError(ConsumerAnalyticsError):
    """The metrics cannot be read from the database."""


def metrics(
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve them at /metrics until stopped.")
    ] = False,
    host: Annotated[str | None, host_option("CONSUMER_ANALYTICS_METRICS_HOST")] = None,
    port: Annotated[int | None, port_option("CONSUMER_ANALYTICS_METRICS_PORT")] = None,
    rules: Annotated[
        bool,
        typer.Option("--rules", help="Print Prometheus's alerting rules, with the limits as set."),
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Print Grafana's dashboard, to be imported.")
    ] = False,
) -> None:
    """Print the metrics once, or serve them to Prometheus.

    On this machine alone, unless told otherwise: any other address needs
    CONSUMER_ANALYTICS_METRICS_TOKEN_FILE.
    """
    if serve + rules + dashboard > 1:
        raise UsageError("give one of --serve, --rules, --dashboard")
    if not serve and (host is not None or port is not None):
        raise UsageError("--host and --port go with --serve")
    config = settings()
    if rules:
        print_text(dashboards.rules(config))
    elif dashboard:
        print_text(dashboards.dashboard())
    elif serve:
        server_of("the metrics' server").serve_metrics(
            config,
            host=config.metrics_host if host is None else host,
            port=config.metrics_port if port is None else port,
            say=say,
        )
    else:
        _print()


def _print() -> None:
    """Print them once; where they cannot be read, end as a failure."""
    failures: list[str] = []
    found = exposition.Exposition(settings(), notify=failures.append)
    try:
        text, _ = found.text()
    finally:
        found.close()
    print_text(text.decode())
    if failures:
        raise MetricsError(failures[-1])
