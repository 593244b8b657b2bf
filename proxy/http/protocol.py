"""uvicorn's HTTP protocol, less its patience: a client that takes no bytes is cut off.

Only here is the transport at hand: an application can stop sending, but bytes that are already buffered
would keep a stalled connection, and its memory, for as long as the peer likes.
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
        self._looking: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        self._stop_looking()
        super().resume_writing()
        self._look_after_the_rest()

    def on_message_begin(self) -> None:
        # What the next answer adds to the buffer must not look like bytes that were not taken.
        if not self.flow.write_paused:
            self._stop_looking()
        super().on_message_begin()

    def on_response_complete(self) -> None:
        """The application is done, and will not notice who takes the rest, or does not."""
        super().on_response_complete()
        self._look_after_the_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_looking()
        super().connection_lost(exc)

    def _look_after_the_rest(self) -> None:
        # Not while another answer of the same connection is on its way: its bytes come on top.
        if self._looking is None and self.cycle.response_complete:
            self._look_again()

    def _look_again(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._looking = self.loop.call_later(self.stalled_s, self._look, waiting) if waiting else None

    def _look(self, waiting_before: int) -> None:
        if self.transport.get_write_buffer_size() < waiting_before:
            self._look_again()
        else:
            self.transport.abort()

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None


def protocol(stall_s: float) -> type[ImpatientProtocol]:
    """A protocol that cuts off a client which takes no bytes for so long."""

    class Protocol(ImpatientProtocol):
        stalled_s = stall_s

    return Protocol
