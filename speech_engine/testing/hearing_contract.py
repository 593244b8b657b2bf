"""The contract suite for engines that hear: an author derives a class from `HearingContract`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from itertools import chain
from typing import Any, ClassVar

from msgspec.structs import replace

from speech_engine.engine import Engine, EngineHears
from speech_engine.events import Event
from speech_engine.hearing import HEARING_HZ, HearJob, Transcript, TranscriptSegment
from speech_engine.testing.input_contract import InputContract
from speech_engine.testing.recordings import PcmRecording
from speech_engine.testing.rules import ContractBroken, check_models, check_transcript, require

_WORD = re.compile(r"\w+")
_SILENCE = bytes(2 * HEARING_HZ * 3)


class HearingContract(InputContract[HearJob]):
    """The promises of every engine that hears, with one test for each.

    It needs what `EngineContract` needs. `recording` has `texts`, two sentences or more, in `language`. If
    the engine cannot know their words (a tiny network in a test), `knows_words` is false.
    """

    texts: ClassVar[tuple[str, ...]] = ("One two three four five.", "Six seven eight nine.", "Ten.")
    language: ClassVar[str] = "en"
    knows_words: ClassVar[bool] = True

    async def recording(self) -> bytes:
        """Return `texts`, spoken: 16-bit mono at `HEARING_HZ`."""
        raise NotImplementedError("an engine's contract tests have a recording of their texts")

    async def test_its_models_are_well_formed_and_hear(self) -> None:
        async with self.engine() as engine:
            check_models(engine.models())
            model = self._model(engine)
            require(model.hears and not model.speaks, "a model that hears says so, and does not speak")
            require(engine.slots >= 1, "an engine has at least one slot")

    async def test_it_hears_the_words_in_order_and_says_when_it_is_done(self) -> None:
        async with self.engine() as engine:
            answer = await self._answer(engine, self.job_for(engine))
            self._require_words("".join(each.text for each in segments(answer)))

    async def test_silence_has_no_words(self) -> None:
        async with self.engine() as engine:
            for pcm in (b"", _SILENCE):
                answer = await self._answer(engine, self.job_for(engine), pcm)
                require(not segments(answer), "a recording without speech has no segments")

    async def test_each_word_has_its_times_if_it_says_so(self) -> None:
        async with self.engine() as engine:
            if not self._model(engine).times_words:
                return
            answer = await self._answer(engine, self.job_for(engine, times="words"))
            for segment in segments(answer):
                words = "".join(word.text for word in segment.words)
                require(words == re.sub(r"\s", "", segment.text), "the words of a segment are its text")

    async def test_it_translates_if_it_says_so(self) -> None:
        async with self.engine() as engine:
            if self._model(engine).translates:
                await self._answer(engine, self.job_for(engine, task="translate"))

    async def test_it_finds_known_words_if_it_says_so(self) -> None:
        async with self.engine() as engine:
            if not self._model(engine).scores_text:
                return
            found = segments(await self._answer(engine, self.job_for(engine, texts=self.texts)))
            require(len(found) == len(self.texts), "each known text has one segment")
            for text, segment in zip(self.texts, found, strict=True):
                words = [word.text for word in segment.words]
                require(words == text.split(), "the words of a known text are those that blanks part")
                require(all(word.logprob < 0 for word in segment.words), "each known word has its logprob")
            if self.knows_words:
                wrong = tuple(" ".join(reversed(text.split())) for text in reversed(self.texts))
                others = segments(await self._answer(engine, self.job_for(engine, texts=wrong)))
                require(
                    _log_likelihood(found) > _log_likelihood(others),
                    "words that were said are likelier than others",
                )
                for full_window in (False, True):
                    job = self.job_for(engine, texts=(wrong[0],), transcribes=True, full_window=full_window)
                    (one,) = segments(await self._answer(engine, job))
                    self._require_words(one.text)

    async def test_jobs_side_by_side_do_not_mix(self) -> None:
        recording = await self.recording()
        async with self.engine() as engine:
            pcms = [recording, recording * 2, _SILENCE, recording[: len(recording) // 4 * 2]][: engine.slots]
            alone = [await self._answer(engine, self.job_for(engine), pcm) for pcm in pcms]
            beside = await asyncio.gather(*(self._answer(engine, self.job_for(engine), pcm) for pcm in pcms))
            for one, other in zip(alone, beside, strict=True):
                require(segments(one) == segments(other), "a recording is heard alike beside others")

    async def test_no_repr_shows_what_is_heard(self) -> None:
        async with self.engine() as engine:
            job = self.job_for(engine, times="words", prompt=self.texts[0])
            events = await self._answer(engine, job)
            unknown = await self._refusal(engine, replace(job, model="no such model"))
            words = {word for each in segments(events) for word in each.text.split() if len(word) > 3}
            for shown in (repr(engine), repr(job), repr(unknown), *map(repr, events)):
                is_shown = any(word in shown for word in (*self.texts, *words))
                require(not is_shown, "no repr or error quotes what was heard")

    def job_for(self, engine: Engine, **fields: Any) -> HearJob:
        model = self._model(engine)
        return HearJob(
            id="job_contract", tenant="contract", model=model.id, **{"language": self.language} | fields
        )

    def _require_words(self, text: str) -> None:
        spoken = _WORD.findall(" ".join(self.texts).casefold())
        is_right = not self.knows_words or _WORD.findall(text.casefold()) == spoken
        require(is_right, "the segments together have the words of the recording, in order")

    async def _input(self) -> bytes:
        return await self.recording()

    def _events(self, engine: Engine, job: HearJob, pcm: bytes) -> AsyncGenerator[Event, None]:
        if not isinstance(engine, EngineHears):
            raise ContractBroken("an engine whose model hears has the method transcribe")
        return engine.transcribe(job, PcmRecording(pcm))

    def _check(self, engine: Engine, pcm: bytes, events: Sequence[Event]) -> None:
        check_transcript(self._model(engine), len(pcm) / 2 / HEARING_HZ, events)


def segments(events: Sequence[Event]) -> list[TranscriptSegment]:
    """Return all segments of an answer."""
    return list(chain.from_iterable(event.segments for event in events if isinstance(event, Transcript)))


def _log_likelihood(found: Sequence[TranscriptSegment]) -> float:
    return sum(word.logprob for segment in found for word in segment.words)
