"""What a message to the operator says: whoever sends it decides how that looks.

The outbox keeps it as JSON. What an earlier version wrote can be read: fields that it did not
have get their defaults, fields that are no more are passed over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from consumer_analytics.formatting import duration, moment, named
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.anomalies import KINDS
from consumer_analytics.monitoring.measures import MEASURES
from consumer_analytics.monitoring.notifications.digest import Digest

PREFIX = "[consumer-analytics]"
OVER = "over"
#: What the subject of an incident about a consumer begins with; its id is the rest.
CONSUMER = "consumer "
#: What an incident has beside measures: a run that is late.
DEADLINE = "deadline"
_LONGEST_SUBJECT = 150

Kind = Literal["failure", "deadline", "incidents", "test", "digest"]


@dataclass(frozen=True)
class Failure:
    """A task that failed after its last try.

    Attributes:
        dag_id: its DAG.
        run_id: its DAG run.
        task_id: the task.
        try_number: the last try.
        tries: how many there may be; None where that is not known.
        execution_date: the run's logical date, else the instant that it was to run after.
        has_logical_date: which of the two.
        failed_at: when.
        error: the error's type and message.
        log_url: where its log is; None where that is not known.
    """

    dag_id: str
    run_id: str
    task_id: str
    try_number: int
    tries: int | None
    execution_date: dt.datetime
    has_logical_date: bool
    failed_at: dt.datetime
    error: str
    log_url: str | None

    def as_json(self) -> dict[str, Any]:
        """Return it as a message has it."""
        dumped: dict[str, Any] = TypeAdapter(Failure).dump_python(self, mode="json")
        return dumped


@dataclass(frozen=True)
class Miss:
    """A DAG run that had not ended when its deadline passed.

    Attributes:
        dag_id: its DAG.
        run_id: the run.
        task_id: the task that it was at; None where that is not known.
        execution_date: the run's logical date, else the instant that it was to run after.
        deadline_at: when it should have ended.
        allowed_seconds: how long it was given from when it was queued; 0 where nobody has said.
    """

    dag_id: str
    run_id: str
    task_id: str | None
    execution_date: dt.datetime
    deadline_at: dt.datetime
    allowed_seconds: float = 0.0


@dataclass(frozen=True)
class Symptom:
    """What is not well: a measure, a late run, or a task of another DAG.

    Attributes:
        state: `warning`, `critical` or `unknown`.
        value: of a measure, in `unit`; None where there is none.
        unit: as the measure's.
        kind: another one makes it another symptom: the cause of the figures' freshness, the
            measure, or the error.
        cause: in a sentence; None where there is none to tell.
        dag_id: of a late run or a failed task: its DAG.
        run_id: of these: the run.
        since: of these, and of a consumer's anomaly: since when.
        about: of an anomaly: what people call the consumer.
    """

    state: str
    value: float | None = None
    unit: str = "runs"
    kind: str | None = None
    cause: str | None = None
    dag_id: str | None = None
    run_id: str | None = None
    since: dt.datetime | None = None
    about: str | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Symptom:
        """Read it as an incident keeps it."""
        return _symptoms().validate_python(stored)

    def as_json(self) -> dict[str, Any]:
        """Return it as an incident keeps it: without what only some of them have."""
        dumped: dict[str, Any] = _symptoms().dump_python(self, mode="json")
        lasting = ("dag_id", "run_id", "since", "about")
        return {name: one for name, one in dumped.items() if name not in lasting or one is not None}


@dataclass(frozen=True)
class ChangeNotice:
    """A change of an incident that people are told of.

    Attributes:
        incident_id: the incident's number.
        subject: what it is about.
        what: `opened`, `worse`, `changed`, `failed again`, `reminded` or `over`.
        state: warning or critical, after it.
        cause: in a sentence.
        opened_at: when the incident was noticed.
        seconds: for how long it has been open.
        measures: what is not well, by name; nothing where it is over.
        worst: the worst that it was: whoever was told of that is told of its end. None of what an
            earlier version wrote.
        about: what people call the consumer that it is about; None where it is about none.
    """

    incident_id: int
    subject: str
    what: str
    state: str
    cause: str
    opened_at: dt.datetime
    seconds: float
    measures: dict[str, Symptom] = field(default_factory=dict)
    worst: str | None = None
    about: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether all is well again."""
        return self.what == OVER

    @property
    def verb(self) -> str:
        """What has happened, as a word to begin with."""
        words = {"opened": "New", "worse": "Worse", "reminded": "Still", OVER: "Over"}
        return words.get(self.what, self.what.capitalize())

    @property
    def title(self) -> str:
        """What the incident is about, in a few words."""
        if self.subject.startswith("dag "):
            return (
                f"{self.subject.removeprefix('dag ')} {'works again' if self.is_over else 'fails'}"
            )
        if self.about is not None:
            kinds = dict.fromkeys(one.kind or "" for one in self.measures.values())
            titles = [KINDS[kind].title for kind in kinds if kind in KINDS]
            return f"{named(self.about)} {' and '.join(titles) or 'is as usual again'}"
        known = MEASURES.subjects.get(self.subject)
        if known is None:
            return self.subject
        return known.title_over if self.is_over else known.title


@dataclass(frozen=True)
class NextStep:
    """What to look at next.

    Attributes:
        text: a sentence without its full stop.
        code: a command that goes with it; empty where none does.
    """

    text: str
    code: str = ""


