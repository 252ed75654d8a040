"""A plugin for pytest: one session that measures tests, or tries mutants by the hundred.

Servers, imports and collection cost many seconds, a test of ours less than one. So a
session stays, and its tests are run again and again, each time with another mutant in
the copy's files and in this process. After each mutant everything but the session's own
fixtures is torn down. Now and then a test that has killed is run without a mutant: where
it fails too, the session is spoilt, what was found since is dropped, and it ends with
`SPOILT`, to be started anew.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import psycopg
import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from tests import conftest
from tests.conftest import Database
from tools.mutation import probe
from tools.mutation.edits import Edit, Mutant
from tools.mutation.swapping import NotRunnableError, Swapper

#: The session's exit code where it has to be started anew.
SPOILT = 77
#: After how many mutants the tests that killed them are tried without one.
CONTROL = 8
PACKAGE = "consumer_analytics"
_T = TypeVar("_T")
#: A test of random histories has their seed as its parameter, from 0 on.
_SEED = re.compile(r"[\[-](\d+)\]$")
#: How many of them are used.
_SEEDS = 3
#: Rows that statements wrongly make, or waits that never end, take this many times as long.
_PATIENCE = 5.0
#: Seconds after which a test is measured no further.
_LONGEST = 90.0
#: Seconds that every test is given at least.
_GRACE = 10.0


class TookTooLong(BaseException):
    """A test did not end; not an `Exception`, so that the product does not handle it."""


@dataclass(frozen=True)
class Measured:
    """A test, as it is without mutants.

    Attributes:
        test: its node's id.
        passed: whether it did.
        seconds: how long it took.
        reaches: files and functions that it uses.
    """

    test: str
    passed: bool
    seconds: float
    reaches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tried:
    """What became of a mutant.

    Attributes:
        key: the mutant's.
        outcome: `killed`, `survived`, `timed out` or `invalid`.
        by: the test that noticed.
        why: what it said, in a line.
        tests: how many tests were run.
        seconds: how long that took.
    """

    key: str
    outcome: str
    by: str = ""
    why: str = ""
    tests: int = 0
    seconds: float = 0.0


@dataclass
class _Job:
    """What the driver wants, as its file says."""

    mode: str
    root: str
    targets: list[str]
    answers: str
    #: Seconds since the epoch.
    until: float = 0.0
    #: Seconds that tests of one mutant may take together.
    patience: float = 0.0
    mutants: list[dict[str, Any]] = field(default_factory=list)
    measured: list[dict[str, Any]] = field(default_factory=list)
    #: By file: how often each test has killed before.
    kills: dict[str, dict[str, int]] = field(default_factory=dict)


#: What the test that is running has failed with.
_failures: list[BaseException] = []


def pytest_configure() -> None:
    """Look for what fails, not for the smallest input that does."""
    hypothesis_settings.register_profile(
        "mutation",
        phases=[Phase.explicit, Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    hypothesis_settings.load_profile("mutation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is the same test: on the second server, with one more seed.

    What tests would copy from one another is filled by each: under a mutant, and by it.
    """
    Database.prepared = _filled_anew  # type: ignore[method-assign]
    items[:] = [
        item
        for item in items
        if "[other" not in item.nodeid
        and not ((seed := _SEED.search(item.nodeid)) and int(seed[1]) >= _SEEDS)
    ]


def _filled_anew(self: Database, what: Hashable, fill: Callable[[], _T]) -> _T:  # noqa: ARG001
    return fill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Keep what a test failed with."""
    if call.excinfo is not None:
        _failures.append(call.excinfo.value)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Do what the driver wants instead of running each test once."""
    job = _Job(**json.loads(Path(os.environ["MUTATION_JOB"]).read_text(encoding="utf-8")))
    swapper = Swapper(Path(job.root), PACKAGE)
    swapper.load(job.targets)
    with Path(job.answers).open("a", encoding="utf-8") as answers:

        def answer(said: Measured | Tried) -> None:
            answers.write(json.dumps(asdict(said)) + "\n")
            answers.flush()

        if job.mode == "measure":
            for number, item in enumerate(session.items, 1):
                following = session.items[number] if number < len(session.items) else None
                answer(_measured(session, item, following, swapper))
        else:
            _Trials(session, job, swapper).run(answer)
    return True


