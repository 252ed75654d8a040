"""uvicorn's connections with bounds that it has none of itself: how many, and how slow.

It bounds a request's head by h11, and otherwise waits: for a handshake, a head, a body, a reader,
without end, and answers 503 to everybody once there are too many who let it wait. Here each
of them has a time, and where there are too many the one goes that has let it wait longest.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import ssl
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from consumer_analytics.web.guard import RAW_HEADERS
from consumer_analytics.web.refusals import Refusals

#: Of an answer that does not fit on the way, a reader has to take so many bytes in the time.
_LEAST_TAKEN = 10_000
#: Bytes of a body that nobody reads, before its client is hung up on.
_LET_PASS = 262_144


class Phase(enum.Enum):
    """What a connection is about."""

    #: Nothing whole has come: no handshake, no request's head, or not the next one's.
    WAITING = enum.auto()
    #: A request's body is on the way.
    TAKING = enum.auto()
    #: The request is there, and its answer is made or sent.
    ANSWERING = enum.auto()


@dataclass
class Bounds:
    """The bounds of a server's connections, and those that there are.

    Attributes:
        most: how many there are at once.
        seconds: how long a client has for each thing.
        tls: what connections are secured with; None for plain ones.
        held: those that there are, the oldest first.
        refusals: tells the log of those that no application is asked about.
    """

    most: int
    seconds: float
    tls: ssl.SSLContext | None = None
    held: dict[BoundedProtocol, None] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)

    def admit(self, newcomer: BoundedProtocol) -> bool:
        """Take a connection in, in another's place where there are too many.

        That is one without a whole request, of the address that has most, so that many of one
        client do not drive out the few of others.

        Returns:
            Whether there was a place.
        """
        if len(self.held) >= self.most:
            by_peer = Counter(one.peer for one in self.held)
            idle = [one for one in self.held if one.phase is not Phase.ANSWERING]
            # The first of those with most, which is the one that has been there longest.
            last = max(idle, key=lambda one: (by_peer[one.peer], -one.since), default=newcomer)
            self.refusals.note(503, "nobody", last.peer, f"more than {self.most} connections")
            if not idle:
                return False
            last.drop()
        self.held[newcomer] = None
        return True


class BoundedProtocol(H11Protocol):
    """A connection that is dropped when its client is too slow, or others need the place.

    Attributes:
        bounds: those of the server; set in a subclass for each.
        peer: the client's address.
        phase: what it is about.
        since: when that began, by the loop's clock.
    """

    bounds: Bounds
    peer: str = ""
    phase = Phase.WAITING
    since = 0.0

    _socket: asyncio.Transport | None = None
    _timer: asyncio.TimerHandle | None = None
    _securing: asyncio.Task[None] | None = None
    _early = b""
    _unsent = 0
    _drained = False
    _passed = 0

    # -- what asyncio calls -----------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Begin to wait; for the handshake first, where there is one."""
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else ""
        self._socket = transport
        self._begin(Phase.WAITING)
        if not self.bounds.admit(self):
            self.drop()
            return
        if self.bounds.tls is None:
            super().connection_made(transport)
            return
        # What comes is for TLS alone to read.
        transport.pause_reading()
        self._securing = self.loop.create_task(self._secure(transport, self.bounds.tls))

    async def _secure(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        try:
            # In asyncio itself nothing bounds who is not yet through with it.
            secured = await self.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self.bounds.seconds,
                ssl_shutdown_timeout=self.bounds.seconds,
            )
        except (OSError, asyncio.CancelledError):
            self.drop()
            return
        if secured is None:
            self.drop()
            return
        super().connection_made(secured)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and see what they complete."""
        if not self._is_open:
            # The first ones come together with the end of the handshake.
            self._early += data
            return
        super().data_received(data)
        self._look()
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY:
            # The body of a request that was answered without it: a little of it is let pass, so
            # that the client comes to read why.
            self._passed += len(data)
            if self._passed > _LET_PASS:
                self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._forget()
        if self._is_open:
            super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Note that the client has taken in what waited, though more may wait again by now."""
        self._drained = True
        super().resume_writing()

    # -- what uvicorn calls -----------------------------------------------------

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, with the headers that every answer has."""
        self._refuse(400, msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: it is the client's affair, and answered."""

    # -- the bounds -------------------------------------------------------------

    @property
    def _is_open(self) -> bool:
        """Whether uvicorn has it: `connection_made` gives it its transport."""
        return self.flow is not None

    def _look(self) -> None:
        """See what the connection is about now."""
        client = self.conn.their_state
        if client is h11.IDLE:
            phase = Phase.WAITING
        elif client is h11.SEND_BODY:
            phase = Phase.TAKING
        else:
            phase = Phase.ANSWERING
        # A byte more is no beginning: the time is for the whole.
        if phase is not self.phase:
            self._begin(phase)

    def _begin(self, phase: Phase) -> None:
        self.phase = phase
        self.since = self.loop.time()
        self._unsent = 0
        self._passed = 0
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self.bounds.seconds, self._over)

    def _over(self) -> None:
        """Decide at the end of the time."""
        if self.phase is Phase.ANSWERING and self._takes_in():
            self._timer = self.loop.call_later(self.bounds.seconds, self._over)
        elif self._is_open and self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, "The request took too long to arrive.")
            self._begin(Phase.ANSWERING)
        else:
            self.drop()

    def _takes_in(self) -> bool:
        """Tell whether the client has taken in enough of its answer, if any of it waits."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        drained, self._drained = self._drained, False
        if not self._unsent or drained or not before:
            return True
        return self._unsent <= before - _LEAST_TAKEN

    def _refuse(self, status: int, detail: str) -> None:
        """Answer without the application, and hang up."""
        self.bounds.refusals.note(status, "nobody", self.peer, "what is no request")
        headers = [
            *RAW_HEADERS,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"connection", b"close"),
        ]
        events = (
            h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
            h11.Data(data=f"{detail}\n".encode("ascii")),
            h11.EndOfMessage(),
        )
        with contextlib.suppress(h11.LocalProtocolError):
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def drop(self) -> None:
        """End the connection at once, without waiting for what is not taken in."""
        self._forget()
        if self._securing is not None and not self._securing.done():
            self._securing.cancel()
        if self._socket is not None:
            # That of TLS would be polite, and wait.
            self._socket.abort()

    def _forget(self) -> None:
        self.bounds.held.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded(bounds: Bounds) -> type[BoundedProtocol]:
    """Return the class of a server's connections, as uvicorn's `http` takes it."""
    return type("BoundedProtocol", (BoundedProtocol,), {"bounds": bounds})
