"""What belongs to which incident, and what is told of it: without a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from consumer_analytics.monitoring.health import Health, Measure
from consumer_analytics.monitoring.incidents import grouping
from consumer_analytics.monitoring.incidents.notifying import Announcement
from consumer_analytics.monitoring.incidents.store import Incident
from consumer_analytics.monitoring.notifications.message import Symptom
from consumer_analytics.monitoring.observation import Cause, LastRun

AT = dt.datetime(2025, 3, 6, tzinfo=dt.UTC)
UNITS = {
    "dag_runtime": "seconds",
    "failed_runs": "runs",
    "watermark_lag": "seconds",
    "pending_events": "events",
}


def health(kind: str = "not_run", *, last: str | None = "success", **states: str) -> Health:
    """Return health with some measures in another state than normal."""
    return Health(
        at=AT,
        state="normal",
        cause=Cause(kind, f"the figures: {kind}"),
        measures=tuple(
            Measure(
                name,
                7.0,
                unit,
                states.get(name, "normal"),
                1,
                2,
                cause=f"about {name}",
            )
            for name, unit in UNITS.items()
        ),
        watermark=AT,
        due=AT,
        next_due=None,
        behind_since=None,
        watermark_age_seconds=0,
        backlog_events=0,
        last_run=None if last is None else LastRun("airflow:dag:run", last, AT, AT, 7.0, "airflow"),
    )


class Session:
    """A database that knows missed deadlines, and keeps what is written of incidents."""

    def __init__(self, *late: str) -> None:
        self._late = late
        self._row: Any = None
        self.written: list[dict[str, Any]] = []

    def execute(self, statement: Any, values: dict[str, Any]) -> Session:
        if "deadline_misses" in statement.as_string(None):
            self._row = () if values["run"] in self._late else None
            return self
        self.written.append(values)
        self._row = replace(
            incident(str(values.get("subject", "freshness"))),
            state=values["state"],
            measures=values["measures"].obj,
            cause=values["cause"],
        )
        return self

    @contextmanager
    def cursor(self, **_: Any) -> Iterator[Session]:
        yield self

    def fetchone(self) -> Any:
        return self._row


def incident(
    subject: str = "freshness", state: str = "warning", worst: str | None = None, **measures: Any
) -> Incident:
    return Incident(
        incident_id=1,
        subject=subject,
        state=state,
        worst=worst or state,
        cause="the old cause",
        opened_at=AT,
        closed_at=None,
        measures={
            name: one.as_json() if isinstance(one, Symptom) else one
            for name, one in measures.items()
        },
        told_at=None,
    )


def sorted_out(found: Health, *still: Incident, late: str = "none") -> dict[str, list[str]]:
    """Return which measures go to which subject."""
    made = grouping.symptoms_by_subject(Session(late), found, {one.subject: one for one in still})  # type: ignore[arg-type]
    return {subject: list(measures) for subject, measures in made.items()}


def test_what_is_well_belongs_nowhere() -> None:
    assert sorted_out(health()) == {}


@pytest.mark.parametrize("stale", ["watermark_lag", "pending_events"])
def test_figures_that_are_behind_go_with_what_they_follow_from(stale: str) -> None:
    assert sorted_out(health(**{stale: "warning"})) == {"freshness": [stale]}
    assert sorted_out(health("failed", **{stale: "critical"})) == {"failures": [stale]}
    # A run that failed before does not explain why they are behind now.
    assert sorted_out(health("not_run", last="failed", **{stale: "warning"})) == {
        "freshness": [stale]
    }


def test_runs_that_fail_and_how_long_they_took() -> None:
    found = health(dag_runtime="critical", failed_runs="warning", last="failed")
    assert sorted_out(found) == {"failures": ["dag_runtime", "failed_runs"]}
    # Another one than the last has failed.
    found = health(dag_runtime="warning", failed_runs="warning")
    assert sorted_out(found) == {"runtime": ["dag_runtime"], "failures": ["failed_runs"]}


def test_a_slow_run() -> None:
    assert sorted_out(health(dag_runtime="warning")) == {"runtime": ["dag_runtime"]}
    assert sorted_out(health(dag_runtime="warning", last=None)) == {"runtime": ["dag_runtime"]}
    # It waited for somebody's transaction, and so did the figures.
    assert sorted_out(health("held_back", dag_runtime="warning")) == {"freshness": ["dag_runtime"]}


def test_how_long_a_run_took_that_missed_its_deadline_is_not_told_again() -> None:
    found = health(dag_runtime="critical", failed_runs="warning", watermark_lag="warning")
    assert sorted_out(found, late="airflow:dag:run") == {
        "failures": ["failed_runs"],
        "freshness": ["watermark_lag"],
    }
    assert "runtime" in sorted_out(found, late="airflow:dag:another")


def test_what_cannot_be_measured() -> None:
    found = health("failed", failed_runs="unknown", watermark_lag="unknown")
    assert sorted_out(found) == {"measuring": ["failed_runs", "watermark_lag"]}


def test_what_an_open_incident_has_stays_with_it() -> None:
    behind = incident("freshness", watermark_lag=entry())
    found = health("failed", watermark_lag="warning", pending_events="warning")
    assert sorted_out(found, behind) == {
        "freshness": ["watermark_lag"],
        "failures": ["pending_events"],
    }


def test_a_measure_as_an_incident_keeps_it() -> None:
    found = health("held_back", watermark_lag="warning", failed_runs="critical")
    # Another cause is another thing to tell of.
    kept = Symptom("warning", 7.0, "seconds", "held_back", "about watermark_lag")
    assert grouping.symptom_of(found.measure("watermark_lag"), found) == kept
    worse = grouping.symptom_of(found.measure("watermark_lag"), found, state="critical")
    assert worse == replace(kept, state="critical")
    assert grouping.symptom_of(found.measure("failed_runs"), found).kind == "failed_runs"


def test_the_cause_is_that_of_the_figures_where_they_are_concerned() -> None:
    entry = Symptom("warning", cause="a run took 7 s")
    assert grouping.cause_of({"dag_runtime": entry}, health()) == "a run took 7 s"
    assert (
        grouping.cause_of({"dag_runtime": Symptom("warning")}, health()) == "the figures: not_run"
    )
    for stale in ("watermark_lag", "pending_events"):
        told = grouping.cause_of({"dag_runtime": entry, stale: entry}, health())
        assert told == "the figures: not_run"
    assert grouping.cause_of({"dag_runtime": entry}, health("held_back")) == (
        "the figures: held_back"
    )


# -- what it means for the incident -------------------------------------------------------


def entry(state: str = "warning", kind: str = "not_run", value: float = 7) -> Symptom:
    return Symptom(state, value, "seconds", kind, "why")


def settled(one: Incident | None, again: Any = None, **measures: Any) -> tuple[Any, ...]:
    """Settle an incident, and return what is told, what is only noted and what is written."""
    session, announcement = Session(), Announcement(AT)
    grouping.open_or_update(
        session,  # type: ignore[arg-type]
        announcement,
        one,
        "freshness",
        measures,
        "the new cause",
        again=again,
    )
    (written,) = session.written
    announced, noted = announcement.announced, announcement.noted
    return [one.what for one in announced], [one.what for one in noted], written


def test_a_new_incident_is_told() -> None:
    telling, quiet, written = settled(None, watermark_lag=entry("critical"))
    assert (telling, quiet) == (["opened"], [])
    assert isinstance(written.pop("measures"), Jsonb)
    assert written == {
        "subject": "freshness",
        "state": "critical",
        "cause": "the new cause",
        "at": AT,
    }


def test_one_that_is_as_it_was_is_brought_up_to_date_and_told_to_nobody() -> None:
    one = incident(watermark_lag=entry())
    telling, quiet, written = settled(one, watermark_lag=entry(value=8))
    assert (telling, quiet) == ([], [])
    assert (written["incident_id"], written["state"]) == (1, "warning")
    assert written["cause"] == "the new cause"
    assert written["measures"].obj == {"watermark_lag": entry(value=8).as_json()}
    assert written["closed_at"] is None


@pytest.mark.parametrize(
    ("one", "measures", "telling", "quiet"),
    [
        # Worse than it has been yet.
        (incident(lag=entry()), {"lag": entry("critical")}, ["worse"], []),
        # As bad as it was once: that was told.
        (
            incident("freshness", "warning", "critical", lag=entry()),
            {"lag": entry("critical")},
            [],
            [],
        ),
        (
            incident("freshness", "critical", lag=entry("critical")),
            {"lag": entry("warning")},
            [],
            ["better"],
        ),
        # Another cause; another measure.
        (incident(lag=entry()), {"lag": entry(kind="held_back")}, [], ["changed"]),
        (incident(lag=entry()), {"lag": entry(), "pending": entry()}, [], ["changed"]),
        (
            incident("freshness", "critical", lag=entry("critical")),
            {"lag": entry(kind="held_back")},
            [],
            ["better"],
        ),
    ],
)
def test_what_has_changed_is_told_where_it_is_worse_and_noted_else(
    one: Incident, measures: dict[str, Any], telling: list[str], quiet: list[str]
) -> None:
    assert settled(one, **measures)[:2] == (telling, quiet)


def test_what_happens_again_is_told_as_such_unless_it_is_worse() -> None:
    one = incident("failures", failed=entry())
    assert settled(one, "failed again", failed=entry())[:2] == (["failed again"], [])
    assert settled(one, "failed again", failed=entry("critical"))[:2] == (["worse"], [])


def test_that_a_failed_run_took_long_makes_nothing_worse() -> None:
    failed = {"failed_runs": entry(), "dag_runtime": entry("critical")}
    assert settled(None, **failed)[2]["state"] == "warning"
    assert settled(None, dag_runtime=entry("critical"))[2]["state"] == "critical"
    others = {"failed_runs": entry("critical"), "dag_runtime": entry()}
    assert settled(None, **others)[2]["state"] == "critical"
