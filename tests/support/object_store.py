"""An object store in a process of its own: moto's server, in an environment that uv makes.

It has no place in the lock: what it needs is older than what the product has.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

UV = Path(__file__).parents[2] / "build" / "bootstrap" / "bin" / "uv"
_FROM = ("--from", "moto[s3]==5.2.5", "--with", "flask==3.1.3", "--with", "flask-cors==6.0.5")
#: What nothing may ever say.
KEY = "k3y-of-the-store"
_SECONDS = 120


@contextmanager
def started(bucket: str) -> Iterator[Mapping[str, str]]:
    """Start one with a bucket for the block.

    Yields:
        The environment of those who use it.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ("moto_server", "-H", "127.0.0.1", "-p", str(port))
    process = subprocess.Popen(
        [UV, "tool", "run", "--quiet", *_FROM, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _make_bucket(process, f"{endpoint}/{bucket}")
        yield {
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "eu-central-1",
            # What the library in Rust wants to be told of a server without TLS.
            "AWS_ALLOW_HTTP": "true",
        }
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _make_bucket(process: subprocess.Popen[bytes], url: str) -> None:
    """Make a bucket, as soon as somebody listens."""
    deadline = time.monotonic() + _SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        assert process.poll() is None
        try:
            request = urllib.request.Request(url, method="PUT")
            direct.open(request, timeout=10).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.3)
        else:
            return