def _failed(
    session: pytest.Session, item: pytest.Item, limit: float, following: pytest.Item | None = None
) -> BaseException | None:
    """Run a test with all that it sets up, and return what it failed with.

    What it shares with the `following` test stays for that one; else only what is the
    session's own.
    """
    _failures.clear()
    with _limited(limit):
        reports = runtestprotocol(item, log=False, nextitem=following or session)  # type: ignore[arg-type]
    if not any(report.failed for report in reports):
        return None
    return _failures[0] if _failures else AssertionError("failed")


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TookTooLong(f"took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    # Once more, where the first was swallowed.
    signal.setitimer(signal.ITIMER_REAL, seconds, _GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _measured(
    session: pytest.Session, item: pytest.Item, following: pytest.Item | None, swapper: Swapper
) -> Measured:
    swapper.forget()
    probe.forget()
    _, place = probe.reached_by_now(0)
    started = time.monotonic()
    failure = _failed(session, item, _LONGEST, following)
    seconds = time.monotonic() - started
    reaches, _ = probe.reached_by_now(place)
    return Measured(item.nodeid, failure is None, round(seconds, 3), tuple(sorted(reaches)))


class _Trials:
    """Mutants, tried one after another."""

    def __init__(self, session: pytest.Session, job: _Job, swapper: Swapper) -> None:
        self._session = session
        self._job = job
        self._swapper = swapper
        self._items = {item.nodeid: item for item in session.items}
        measured = [Measured(**one) for one in job.measured]
        self._measured = {one.test: one for one in measured if one.test in self._items}
        self._kills = {file: Counter(tests) for file, tests in job.kills.items()}
        self._texts: dict[str, str] = {}

    def run(self, answer: Any) -> None:
        """Try the job's mutants, and answer what became of each."""
        self._warm_up()
        since_control: list[Tried] = []
        killers: set[str] = set()
        for said in self._job.mutants:
            if time.time() > self._job.until:
                break
            mutant = Mutant(**{**said, "edit": Edit(**said["edit"])})
            Path(f"{self._job.answers}.now").write_text(mutant.key, encoding="utf-8")
            tried = self._try(mutant)
            since_control.append(tried)
            if tried.outcome in {"killed", "timed out"}:
                killers.add(tried.by)
            if tried.outcome == "timed out" or len(since_control) >= CONTROL:
                self._control(killers)
                killers = set()
                for one in since_control:
                    answer(one)
                since_control = []
        self._control(killers)
        for one in since_control:
            answer(one)

    def _warm_up(self) -> None:
        """Run a test of each file without a mutant: the session starts its servers by that."""
        first = {test.partition("::")[0]: test for test in reversed(self._measured)}
        for test in first.values():
            error = _failed(self._session, self._items[test], _LONGEST)
            if error is not None:
                pytest.exit(f"{test} fails without a mutant: {error!r}", returncode=1)

    def _control(self, killers: set[str]) -> None:
        """Run tests that killed without a mutant; end the session where one fails."""
        for test in sorted(killers):
            error = _failed(self._session, self._items[test], self._limit(test))
            if error is not None:
                pytest.exit(f"{test} fails without a mutant: {error!r}", returncode=SPOILT)

    def _limit(self, test: str) -> float:
        return _GRACE + _PATIENCE * self._measured[test].seconds

    def _chosen(self, mutant: Mutant) -> list[str]:
        """Return the tests that reach a mutant: those that killed its like, then the fast."""
        kills = self._kills.setdefault(mutant.file, Counter())
        reaching = [one for one in self._measured.values() if mutant.place in one.reaches]
        reaching.sort(key=lambda one: (one.seconds / (1 + kills[one.test]), one.test))
        chosen: list[str] = []
        seconds = 0.0
        for one in reaching:
            seconds += one.seconds
            if chosen and seconds > self._job.patience:
                break
            chosen.append(one.test)
        return chosen

    def _try(self, mutant: Mutant) -> Tried:
        started = time.monotonic()
        chosen = self._chosen(mutant)
        text = self._text(mutant.file)
        try:
            self._swapper.put(mutant, text)
        except NotRunnableError as refusal:
            return Tried(mutant.key, "invalid", why=str(refusal))
        try:
            _end_warm_command(mutant)
            tests, test, error = self._run(chosen)
        finally:
            self._swapper.restore(mutant, text)
            _end_warm_command(mutant)
        seconds = round(time.monotonic() - started, 2)
        if error is None:
            return Tried(mutant.key, "survived", tests=tests, seconds=seconds)
        outcome = _outcome(error)
        if outcome == "killed":
            self._kills[mutant.file][test] += 1
        return Tried(mutant.key, outcome, test, _line(error), tests, seconds)

    def _run(self, chosen: Sequence[str]) -> tuple[int, str, BaseException | None]:
        items = [self._items[test] for test in chosen]
        for number, (test, item) in enumerate(zip(chosen, items, strict=True), 1):
            following = items[number] if number < len(items) else None
            error = _failed(self._session, item, self._limit(test), following)
            if error is not None:
                # What was kept for the next one has seen the mutant.
                self._session._setupstate.teardown_exact(self._session)  # type: ignore[arg-type]  # noqa: SLF001
                return number, test, error
        return len(chosen), "", None

    def _text(self, file: str) -> str:
        if file not in self._texts:
            self._texts[file] = (Path(self._job.root) / file).read_text(encoding="utf-8")
        return self._texts[file]


def _end_warm_command(mutant: Mutant) -> None:
    """Have commands read the product's modules again: what forks for them has read them before."""
    if mutant.file.endswith(".py"):
        conftest._WARM.close()  # noqa: SLF001


def _outcome(error: BaseException) -> str:
    """Judge a mutant by what the test that noticed it failed with."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TookTooLong):
            return "timed out"
        # What the server does not even begin to run shows nothing about the tests.
        if isinstance(cause, psycopg.Error) and (cause.sqlstate or "").startswith("42"):
            return "invalid"
        cause = cause.__cause__ or cause.__context__
    return "killed"


def _line(error: BaseException) -> str:
    """Return an error's first line, not too long."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]
