"""uvicorn's HTTP protocol, less its patience: a client that takes no bytes is cut off.

Only here is the transport at hand: an application can stop sending, but bytes that are already buffered
would keep a stalled connection, and its memory, for as long as the peer likes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

STALLED_S = 30.0


class ImpatientProtocol(HttpToolsProtocol):
    """Aborts the connection when its write buffer has not shrunk for `stalled_s`."""

    stalled_s = STALLED_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._looking: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        self._stop_looking()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_looking()
        super().connection_lost(exc)

    def _look_again(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._looking = self.loop.call_later(self.stalled_s, self._look, waiting)

    def _look(self, waiting_before: int) -> None:
        if self.transport.get_write_buffer_size() < waiting_before:
            self._look_again()
        else:
            self.transport.abort()

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
