"""A batched model that converts without torch: each voice is a number, by which samples are moved. So what
comes out tells exactly what came in, where, and whose voice it was.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from speech_engine import Audio, EngineVoice, Event, Finished, SpeechJob, Started
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, RowSpec, RowStep, RowWork
from speech_engine.host.windows import SoundWindow, WindowSizes
from tests.speech_engine.host.batches import Host

RATE_HZ = 24_000
SIZES = WindowSizes(first=(240, 480), usual=1_200, context=120, grid=10)
STEP_S = 0.01
_MODULUS = 1 << 16


class MoverFault(Exception):
    """What the model raises for a voice that is told to."""


class MoverRow:
    def __init__(self, spec: RowSpec[int]) -> None:
        self.job = spec.job.id
        self.voice = spec.voice
        self.window: bytes = spec.window

    def __repr__(self) -> str:
        return f"<MoverRow of {self.job}>"


class MoverModel:
    """Moves each sample of a window by its voice. `before_step` gets the rows of each step."""

    rate_hz = RATE_HZ

    def __init__(self, before_step: Callable[[Sequence[MoverRow]], None] = lambda _rows: None) -> None:
        self.before_step = before_step
        self.present: set[MoverRow] = set()
        self.widths: list[int] = []
        self.faulty_voice: int | None = None

    def expected(self, job: SpeechJob, voice: int | None) -> Sequence[RowWork]:
        del voice
        lengths = SIZES.expected(round(job.estimated_s * RATE_HZ))
        return [RowWork((length - 2 * SIZES.context) / RATE_HZ, length / RATE_HZ, 1) for length in lengths]

    def work(self, row: MoverRow) -> RowWork:
        seconds = len(row.window) / 2 / RATE_HZ
        return RowWork(seconds, seconds, 1)

    def join(self, spec: RowSpec[int]) -> MoverRow:
        if spec.voice == self.faulty_voice:
            raise MoverFault
        row = MoverRow(spec)
        self.present.add(row)
        return row

    def step(self, rows: Sequence[MoverRow]) -> list[RowStep]:
        assert self.present.issuperset(rows)
        self.before_step(rows)
        self.widths.append(len(rows))
        return [RowStep(False, True) for _ in rows]

    def sound(self, row: MoverRow, is_last: bool) -> bytes:
        del is_last
        return moved(row.window, row.voice)

    def leave(self, row: MoverRow) -> None:
        self.present.remove(row)


class Moving:
    """A `Conversion`: what is heard of a window is its own stretch of it."""

    sizes = SIZES
    rate_hz = RATE_HZ

    def __init__(self, voice: int, before_prepare: Callable[[SoundWindow], None] = lambda _: None) -> None:
        self.voice = voice
        self.prepared: list[int] = []
        self.threads: set[str] = set()
        self._before_prepare = before_prepare

    def prepare(self, window: SoundWindow) -> Any:
        self._before_prepare(window)
        self.threads.add(threading.current_thread().name)
        self.prepared.append(window.number)
        return window.pcm

    def work(self, window: SoundWindow) -> RowWork:
        return RowWork((window.end - window.start) / RATE_HZ, len(window.pcm) / 2 / RATE_HZ, 1)

    def join(self, window: SoundWindow, pcm: bytes) -> bytes:
        return pcm[2 * (window.start - window.begin) : 2 * (window.end - window.begin)]


class Input:
    """A recording in pieces, which stops at `stops_at` until it `goes_on`. `given` counts its bytes."""

    def __init__(self, pcm: bytes, piece: int = 301, stops_at: int | None = None) -> None:
        self.given = 0
        self.is_closed = False
        self._pcm = pcm
        self._piece = piece
        self._stops_at = stops_at
        self.goes_on: Any = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            for at in range(0, len(self._pcm), self._piece):
                if self._stops_at is not None and at >= self._stops_at:
                    await self.goes_on.wait()
                self.given += len(self._pcm[at : at + self._piece])
                yield self._pcm[at : at + self._piece]
        finally:
            self.is_closed = True


Movers = BatchLoop[int, MoverRow]


@asynccontextmanager
async def movers(model: MoverModel, host: Host | None = None, **settings: Any) -> AsyncIterator[Movers]:
    context = (host or Host()).context
    told = msgspec.convert({"width": 4, **settings}, BatchSettings)
    async with BatchLoop(model, told, context, STEP_S) as loop:
        yield loop


def recording(samples: int, seed: int = 1) -> bytes:
    """Samples of which no two stretches are alike."""
    return array("H", ((each * 40_503 + seed * 7_919) % _MODULUS for each in range(samples))).tobytes()


def moved(pcm: bytes, voice: int) -> bytes:
    return array("H", ((each + voice) % _MODULUS for each in array("H", pcm))).tobytes()


def job(id_: str, samples: int = 2_400, **more: Any) -> SpeechJob:
    return SpeechJob(
        id=id_,
        tenant="acc_1",
        model="mover",
        voice=EngineVoice("any"),
        segments=(),
        language="*",
        estimated_s=samples / RATE_HZ,
        **more,
    )


async def converted(loop: Movers, id_: str, voice: int, pcm: bytes, piece: int = 301, **more: Any) -> bytes:
    """Return the whole sound of a conversion."""
    asked = job(id_, len(pcm) // 2, **more)
    return await heard(loop.convert(asked, Moving(voice), Input(pcm, piece).pieces()))


async def heard(events: AsyncGenerator[Event, None]) -> bytes:
    made = []
    async with aclosing(events):
        assert await anext(events) == Started(RATE_HZ)
        async for event in events:
            if isinstance(event, Audio):
                assert event.segment == 0
                made.append(event.pcm)
            else:
                assert isinstance(event, Finished)
    return b"".join(made)
