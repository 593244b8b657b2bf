"""The sessions: which are shared, when they end, and that a listener who leaves leaves nothing behind."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from msgspec.structs import replace

from speech_engine import Audio, EngineBusy, EngineError, EngineUnavailable, Started
from speech_engine.testing import collect
from tests.plugins.openai.realtime.rig import MODEL, Pair, heard, job_of, pair, settled
from tests.plugins.openai.upstream import until_it_fails

TEXT = "Hello there, world."
OTHER_MODEL = "gpt-realtime-2.1"


async def _until_first(both: Pair, kind: type, *texts: str, **more: Any) -> None:
    """Listen to the first event of this kind, and leave."""
    async with aclosing(both.engine.speak(job_of(*texts, **more))) as events:
        async for event in events:
            if isinstance(event, kind):
                return


async def test_a_session_is_used_again_for_the_same_model_voice_and_speed() -> None:
    async with pair(models=(MODEL, OTHER_MODEL)) as both:
        for voice, model, speed in (
            ("marin", MODEL, 1.0),
            ("marin", MODEL, 1.0),
            ("cedar", MODEL, 1.0),
            ("onyx", MODEL, 1.0),
            ("marin", OTHER_MODEL, 1.0),
            ("marin", MODEL, 1.5),
            ("marin", MODEL, 1.0),
        ):
            job = job_of(TEXT, voice=voice, model=model, speed=speed)
            assert heard(await collect(both.engine, job), speed) == [TEXT]
        # onyx is spoken by cedar.
        assert len(both.fake.sessions) == 4


async def test_jobs_at_once_have_sessions_of_their_own_and_do_not_mix() -> None:
    async with pair() as both:
        texts = [f"Number {number}." for number in range(8)]
        answers = await asyncio.gather(*(collect(both.engine, job_of(text, "Yes.")) for text in texts))
        assert [heard(events) for events in answers] == [[text, "Yes."] for text in texts]
        assert len(both.fake.sessions) == 8


async def test_no_more_sessions_than_allowed_and_an_idle_one_makes_room() -> None:
    async with pair(sessions=2) as both:
        for voice in ("marin", "cedar", "sage", "marin"):
            assert heard(await collect(both.engine, job_of(TEXT, voice=voice))) == [TEXT]
        await both.fake.until(lambda: both.fake.open <= 2)
        assert len(both.fake.sessions) == 4


async def test_a_job_waits_for_a_session_and_not_for_ever() -> None:
    async with pair(sessions=1) as both:
        async with aclosing(both.engine.speak(job_of(TEXT))) as events:
            while not isinstance(await anext(events), Audio):
                pass
            waiting = replace(job_of(TEXT, voice="cedar"), deadline_s=0.2)
            _, error = await until_it_fails(both.engine, waiting)
            assert isinstance(error, EngineBusy)
            later = asyncio.create_task(collect(both.engine, job_of(TEXT, voice="cedar")))
            await asyncio.sleep(0)
        assert heard(await later) == [TEXT]


async def test_a_session_that_is_idle_for_long_is_closed() -> None:
    async with pair(idle_s=0.05) as both:
        await collect(both.engine, job_of(TEXT))
        await both.fake.until(lambda: both.fake.open == 0)
        assert "0 of 8" in repr(both.engine)
        assert heard(await collect(both.engine, job_of(TEXT))) == [TEXT]


@pytest.mark.parametrize("by", ["ours", "theirs"])
async def test_a_session_is_not_used_until_it_ends(by: str) -> None:
    async with pair(session_s=1e-6 if by == "ours" else 3000.0) as both:
        both.fake.manner.expires_s = 30.0 if by == "theirs" else 3600.0
        for _ in range(2):
            assert heard(await collect(both.engine, job_of(TEXT, "And you?"))) == [TEXT, "And you?"]
        assert len(both.fake.sessions) == 4
        await both.fake.until(lambda: both.fake.open == 0)


async def test_an_idle_session_that_grows_too_old_is_closed() -> None:
    async with pair(session_s=1.0, idle_s=3600.0) as both:
        await collect(both.engine, job_of(TEXT))
        await both.fake.until(lambda: both.fake.open == 0)


async def test_an_idle_session_that_the_provider_closes_is_forgotten() -> None:
    async with pair() as both:
        await collect(both.engine, job_of(TEXT))
        await both.fake.sessions[0].hang_up()
        await both.fake.until(lambda: both.fake.open == 0)
        assert heard(await collect(both.engine, job_of(TEXT))) == [TEXT]
        assert len(both.fake.sessions) == 2


async def test_what_nobody_hears_is_cancelled_and_the_session_is_used_again() -> None:
    async with pair(check="fast") as both:
        both.fake.will("stall", "forever")
        await _until_first(both, Audio, TEXT, "This goes on forever, and ever.")
        await both.fake.until(lambda: bool(both.fake.frames("response.cancel")))
        await settled(both)
        assert heard(await collect(both.engine, job_of(TEXT))) == [TEXT]
        assert len(both.fake.sessions) == 1


async def test_leaving_before_the_answer_has_a_name_cancels_it_too() -> None:
    async with pair(ahead=0) as both:
        both.fake.will("stall_before")
        speaking = asyncio.create_task(collect(both.engine, job_of(TEXT)))
        await both.fake.until(lambda: bool(both.fake.frames("response.create")))
        speaking.cancel()
        await asyncio.wait([speaking])
        await both.fake.until(lambda: len(both.fake.frames("response.cancel")) == 1)
        await settled(both)
        assert heard(await collect(both.engine, job_of("On."))) == ["On."]
        assert len(both.fake.sessions) == 1


@pytest.mark.clock
async def test_a_session_that_does_not_stop_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.openai.realtime.session._CANCEL_S", 0.05)
    async with pair(sessions=1, ahead=0) as both:
        both.fake.will("ignore_cancel")
        both.fake.manner.first_s = 30.0
        speaking = asyncio.create_task(collect(both.engine, job_of(TEXT)))
        await both.fake.until(lambda: bool(both.fake.frames("response.create")))
        speaking.cancel()
        await asyncio.wait([speaking])
        await both.fake.until(lambda: both.fake.open == 0)
        both.fake.manner.first_s = 0.0
        assert heard(await collect(both.engine, job_of(TEXT))) == [TEXT]


@pytest.mark.parametrize("kind", [Started, Audio])
async def test_many_who_leave_leave_nothing(kind: type) -> None:
    async with pair() as both:
        await asyncio.gather(*(_until_first(both, kind, TEXT, "And you?", "Bye.") for _ in range(40)))
        assert heard(await collect(both.engine, job_of(TEXT))) == [TEXT]
        await settled(both)


async def test_leaving_while_a_session_opens_leaves_none() -> None:
    async with pair() as both:
        both.fake.will("no_session")
        speaking = asyncio.create_task(collect(both.engine, job_of(TEXT)))
        await both.fake.until(lambda: both.fake.open == 1)
        speaking.cancel()
        await asyncio.wait([speaking])
        await both.fake.until(lambda: both.fake.open == 0)
        assert "0 of 8" in repr(both.engine)


async def test_enough_samples_are_enough() -> None:
    async with pair() as both:
        job = job_of(TEXT, "And you?", max_samples=4_800)
        events = await collect(both.engine, job)
        assert sum(len(event.pcm) for event in events if isinstance(event, Audio)) == 9_600
        # Nothing more is asked for, either.
        await collect(both.engine, job_of(*["And on."] * 9, max_samples=4_800))
        assert len(both.fake.frames("response.create")) == 4


async def test_the_end_of_the_engine_closes_all() -> None:
    async with pair() as both:
        await asyncio.gather(*(collect(both.engine, job_of(TEXT)) for _ in range(4)))
        speaking = asyncio.create_task(until_it_fails(both.engine, job_of(TEXT)))
        await both.engine.close()
        await both.fake.until(lambda: both.fake.open == 0)
        _, error = await speaking
        assert error is None or isinstance(error, EngineError)
        # Who comes later opens none, which nobody would close.
        _, error = await until_it_fails(both.engine, job_of(TEXT))
        assert isinstance(error, EngineUnavailable)
        assert both.fake.open == 0
        await both.engine.close()
