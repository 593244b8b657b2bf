"""How many frames of WebSockets a worker reads. A frame of 6 bytes costs some microseconds, so a read that is
full of them would hold the loop.

An account below 100 frames a second never waits, nor does a socket below 20. All others read in turns, first
those of the account with the fewest frames in the last second, and together 10,000 a second. An account with
2,000 waits. Of its sockets, those with few frames go before the others, and who waits goes forward. Those
with 100 frames leave 200 to the others.

A message counts as a frame, whatever it says: with a letter for an utterance it costs about 20 µs, a ping 6.
So 10,000 a second are a fifth of a core. Counted as four, ten honest streams of 50 tokens a second of one
account would wait for 1.5 s in the middle.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter
from typing import Protocol

TURN_BYTES = 4096
WORKER_FRAMES_PER_S, ACCOUNT_FRAMES_PER_S, FREE_FRAMES_PER_S = 10_000, 2000, 100
"""All sockets of the worker, all sockets of an account, and what an account has without a wait."""
FREE_SOCKET_FRAMES_PER_S = 20
"""What each socket has without a wait, whatever its account has. By the default settings an account may have
100 sockets, which is its limit."""

_RESERVED_FRAMES_PER_S = 200
_LEAST_FRAME_BYTES = 6
_LATER_FRAMES = 40
"""Who had so many frames in the last second comes a second later than one without. At most 100 count."""
_RECHECK_S = 0.01  # when all waiting accounts are above their limit
_MOST_DEBT_S = 0.1


class PacedReader(Protocol):
    """A socket whose client has sent something."""

    account: str
    pace_key: object
    """Its own, which lives as long as frames are counted for it: an address may be another socket's soon."""

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
        # Frames by account and by key of a reader, in this second of the loop's clock and in the one before.
        self._this_second: Counter[object] = Counter()
        self._last_second: Counter[object] = Counter()
        # By account, in a heap, by the moment when they are due.
        self._waiting_readers: dict[str, list[tuple[float, int, PacedReader]]] = {}
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._next_turn_s = 0.0  # no reader gets a turn before this moment

    def read_or_wait(self, reader: PacedReader) -> bool:
        """Let a socket read now and return True, or give it a later turn and return False."""
        own_frames = int(self.recent_frames(reader.pace_key))
        frames_left = FREE_FRAMES_PER_S - int(self.recent_frames(reader.account))
        frames_left = max(frames_left, FREE_SOCKET_FRAMES_PER_S - own_frames)
        if frames_left > 0:
            self._count(reader, reader.read_some(min(TURN_BYTES, frames_left * _LEAST_FRAME_BYTES)))
            return True
        due_s = asyncio.get_running_loop().time() + min(own_frames, FREE_FRAMES_PER_S) / _LATER_FRAMES
        waiting = self._waiting_readers.setdefault(reader.account, [])
        heapq.heappush(waiting, (due_s, next(self._numbers), reader))
        self._set_timer(self._next_turn_s)
        return False

    def recent_frames(self, key: object) -> float:
        """Return about how many frames an account, or a reader by its `pace_key`, had in the last second."""
        second, fraction = divmod(asyncio.get_running_loop().time(), 1.0)
        if second != self._current_second:
            self._last_second = self._this_second if second == self._current_second + 1 else Counter()
            self._this_second, self._current_second = Counter(), second
        return self._this_second[key] + self._last_second[key] * (1.0 - fraction)

    def _frames_left(self, account: str) -> float:
        """Return how many frames the next reader of a waiting account may read."""
        *_, reader = self._waiting_readers[account][0]
        floods = self.recent_frames(reader.pace_key) >= FREE_FRAMES_PER_S
        most = ACCOUNT_FRAMES_PER_S - (_RESERVED_FRAMES_PER_S if floods else 0)
        return most - self.recent_frames(account)

    def _count(self, reader: PacedReader, frames: int) -> None:
        self._this_second[reader.account] += frames
        self._this_second[reader.pace_key] += frames

    def add_work(self, reader: PacedReader, frames: int) -> None:
        """Count work that a message has begun. It costs about as much as reading this many `frames`."""
        self.recent_frames(reader.account)  # it sets `_this_second`
        self._count(reader, frames)
        now = asyncio.get_running_loop().time()
        next_turn_s = max(self._next_turn_s, now) + frames / WORKER_FRAMES_PER_S
        # The account and the socket wait longer. Others wait no longer than this for what it has begun.
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
        *_, reader = heapq.heappop(self._waiting_readers[account])
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
