"""uvicorn's HTTP protocol, without its patience: a client that takes no bytes is cut off.

The protocol must do this, because it has the transport. An application can stop sending, but bytes that are
already buffered keep a stalled connection and its memory for as long as the client likes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class ImpatientProtocol(HttpToolsProtocol):
    """Aborts the connection when its write buffer has not shrunk for `stalled_s`."""

    stalled_s: float

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
        """The application is done, so it cannot notice a client that does not take the rest."""
        super().on_response_complete()
        self._watch_the_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _watch_the_rest(self) -> None:
        # Not while another answer of the same connection is on its way: its bytes come on top.
        if self._timer is None and self.cycle.response_complete:
            self._start_timer()

    def _start_timer(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(self.stalled_s, self._check_progress, waiting) if waiting else None

    def _check_progress(self, waiting_before: int) -> None:
        if self.transport.get_write_buffer_size() < waiting_before:
            self._start_timer()
        else:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def protocol(stall_s: float) -> type[ImpatientProtocol]:
    """Return a protocol that cuts off a client which takes no bytes for so long."""

    class Protocol(ImpatientProtocol):
        stalled_s = stall_s

    return Protocol