@dataclass(frozen=True)
class Limits:
    """A measure's limits as people read them.

    Attributes:
        warning: the range in which it is a warning, such as `5-15 s`.
        critical: the range in which it is critical, such as `> 15 s`.
    """

    warning: str
    critical: str


@dataclass(frozen=True)
class MeasureNotice:
    """A measure as it was when the message was written.

    Attributes:
        name: of the measure.
        value: in `unit`; None where there was none.
        unit: as the measure's.
        state: as it was judged.
        limits: by which it was.
    """

    name: str
    value: float | None
    unit: str
    state: str
    limits: Limits


@dataclass(frozen=True)
class HealthNotice:
    """Health as it was when the message was written.

    Attributes:
        at: when it was judged.
        state: the worst of the measures'.
        watermark: how far the figures had come.
        measures: all of them.
    """

    at: dt.datetime
    state: str
    watermark: dt.datetime
    measures: tuple[MeasureNotice, ...]


@dataclass(frozen=True)
class Message:
    """What a message says.

    Attributes:
        kind: what made it: a failed task, a missed deadline, a look at health, a test, or a week.
        at: when it was written.
        database: the name of the database that it is about; empty in a test, which is about none.
        changes: of incidents.
        failures: tasks that failed.
        misses: runs that missed their deadline.
        next: what to look at next.
        threads: a name for each incident, by which messages about it belong together.
        health: as it was; None where nobody looked.
        digest: of a week; None where it is about none.
    """

    kind: Kind
    at: dt.datetime
    database: str
    changes: tuple[ChangeNotice, ...] = ()
    failures: tuple[Failure, ...] = ()
    misses: tuple[Miss, ...] = ()
    next: tuple[NextStep, ...] = ()
    threads: tuple[str, ...] = ()
    health: HealthNotice | None = None
    digest: Digest | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Message:
        """Read it as the outbox keeps it."""
        return _messages().validate_python(stored)

    def as_json(self) -> dict[str, Any]:
        """Return it as the outbox keeps it."""
        dumped: dict[str, Any] = _messages().dump_python(self, mode="json")
        return dumped

    @property
    def sender(self) -> str:
        """Who says it: the product, and of which database."""
        of = f", database {self.database}" if self.database else ""
        return f"consumer-analytics{of}"

    @property
    def subject(self) -> str:
        """How bad, what, where: one line of bounded length, marked as ours."""
        line = " ".join(f"{PREFIX} {self._title()}".split())
        return line if len(line) <= _LONGEST_SUBJECT else line[: _LONGEST_SUBJECT - 1] + "…"

    @property
    def title(self) -> str:
        """The same without the mark."""
        return self.subject.removeprefix(f"{PREFIX} ")

    @property
    def headline(self) -> str:
        """The sentence to begin with."""
        if self.kind == "test":
            return "This is a test. Alerts from consumer-analytics arrive here."
        if self.digest is not None:
            return f"{self.digest.title}."
        if self.failures:
            names = ", ".join(dict.fromkeys(one.task_id for one in self.failures))
            return f"{names} of {self.failures[0].dag_id} failed, and is not tried again."
        if self.misses:
            first = self.misses[0]
            allowed = duration(first.allowed_seconds)
            return f"A run of {first.dag_id} has not ended {allowed} after it was queued."
        return " ".join(f"{one.verb}: {one.title}." for one in self.changes)

    @property
    def state(self) -> str:
        """How bad it is."""
        if self.kind in {"test", "digest"}:
            return "normal"
        if self.failures:
            return "critical"
        states = ["warning"] if self.misses else []
        return health.worst([*states, *(one.state for one in self.changes if not one.is_over)])

    def _title(self) -> str:
        if self.kind == "test":
            return "test mail: alerts arrive"
        if self.digest is not None:
            return self.digest.title
        if self.failures:
            first = self.failures[0]
            what = (
                f"{first.dag_id} / {first.task_id}"
                if len(self.failures) == 1
                else f"{first.dag_id}, {len(self.failures)} tasks"
            )
            return f"FAILED: {what}, {moment(first.execution_date, to='minutes')}"
        if self.misses:
            late = self.misses[0]
            minute = moment(late.execution_date, to="minutes")
            return f"LATE: {late.dag_id} missed its deadline, {minute}"
        return self._changes_in_short()

    def _changes_in_short(self) -> str:
        bad = [one for one in self.changes if not one.is_over]
        if not bad:
            return "OVER: " + ", ".join(one.title for one in self.changes)
        worst = health.worst(one.state for one in bad)
        still = "STILL " if all(one.what == "reminded" for one in bad) else ""
        names = ", ".join(one.title for one in bad)
        rest = len(self.changes) - len(bad)
        return f"{still}{worst.upper()}: {names}" + (f"; {rest} over" if rest else "")


def label_of(name: str) -> str:
    """Return what people call a symptom, by its name."""
    if name == DEADLINE:
        return "Deadline"
    kind = KINDS.get(name.partition(" ")[0])
    return kind.label if kind is not None else MEASURES.label(name)


@cache
def _messages() -> TypeAdapter[Message]:
    return TypeAdapter(Message)


@cache
def _symptoms() -> TypeAdapter[Symptom]:
    return TypeAdapter(Symptom)
