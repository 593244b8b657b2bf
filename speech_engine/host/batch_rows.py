"""The waiting work of a batch's model thread: jobs with their rows, and calls between two steps. The sound of
a job waits here for its reader.

`BatchLoop` holds its lock around every call here, except where a method says otherwise.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from hashlib import blake2b
from typing import Any, Generic, NamedTuple

from speech_engine.errors import EngineFailed
from speech_engine.host.batch_model import Order, R, RowSpec, V
from speech_engine.host.continuity import Listener
from speech_engine.host.pipe import call_on_loop
from speech_engine.values import SpeechJob

UNREAD_BYTES = 1024 * 1024
"""The most sound of a job that may wait for its reader: at a full spool, its rows pause."""

RESERVED_PART = 4
"""One row in so many is reserved for new listeners: further segments and more idle work cannot take it."""


class BatchJob(Generic[V, R]):
    """One job: its listener, its segments that will join, and its sound in order. `read_segment` is the
    segment whose sound is read now, and `next_segment` joins the model next. `ended_segments` tells for each
    segment whether the model has ended it. `live_rows` counts those in the model."""

    def __init__(
        self,
        job: SpeechJob,
        voice: V,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        rate_hz: int,
    ) -> None:
        self.job = job
        self.rate_hz = rate_hz
        self.voice = voice
        self.listener = listener
        self.next_segment = 0
        self.live_rows = 0
        self.error: Exception | None = None
        self.is_dropped = False
        self.changed = asyncio.Event()
        self.rows_gone = asyncio.Event()
        self.ended_segments = [False] * len(job.segments)
        self._seed = secrets.randbits(63) if job.seed is None else job.seed
        self._loop = loop
        self._sounds: list[deque[bytes]] = [deque() for _ in job.segments]
        self.read_segment = 0
        self._unread_bytes = 0
        self._unread_now = 0

    @property
    def is_over(self) -> bool:
        return self.error is not None or self.read_segment == len(self.ended_segments)

    @property
    def has_next(self) -> bool:
        return not self.is_ending and self.next_segment < len(self.ended_segments)

    @property
    def awaits_rows(self) -> bool:
        """Whether rows may still come that are in no list yet: only a conversion has such rows."""
        return False

    @property
    def is_ending(self) -> bool:
        return self.is_dropped or self.error is not None

    @property
    def is_full(self) -> bool:
        return self._unread_bytes > UNREAD_BYTES

    def may_step(self, segment: int) -> bool:
        """Tell whether a row may make more. The segment that plays next must not wait for those after it."""
        if segment == self.read_segment:
            return self._unread_now <= UNREAD_BYTES
        return not self.is_full

    def spec(self) -> RowSpec[V]:
        number = self.next_segment
        # A segment sounds the same whichever of its job's rows are beside it.
        digest = blake2b(f"{self._seed}/{number}".encode(), digest_size=8).digest()
        spoken = self.job.segments[number].spoken
        return RowSpec(self.job, number, spoken, int.from_bytes(digest) >> 1, self.voice)

    def add_segment(self) -> None:
        self.ended_segments.append(False)
        self._sounds.append(deque())

    def take_sound(self) -> tuple[int, bytes] | None:
        """Return the sound that comes next, with its segment, if it is there."""
        while self.read_segment < len(self.ended_segments):
            sounds = self._sounds[self.read_segment]
            if sounds:
                pcm = sounds.popleft()
                self._unread_bytes -= len(pcm)
                self._unread_now -= len(pcm)
                return self.read_segment, pcm
            if not self.ended_segments[self.read_segment]:
                return None
            self.read_segment += 1
            if self.read_segment < len(self.ended_segments):
                self._unread_now = sum(map(len, self._sounds[self.read_segment]))
        return None

    def add_sound(self, segment: int, pcm: bytes) -> None:
        if pcm:
            self._sounds[segment].append(pcm)
            self._unread_bytes += len(pcm)
            if segment == self.read_segment:
                self._unread_now += len(pcm)
        call_on_loop(self._loop, self.changed.set)

    def fail(self, error: Exception) -> None:
        self.error = self.error or error
        call_on_loop(self._loop, self.changed.set)

    def note_rows_gone(self) -> None:
        """Note that the model has none of this job's rows."""
        call_on_loop(self._loop, self.rows_gone.set)


class BatchRow(Generic[V, R]):
    """A segment in the model, or about to join it. `handle` is the model's own row; the join sets it."""

    def __init__(self, speech: BatchJob[V, R], spec: RowSpec[V]) -> None:
        self.speech = speech
        self.spec = spec
        self.is_joined = False
        self.unheard_s = 0.0
        self.has_sounded = False
        self.handle: R

    @property
    def listener(self) -> Listener:
        return self.speech.listener

    @property
    def segment(self) -> int:
        return self.spec.segment


