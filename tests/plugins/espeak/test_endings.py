"""How an answer ends: at its cap, with its reader, with its engine."""

import asyncio

import msgspec
import pytest

from speech_engine import Audio, Engine, EngineUnavailable, Finished, Started, Words
from speech_engine.testing import collect, speaking
from tests.plugins.espeak.heard import SAMPLE_RATE_HZ, espeak, hear, heard_in, said

pytestmark = pytest.mark.slow

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank."


async def test_a_second_engine_in_one_process_is_refused_and_the_first_goes_on(engine: Engine) -> None:
    with pytest.raises(EngineUnavailable, match="once in a process"):
        async with espeak():
            pass
    assert (await hear(engine, said(SENTENCE))).loudness > 1000


async def test_a_huge_text_ends_quietly_at_max_samples(engine: Engine) -> None:
    events = await collect(engine, said("a" * 1_000_000, max_samples=3 * SAMPLE_RATE_HZ + 1))
    assert len(heard_in(events).pcm) == 2 * (3 * SAMPLE_RATE_HZ + 1)
    assert isinstance(events[-1], Finished)


async def test_max_samples_counts_over_all_segments(engine: Engine) -> None:
    first = len((await hear(engine, said("Hello there."))).pcm) // 2
    events = await collect(engine, said("Hello there.", SENTENCE, SENTENCE, max_samples=first + 12_000))
    assert len(heard_in(events).pcm) // 2 == first + 12_000
    assert {event.segment for event in events if isinstance(event, Audio)} == {0, 1}
    assert all(word.sample_offset < first + 12_000 for word in heard_in(events).words)


async def test_a_reader_who_leaves_in_the_middle_of_hours_leaves_the_engine_free(engine: Engine) -> None:
    async with speaking(engine, said("word " * 200_000)) as events:
        heard = [await anext(aiter(events)) for _ in range(10)]
    assert isinstance(heard[0], Started)
    assert (await hear(engine, said("Next."))).loudness > 500


async def test_a_cancelled_reader_leaves_the_engine_free(engine: Engine) -> None:
    is_flowing = asyncio.Event()

    async def read() -> None:
        async with speaking(engine, said("word " * 200_000)) as events:
            async for event in events:
                if isinstance(event, Audio):
                    is_flowing.set()
                    await asyncio.Event().wait()  # a reader that takes no more: the engine must wait too

    reader = asyncio.create_task(read())
    await is_flowing.wait()
    reader.cancel()
    await asyncio.wait((reader,))
    assert reader.cancelled()
    assert (await hear(engine, said("Next."))).loudness > 500


async def test_an_engine_that_closes_while_it_speaks_says_so_and_does_not_hang() -> None:
    async with espeak() as engine:
        events = aiter(engine.speak(said("word " * 200_000)))
        assert isinstance(await anext(events), Started)
        assert isinstance(await anext(events), Words)
    with pytest.raises(EngineUnavailable, match="stopped"):
        await anext(events)


async def test_a_slow_reader_is_waited_for_and_loses_nothing(engine: Engine) -> None:
    """A minute and a half is several times what may wait between the two."""
    job = said(" ".join([SENTENCE] * 25))
    at_once = await hear(engine, job)
    slowly = []
    async with speaking(engine, job) as events:
        async for event in events:
            slowly.append(event)
            for _ in range(3):
                await asyncio.sleep(0)
    heard = heard_in(slowly)
    assert heard.duration_s == pytest.approx(at_once.duration_s, rel=0.005)
    assert [word.spoken_start for word in heard.words] == [word.spoken_start for word in at_once.words]


async def test_no_segments_are_no_audio(engine: Engine) -> None:
    events = await collect(engine, msgspec.structs.replace(said("x"), segments=()))
    assert events == (Started(SAMPLE_RATE_HZ), Finished())
