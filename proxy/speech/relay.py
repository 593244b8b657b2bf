"""The parts of a text in their order, equally loud, through one encoder: a client hears one speech."""

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
from proxy.speech.levels import Levels, levelled
from proxy.speech.planning import SpeechPlan
from proxy.speech.prefetch import Prefetch
from proxy.speech.speech import Speech
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.word_times import SpokenWord
from speech_engine import EngineError


async def begin_speech(
    first_audio: FirstAudio, levels: Levels, request: SpeechRequest, plan: SpeechPlan, hold: Hold
) -> Speech:
    """Returns when there are bytes to send: within the first part's budget to first audio, and a second more
    where its voice was never heard before and has to be measured."""
    if len(plan.parts) == 1:
        return await first_audio.of(PartRequest(request, plan, 0, hold, hold.waited_s))
    relay = Relay(first_audio, levels, request, plan, hold)
    try:
        await relay.begin()
    finally:
        if not relay.has_begun:
            await relay.close()
    return relay


class Relay:
    """While a part is spoken the next one is asked already; the one after it waits for its turn."""

    sample_rate_hz = OUTPUT_RATE_HZ

    def __init__(
        self, first_audio: FirstAudio, levels: Levels, request: SpeechRequest, plan: SpeechPlan, hold: Hold
    ) -> None:
        self.has_begun = False
        self._first_audio = first_audio
        self._levels = levels if _meet(plan) else None
        self._request = request
        self._plan = plan
        self._hold = hold
        self._asked: list[Prefetch] = []
        self._fed = 0
        self._encoder = open_encoder(request.format)
        self._tail = Tail()
        self._first = Chunk()
        self._spoken = self._speak()

    def __repr__(self) -> str:
        return f"<Relay, {len(self._asked)} of {len(self._plan.parts)} parts asked, {self._encoder!r}>"

    @property
    def engine(self) -> str:
        speakers = [
            spoken.speaker or part.candidates[0].model.name
            for part, spoken in zip(self._plan.parts, self._hold.parts, strict=True)
        ]
        return ", ".join(dict.fromkeys(speakers))

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        """Of those parts whose engines time them."""
        timed = [
            (part.begins or 0, ahead.speaking.words)
            for part, ahead in zip(self._hold.parts, self._asked, strict=False)
            if part.begins is not None and ahead.speaking is not None and ahead.speaking.words is not None
        ]
        if not timed:
            return None
        return [_later(word, begins) for begins, words in timed for word in words]

    async def begin(self) -> None:
        while not self._first.data and (chunk := await anext(self._spoken, None)) is not None:
            self._first += chunk
        self.has_begun = True

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        if self._first.data:
            yield self._first
        async with aclosing(self._spoken) as spoken:
            async for chunk in spoken:
                if chunk.data:
                    yield chunk

    def last_chunk(self) -> Chunk:
        return self._tail.rest + self._encoder.flush()

    async def close(self) -> None:
        for ahead in self._asked:
            ahead.stop()
        for ahead in self._asked:
            await ahead.close()
        await self._spoken.aclose()
        self._encoder.close()

    async def _speak(self) -> AsyncGenerator[Chunk, None]:
        for number, spoken in enumerate(self._hold.parts):
            spoken.begins = self._fed
            async with aclosing(self._part(number)) as sound:
                async for pcm in sound:
                    self._fed += len(pcm) // SAMPLE_BYTES
                    yield self._tail.exchange(self._encoder.feed(pcm))

    async def _part(self, number: int) -> AsyncGenerator[bytes, None]:
        """Its sound, at the level of all; the next part is asked as soon as there is any of it."""
        ahead, speaking = await self._begun(number)
        if number + 1 < len(self._plan.parts):
            self._ask(number + 1)
        if self._levels is None:
            while (pcm := await ahead.next()) is not None:
                yield pcm
            return
        async with aclosing(levelled(ahead, self._levels.of(speaking.candidate))) as sound:
            async for pcm in sound:
                yield pcm

    async def _begun(self, number: int) -> tuple[Prefetch, CandidateStream]:
        """A part that failed while the one before it was heard is asked once more: whoever was busy then may
        be free now, and nobody has waited for it yet. It has what is left of its time since its turn came."""
        if number == 0:
            self._ask(0, self._hold.waited_s)
        since = asyncio.get_running_loop().time()
        try:
            return self._asked[number], await self._asked[number].begun()
        except EngineError as error:
            waited_s = asyncio.get_running_loop().time() - since
            is_late = waited_s > self._first_audio.budget_s(self._plan.parts[number]) / 2
            if number == 0 or is_late or not error.may_fall_back:
                raise
        self._asked.pop()
        again = self._ask(number, waited_s)
        return again, await again.begun()

    def _ask(self, number: int, waited_s: float = 0.0) -> Prefetch:
        free = partial(self._free, number) if number else None
        asked = PartRequest(self._request, self._plan, number, self._hold, waited_s, free)
        self._asked.append(Prefetch(self._first_audio, asked))
        return self._asked[number]

    async def _free(self, number: int, engine: str) -> None:
        """The part before must be made first where an engine does one at a time."""
        if self._hold.parts[number - 1].engine == engine and self._first_audio.has_one_slot(engine):
            await self._asked[number - 1].made.wait()


def _meet(plan: SpeechPlan) -> bool:
    """Whether different voices may be heard in one answer, of which one may be louder than another."""
    voices = {
        (candidate.model.name, candidate.engine_voice) for part in plan.parts for candidate in part.candidates
    }
    return len(voices) > 1


def _later(word: SpokenWord, samples: int) -> SpokenWord:
    return replace(word, start_seconds=round(word.start_seconds + samples / OUTPUT_RATE_HZ, 3))