class RowTable(Generic[V, R]):
    """All jobs of a batch, and the rows that the model has: at most `limit`."""

    def __init__(self, limit: int) -> None:
        self.speeches: dict[BatchJob[V, R], None] = {}
        self.live: list[BatchRow[V, R]] = []
        self._limit = limit
        self._reserved = limit // RESERVED_PART

    def __repr__(self) -> str:
        return f"<RowTable of {len(self.speeches)} jobs, {len(self.live)} of {self._limit} rows>"

    @property
    def has_work(self) -> bool:
        """Whether a turn of the loop would change anything."""
        if any(speech.is_ending for speech in self.speeches) or self.ready:
            return True
        if any(row.speech.is_ending for row in self.live):
            return True
        return self._next_speech(len(self.live), "fifo") is not None

    @property
    def ready(self) -> list[BatchRow[V, R]]:
        return [row for row in self.live if not row.speech.is_ending and row.speech.may_step(row.segment)]

    def add(self, speech: BatchJob[V, R]) -> None:
        self.speeches[speech] = None

    def next_row(self, order: Order) -> BatchRow[V, R] | None:
        """Return the segment that joins now, which is due first."""
        speech = self._next_speech(len(self.live), order)
        if speech is None:
            return None
        row = BatchRow(speech, speech.spec())
        speech.next_segment += 1
        return row

    def note_joined(self, row: BatchRow[V, R], handle: R) -> None:
        row.handle, row.is_joined = handle, True
        row.speech.live_rows += 1
        self.live.append(row)

    def note_sound(
        self, row: BatchRow[V, R], pcm: bytes, seconds: float, now: float, *, is_over: bool
    ) -> None:
        """Note what a row made, for its reader and for its listener's slack."""
        speech = row.speech
        if seconds:
            speech.listener.note_sound(row.segment, seconds, now)
        if is_over:
            speech.ended_segments[row.segment] = True
            speech.listener.note_over(row.segment, speech.ended_segments)
            self._leave(row)
        speech.add_sound(row.segment, pcm)
        self._forget(speech)

    def note_failed(self, row: BatchRow[V, R], error: Exception) -> None:
        """Note that a row's job has failed. The row itself has left the model."""
        if row.is_joined:
            self._leave(row)
        row.speech.fail(error)
        self._forget(row.speech)

    def take_dropped(self) -> list[BatchRow[V, R]]:
        """Take out the rows of jobs whose readers have left. The caller lets them leave the model."""
        dropped = [row for row in self.live if row.speech.is_ending]
        for row in dropped:
            self._leave(row)
        return dropped

    def forget_ended(self) -> None:
        """Forget the jobs whose rows have left."""
        for speech in list(self.speeches):
            self._forget(speech)

    def clear(self) -> list[BatchJob[V, R]]:
        """Give up all jobs, because the model has ended."""
        speeches = list(self.speeches)
        self.live.clear()
        self.speeches.clear()
        for speech in speeches:
            speech.note_rows_gone()
        return speeches

    def _next_speech(self, occupied: int, order: Order) -> BatchJob[V, R] | None:
        if occupied >= self._limit:
            return None
        idle = None if order == "fifo" else self._rowless_idle()
        # One row is for idle work, which is due a part of all steps and can take it only with a row.
        room = self._limit if idle is None else self._limit - 1
        free = [
            speech
            for speech in self.speeches
            if speech.has_next
            and (speech is idle or occupied < (room if _is_new(speech) else self._limit - self._reserved))
        ]
        if order == "fifo":
            return next(iter(free), None)
        return min(free, key=_joins_at, default=None)

    def _rowless_idle(self) -> BatchJob[V, R] | None:
        if self._limit == 1 or any(row.listener.is_idle for row in self.live):
            return None
        return next((each for each in self.speeches if each.has_next and each.listener.is_idle), None)

    def _leave(self, row: BatchRow[V, R]) -> None:
        row.is_joined = False
        self.live.remove(row)
        row.speech.live_rows -= 1

    def _forget(self, speech: BatchJob[V, R]) -> None:
        is_waiting = speech.has_next or speech.awaits_rows
        if not speech.live_rows and not is_waiting and speech in self.speeches:
            del self.speeches[speech]
            speech.note_rows_gone()


def _is_new(speech: BatchJob[Any, Any]) -> bool:
    """Tell whether a listener waits for the very next row of this job."""
    return speech.next_segment == speech.listener.current and not speech.listener.is_idle


def _joins_at(speech: BatchJob[Any, Any]) -> tuple[bool, float]:
    return speech.listener.is_idle, speech.listener.due_at(speech.next_segment)


LONGEST_WAIT_S = 1.0
"""After a call, the next one waits at most as long as that call took, and no longer than this."""


class _Call(NamedTuple):
    work: Callable[[], Any]
    result: Future[Any]
    is_counted: bool


class ModelCalls:
    """Calls to the model thread, such as the making of a voice: one at a time, between two steps.

    No sound is made meanwhile. So a call waits while a listener would run dry, but not for ever. The
    owner holds a lock around all but `run`.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._took_s = 0.0
        self._ended_at = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, work: Callable[[], Any], *, is_counted: bool) -> Future[Any]:
        result: Future[Any] = Future()
        self._waiting.append(_Call(work, result, is_counted))
        return result

    def next_due(self, slack_s: float, now: float) -> _Call | None:
        """Take out the call that begins now. The listener with the least sound has `slack_s` seconds left."""
        while self._waiting:
            if slack_s <= self._took_s and now < self._ended_at + min(self._took_s, LONGEST_WAIT_S):
                return None
            call = self._waiting.popleft()
            if call.result.set_running_or_notify_cancel():
                return call
        return None

    def run(self, call: _Call, clock: Callable[[], float]) -> float:
        """Run a call on the model thread. Return its seconds, or 0 for a call that is not counted."""
        began = clock()
        try:
            result = call.work()
        except BaseException as error:  # noqa: BLE001 - the seam around a plugin: raised again in the caller
            call.result.set_exception(ordinary(error))
        else:
            call.result.set_result(result)
        self._ended_at = clock()
        self._took_s = self._ended_at - began if call.is_counted else 0.0
        return self._took_s

    def refuse_all(self, reason: Exception) -> None:
        while self._waiting:
            call = self._waiting.popleft()
            if call.result.set_running_or_notify_cancel():
                call.result.set_exception(reason)


def ordinary(error: BaseException) -> Exception:
    """Return an error that an event loop can raise: libraries have their own kinds of panic and exit."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return EngineFailed(f"The engine broke: {type(error).__name__}.")
