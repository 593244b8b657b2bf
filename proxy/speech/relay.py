"""The relay: the parts of a text in their order, equally loud, through one encoder, as one speech."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from msgspec.structs import replace

from proxy.audio.encode import open_encoder
from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES, Chunk, Tail
from proxy.ledger import Hold
from proxy.speech.candidate_race import FirstAudio, PartRequest
from proxy.speech.candidate_stream import CandidateStream
from proxy.speech.loudness_levels import LoudnessLevels, level_sound
from proxy.speech.planning import SpeechPlan
from proxy.speech.prefetch import Prefetch
from proxy.speech.speech import Speech
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.word_times import SpokenWord
from speech_engine import EngineError


async def begin_speech(
    first_audio: FirstAudio, levels: LoudnessLevels, request: SpeechRequest, plan: SpeechPlan, hold: Hold
) -> Speech:
    """Begin to speak a plan. Return as soon as there are bytes to send.

    This takes no longer than the first part's budget to first audio. If the loudness of a new voice has to be
    measured, it takes up to a second more.
    """
    if len(plan.parts) == 1:
        return await first_audio.begin(PartRequest(request, plan, 0, hold, hold.waited_s))
    relay = Relay(first_audio, levels, request, plan, hold)
    try:
        await relay.begin()
    finally:
        if not relay.has_begun:
            await relay.close()
    return relay


class Relay:
    """A speech of several parts. While one part is spoken, only the next one is read ahead."""

    sample_rate_hz = OUTPUT_RATE_HZ

    def __init__(
        self,
        first_audio: FirstAudio,
        levels: LoudnessLevels,
        request: SpeechRequest,
        plan: SpeechPlan,
        hold: Hold,
    ) -> None:
        self.has_begun = False
        self._first_audio = first_audio
        self._levels = levels if _has_several_voices(plan) else None
        self._request = request
        self._plan = plan
        self._hold = hold
        self._prefetches: list[Prefetch] = []
        self._fed = 0
        self._encoder = open_encoder(request.format)
        self._tail = Tail()
        self._first = Chunk()
        self._sound = self._speak()

    def __repr__(self) -> str:
        return f"<Relay, {len(self._prefetches)} of {len(self._plan.parts)} parts begun, {self._encoder!r}>"

    @property
    def engine(self) -> str:
        speakers = [
            spoken.speaker or part.candidates[0].model.name
            for part, spoken in zip(self._plan.parts, self._hold.parts, strict=True)
        ]
        return ", ".join(dict.fromkeys(speakers))

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        """The words of those parts whose engines time them."""
        timed = [
            (part.begins or 0, prefetch.stream.words)
            for part, prefetch in zip(self._hold.parts, self._prefetches, strict=False)
            if part.begins is not None and prefetch.stream is not None and prefetch.stream.words is not None
        ]
        if not timed:
            return None
        return [_shift_word(word, begins) for begins, words in timed for word in words]

    async def begin(self) -> None:
        while not self._first.data and (chunk := await anext(self._sound, None)) is not None:
            self._first += chunk
        self.has_begun = True

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        if self._first.data:
            yield self._first
        async with aclosing(self._sound) as sound:
            async for chunk in sound:
                if chunk.data:
                    yield chunk

    def last_chunk(self) -> Chunk:
        return self._tail.rest + self._encoder.flush()

    async def close(self) -> None:
        for prefetch in self._prefetches:
            prefetch.stop()
        for prefetch in self._prefetches:
            await prefetch.close()
        await self._sound.aclose()
        self._encoder.close()

    async def _speak(self) -> AsyncGenerator[Chunk, None]:
        for number, spoken in enumerate(self._hold.parts):
            spoken.begins = self._fed
            async with aclosing(self._part(number)) as sound:
                async for pcm in sound:
                    self._fed += len(pcm) // SAMPLE_BYTES
                    yield self._tail.push(self._encoder.feed(pcm))

    async def _part(self, number: int) -> AsyncGenerator[bytes, None]:
        """Give the sound of a part at the common level. When its sound begins, prefetch the next part."""
        prefetch, stream = await self._begin_part(number)
        if number + 1 < len(self._plan.parts):
            self._prefetch_part(number + 1)
        if self._levels is None:
            while (pcm := await prefetch.next_chunk()) is not None:
                yield pcm
            return
        async with aclosing(level_sound(prefetch, self._levels.find(stream.candidate))) as sound:
            async for pcm in sound:
                yield pcm

    async def _begin_part(self, number: int) -> tuple[Prefetch, CandidateStream]:
        """Wait for the first sound of a part. If it failed during the part before it, try it once more.

        An engine that was busy then may be free now, and no listener has waited yet. The second try has the
        time that is left since the part's turn came.
        """
        if number == 0:
            self._prefetch_part(0, self._hold.waited_s)
        since = asyncio.get_running_loop().time()
        try:
            return self._prefetches[number], await self._prefetches[number].wait_begun()
        except EngineError as error:
            waited_s = asyncio.get_running_loop().time() - since
            is_late = waited_s > self._first_audio.budget_s(self._plan.parts[number]) / 2
            if number == 0 or is_late or not error.may_fall_back:
                raise
        self._prefetches.pop()
        second_try = self._prefetch_part(number, waited_s)
        return second_try, await second_try.wait_begun()

    def _prefetch_part(self, number: int, waited_s: float = 0.0) -> Prefetch:
        wait_until_free = partial(self._wait_until_free, number) if number else None
        part_request = PartRequest(self._request, self._plan, number, self._hold, waited_s, wait_until_free)
        self._prefetches.append(Prefetch(self._first_audio, part_request))
        return self._prefetches[number]

    async def _wait_until_free(self, number: int, engine: str) -> None:
        """Wait for the part before, if it has the same engine and the engine does one job at a time."""
        if self._hold.parts[number - 1].engine == engine and self._first_audio.has_one_slot(engine):
            await self._prefetches[number - 1].finished.wait()


def _has_several_voices(plan: SpeechPlan) -> bool:
    """Tell whether different voices may speak in one answer: one may be louder than another."""
    voices = {
        (candidate.model.name, candidate.engine_voice) for part in plan.parts for candidate in part.candidates
    }
    return len(voices) > 1


def _shift_word(word: SpokenWord, samples: int) -> SpokenWord:
    return replace(word, start_seconds=round(word.start_seconds + samples / OUTPUT_RATE_HZ, 3))
