"""What is made for the metrics: Prometheus's alerting rules, and Grafana's dashboard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from consumer_analytics.monitoring.measures import MEASURES, MeasureDefinition
from consumer_analytics.monitoring.metrics.catalogue import PREFIX
from consumer_analytics.monitoring.observation import grace
from consumer_analytics.settings import Settings


def rules(settings: Settings) -> str:
    """Return Prometheus's alerting rules, with the limits that are set."""
    template = (files(__package__) / "rules.yml.j2").read_text(encoding="utf-8")
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (YAML, of our own values)
    )
    return environment.from_string(template).render(
        measures=[_rule(one, settings) for one in MEASURES.values()]
    )


def _rule(one: MeasureDefinition, settings: Settings) -> dict[str, str]:
    """Return what the rules say of a measure: beyond its critical limit, or from it on."""
    warning, critical = one.limits_of(settings)
    return {
        "name": one.name,
        "alert": one.alert.name,
        "metric": f"{PREFIX}{one.metric.name}",
        "warning": f"{warning:.15g}",
        "critical": f"{critical:.15g}",
        "above": ">=" if one.from_critical else ">",
        "below": "<" if one.from_critical else "<=",
        # As long as a run has before what it has not done yet counts.
        "lasting": f"{round(grace(settings).total_seconds())}s" if one.has_grace else "",
        "summary": one.alert.summary,
        "description": one.alert.description,
    }


# -- the dashboard -----------------------------------------------------------------

_WIDTH = 24


def dashboard() -> str:
    """Return Grafana's dashboard, to be imported; it asks for the data source."""
    panels: list[dict[str, Any]] = []
    x = y = height = 0
    for panel in _panels():
        if x + panel["gridPos"]["w"] > _WIDTH:
            x, y = 0, y + height
        panel["gridPos"] |= {"x": x, "y": y}
        panel["id"] = len(panels) + 1
        x, height = x + panel["gridPos"]["w"], panel["gridPos"]["h"]
        panels.append(panel)
    return json.dumps(_frame(panels), indent=2, ensure_ascii=False) + "\n"


def _frame(panels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "uid": "consumer-analytics",
        "title": "consumer-analytics",
        "tags": ["consumer-analytics"],
        "timezone": "utc",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "templating": {"list": []},
        "panels": panels,
    }


