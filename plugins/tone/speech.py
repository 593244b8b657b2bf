"""The speech of one job: frames cut into chunks, with word times, at the voice's pace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator

from plugins.tone.frames import MAX_BYTES, PEAK, Clock, frame_symbols, symbol_of_byte, symbol_pcm
from plugins.tone.timbre import Timbre
from plugins.tone.voices import Behaviour, commit, delay
from speech_engine.errors import UnsupportedText
from speech_engine.events import Audio, Event, Finished, Started, Word, Words
from speech_engine.values import EngineVoice, Segment, SpeechJob

_WORD = re.compile(r"\S+")


class Speech:
    """The speech of one job, used once. Its counters say how far it is from the job's start."""

    def __init__(
        self,
        job: SpeechJob,
        sample_rate_hz: int,
        behaviour: Behaviour,
        tick: Callable[[], None],
        timbre: Timbre | None = None,
    ) -> None:
        self._segments = job.segments
        self._clock = Clock(sample_rate_hz, job.speed)
        self._rate_hz = sample_rate_hz
        self._behaviour = behaviour
        self._tick = tick
        self._limit = float("inf") if job.max_samples is None else job.max_samples
        self._fails_at = behaviour.fail_at_s * sample_rate_hz if behaviour.fail else float("inf")
        self._peak = round(PEAK * 10 ** (behaviour.level_db / 20))
        self._signature = "" if timbre is None else timbre.signature
        self._prefix = (
            f"{job.voice.id}:" if behaviour.says_voice and isinstance(job.voice, EngineVoice) else ""
        )
        self._symbols = 0
        self._samples = 0
        for segment in job.segments:
            _check_text(self._prefix + segment.spoken)

    async def events(self) -> AsyncGenerator[Event, None]:
        await delay(self._behaviour, self._tick)
        if self._fails_at <= 0:
            await commit(self._behaviour.fail)
            return
        yield Started(self._rate_hz)
        start_s = asyncio.get_running_loop().time()
        for event in self._segment_events():
            if isinstance(event, Audio):
                await self._keep_pace(start_s)
            yield event
            if self._samples >= self._fails_at:
                break
        # A text that is too short to reach `fail_at_s` fails at its end, so no test passes by luck.
        if self._behaviour.fail:
            await commit(self._behaviour.fail)
            return
        yield Finished(units=float(sum(len(segment.spoken) for segment in self._segments)))

    async def _keep_pace(self, start_s: float) -> None:
        loop = asyncio.get_running_loop()
        due = start_s + self._behaviour.pace * self._samples / self._rate_hz
        # Even a wait of zero gives others a turn, and is a place where the job can be cancelled.
        await asyncio.sleep(max(0.0, due - loop.time()))

    def _segment_events(self) -> Iterator[Words | Audio]:
        if self._signature:
            yield from self._frame(0, self._signature)
        for number, segment in enumerate(self._segments):
            if self._samples >= self._limit:
                return
            words = tuple(self._words(segment))
            if words:
                yield Words(words, number)
            yield from self._frame(number, self._prefix + segment.spoken)

    def _frame(self, number: int, text: str) -> Iterator[Audio]:
        for pcm in self._chunks(frame_symbols(text)):
            piece = pcm[: 2 * int(min(len(pcm) // 2, self._limit - self._samples))]
            if not piece:
                return
            self._samples += len(piece) // 2
            yield Audio(number, bytes(len(piece)) if self._behaviour.silent else piece)

    def _chunks(self, tones_hz: tuple[int, ...]) -> Iterator[bytes]:
        size = 2 * (self._rate_hz // 10)
        buffer = bytearray()
        for symbol in symbol_pcm(tones_hz, self._clock, self._symbols, self._peak):
            buffer += symbol
            while len(buffer) >= size:
                yield bytes(buffer[:size])
                del buffer[:size]
        self._symbols += len(tones_hz)
        if buffer:
            yield bytes(buffer)

    def _words(self, segment: Segment) -> Iterator[Word]:
        for match in _WORD.finditer(segment.spoken):
            bytes_before = len((self._prefix + segment.spoken[: match.start()]).encode())
            offset = self._clock.samples(self._symbols + symbol_of_byte(bytes_before))
            if offset < self._limit:
                yield Word(offset, match.start(), match.end())


def _check_text(spoken: str) -> None:
    try:
        size = len(spoken.encode())
    except UnicodeEncodeError:
        # `from None`: the error that Python raised carries the text.
        raise UnsupportedText("tone cannot speak half a character (a lone surrogate)") from None
    if size > MAX_BYTES:
        raise UnsupportedText(f"tone speaks sentences of at most {MAX_BYTES} bytes of UTF-8")
