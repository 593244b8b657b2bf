"""A recording's way through a batch. A window is a part of the input, and a row is its place in the batch.
The sound of a row is heard as a whole.

Input waits outside while enough windows are unheard. So a long recording takes no more memory than a short
one, and a slow reader stops its input.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Generic, Protocol, TypeVar

from speech_engine.host.batch_model import R, RowSpec, RowWork, V
from speech_engine.host.batch_rows import BatchJob
from speech_engine.host.continuity import Listener
from speech_engine.host.pipe import call_on_loop
from speech_engine.host.windows import SoundWindow, WindowCutter, WindowSizes
from speech_engine.values import SpeechJob

MOST_UNHEARD = 8
"""The windows of one job that are prepared, in the model, or made and not yet read."""

C = TypeVar("C", covariant=True)


class Conversion(Protocol[C]):
    """An engine's conversion of one recording. `prepare` may run in any thread, all else on the event
    loop."""

    @property
    def voice(self) -> C: ...

    @property
    def rate_hz(self) -> int:
        """The rate of the converted sound, which is the voice's own."""
        ...

    @property
    def sizes(self) -> WindowSizes: ...

    def prepare(self, window: SoundWindow) -> Any:
        """Return the `RowSpec.window` of a window: all of its preparation that needs no device. Windows come
        in order, one after another. Any exception ends the job."""
        ...

    def work(self, window: SoundWindow) -> RowWork:
        """Return the cost of a window."""
        ...

    def join(self, window: SoundWindow, pcm: bytes) -> bytes:
        """Return the next sound, of the sound of a window's row. All returned sound together is as long as
        the recording."""
        ...


class ConversionJob(BatchJob[V, R], Generic[V, R]):
    """A job whose rows come while it runs."""

    def __init__(
        self, job: SpeechJob, conversion: Conversion[V], listener: Listener, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(job, conversion.voice, listener, loop, conversion.rate_hz)
        self.windows: list[SoundWindow] = []
        self.has_room = asyncio.Event()
        self.has_room.set()
        self._conversion = conversion
        self._prepared: deque[Any] = deque()
        self._has_all = False

    @property
    def awaits_rows(self) -> bool:
        return not self._has_all and not self.is_ending

    @property
    def is_over(self) -> bool:
        return self.error is not None or (self._has_all and self.read_segment == len(self.ended_segments))

    def add(self, window: SoundWindow, prepared: Any) -> None:
        """Note the next window: its row may join."""
        # The prepared window has its samples.
        self.windows.append(window._replace(pcm=b""))
        self.listener.expect(window.number, self._conversion.work(window))
        self._prepared.append(prepared)
        self.add_segment()
        self._judge_room()

    def add_end(self) -> None:
        """Note that no window will follow."""
        self._has_all = True
        self.listener.end_at(len(self.ended_segments))
        call_on_loop(self._loop, self.changed.set)

    def spec(self) -> RowSpec[V]:
        number = self.next_segment
        return RowSpec(self.job, number, "", 0, self.voice, self._prepared.popleft())

    def take_sound(self) -> tuple[int, bytes] | None:
        sound = super().take_sound()
        self._judge_room()
        return sound

    def _judge_room(self) -> None:
        if len(self.ended_segments) - self.read_segment < MOST_UNHEARD:
            self.has_room.set()
        else:
            self.has_room.clear()


async def cut_windows(pcm: AsyncIterator[bytes], cutter: WindowCutter) -> AsyncGenerator[SoundWindow, None]:
    """Yield the windows of a recording as soon as each is whole."""
    async for data in pcm:
        for window in cutter.feed(data):
            yield window
    for window in cutter.finish():
        yield window
