"""What is heard of it: the right words, once, in order; what it counts; and that nobody speaks to nobody."""

import asyncio

import pytest

from fakes.faults import Receive, Scope, Send
from plugins.minimax.models import MODELS
from speech_engine import Audio, Encoded, Finished, Started
from speech_engine.testing import collect
from tests.plugins.minimax.rig import audio_of, rig, speech_job, toned, words_of
from tests.waiting import LIMIT_S

pytestmark = pytest.mark.slow

TEXTS = ("The first sentence.", "Olá, você está bem?", "สวัสดี ครับ.")
WHOLE = " ".join(TEXTS)
LONG = tuple(f"{number} " + "word " * 900 + "end." for number in range(4))


@pytest.mark.parametrize("stream", [True, False])
async def test_pcm_is_the_providers_own_to_the_last_sample(stream: bool) -> None:
    async with rig(stream=stream) as running:
        events = await collect(running.engine, speech_job(*TEXTS))
    assert events[0] == Started(24_000)
    assert audio_of(events) == toned(WHOLE)
    assert words_of(events) == (WHOLE,)


@pytest.mark.parametrize("stream", [True, False])
async def test_mp3_comes_as_mp3_and_says_the_same(stream: bool) -> None:
    async with rig(stream=stream) as running:
        events = await collect(running.engine, speech_job(*TEXTS, formats=("mp3",)))
    assert all(isinstance(event, Encoded) and event.format == "mp3" for event in events[1:-1])
    assert words_of(events, "mp3") == (WHOLE,)


async def test_a_long_job_is_a_few_calls_spoken_as_one_stream() -> None:
    async with rig() as running:
        events = await collect(running.engine, speech_job(*LONG))
        bodies = running.bodies()
    calls = [f"{LONG[0]} {LONG[1]}", f"{LONG[2]} {LONG[3]}"]
    assert [body["text"] for body in bodies] == calls
    assert all(len(call) < 10_000 for call in calls)
    assert words_of(events) == tuple(calls)
    assert [event.segment for event in events if isinstance(event, Audio)] == sorted(
        event.segment for event in events if isinstance(event, Audio)
    )
    assert {event.segment for event in events if isinstance(event, Audio)} == {0, 2}
    assert events[-1] == Finished(units=float(sum(map(len, calls))))


async def test_han_characters_cost_twice() -> None:
    async with rig() as running:
        events = await collect(running.engine, speech_job("真正的危险, ok."))
    assert events[-1] == Finished(units=5 * 2 + 5.0)


async def test_an_answer_cut_at_its_limit_leaves_the_rest_unread_and_counts_the_whole_text() -> None:
    long = "word " * 400 + "end."
    async with rig() as running:
        running.provider.fail("slow", piece_bytes=40_000, pause_s=0.01)
        # The whole answer would take two minutes.
        async with asyncio.timeout(LIMIT_S):
            events = await collect(running.engine, speech_job(long, *LONG[:2], max_samples=12_001))
        await running.provider.until(lambda: running.provider.open == 0)
        (seen,) = running.provider.seen
    text = f"{long} {LONG[0]}"
    assert seen.json["text"] == text
    assert audio_of(events) == toned(text)[:24_002]
    assert events[-1] == Finished(units=float(len(text)))
    assert seen.left_at is not None


async def test_mp3_is_cut_at_its_limit_too() -> None:
    async with rig() as running:
        events = await collect(
            running.engine, speech_job("word " * 200, formats=("mp3",), max_samples=48_000)
        )
    # Two seconds at 128 kbit/s; the last piece is taken whole.
    assert 32_000 <= len(audio_of(events)) < 32_000 + 16_384


async def test_one_connection_serves_one_answer_after_the_other() -> None:
    clients = set()
    async with rig() as running:
        app = running.provider._app

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            clients.add(scope["client"])
            await app(scope, receive, send)

        running.provider._app = noting
        # The last event is there some time before the end of the answer.
        running.provider.fail("slow", count=5, piece_bytes=100_000, pause_s=0.01)
        for _ in range(5):
            await collect(running.engine, speech_job("Hello."))
    assert len(clients) == 1


async def test_an_answer_whose_end_never_comes_is_over_with_its_last_event() -> None:
    async with rig() as running:
        running.provider.fail("hang_after", after_bytes=10**9)
        events = await asyncio.wait_for(collect(running.engine, speech_job("Hello.")), 5.0)
        await running.provider.until(lambda: running.provider.open == 0)
    assert audio_of(events) == toned("Hello.")
    assert events[-1] == Finished(units=6.0)


async def test_emotions_are_the_models_own() -> None:
    by_id = {model.id: model.emotions for model in MODELS}
    for id_, emotions in by_id.items():
        assert ("whisper" in emotions) == ("-2.8-" not in id_), id_
    async with rig() as running:
        for id_, emotions in by_id.items():
            for emotion in emotions:
                await collect(running.engine, speech_job("Oh.", model=id_, emotion=emotion))


def test_the_models_say_what_the_server_must_know() -> None:
    for model in MODELS:
        assert (model.sample_rate_hz, model.formats, model.max_characters) == (24_000, ("mp3",), 9_999)
        assert model.joins_segments
        assert model.billed_on_submit
        assert not model.is_local
        assert (model.speed, model.pitch) == ((0.5, 2.0), (-12.0, 12.0))


async def test_an_answer_in_one_piece_may_be_as_long_in_coming_as_a_pause() -> None:
    for stream, first_audio_s in ((True, None), (False, 20.0)):
        async with rig(stream=stream, silence_s=20) as at:
            assert {model.first_audio_s for model in at.engine.models()} == {first_audio_s}
