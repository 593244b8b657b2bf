"""One HTTP/1.1 connection to a provider: idle, or with one answer on its way.

While more is held than a reader needs, the connection does not read. It has one timer, which is moved only
when it fires.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

from proxy.engines.http1_answer import Http1Answer
from proxy.engines.http1_request import Origin
from speech_engine import EngineError, EngineFailed, EngineTimeout

_IDLE_S = 15.0
"""Shorter than the idle time of servers: a connection that closes under a request costs that request."""
_MOST_HELD_BYTES = 256 * 1024
_TICK_S = 0.001
"""A timer of the event loop may fire this much too early."""


class ConnectionOwner(Protocol):
    """The pool, as its connections see it."""

    def end_exchange(self, connection: Http1Connection) -> None:
        """Called once for each `begin`: the connection is idle if it is still open."""
        ...

    def forget_idle(self, connection: Http1Connection) -> None: ...

    def forget(self, connection: Http1Connection) -> None:
        """Its socket is closed."""
        ...


class Http1Connection(asyncio.Protocol):
    """One connection: idle, or with one answer under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: ConnectionOwner, origin: Origin) -> None:
        self.loop = loop
        self.origin = origin
        self.is_open = False
        self.is_fresh = True
        self.idle_since = 0.0
        self.closed: asyncio.Future[None] = loop.create_future()
        self._owner = owner
        self._transport: asyncio.Transport
        self._answer: Http1Answer | None = None
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = 0.0

    def __repr__(self) -> str:
        state = "closed" if not self.is_open else "idle" if self._answer is None else "busy"
        return f"<Http1Connection {state}>"

    def begin(self, request: bytes, silence_s: float) -> Http1Answer:
        answer = self._answer = Http1Answer(self, silence_s)
        self._transport.write(request)
        return answer

    def rest(self) -> None:
        """Close in a while, unless a request comes before."""
        self.is_fresh = False
        self.idle_since = time.monotonic()
        self.expect_by(self.idle_since + _IDLE_S)

    def expect_by(self, deadline: float) -> None:
        """Expect progress by then. A timer that fires too early is moved, so that few are ever made."""
        self._deadline = deadline
        if self._timer is None or deadline < self._timer_at:
            self._set_timer(deadline)

    def resume(self) -> None:
        if self._is_paused and self.is_open:
            self._is_paused = False
            self._transport.resume_reading()

    def abort(self, reason: str) -> None:
        """Close the socket now."""
        self._break_off(EngineFailed(self._reason(reason)))

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.abort("it spoke without being asked")
        elif fault := answer.feed(data):
            self.abort(fault)
        elif answer.is_whole:
            self._end_answer(answer)
        elif answer.held_bytes > _MOST_HELD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._lose("the connection ended")

    def connection_lost(self, error: Exception | None) -> None:
        if error is None:
            self._lose("the connection ended")
        else:
            self.abort(type(error).__name__)
        self._owner.forget(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def _lose(self, reason: str) -> None:
        answer = self._answer
        if answer is not None and answer.ends_with_connection and answer.status:
            answer.is_whole = True
            self._end_answer(answer)
        self.abort(reason)

    def _end_answer(self, answer: Http1Answer) -> None:
        self._answer = None
        answer.end(None)
        if not answer.keeps_connection or self._transport.get_write_buffer_size():
            self.abort("the answer was its last")
        self._owner.end_exchange(self)

    def _break_off(self, error: EngineError) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()
        answer, self._answer = self._answer, None
        if answer is None:
            self._owner.forget_idle(self)
        else:
            answer.end(error)
            self._owner.end_exchange(self)

    def _reason(self, reason: str) -> str:
        if self._answer is not None and self._answer.status:
            return f"The provider's answer was cut off: {reason}."
        return f"The provider broke off: {reason}."

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._look_at_time)

    def _look_at_time(self) -> None:
        self._timer = None
        answer = self._answer
        if answer is not None and not answer.is_awaited:
            return
        if self.loop.time() < self._deadline - _TICK_S:
            self._set_timer(self._deadline)
        elif answer is not None and answer.status:
            self._break_off(EngineTimeout("The provider fell silent in the middle of its answer."))
        else:
            self._break_off(EngineTimeout("The provider did not answer in time."))
