"""The sides of `bench.gpu`: upstream's functions, one text at a time, and our model in its batch loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

from bench.gpu_cells import CODE_S, Options, Text
from plugins.xtts.checkpoint import Checkpoint, load_checkpoint
from plugins.xtts.conditioning import VoiceMaker, XttsVoice
from plugins.xtts.decoding import BatchedDecoder
from plugins.xtts.model import XttsModel, XttsRow
from plugins.xtts.model_format import RATE_HZ
from plugins.xtts.text import TextReader, readable_languages
from speech_engine import Audio, Context, EngineVoice, Segment, SpeechJob
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, RowSpec, RowStep
from speech_engine.host.log import HostLogger
from tests.plugins.xtts.in_environment.rig import upstream_over

# isort: split
import torch

LANGUAGE = "en"
T = TypeVar("T")


def load_side(device: str, load: Callable[[], T]) -> tuple[T, int]:
    """Return what `load` makes, and the bytes that it holds on a card."""
    before = 0 if device == "cpu" else torch.cuda.memory_allocated(device)
    made = load()
    return made, 0 if device == "cpu" else torch.cuda.memory_allocated(device) - before


class Upstream:
    """Upstream's model with what its server has round it: one thread, and a lock."""

    def __init__(self, folder: Path, device: str, options: Options) -> None:
        checkpoint = load_checkpoint(folder, device, lambda _part, _what: None)
        self._model = upstream_over(folder, checkpoint)
        self._sampling = checkpoint.sampling._asdict()
        self.voices: Sequence[XttsVoice] = ()
        self.lock = asyncio.Lock()
        self.thread = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(options.threads,))

    def pieces(self, text: Text, voice: int, *, is_streaming: bool) -> Iterator[float]:
        """Speak as upstream does. The longest and the shortest answer are both `text.codes`."""
        heard = self.voices[voice]
        self._model.gpt.max_gen_mel_tokens = text.codes
        how = {**self._sampling, "min_new_tokens": text.codes}
        given = (text.spoken, LANGUAGE, heard.latents, heard.speaker)
        if is_streaming:
            for piece in self._model.inference_stream(*given, **how):
                yield len(piece.cpu()) / RATE_HZ
        else:
            yield len(self._model.inference(*given, **how)["wav"]) / RATE_HZ


class OneAtATime:
    """One of upstream's two functions, behind its lock."""

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
            pieces = upstream.pieces(text, voice, is_streaming=self._is_streaming)
            while (piece_s := await loop.run_in_executor(upstream.thread, next, pieces, None)) is not None:
                yield piece_s

    def figures(self) -> Mapping[str, float]:
        return {}


class FixedLengthModel(XttsModel):
    """Speaks as many codes as a job's estimate asks for, whatever the model says."""

    def __init__(
        self, checkpoint: Checkpoint, reader: TextReader, decoder: BatchedDecoder, voices: VoiceMaker
    ) -> None:
        super().__init__(checkpoint, reader, decoder, voices)
        self._wanted: dict[XttsRow, int] = {}

    def join(self, spec: RowSpec[XttsVoice]) -> XttsRow:
        row = super().join(spec)
        self._wanted[row] = round(spec.job.estimated_s / CODE_S)
        return row

    def step(self, rows: Sequence[XttsRow]) -> list[RowStep]:
        return [
            step._replace(is_over=len(row.decoding.codes) == self._wanted.get(row))
            for row, step in zip(rows, super().step(rows), strict=True)
        ]

    def leave(self, row: XttsRow) -> None:
        self._wanted.pop(row, None)
        super().leave(row)


class Batched:
    """Our model in the loop of its host. All clients are admitted: nobody is told to come later."""

    name = "ours"

    def __init__(self, folder: Path, device: str, options: Options) -> None:
        self.checkpoint = load_checkpoint(folder, device, lambda _part, _what: None)
        languages = readable_languages(self.checkpoint.languages)
        reader = TextReader(self.checkpoint.vocabulary, languages, self.checkpoint.sizes)
        precision = getattr(torch, options.precision)
        decoder = BatchedDecoder(self.checkpoint, precision, fixed_codes=self.checkpoint.sizes.most_codes)
        self.maker = VoiceMaker(self.checkpoint, device)
        self._model = FixedLengthModel(self.checkpoint, reader, decoder, self.maker)
        self._options = options
        self._batch: BatchLoop[XttsVoice, XttsRow] | None = None
        self._numbers = count()
        self.voices: Sequence[XttsVoice] = ()

    @asynccontextmanager
    async def open(self, clients: int) -> AsyncIterator[None]:
        settings = BatchSettings(slots=clients, rows=clients, width=self._options.width)
        async with BatchLoop(self._model, settings, Context(HostLogger("xtts")), CODE_S) as batch:
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
        async with aclosing(self._batch.speak(job, self.voices[voice])) as events:
            async for event in events:
                if isinstance(event, Audio):
                    yield len(event.pcm) / 2 / RATE_HZ

    def figures(self) -> Mapping[str, float]:
        return self._batch.figures() if self._batch is not None else {}
