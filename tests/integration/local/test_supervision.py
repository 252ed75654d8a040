"""Supervision with components of all bad habits; none of them Airflow's, so it is quick."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from consumer_analytics.airflow import configuration
from consumer_analytics.errors import UpError
from consumer_analytics.local import doctor
from consumer_analytics.local.home import Home
from consumer_analytics.local.supervision import Component, Supervision, sweep
from consumer_analytics.operations.doctor.findings import Context
from consumer_analytics.settings import Settings

SLEEPS = "import time; time.sleep(600)"
#: Ignores being asked, and has a child in a session of its own that does so too.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
time.sleep(600)
"""
Start = Callable[..., Supervision]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home, its folders made."""
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def environment() -> dict[str, str]:
    """Return an environment in which `python3` is this one."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    """Return a function that starts scripts as components: `start(name="code")`."""
    started: list[Supervision] = []

    def start(**scripts: str) -> Supervision:
        for name, code in scripts.items():
            (home.run / f"{name}.py").write_text(code)
        components = [Component(name, f"python3 {name}.py", patience=1) for name in scripts]
        started.append(Supervision(home, components, environment()))
        started[-1].start()
        return started[-1]

    yield start
    for supervision in started:
        supervision.stop()


def running(home: Home) -> list[psutil.Process]:
    """Return what runs in the home, supervisord included."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(home.run) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def scripts(home: Home, name: str) -> list[psutil.Process]:
    """Return the processes of a component."""
    return [process for process in running(home) if process.cmdline()[-1:] == [f"{name}.py"]]


def wait_until(done: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something to become true; return it."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def checks(supervision: Supervision, told: list[str]) -> bool:
    """Look after the components as `up` does; true once there was something to tell."""
    told += supervision.check()
    return bool(told)


def test_a_death_is_told_and_made_good(home: Home, start: Start) -> None:
    supervision = start(worker=SLEEPS)
    (first,) = wait_until(lambda: supervision.check() or scripts(home, "worker"))
    wait_until(lambda: supervision.check() == [] and supervision._watched["worker"].pid)
    first.kill()
    told: list[str] = []
    wait_until(lambda: checks(supervision, told))
    (line,) = told
    assert line == (
        "worker died (terminated by SIGKILL), starting it again; "
        f"its log is {home.logs / 'worker.log'}"
    )
    (second,) = wait_until(lambda: scripts(home, "worker"))
    assert second.pid != first.pid


@pytest.mark.long
def test_what_a_dead_component_leaves_behind_is_ended(home: Home, start: Start) -> None:
    supervision = start(stubborn=STUBBORN, other=SLEEPS)
    wait_until(lambda: len(scripts(home, "stubborn")) == 2 and scripts(home, "other"))
    wait_until(lambda: supervision.check() == [] and supervision._watched["stubborn"].pid)
    (other,) = scripts(home, "other")
    parent, child = sorted(scripts(home, "stubborn"), key=lambda process: process.pid)
    parent.kill()
    told: list[str] = []
    wait_until(lambda: checks(supervision, told))
    assert psutil.wait_procs([child], timeout=10)[1] == []
    assert other.is_running()


@pytest.mark.long
def test_one_that_does_not_start_is_given_up(home: Home, start: Start) -> None:
    supervision = start(broken="raise SystemExit('no configuration')")
    with pytest.raises(UpError) as caught:
        wait_until(lambda: checks(supervision, []) and False)
    # Which of the two it is depends on how often it is looked at.
    assert re.match(r"broken (does not start|keeps dying \(exit status 1; )", str(caught.value))
    assert str(caught.value).endswith(f"; its log is {home.logs / 'broken.log'}")
    assert "no configuration" in (home.logs / "broken.log").read_text()


@pytest.mark.long
def test_one_that_keeps_dying_is_given_up(start: Start) -> None:
    supervision = start(weak="import time; time.sleep(1.5); raise SystemExit(7)")
    told: list[str] = []
    with pytest.raises(UpError, match=r"weak keeps dying \(exit status 7; 3 times"):
        wait_until(lambda: checks(supervision, told) and False)
    assert len(told) == 2


@pytest.mark.long
def test_stopping_ends_the_stubborn_and_their_children(home: Home, start: Start) -> None:
    supervision = start(stubborn=STUBBORN, polite=SLEEPS)
    wait_until(lambda: len(scripts(home, "stubborn")) == 2 and scripts(home, "polite"))
    began = time.monotonic()
    supervision.stop()
    assert time.monotonic() - began < 10
    assert running(home) == []


@pytest.mark.long
def test_a_killed_supervisord_is_told(home: Home, start: Start) -> None:
    supervision = start(worker=SLEEPS)
    wait_until(lambda: scripts(home, "worker"))
    (supervisord,) = [
        process for process in running(home) if "supervisord.conf" in process.cmdline()
    ]
    supervisord.kill()
    with pytest.raises(UpError, match="supervisord died; its log is"):
        wait_until(lambda: checks(supervision, []))
    supervision.stop()
    assert running(home) == []


@pytest.mark.long
def test_all_of_it_ends_when_its_starter_is_killed(home: Home) -> None:
    (home.run / "worker.py").write_text(SLEEPS)
    code = f"""
import os, time
from pathlib import Path
from consumer_analytics.local.home import Home
from consumer_analytics.local.supervision import Component, Supervision
Supervision(
    Home(Path({str(home.path)!r})), [Component("worker", "python3 worker.py", 1)], os.environ
).start()
time.sleep(600)
"""
    starter = subprocess.Popen([sys.executable, "-c", code], env=environment())
    try:
        wait_until(lambda: scripts(home, "worker"))
        started = running(home)
        assert len(started) == 2
    finally:
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    assert psutil.wait_procs(started, timeout=30)[1] == []


def test_the_sweep_spares_a_shell_that_stands_in_the_folder(home: Home) -> None:
    shell = subprocess.Popen(["sleep", "600"], cwd=home.run)
    left = subprocess.Popen([sys.executable, "-c", SLEEPS], cwd=home.run)
    try:
        wait_until(lambda: len(running(home)) == 2)
        assert sweep(home) == 1
        left.wait(10)
        assert shell.poll() is None
    finally:
        for process in (shell, left):
            process.kill()
            process.wait()


def test_a_home_with_an_odd_and_long_path(tmp_path: Path) -> None:
    odd = Home(tmp_path / ("a home; with 100% # odd 'things' " + "x" * 80))
    odd.prepare()
    (odd.run / "worker.py").write_text("print('hello', flush=True); " + SLEEPS)
    supervision = Supervision(odd, [Component("worker", "python3 worker.py", 1)], environment())
    supervision.start()
    try:
        wait_until(lambda: supervision.check() == [] and supervision._watched["worker"].pid)
        wait_until(lambda: "hello" in (odd.logs / "worker.log").read_text())
    finally:
        supervision.stop()
    assert running(odd) == []


def test_an_up_without_airflow_is_told_as_that(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    # Airflow was set up at an earlier start.
    (home.airflow / configuration.FILE).touch()
    context = Context(Settings().replaced({"home": home.path}))
    assert doctor.system(context).says == f"`consumer-analytics up` is not running on {home.path}"
    with home.held():
        found = doctor.system(context)
    assert found.says == "`consumer-analytics up` runs here without Airflow"
    assert found.fix is not None
    # Nothing that `--fix` could restart.
    assert found.fix.apply is None
