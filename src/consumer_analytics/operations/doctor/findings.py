"""What a check answers: a verdict, its evidence, the cause, and the fix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from consumer_analytics.airflow.command import Commands
from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.settings import Settings
from consumer_analytics.sql import INTERNAL

#: Why most checks cannot be made where the first of them has found that there is no database.
NO_DATABASE = "it needs the database, which cannot be reached"


class Verdict(IntEnum):
    """How bad a finding is; the worst of all is the doctor's own."""

    OK = 0
    #: The check could not be made; the finding says why.
    UNKNOWN = 1
    #: It works, but not as it should, or not for long.
    WARNING = 2
    #: Figures are late, missing or wrong, or will be at the next run.
    PROBLEM = 3

    @property
    def word(self) -> str:
        """The verdict as people and JSON name it."""
        return self.name.lower()


@dataclass(frozen=True)
class Context:
    """What the checks have to look with.

    Attributes:
        settings: the configuration to examine.
        connection: a session in autocommit; None where there is none.
        refusal: why there is none.
        airflow: Airflow's command; None where it is not on this machine.
        restart: restarts Airflow's components by their names and waits for them; returns in a
            line what it did. None where they do not run here.
    """

    settings: Settings
    connection: Connection | None = None
    refusal: ConsumerAnalyticsError | None = None
    airflow: Commands | None = None
    restart: Callable[[Sequence[str]], str] | None = None

    @property
    def database(self) -> Connection:
        """The session.

        Raises:
            UnexaminableError: there is none.
        """
        if self.connection is None or self.connection.closed:
            raise UnexaminableError(NO_DATABASE)
        return self.connection

    @property
    def is_migrated(self) -> bool:
        """Whether our own tables are there, of whatever version and whoever may read them."""
        return bool(
            scalar(
                self.database,
                "select exists (select from pg_namespace where nspname = %s)",
                INTERNAL,
            )
        )


class UnexaminableError(ConsumerAnalyticsError):
    """A check cannot be made; the message says why."""


@dataclass(frozen=True)
class Fix:
    """What makes a finding good.

    Attributes:
        command: what a person runs: SQL, or a shell command.
        apply: does the same, and returns in a line what it did; None where
            doing it unasked is not safe, or not ours to do.
    """

    command: str
    apply: Callable[[Context], str] | None = None


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        verdict: how bad it is.
        says: in a line, what was found.
        evidence: figures and names, a line each.
        cause: why it is so, as far as can be told from here.
        fix: what makes it good; None where nothing has to be done.
    """

    verdict: Verdict
    says: str
    evidence: tuple[str, ...] = ()
    cause: str | None = None
    fix: Fix | None = None

    @property
    def wants_database(self) -> bool:
        """Whether nothing can be told because the database cannot be reached, and for no more."""
        return self.verdict is Verdict.UNKNOWN and self.says.endswith(NO_DATABASE)


def ok(says: str, *evidence: str) -> Finding:
    """Return the finding of a check that found nothing."""
    return Finding(Verdict.OK, says, evidence)


@dataclass(frozen=True)
class Check:
    """A question that the doctor asks.

    Attributes:
        name: as people and JSON name it: lower case, with hyphens.
        asks: the question, in a line.
        look: answers it.
    """

    name: str
    asks: str
    look: Callable[[Context], Finding]


@dataclass(frozen=True)
class Treatment:
    """What was done about a finding.

    Attributes:
        done: in a line, what the fix did, or why it failed.
        proof: what the same check found afterwards; None where the fix failed.
    """

    done: str
    proof: Finding | None

    @property
    def worked(self) -> bool:
        """Whether the check found nothing afterwards."""
        return self.proof is not None and self.proof.verdict is Verdict.OK


@dataclass(frozen=True)
class Examined:
    """A check, what it found, and what was done about it.

    Attributes:
        check: the check.
        finding: what it found first.
        treatment: what was done; None where nothing was.
    """

    check: Check
    finding: Finding
    treatment: Treatment | None = field(default=None)

    @property
    def verdict(self) -> Verdict:
        """The verdict that stands: after the treatment, where there was one."""
        if self.treatment is not None and self.treatment.proof is not None:
            return self.treatment.proof.verdict
        return self.finding.verdict

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        fix = self.finding.fix
        treatment = self.treatment
        return {
            "check": self.check.name,
            "asks": self.check.asks,
            "verdict": self.finding.verdict.word,
            "says": self.finding.says,
            "evidence": list(self.finding.evidence),
            "cause": self.finding.cause,
            "fix": None
            if fix is None
            else {"command": fix.command, "applied_by_fix": fix.apply is not None},
            "treatment": None
            if treatment is None
            else {
                "done": treatment.done,
                "worked": treatment.worked,
                "verdict_after": None if treatment.proof is None else treatment.proof.verdict.word,
                "proof": None if treatment.proof is None else treatment.proof.says,
            },
        }
