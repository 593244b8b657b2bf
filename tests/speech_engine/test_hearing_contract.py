"""The contract suite for ears lets good ones pass and refuses each bad answer, by the rule that it breaks."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from inspect import getmembers, iscoroutinefunction

import pytest

from speech_engine import (
    HEARING_HZ,
    Audio,
    Engine,
    EngineFailed,
    Event,
    Finished,
    HearJob,
    Language,
    ModelInfo,
    SpeechJob,
    Transcript,
    TranscriptSegment,
    TranscriptWord,
)
from speech_engine.testing import ContractBroken, HearingContract
from tests.tables import each_row

WORDS = (TranscriptWord(0.1, 0.4, "One", -0.1), TranscriptWord(0.4, 0.9, "two.", -0.1))
ONE = TranscriptSegment(start_s=0.1, end_s=0.9, text="One two.", words=WORDS)
THREE = TranscriptSegment(
    start_s=1.0, end_s=1.5, text=" Three.", words=(TranscriptWord(1.0, 1.5, "Three.", -0.1),)
)
LATE = TranscriptSegment(start_s=1.0, end_s=9.0, text=" Three.", words=THREE.words)
ODD = TranscriptSegment(start_s=0.1, end_s=0.9, text="One two.", words=(WORDS[1], WORDS[0]))
GOOD = (Transcript((ONE,), 1.0), Transcript((THREE,), 2.0), Finished())


class Ears:
    """Answers always the same for a recording with sound, if it knows the model."""

    slots = 2

    def __init__(self, *events: Event, speaks: bool = False, model: str = "") -> None:
        self._events = events
        self._model = model
        self._info = ModelInfo(
            id="ears",
            languages=(Language("en"),),
            sample_rate_hz=HEARING_HZ,
            hears=True,
            speaks=speaks,
            times_words=True,
            translates=True,
        )

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._info,)

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        for event in self._events:
            yield event

    async def transcribe(self, job: HearJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        if job.model != (self._model or "ears"):
            raise EngineFailed(f"no model {job.model}")
        sound = b"".join([piece async for piece in pcm])
        for event in self._events if any(sound) else (Finished(),):
            await asyncio.sleep(0)
            yield event


def contract_for(ears: Ears) -> HearingContract:
    class Contract(HearingContract):
        texts = ("One two.", "Three.")

        def engine(self) -> AbstractAsyncContextManager[Engine]:
            return nullcontext(ears)

        async def recording(self) -> bytes:
            return b"\1\0" * 2 * HEARING_HZ

    return Contract()


async def verdict(ears: Ears) -> str:
    contract = contract_for(ears)
    for name, test in getmembers(contract, iscoroutinefunction):
        if name.startswith("test_"):
            try:
                await test()
            except ContractBroken as broken:
                return str(broken)
    return ""


BAD: dict[str, tuple[tuple[Event, ...], str]] = {
    "good": (GOOD, ""),
    "no end": (GOOD[:2], "the last event is Finished"),
    "sound": ((Audio(0, b"\0\0"), *GOOD), "transcripts and counts alone"),
    "backward": (GOOD[1::-1] + GOOD[2:], "never goes back"),
    "not in order": ((Transcript((THREE, ONE), 2.0), Finished()), "segments come in order"),
    "too far": ((Transcript((ONE, THREE), 9.0), Finished()), "lies within the recording"),
    "too late": ((Transcript((ONE, LATE), 2.0), Finished()), "ends in its recording"),
    "words mixed": ((Transcript((ODD, THREE), 2.0), Finished()), "words come in order"),
    "a word less": ((Transcript((ONE,), 2.0), Finished()), "has the words of the recording|have the words"),
    "no text": (
        (Transcript((TranscriptSegment(start_s=0.0, end_s=0.0, text=" "),), 1.0), Finished()),
        "has a text",
    ),
}


@each_row("name", BAD)
async def test_an_answer_is_judged_by_the_rule_that_it_breaks(name: str) -> None:
    events, rule = BAD[name]
    said = await verdict(Ears(*events))
    assert any(each in said for each in rule.split("|")) if rule else not said, said


async def test_ears_that_speak_or_take_any_model_are_refused() -> None:
    assert "does not speak" in await verdict(Ears(*GOOD, speaks=True))
    assert await verdict(Ears(*GOOD, model="no such model"))
    with pytest.raises(NotImplementedError):
        HearingContract().engine()
