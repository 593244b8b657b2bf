"""How many frames of WebSockets a worker reads. A frame of 6 bytes costs some microseconds, so a read that is
full of them would hold the loop.

An account below 100 frames a second never waits, nor does a socket below 20. All others read in turns, first
those of the account with the fewest frames in the last second, and together 10,000 a second. An account with
2,000 waits. Of its sockets, those with fewer than 100 frames go before the others, which leave 200 to them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Protocol

TURN_BYTES = 4096
WORKER_FRAMES_PER_S, ACCOUNT_FRAMES_PER_S, FREE_FRAMES_PER_S = 10_000, 2000, 100
"""All sockets of the worker, all sockets of an account, and what an account has without a wait."""
FREE_SOCKET_FRAMES_PER_S = 20
"""What each socket has without a wait. As many sockets as there may be have no more than those limits."""

_RESERVED_FRAMES_PER_S = 200
_LEAST_FRAME_BYTES = 6
_RECHECK_S = 0.02  # when all waiting accounts are above their limit
_MOST_DEBT_S = 0.1


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
        self._current_second = 0.0
        # Frames by account and by id of a reader, in this second of the loop's clock and in the one before.
        self._this_second: Counter[str | int] = Counter()
        self._last_second: Counter[str | int] = Counter()
        self._waiting_readers: dict[str, deque[PacedReader]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_turn_s = 0.0  # no reader gets a turn before this moment

    def read_or_wait(self, reader: PacedReader) -> bool:
        """Let a socket read now and return True, or give it a later turn and return False."""
        own_frames = int(self.recent_frames(id(reader)))
        frames_left = FREE_FRAMES_PER_S - int(self.recent_frames(reader.account))
        frames_left = max(frames_left, FREE_SOCKET_FRAMES_PER_S - own_frames)
        if frames_left > 0:
            self._count(reader, reader.read_some(min(TURN_BYTES, frames_left * _LEAST_FRAME_BYTES)))
            return True
        waiting = self._waiting_readers.setdefault(reader.account, deque())
        (waiting.appendleft if own_frames < FREE_FRAMES_PER_S else waiting.append)(reader)
        self._set_timer(self._next_turn_s)
        return False

    def recent_frames(self, account: str | int) -> float:
        """Return about how many frames of an account or a reader were read in the last second."""
        second, fraction = divmod(asyncio.get_running_loop().time(), 1.0)
        if second != self._current_second:
            self._last_second = self._this_second if second == self._current_second + 1 else Counter()
            self._this_second, self._current_second = Counter(), second
        return self._this_second[account] + self._last_second[account] * (1.0 - fraction)

    def _frames_left(self, account: str) -> float:
        """Return how many frames the next reader of a waiting account may read."""
        floods = self.recent_frames(id(self._waiting_readers[account][0])) >= FREE_FRAMES_PER_S
        most = ACCOUNT_FRAMES_PER_S - (_RESERVED_FRAMES_PER_S if floods else 0)
        return most - self.recent_frames(account)

    def _count(self, reader: PacedReader, frames: int) -> None:
        self._this_second[reader.account] += frames
        self._this_second[id(reader)] += frames

    def add_work(self, account: str, frames: int) -> None:
        """Count work that a message has begun. It costs about as much as reading this many `frames`."""
        self.recent_frames(account)  # it sets `_this_second`
        self._this_second[account] += frames
        now = asyncio.get_running_loop().time()
        next_turn_s = max(self._next_turn_s, now) + frames / WORKER_FRAMES_PER_S
        # The account itself waits longer. Others wait no longer than this for what it has begun.
        self._next_turn_s = min(next_turn_s, max(self._next_turn_s, now + _MOST_DEBT_S))

    def _set_timer(self, time_s: float) -> None:
        if self._timer is None and self._waiting_readers:
            self._timer = asyncio.get_running_loop().call_at(time_s, self._give_turn)

    def _give_turn(self) -> None:
        self._timer, now = None, asyncio.get_running_loop().time()
        account = max(self._waiting_readers, key=self._frames_left)
        if (frames_left := self._frames_left(account)) < 1:
            self._set_timer(now + _RECHECK_S)
            return
        reader = self._waiting_readers[account].popleft()
        if not self._waiting_readers[account]:
            del self._waiting_readers[account]
        frames = 1
        try:
            frames = reader.read_some(min(TURN_BYTES, int(frames_left) * _LEAST_FRAME_BYTES))
        finally:
            # Also after a failure of this socket, the others get their turns.
            self._count(reader, frames)
            self._next_turn_s = max(self._next_turn_s, now) + frames / WORKER_FRAMES_PER_S
            self._set_timer(self._next_turn_s)
        reader.read_on()
