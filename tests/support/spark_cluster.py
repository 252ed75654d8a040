"""A cluster of Spark's own on this machine: a master, two workers, and a Spark Connect server.

Spark is the package pyspark in build/spark, where `make test-spark` puts it; Java is the
machine's.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import scratch

from consumer_analytics.fields import Secret

ROOT = Path(__file__).parents[2]
_SECONDS = 180
_EXECUTOR = b"CoarseGrainedExecutorBackend"
_WORKERS = 2
_CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"


@dataclass
class Cluster:
    """A cluster that runs.

    Attributes:
        port: where its server listens.
    """

    port: int
    workers: list[subprocess.Popen[bytes]]
    server: subprocess.Popen[bytes]

    @property
    def remote(self) -> Secret:
        """Return its address, as the setting has it."""
        return Secret(f"sc://127.0.0.1:{self.port}")

    def executors(self) -> list[int]:
        """Return the process ids of the executors."""
        ours = {worker.pid for worker in self.workers}
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(status.read_text().rpartition(")")[2].split()[1])
                if parent in ours and _EXECUTOR in (status.parent / "cmdline").read_bytes():
                    found.append(int(status.parent.name))
            except OSError:
                continue
        return sorted(found)

    def kill_executor(self) -> int:
        """End one executor as a loss of power does; return its process id."""
        first = self.executors()[0]
        os.kill(first, signal.SIGKILL)
        return first


@contextmanager
def started() -> Iterator[Cluster]:
    """Start one for the block."""
    (home,) = (ROOT / "build" / "spark").glob("lib/python3*/site-packages/pyspark")
    if shutil.which("java") is None:
        pytest.fail("Spark needs Java: apt install default-jre-headless")
    folder = scratch.folder("ca-spark-")
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOG_DIR": str(folder / "log"),
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_NO_DAEMONIZE": "1",
    }
    deploy = "org.apache.spark.deploy"
    at = ("--host", "127.0.0.1", "--webui-port", "0", "--port")
    master, connect = _free_port(), _free_port()
    address = f"spark://127.0.0.1:{master}"
    running: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        with (folder / f"{len(running)}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        return running[-1]

    program = str(home / "bin" / "spark-class")
    try:
        start(program, f"{deploy}.master.Master", *at, str(master))
        _await(master)
        limits = ("--cores", "1", "--memory", "700m")
        workers = [
            start(program, f"{deploy}.worker.Worker", *at, "0", *limits, address)
            for _ in range(_WORKERS)
        ]
        configured = (f"--conf={name}={value}" for name, value in _settings(connect).items())
        submit = ("--class", _CONNECT, "--master", address, *configured)
        server = start(str(home / "bin" / "spark-submit"), *submit, "spark-internal")
        _await(connect)
        yield Cluster(connect, workers, server)
    finally:
        for process in reversed(running):
            # An executor is a worker's child, and in its session.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _settings(port: int) -> Mapping[str, str]:
    return {
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "900m",
        "spark.executor.memory": "600m",
        "spark.executor.cores": "1",
        "spark.cores.max": str(_WORKERS),
        "spark.sql.shuffle.partitions": "4",
        # A task for each file, so that there is something left of a job to lose.
        "spark.sql.files.openCostInBytes": "64m",
        "spark.ui.enabled": "false",
        # Nothing is to be right by the machine's zone.
        "spark.driver.extraJavaOptions": "-Duser.timezone=Asia/Kathmandu",
        "spark.executor.extraJavaOptions": "-Duser.timezone=Pacific/Apia",
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _await(port: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            return
