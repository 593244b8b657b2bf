"""uvicorn's HTTP protocol with two additions, because only the protocol has the transport.

It is the `Peer` of its requests: a client that has gone, or that takes bytes too slowly, is told without a
task. It cuts off a client that does not read at all: an application can stop sending, but bytes that are
already buffered keep a stalled connection and its memory for as long as the client likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proxy.http.connection import PEER


class ServerProtocol(HttpToolsProtocol):
    """A `Peer`. It aborts the connection when its write buffer has not shrunk for `stall_s`."""

    stall_s: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_gone = False
        self.on_gone: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_behind(self) -> bool:
        return self.flow.write_paused

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
        self.scope["extensions"] = {PEER: self}  # type: ignore[dict-item]  # an object, not a dict

    def on_response_complete(self) -> None:
        """Watch the rest of the answer. The application is done, so it cannot see that the client stalls."""
        super().on_response_complete()
        self._watch_the_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)
        self.is_gone = True
        if self.on_gone is not None:
            self.on_gone()

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


def server_protocol(seconds: float) -> type[ServerProtocol]:
    """Return a protocol that cuts off a client when it takes no bytes for so many seconds."""

    class LimitedProtocol(ServerProtocol):
        stall_s = seconds

    return LimitedProtocol
