"""Each misdeed of a provider: what becomes of the sentence, and that nothing of it stays behind."""

import asyncio
from typing import Any

import msgspec
import pytest

from speech_engine import (
    ContentRefused,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    Finished,
    ProviderCount,
    UnsupportedRequest,
    UnsupportedText,
)
from speech_engine.testing import collect
from tests.plugins.openai.realtime.rig import Pair, heard, job_of, pair, settled
from tests.plugins.openai.upstream import until_it_fails
from tests.tables import each_row

pytestmark = pytest.mark.slow

TEXT = "Hello there, world."
ONCE: list[Any] = ["contract", "drop_last", "double", "translate", "answer", "obey", "greet", "apologise"]
OTHER_WORDS = [*ONCE, "cut_short", "talk_on"]
ENDS: list[dict[str, Any]] = [
    *({"do": "close", "close": code} for code in (1000, 1001, 1011)),
    {"do": "drop"},
    {"do": "expire"},
    {"do": "huge"},
]


def _name(value: object) -> str | None:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else None


async def expect_clean(pair_: Pair) -> None:
    """Expect that the next sentence is spoken, and that no session is taken or busy after it."""
    pair_.fake.script.left.clear()
    assert heard(await collect(pair_.engine, job_of("And on."))) == ["And on."]
    await settled(pair_)


@each_row("do", OTHER_WORDS)
async def test_other_words_are_asked_for_once_more(do: str) -> None:
    async with pair() as both:
        both.fake.will(do)
        assert heard(await collect(both.engine, job_of(TEXT))) == [TEXT]
        assert len(both.fake.frames("response.create")) == 2
        await expect_clean(both)


@each_row("do", OTHER_WORDS)
async def test_other_words_twice_are_never_heard_and_cost_what_they_cost(do: str) -> None:
    async with pair() as both:
        both.fake.will(do, count=2)
        events, error = await until_it_fails(both.engine, job_of(TEXT))
        assert isinstance(error, UnsupportedText)
        assert error.may_fall_back
        assert heard(events) == []
        first, whole = [event.units for event in events if isinstance(event, ProviderCount)]
        assert 0 < first < whole
        assert TEXT not in f"{error} {error.detail}"
        await expect_clean(both)


@each_row("end", ENDS, ids=_name)
async def test_a_session_that_ends_fails_only_what_was_in_it_and_that_is_asked_for_again(
    end: dict[str, Any],
) -> None:
    async with pair() as both:
        both.fake.will(**end)
        assert heard(await collect(both.engine, job_of(TEXT, "And you?"))) == [TEXT, "And you?"]
        await expect_clean(both)


@each_row("end", ENDS, ids=_name)
async def test_two_sessions_that_end_are_a_failure(end: dict[str, Any]) -> None:
    async with pair() as both:
        both.fake.will(**end, count=2)
        events, error = await until_it_fails(both.engine, job_of(TEXT))
        assert (heard(events), isinstance(error, EngineFailed)) == ([], True)
        await expect_clean(both)


@each_row(
    ("misdeed", "cls"),
    [
        ({"do": "refuse"}, ContentRefused),
        ({"do": "fail"}, EngineFailed),
        ({"do": "fail", "code": "rate_limit_exceeded"}, EngineLimited),
        ({"do": "fail", "code": "insufficient_quota"}, EngineExhausted),
        ({"do": "no_audio"}, EngineFailed),
        ({"do": "garbage"}, EngineFailed),
        ({"do": "bad_audio"}, EngineFailed),
        ({"do": "handshake", "status": 401, "code": "invalid_api_key"}, EngineUnauthorized),
        ({"do": "handshake", "status": 429, "code": "insufficient_quota"}, EngineExhausted),
        ({"do": "handshake", "status": 404, "code": "model_not_found"}, UnsupportedRequest),
        ({"do": "handshake", "status": 400, "code": "OpperationNotSupported"}, UnsupportedRequest),
        ({"do": "handshake", "status": 503}, EngineStumbled),
        ({"do": "wrong_session_rate"}, EngineFailed),
    ],
    ids=_name,
)
async def test_a_failure_is_told_by_its_class_and_no_sound_goes_out(
    misdeed: dict[str, Any], cls: type[EngineError]
) -> None:
    async with pair() as both:
        both.fake.will(**misdeed)
        events, error = await until_it_fails(both.engine, job_of(TEXT))
        assert (heard(events), type(error)) == ([], cls)
        await expect_clean(both)


