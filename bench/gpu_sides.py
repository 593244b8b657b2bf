"""The sides of `bench.gpu`: upstream's functions, one text at a time, and our model in its batch loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from itertools import count
from typing import Any, Protocol, TypeVar

import msgspec

from bench.gpu_cells import Options, Text
from speech_engine import Audio, Context, EngineVoice, Segment, SpeechJob
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchModel, BatchSettings
from speech_engine.host.log import HostLogger

# isort: split
import torch

LANGUAGE = "en"
MOST_PIECES = 3
"""A text is cut into so many rows at most."""
T = TypeVar("T")


def load_side(device: str, load: Callable[[], T]) -> tuple[T, int]:
    """Return what `load` makes, and the bytes that it holds on a card."""
    before = 0 if device == "cpu" else torch.cuda.memory_allocated(device)
    made = load()
    return made, 0 if device == "cpu" else torch.cuda.memory_allocated(device) - before


class UpstreamModel(Protocol):
    """Upstream's model, as its own functions use it."""

    def pieces(self, text: Text, voice: int, *, is_streaming: bool) -> Iterator[float]:
        """Speak as upstream does, and yield the seconds of each piece of sound."""
        ...


class Upstream:
    """Upstream's model with what its server has round it: one thread, and a lock."""

    def __init__(self, model: UpstreamModel, options: Options) -> None:
        self.model = model
        self.lock = asyncio.Lock()
        self.thread = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(options.threads,))


class OneAtATime:
    """One of upstream's functions, behind its lock."""

    def __init__(self, upstream: Upstream, *, is_streaming: bool) -> None:
        self._upstream = upstream
        self._is_streaming = is_streaming
        self.name = "upstream stream" if is_streaming else "upstream whole"

    @asynccontextmanager
    async def open(self, clients: int) -> AsyncIterator[None]:
        yield
        # What was cut off goes on until its next piece, and must not slow down what follows.
        await asyncio.get_running_loop().run_in_executor(self._upstream.thread, int)

    async def speak(self, text: Text, voice: int) -> AsyncGenerator[float, None]:
        loop, upstream = asyncio.get_running_loop(), self._upstream
        async with upstream.lock:
            pieces = upstream.model.pieces(text, voice, is_streaming=self._is_streaming)
            while (piece_s := await loop.run_in_executor(upstream.thread, next, pieces, None)) is not None:
                yield piece_s

    def figures(self) -> Mapping[str, float]:
        return {}


class OurModel(BatchModel[Any, Any], Protocol):
    def warm_up_rows(self, count: int, threads: int) -> Sequence[Any]:
        """Return rows of any text, in the thread of the model."""
        ...


class Batched:
    """Our model in the loop of its host. All clients are admitted: nobody is told to come later.

    `cut` is what an engine does with a job before it speaks it.
    """

    name = "ours"

    def __init__(
        self,
        model: OurModel,
        voices: Sequence[Any],
        settings: BatchSettings,
        step_s: float,
        options: Options,
        cut: Callable[[SpeechJob, Any], SpeechJob] = lambda job, _voice: job,
    ) -> None:
        self._model = model
        self._voices = voices
        self._settings = settings
        self._step_s = step_s
        self._options = options
        self._cut = cut
        self._batch: BatchLoop[Any, Any] | None = None
        self._numbers = count()

    @asynccontextmanager
    async def open(self, clients: int) -> AsyncIterator[None]:
        width = self._options.width or self._settings.width
        settings = msgspec.structs.replace(
            self._settings, slots=clients, rows=clients * MOST_PIECES, width=width
        )
        async with BatchLoop(self._model, settings, Context(HostLogger("bench")), self._step_s) as batch:
            # For the thread of this loop, which is a new one.
            await batch.warm_up(lambda count: self._model.warm_up_rows(count, self._options.threads))
            self._batch = batch
            yield

    async def speak(self, text: Text, voice: int) -> AsyncGenerator[float, None]:
        assert self._batch is not None
        number = next(self._numbers)
        job = SpeechJob(
            id=f"job-{number}",
            tenant="acc_1",
            model="m",
            voice=EngineVoice("any"),
            segments=(Segment(text.spoken, 0, len(text.spoken)),),
            language=LANGUAGE,
            seed=number,
            estimated_s=text.seconds,
        )
        heard = self._voices[voice]
        async with aclosing(self._batch.speak(self._cut(job, heard), heard)) as events:
            async for event in events:
                if isinstance(event, Audio):
                    yield len(event.pcm) / 2 / self._model.rate_hz

    def figures(self) -> Mapping[str, float]:
        return self._batch.figures() if self._batch is not None else {}
