"""The common faults, as this plugin tells of them: the class, and that no audio came that was none."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from plugins.tone.decode import decode
from speech_engine import (
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    Event,
    Finished,
    SpeechJob,
)
from speech_engine.testing import collect, job
from tests.plugins.openai.upstream import mp3_of, pair, pcm_of, until_it_fails
from tests.sound import decoded
from tests.tables import each_row

pytestmark = pytest.mark.slow

TEXT = "Hello there, world."
MODEL = "gpt-4o-mini-tts"


def _bytes_of(events: Sequence[Event]) -> int:
    return len(pcm_of(events) or mp3_of(events))


def _job(formats: tuple[str, ...] = (), **more: Any) -> SpeechJob:
    return job(TEXT, model=MODEL, voice="alloy", formats=formats, **more)


@each_row("stream", ["audio", "sse"])
@each_row("formats", [(), ("mp3",)], ids=["pcm", "mp3"])
@each_row(
    ("fault", "more", "cls", "retry_after_s"),
    [
        ("429", {}, EngineLimited, None),
        ("429", {"retry_after": "3"}, EngineLimited, 3.0),
        ("429", {"code": "insufficient_quota"}, EngineExhausted, None),
        ("5xx", {"status": 503}, EngineStumbled, None),
        ("5xx", {"status": 500}, EngineFailed, None),
        ("error_in_200", {"status": 500}, EngineFailed, None),
        ("error_in_200", {"code": "insufficient_quota"}, EngineExhausted, None),
        ("wrong_codec", {}, EngineFailed, None),
        ("truncated", {}, EngineFailed, None),
    ],
)
async def test_an_answer_that_is_no_audio_gives_none(
    stream: str,
    formats: tuple[str, ...],
    fault: Any,
    more: dict[str, Any],
    cls: type[EngineError],
    retry_after_s: float | None,
) -> None:
    async with pair(stream=stream) as (engine, provider):
        provider.fail(fault, **more)
        events, error = await until_it_fails(engine, _job(formats))
        assert events == []
        assert type(error) is cls
        assert error.retry_after_s == retry_after_s
        assert TEXT not in error.message
        # And the next one is served as if nothing had been.
        assert isinstance((await collect(engine, _job(formats)))[-1], Finished)


@each_row(
    ("stream", "formats"),
    [("audio", ("mp3",)), ("sse", ("mp3",)), ("sse", ())],
    ids=["mp3", "mp3 in events", "pcm in events"],
)
async def test_garbage_is_no_audio(stream: str, formats: tuple[str, ...]) -> None:
    """Bare PCM is left out: to whoever knows nothing of it, any bytes are sound."""
    async with pair(stream=stream) as (engine, provider):
        provider.fail("garbage")
        events, error = await until_it_fails(engine, _job(formats))
        assert (events, type(error)) == ([], EngineFailed)


@each_row("formats", [(), ("mp3",)], ids=["pcm", "mp3"])
@each_row(("stream", "fault"), [("audio", "truncated"), ("sse", "truncated"), ("sse", "error_midstream")])
async def test_an_answer_that_breaks_in_the_middle_is_never_finished(
    stream: str, formats: tuple[str, ...], fault: Any
) -> None:
    async with pair(stream=stream) as (engine, provider):
        long = job(*[TEXT] * 4, model=MODEL, voice="alloy", formats=formats)
        whole = _bytes_of(await collect(engine, long))
        provider.fail(fault, after_bytes=8000)
        events, error = await until_it_fails(engine, long)
    assert 0 < _bytes_of(events) < whole
    assert type(error) is EngineFailed
    assert not any(isinstance(event, Finished) for event in events)


async def test_a_server_that_says_nothing_is_given_up_by_the_deadline() -> None:
    async with pair() as (engine, provider):
        provider.fail("hang_before")
        events, error = await until_it_fails(engine, msgspec.structs.replace(_job(), deadline_s=0.2))
        assert (events, type(error)) == ([], EngineTimeout)


@pytest.mark.parametrize("stream", ["audio", "sse"])
async def test_an_answer_that_comes_slowly_comes_whole(stream: str) -> None:
    async with pair(stream=stream) as (engine, provider):
        provider.fail("slow", piece_bytes=1111, pause_s=0)
        assert decode(decoded(pcm_of(await collect(engine, _job())), "pcm").samples, 24_000) == (TEXT,)


async def test_a_wrong_key_is_the_operators() -> None:
    async with pair(api_key="wrong") as (engine, _):
        _, error = await until_it_fails(engine, _job())
        assert type(error) is EngineUnauthorized
        with pytest.raises(EngineUnauthorized):
            await engine.refresh()
