"""How many frames of WebSockets a worker reads. A frame of 6 bytes costs some microseconds, so a read that is
full of them would hold the loop.

All sockets read in turns. Beyond 2,000 frames a second of an account, and 10,000 of the worker, the accounts
with the most frames in the last second wait. An account below 100 a second never waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Protocol

TURN_BYTES = 4096
OF_WORKER, OF_ACCOUNT, NEVER_WAITS = 10_000, 2000, 100
"""Frames a second."""

_LEAST_FRAME_BYTES = 6
_LOOK_S = 0.02


class PacedReader(Protocol):
    """A socket whose client has sent something."""

    account: str

    def read_some(self, most_bytes: int) -> int:
        """Read, and return the number of frames, at least 1."""
        ...

    def read_on(self) -> None:
        """Ask for the next turn, if there is more to read."""
        ...


class FramePace:
    """The turns of the sockets of a worker."""

    def __init__(self) -> None:
        self._second = 0.0
        # Frames by account, in this second of the loop's clock and in the one before.
        self._now: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._waiting: dict[str, deque[PacedReader]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = 0.0

    def read_or_wait(self, reader: PacedReader) -> bool:
        """Let a socket read now, or tell that it gets its turn later."""
        spare = NEVER_WAITS - int(self.frames(reader.account))
        if spare > 0:
            self._now[reader.account] += reader.read_some(min(TURN_BYTES, spare * _LEAST_FRAME_BYTES))
            return True
        self._waiting.setdefault(reader.account, deque()).append(reader)
        self._set_timer(self._free_at)
        return False

    def frames(self, account: str) -> float:
        """Return about how many frames of an account were read in the last second."""
        second, part = divmod(asyncio.get_running_loop().time(), 1.0)
        if second != self._second:
            self._before = self._now if second == self._second + 1 else Counter()
            self._now, self._second = Counter(), second
        return self._now[account] + self._before[account] * (1.0 - part)

    def add_work(self, account: str, frames: int) -> None:
        """Count what a message has begun, which costs as much as so many frames."""
        self.frames(account)
        self._now[account] += frames
        self._free_at = max(self._free_at, asyncio.get_running_loop().time()) + frames / OF_WORKER

    def _set_timer(self, at: float) -> None:
        if self._timer is None and self._waiting:
            self._timer = asyncio.get_running_loop().call_at(at, self._give_turn)

    def _give_turn(self) -> None:
        self._timer, now = None, asyncio.get_running_loop().time()
        account = min(self._waiting, key=self.frames)
        if self.frames(account) >= OF_ACCOUNT:
            self._set_timer(now + _LOOK_S)
            return
        reader = self._waiting[account].popleft()
        if not self._waiting[account]:
            del self._waiting[account]
        frames = 1
        try:
            frames = reader.read_some(TURN_BYTES)
        finally:
            # Also after a failure of this socket, the others get their turns.
            self._now[account] += frames
            self._free_at = max(self._free_at, now) + frames / OF_WORKER
            self._set_timer(self._free_at)
        reader.read_on()
