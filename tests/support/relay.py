"""Something between the product and a test's database that can begin to swallow what it is sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_CHUNK = 65_536


class Relay:
    """Hands bytes on between a port of the loopback and a server, until it is told to keep them.

    Attributes:
        swallows: whether it goes on taking bytes, from both sides, and hands none on.
        url: the database behind it.
    """

    def __init__(self, url: str) -> None:
        """Take the database's own address."""
        self.swallows = False
        self._origin = conninfo_to_dict(url)
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = make_conninfo(url, host="127.0.0.1", port=port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = str(self._origin["host"]), int(self._origin.get("port") or 5432)
        if host.startswith("/"):
            opened = asyncio.open_unix_connection(Path(host) / f".s.PGSQL.{port}")
        else:
            opened = asyncio.open_connection(host, port)
        behind_reader, behind_writer = await opened
        await asyncio.gather(
            self._hand_on(reader, behind_writer), self._hand_on(behind_reader, writer)
        )

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                if not self.swallows:
                    writer.write(data)
                    await writer.drain()
            if not self.swallows:
                writer.close()

    def run(self) -> None:
        """Serve until `stop`."""
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        open_ones = asyncio.all_tasks() - {asyncio.current_task()}
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)


@contextmanager
def between(url: str) -> Iterator[Relay]:
    """Stand before a database for a `with` block."""
    relay = Relay(url)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.stop()
        thread.join()