def _panels() -> list[dict[str, Any]]:
    name = PREFIX
    # As many in a row as there are.
    width = max(_WIDTH // (len(MEASURES) + 2), 1)
    return [
        *(_stat_of(one, width) for one in MEASURES.values()),
        _stat(
            "Open incidents",
            f"sum({name}incidents_open)",
            "short",
            [(None, "green"), (1, "red")],
            width,
        ),
        _stat(
            "Metrics readable",
            f"{name}scrape_success",
            "bool_yes_no",
            [(None, "red"), (1, "green")],
            width,
        ),
        _graph(
            "State of the measures (1: in it)",
            [
                (
                    f'{name}health{{state!="normal"}}',
                    "{{measure}} {{state}}",
                )
            ],
            "short",
        ),
        _graph(
            "Why the figures are as fresh as they are",
            [(f"{name}freshness_cause == 1", "{{cause}}")],
            "short",
        ),
        _graph(
            "Behind the schedule",
            [
                (f"{name}watermark_lag_seconds", "lag"),
                (f"{name}watermark_age_seconds", "age"),
                (f'{name}health_limit{{measure="watermark_lag"}}', "limit: {{severity}}"),
            ],
            "s",
        ),
        _graph(
            "Events that wait",
            [
                (f"{name}pending_events", "pending"),
                (f"{name}backlog_events", "backlog"),
                (f"{name}holding_transactions", "transactions that hold back"),
            ],
            "short",
        ),
        _graph(
            "Runs a day",
            [(f"increase({name}runs_total[1d])", "{{source}} {{state}}")],
            "short",
        ),
        _graph(
            "Steps of a run, on average over a day",
            [
                (
                    _mean("run_step_duration_seconds"),
                    "{{step}}",
                )
            ],
            "s",
        ),
        _graph(
            "Run duration, on average over a day",
            [
                (
                    _mean("run_duration_seconds"),
                    "{{source}}",
                ),
                (f"{name}last_run_step_duration_seconds", "last run: {{step}}"),
            ],
            "s",
        ),
        _graph(
            "Rows processed",
            [
                (f"increase({name}events_read_total[1d])", "events read"),
                (f"increase({name}new_events_total[1d])", "new events"),
                (f"increase({name}new_customers_total[1d])", "new customers"),
            ],
            "short",
        ),
        _graph(
            "Snapshots written and restated",
            [
                (f"increase({name}snapshots_written_total[1d])", "written: {{source}}"),
                (f"increase({name}snapshots_restated_total[1d])", "restated by {{by}}"),
            ],
            "short",
        ),
        _graph(
            "Repairs",
            [
                (f"increase({name}sweep_repaired_events_total[1d])", "sweep: {{kind}}"),
                (f"increase({name}sweep_repairs_total[1d])", "sweep: days"),
                (f"increase({name}corrected_events_total[1d])", "runs: {{kind}}"),
            ],
            "short",
        ),
        _graph(
            "Backfills",
            [
                (f"{name}backfill_periods", "periods asked for"),
                (f"{name}backfill_periods_done", "periods done"),
                (f"increase({name}backfills_total[1d])", "{{state}}"),
            ],
            "short",
        ),
        _graph(
            "What the operator is told",
            [
                (f"{name}incidents_open > 0", "{{measure}} {{severity}}"),
                (f"increase({name}incidents_opened_total[1d])", "opened: {{subject}}"),
                (f"increase({name}task_failures_total[1d])", "failed tasks: {{dag}}"),
                (f"increase({name}deadline_misses_total[1d])", "deadlines missed: {{dag}}"),
                (f"{name}mails_waiting", "mails waiting"),
            ],
            "short",
        ),
        _graph(
            "Events by consumer", [(f"{name}consumer_events", "{{name}} {{consumer_id}}")], "short"
        ),
        _graph(
            "Customers by consumer",
            [(f"{name}consumer_customers", "{{name}} {{consumer_id}}")],
            "short",
        ),
        _graph(
            "Customers of the whole system",
            [
                (f"{name}customers", "customers"),
                (f"{name}active_customers", "active"),
                (f"{name}inactive_customers", "inactive"),
            ],
            "short",
        ),
        _graph("Size of the snapshots", [(f"{name}snapshots_size_bytes", "bytes")], "bytes"),
    ]


def _mean(summary: str) -> str:
    """Return the expression of a summary's average over a day."""
    total, count = (f"increase({PREFIX}{summary}_{part}[1d])" for part in ("sum", "count"))
    return f"{total} / ({count} > 0)"


def _target(expression: str, legend: str, place: int) -> dict[str, Any]:
    return {
        "expr": expression,
        "legendFormat": legend,
        "refId": chr(ord("A") + place),
        "datasource": {"type": "prometheus", "uid": "${DS_PROMETHEUS}"},
    }


def _panel(
    kind: str, title: str, queries: list[tuple[str, str]], unit: str, width: int, height: int
) -> dict[str, Any]:
    return {
        "type": kind,
        "title": title,
        "datasource": {"type": "prometheus", "uid": "${DS_PROMETHEUS}"},
        "gridPos": {"w": width, "h": height},
        "targets": [_target(*one, place) for place, one in enumerate(queries)],
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
    }


def _stat_of(one: MeasureDefinition, width: int) -> dict[str, Any]:
    """Return a measure's panel, coloured by the limits that there are without settings."""
    warning, critical = (getattr(Settings, name) for name in one.settings)
    return _stat(
        one.label,
        f"{PREFIX}{one.metric.name}",
        "s" if one.unit == "seconds" else "short",
        [(None, "green"), (int(warning), "orange"), (int(critical), "red")],
        width,
    )


def _stat(
    title: str, expression: str, unit: str, steps: Sequence[tuple[float | None, str]], width: int
) -> dict[str, Any]:
    panel = _panel("stat", title, [(expression, title)], unit, width, 4)
    panel["fieldConfig"]["defaults"]["thresholds"] = {
        "mode": "absolute",
        "steps": [{"color": color, "value": value} for value, color in steps],
    }
    return panel


def _graph(title: str, queries: list[tuple[str, str]], unit: str) -> dict[str, Any]:
    panel = _panel("timeseries", title, queries, unit, 12, 8)
    panel["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}}
    return panel
