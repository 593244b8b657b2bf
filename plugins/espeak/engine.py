"""The embedded voice as an Engine: one utterance at a time, in one thread, for one event loop.

It knows the library only as a function that speaks an utterance; `worker.py` has that function.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import lru_cache

from plugins.espeak.handover import Handover
from plugins.espeak.languages import identifier_for, languages
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.rendering import SAMPLE_RATE_HZ, Mark, Rendering
from plugins.espeak.safe_text import safe
from plugins.espeak.utterance import NORMAL_RATE, SLOWEST_RATE, Utterance, utterance_of
from plugins.espeak.voices import voices
from speech_engine import Event, Finished, ModelInfo, SpeechJob, Started, VoiceInfo, errors

Take = Callable[[int, bytes, Sequence[Mark]], bool]
"""A function that takes (segment, pcm, marks) and returns whether to go on."""

Speak = Callable[[Utterance, Take], None]
Pronounce = Callable[[str, str], str]
"""A function that takes (text, voice file) and returns the sounds of the text."""

_CACHED_TEXTS = 4096

_FASTEST = 1.25
"""The highest speed that the library speaks at. The server stretches the rest.

The library shortens pauses more than words. At twice the rate, short sentences take a fourth of their time.
"""

_STANDARD = ModelInfo(
    id="standard",
    languages=languages(),
    sample_rate_hz=SAMPLE_RATE_HZ,
    speed=(SLOWEST_RATE / NORMAL_RATE, _FASTEST),
    pitch=(-12.0, 12.0),
    times_words=True,
    is_trained=False,
    # It reads digits, but it reads neither "R$ 1.234,50" nor "20/11" as people do.
    reads_numbers=False,
    licence="GPL-3.0-or-later",
)


class EspeakEngine:
    """The engine of one library, which has one state for a process.

    So the engine calls `speak` and `pronounce` in `thread`, which must have one worker.
    """

    slots = 1

    def __init__(
        self, settings: EspeakSettings, thread: ThreadPoolExecutor, speak: Speak, pronounce: Pronounce
    ) -> None:
        self._settings = settings
        self._thread = thread
        self._speak = speak
        self._pronounce = lru_cache(_CACHED_TEXTS)(pronounce)
        self._handovers: set[Handover] = set()

    def close(self) -> None:
        """Stop the current speech, so that the thread can end. Readers get EngineUnavailable."""
        for handover in self._handovers:
            handover.close()

    def models(self) -> tuple[ModelInfo, ...]:
        return (_STANDARD,)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return voices()

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if job.model != _STANDARD.id:
            raise errors.EngineFailed(
                f"espeak has one model, {_STANDARD.id!r}, and was asked for {job.model!r}"
            )
        utterance = utterance_of(job, self._settings)
        handover = Handover()
        self._handovers.add(handover)
        work = self._thread.submit(self._render, utterance, handover)
        done = asyncio.wrap_future(work)
        try:
            yield Started(SAMPLE_RATE_HZ)
            async with aclosing(handover.events()) as events:
                async for event in events:
                    yield event
            await done
            if handover.is_closed:
                raise errors.EngineUnavailable("espeak was stopped while it spoke")
        finally:
            # The library's next callback returns a stop, so this wait is well under a millisecond.
            # After the wait, the thread is free for the next job.
            self._handovers.discard(handover)
            handover.close()
            work.cancel()
            await asyncio.wait((done,))
            if not done.cancelled():
                done.exception()  # without this call, the loop reports a forgotten error
        yield Finished()

    async def sounds(self, texts: Sequence[str], language: str) -> Sequence[str]:
        identifier = identifier_for(language)
        safe_texts = [safe(text, identifier) for text in texts]

        def read() -> list[str]:
            return [self._pronounce(text, identifier) for text in safe_texts]

        return await asyncio.wrap_future(self._thread.submit(read))

    def _render(self, utterance: Utterance, handover: Handover) -> None:
        try:
            if not handover.is_closed:
                rendering = Rendering(utterance, handover.put)
                self._speak(utterance, rendering.take)
                if not handover.is_closed:
                    rendering.end()
        finally:
            handover.end()
