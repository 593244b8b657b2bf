"""Cut off a client that does not read: uvicorn's HTTP protocol with a limit for a stalled connection.

The protocol must do this, because it has the transport. An application can stop sending, but bytes that are
already buffered keep a stalled connection and its memory for as long as the client likes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class StallLimitProtocol(HttpToolsProtocol):
    """Aborts the connection when its write buffer has not shrunk for `stall_s`."""

    stall_s: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_timer()

    def resume_writing(self) -> None:
        self._stop_timer()
        super().resume_writing()
        self._watch_the_rest()

    def on_message_begin(self) -> None:
        # The next answer adds bytes to the buffer: they must not count as bytes that the client did not take.
        if not self.flow.write_paused:
            self._stop_timer()
        super().on_message_begin()

    def on_response_complete(self) -> None:
        """Watch the rest of the answer. The application is done, so it cannot see that the client stalls."""
        super().on_response_complete()
        self._watch_the_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _watch_the_rest(self) -> None:
        # Not while the connection sends another answer: the bytes of that one come on top.
        if self._timer is None and self.cycle.response_complete:
            self._start_timer()

    def _start_timer(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(self.stall_s, self._check_progress, unsent) if unsent else None

    def _check_progress(self, unsent_before: int) -> None:
        if self.transport.get_write_buffer_size() < unsent_before:
            self._start_timer()
        else:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def stall_limit_protocol(seconds: float) -> type[StallLimitProtocol]:
    """Return a protocol that cuts off a client when it takes no bytes for so many seconds."""

    class LimitedProtocol(StallLimitProtocol):
        stall_s = seconds

    return LimitedProtocol
