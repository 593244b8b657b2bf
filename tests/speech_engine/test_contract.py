"""The contract suite lets a good engine pass and refuses each bad one, by the rule that it breaks."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import getmembers, iscoroutinefunction

import pytest

from speech_engine import Engine
from speech_engine.testing import ContractBroken, EngineContract
from tests.speech_engine import beepers, misbehaving
from tests.tables import each_row

BAD: dict[type[beepers.Beeper], str] = {
    beepers.WithoutStarted: "the first event is Started",
    beepers.WithoutFinished: "the last event is Finished",
    beepers.FinishedEarly: "Finished comes once",
    beepers.StartedAtAnotherRate: "the model's sample rate",
    beepers.OversizeChunk: "at most 100 ms",
    beepers.OddChunk: "whole 16-bit samples",
    beepers.EmptyChunk: "is not empty",
    beepers.SilentSegment: r"these were not: \[1\]",
    beepers.SkippedSegment: r"these were not: \[1\]",
    beepers.BackwardSegments: "segment order",
    beepers.UnknownSegment: "a segment of the job",
    beepers.UnaskedEncoding: "only in the job's formats",
    beepers.WordsNever: "sends Words",
    beepers.WordsBeyondTheText: "lies in its segment",
    beepers.WordsBeyondTheAudio: "within the audio",
    beepers.WordsBackward: "in the order they are heard",
    misbehaving.Endless: "within 100 ms of max_samples",
    misbehaving.AnyVoice: "an unknown voice raises VoiceNotFound, and",
    misbehaving.UnknownVoiceIsAFailure: "raises VoiceNotFound",
    misbehaving.UnknownVoiceIsAKey: "an unknown voice raises VoiceNotFound, not KeyError",
    misbehaving.SilentOnSigns: "raises UnsupportedText",
    misbehaving.AnyModel: "an unknown model raises EngineFailed, and",
    misbehaving.QuotesTheText: "quotes the text",
    misbehaving.SwallowsCancellation: "lets a cancellation pass",
    misbehaving.OneAtATime: "a segment of the job",
    misbehaving.PlainIterator: "aclose",
    misbehaving.NoSlots: "at least one slot",
    misbehaving.TwiceTheSameVoice: "voice ids are unique",
    misbehaving.NamelessVoice: "an id and a name",
    misbehaving.OnlyFast: "speed range",
    misbehaving.SpeaksNoLanguage: "names its languages",
    misbehaving.HundredHertz: "8000..192000",
    misbehaving.NoModels: "at least one model",
    misbehaving.KeepsRecordings: "a recording that was dropped raises VoiceNotFound",
    misbehaving.FailsWithoutAMember: "keeps no mix",
    misbehaving.CloneWithoutName: "returns the id of the voice",
    misbehaving.DeletesAnything: "a voice that was deleted raises VoiceNotFound",
    misbehaving.ConvertsSilently: "a recording with sound gives sound",
    misbehaving.ConvertsInBulk: "at most 100 ms",
    misbehaving.ConvertsNothing: "a recording without sound raises UnusableSample",
}


def contract_for(kind: type[beepers.Beeper]) -> EngineContract:
    class Contract(EngineContract):
        voice = "beep"
        patience_s = 0.5

        def engine(self) -> AbstractAsyncContextManager[Engine]:
            return _opened(kind)

    return Contract()


@asynccontextmanager
async def _opened(kind: type[beepers.Beeper]) -> AsyncIterator[Engine]:
    yield kind()


async def verdicts(kind: type[beepers.Beeper]) -> dict[str, BaseException | None]:
    """What each test of the suite says of such an engine."""
    contract = contract_for(kind)
    tests = {
        name: test for name, test in getmembers(contract, iscoroutinefunction) if name.startswith("test_")
    }
    answers = await asyncio.gather(*(test() for test in tests.values()), return_exceptions=True)
    return dict(zip(tests, answers, strict=True))


@each_row("kind", [beepers.Beeper, misbehaving.Cloning, misbehaving.Recorded])
async def test_a_good_engine_passes_every_test(kind: type[beepers.Beeper]) -> None:
    said = await verdicts(kind)
    assert len(said) >= 14
    assert [problem for problem in said.values() if problem is not None] == []


@each_row("kind", BAD, ids=lambda kind: kind.__name__)
async def test_a_bad_engine_is_refused_by_the_rule_it_breaks(kind: type[beepers.Beeper]) -> None:
    problems = [problem for problem in (await verdicts(kind)).values() if problem is not None]
    broken = [str(problem) for problem in flattened(problems) if isinstance(problem, ContractBroken)]
    assert any(re.search(BAD[kind], rule) for rule in broken), broken


def flattened(problems: list[BaseException]) -> list[BaseException]:
    alone: list[BaseException] = []
    for problem in problems:
        alone += flattened(list(problem.exceptions)) if isinstance(problem, BaseExceptionGroup) else [problem]
    return alone


async def test_an_engine_that_keeps_its_slots_hangs_and_is_refused() -> None:
    said = await verdicts(misbehaving.KeepsItsSlot)
    for stuck in asyncio.all_tasks() - {asyncio.current_task()}:
        stuck.cancel()
        await asyncio.wait([stuck])
    for name in ("test_closing_early_frees_the_engine", "test_cancelling_frees_the_engine"):
        assert isinstance(said[name], TimeoutError | ContractBroken)
    assert said["test_it_speaks_every_segment_in_order_and_says_when_it_is_done"] is None


def test_the_suite_needs_an_engine() -> None:
    with pytest.raises(NotImplementedError, match="how to create the engine"):
        EngineContract().engine()