async def test_a_handshake_says_when_to_come_again() -> None:
    async with pair() as both:
        both.fake.will("handshake", status=429)
        _, error = await until_it_fails(both.engine, job_of(TEXT))
        assert isinstance(error, EngineLimited)
        assert error.retry_after_s == 3.0
        await expect_clean(both)


@each_row("do", ["stall_before", "stall", "no_done", "no_session"])
async def test_silence_ends_at_the_deadline(do: str) -> None:
    async with pair() as both:
        both.fake.will(do)
        soon = msgspec.structs.replace(job_of(TEXT), deadline_s=1.0)
        events, error = await until_it_fails(both.engine, soon)
        assert (heard(events), isinstance(error, EngineTimeout)) == ([], True)
        await expect_clean(both)


async def test_silence_in_a_later_sentence_ends_too() -> None:
    async with pair(silence_s=1.0) as both:
        both.fake.will("stall", "And you")
        async with asyncio.timeout(30):
            events, error = await until_it_fails(both.engine, job_of(TEXT, "And you?"))
        assert (heard(events), type(error)) == ([TEXT], EngineTimeout)
        await expect_clean(both)


@each_row("do", ["unknown_events", "error_open", "no_metadata", "old_names", "no_usage"])
async def test_odd_habits_change_nothing(do: str) -> None:
    async with pair() as both:
        both.fake.will(do, count=2)
        assert heard(await collect(both.engine, job_of(TEXT, "And you?"))) == [TEXT, "And you?"]
        await expect_clean(both)


async def test_several_items_are_one_answer() -> None:
    async with pair() as both:
        both.fake.will("two_items")
        assert heard(await collect(both.engine, job_of(TEXT))) == ["Hello", "there, world."]
        await expect_clean(both)


async def test_a_sound_that_differs_from_its_transcript_is_not_noticed() -> None:
    async with pair() as both:
        both.fake.will("disagree")
        assert heard(await collect(both.engine, job_of(TEXT))) == ["Something else."]
        both.fake.will("wrong_rate")
        assert heard(await collect(both.engine, job_of(TEXT)), rate_hz=22_050) == [TEXT]


@pytest.mark.parametrize(("reset_s", "wait_s"), [(30.0, 30.0), (9_000.0, 60.0)])
async def test_a_provider_without_room_is_not_asked_before_there_is_room(
    reset_s: float, wait_s: float
) -> None:
    async with pair() as both:
        both.fake.will("no_room", reset_s=reset_s)
        assert heard(await collect(both.engine, job_of(TEXT))) == [TEXT]
        asked = len(both.fake.frames("response.create"))
        _, error = await until_it_fails(both.engine, job_of(TEXT))
        assert isinstance(error, EngineLimited)
        assert error.retry_after_s is not None
        assert 0 < error.retry_after_s <= wait_s
        assert len(both.fake.frames("response.create")) == asked


async def test_what_is_refused_in_mid_answer_breaks_it_after_what_was_right() -> None:
    async with pair() as both:
        both.fake.will("answer", "And you", count=2)
        events, error = await until_it_fails(both.engine, job_of(TEXT, "And you?", "Bye."))
        assert heard(events) == [TEXT]
        assert isinstance(error, UnsupportedText)
        assert not any(isinstance(event, Finished) for event in events)
        await expect_clean(both)
