"""The contract suite lets a good engine pass and refuses each bad one, by the rule that it breaks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import getmembers, iscoroutinefunction

import pytest

from speech_engine import Engine
from speech_engine.testing import ContractBroken, EngineContract
from tests.speech_engine.beepers import (
    BackwardSegments,
    Beeper,
    EmptyChunk,
    FinishedEarly,
    OddChunk,
    OversizeChunk,
    SilentSegment,
    SkippedSegment,
    StartedAtAnotherRate,
    UnaskedEncoding,
    UnknownSegment,
    WithoutFinished,
    WithoutStarted,
    WordsBackward,
    WordsBeyondTheAudio,
    WordsBeyondTheText,
    WordsNever,
)
from tests.speech_engine.misbehaving import (
    AnyModel,
    AnyVoice,
    CloneWithoutName,
    Cloning,
    ConvertsInBulk,
    ConvertsNothing,
    ConvertsSilently,
    DeletesAnything,
    Endless,
    FailsWithoutAMember,
    HundredHertz,
    KeepsItsSlot,
    KeepsRecordings,
    NamelessVoice,
    NoModels,
    NoSlots,
    OneAtATime,
    OnlyFast,
    PlainIterator,
    QuotesTheText,
    Recorded,
    SilentOnSigns,
    SpeaksNoLanguage,
    SwallowsCancellation,
    TwiceTheSameVoice,
    UnknownVoiceIsAFailure,
)
from tests.tables import each_row

BAD: dict[type[Beeper], str] = {
    WithoutStarted: "the first event is Started",
    WithoutFinished: "the last event is Finished",
    FinishedEarly: "Finished comes once",
    StartedAtAnotherRate: "the model's sample rate",
    OversizeChunk: "at most 100 ms",
    OddChunk: "whole 16-bit samples",
    EmptyChunk: "is not empty",
    SilentSegment: r"these were not: \[1\]",
    SkippedSegment: r"these were not: \[1\]",
    BackwardSegments: "segment order",
    UnknownSegment: "a segment of the job",
    UnaskedEncoding: "only in the job's formats",
    WordsNever: "sends Words",
    WordsBeyondTheText: "lies in its segment",
    WordsBeyondTheAudio: "within the audio",
    WordsBackward: "in the order they are heard",
    Endless: "within 100 ms of max_samples",
    AnyVoice: "raises a class of speech_engine.errors",
    UnknownVoiceIsAFailure: "raises VoiceNotFound",
    SilentOnSigns: "raises UnsupportedText",
    AnyModel: "raises a class of speech_engine.errors",
    QuotesTheText: "quotes the text",
    SwallowsCancellation: "lets a cancellation pass",
    OneAtATime: "a segment of the job",
    PlainIterator: "aclose",
    NoSlots: "at least one slot",
    TwiceTheSameVoice: "voice ids are unique",
    NamelessVoice: "an id and a name",
    OnlyFast: "speed range",
    SpeaksNoLanguage: "names its languages",
    HundredHertz: "8000..192000",
    NoModels: "at least one model",
    KeepsRecordings: "raises a class of speech_engine.errors",
    FailsWithoutAMember: "keeps no mix",
    CloneWithoutName: "returns the id of the voice",
    DeletesAnything: "a voice that was deleted raises VoiceNotFound",
    ConvertsSilently: "a recording with sound gives sound",
    ConvertsInBulk: "at most 100 ms",
    ConvertsNothing: "a recording without sound raises UnusableSample",
}


def contract_for(kind: type[Beeper]) -> EngineContract:
    class Contract(EngineContract):
        voice = "beep"
        patience_s = 0.5

        def engine(self) -> AbstractAsyncContextManager[Engine]:
            return _opened(kind)

    return Contract()


@asynccontextmanager
async def _opened(kind: type[Beeper]) -> AsyncIterator[Engine]:
    yield kind()


async def verdicts(kind: type[Beeper]) -> dict[str, BaseException | None]:
    """What each test of the suite says of such an engine."""
    contract = contract_for(kind)
    tests = {
        name: test for name, test in getmembers(contract, iscoroutinefunction) if name.startswith("test_")
    }
    answers = await asyncio.gather(*(test() for test in tests.values()), return_exceptions=True)
    return dict(zip(tests, answers, strict=True))


@each_row("kind", [Beeper, Cloning, Recorded])
async def test_a_good_engine_passes_every_test(kind: type[Beeper]) -> None:
    said = await verdicts(kind)
    assert len(said) >= 14
    assert [problem for problem in said.values() if problem is not None] == []


@each_row("kind", BAD, ids=lambda kind: kind.__name__)
async def test_a_bad_engine_is_refused_by_the_rule_it_breaks(kind: type[Beeper]) -> None:
    problems = [problem for problem in (await verdicts(kind)).values() if problem is not None]
    broken = [str(problem) for problem in flattened(problems) if isinstance(problem, ContractBroken)]
    assert any(re.search(BAD[kind], rule) for rule in broken), broken


def flattened(problems: list[BaseException]) -> list[BaseException]:
    alone: list[BaseException] = []
    for problem in problems:
        alone += flattened(list(problem.exceptions)) if isinstance(problem, BaseExceptionGroup) else [problem]
    return alone


async def test_an_engine_that_keeps_its_slots_hangs_and_is_refused() -> None:
    said = await verdicts(KeepsItsSlot)
    for stuck in asyncio.all_tasks() - {asyncio.current_task()}:
        stuck.cancel()
        await asyncio.wait([stuck])
    for name in ("test_closing_early_frees_the_engine", "test_cancelling_frees_the_engine"):
        assert isinstance(said[name], TimeoutError | ContractBroken)
    assert said["test_it_speaks_every_segment_in_order_and_says_when_it_is_done"] is None


def test_the_suite_needs_an_engine() -> None:
    with pytest.raises(NotImplementedError, match="how to create the engine"):
        EngineContract().engine()
