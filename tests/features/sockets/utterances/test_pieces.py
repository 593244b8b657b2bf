"""The pieces of an utterance: made ahead, by one voice, at the pace of the listener."""

import asyncio
from pathlib import Path

import pytest

from proxy.errors import InvalidRequest
from speech_engine import Finished, Started, errors
from tests.features.sockets.utterances.rig import PAIR, RATE_HZ, Ear, rig
from tests.proxy.api.scripted import Halt, Scripted, sound, spoken
from tests.sound import decoded
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

LONG = (
    "This sentence is so long that it takes about eight seconds to say it, "
    "and no engine could ever be done with it."
)
FILLER = "It is a long way, and nobody listens. "
TWO = "This is the first sentence of two. This is the second one."


@simulated
async def test_the_first_sound_does_not_wait_for_the_second_sentence(tmp_path: Path) -> None:
    async with rig(tmp_path, engines={"one": Scripted(*spoken(2.0)), "two": Scripted()}) as one:
        speech = await one.begin("This is the first sentence. And th")
        await speech.ear.has_sound(0.5)
        assert [start.text for start in speech.ear.starts] == ["This is the first sentence. "]
        speech.utterance.add("is is the second.")
        end = await speech.whole()
        await one.check(end)
    first, second = speech.ear.starts
    assert (first.start_ms, second.start_ms) == (0, 2000)
    assert (first.start, second.start) == (0, 28)
    assert (first.request_id, second.request_id) == ("req_test.1-1", "req_test.1-2")
    assert (first.model, first.voice, first.substitute) == ("one/m", "ana", "")


@simulated
async def test_sound_is_sent_one_second_ahead_and_without_a_gap(tmp_path: Path) -> None:
    async with rig(tmp_path, engines={"one": Scripted(*spoken(4.0)), "two": Scripted()}) as one:
        loop = asyncio.get_running_loop()
        speech = await one.begin(TWO * 3)
        ear, task = speech.ear, speech.task
        speech.utterance.end()
        await ear.has_sound(0.1)
        began = loop.time()
        while not task.done():
            played_s = loop.time() - began
            assert ear.seconds <= played_s + 1.0 + 0.3
            assert ear.seconds >= min(played_s, ear.seconds)
            await asyncio.wait((task,), timeout=0.1)
        gaps = [after - before for before, after in zip(ear.times_s, ear.times_s[1:], strict=False)]
        end = await task
        await one.check(end)
    assert max(gaps) <= 0.3
    assert len(ear.times_s) <= 4 * ear.seconds + 2 * len(ear.starts), "ready chunks are joined to 250 ms"
    assert loop.time() - began == pytest.approx(ear.seconds - 1.0, abs=0.3)


@simulated
async def test_a_piece_is_read_ahead_when_little_of_the_one_before_is_left(tmp_path: Path) -> None:
    engine = Scripted(*spoken(8.0))
    async with rig(tmp_path, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin(f"{LONG} {LONG} {LONG}")
        speech.utterance.end()
        await speech.ear.has_sound(4.0)
        assert len(engine.jobs) == 1
        await speech.ear.has_sound(6.0)
        assert [job.urgency for job in engine.jobs] == ["live", "ahead"]
        assert engine.jobs[1].plays_in_s == pytest.approx(3.5, abs=0.6)
        assert len(speech.ear.starts) == 1
        await one.check(await speech.whole())


@simulated
async def test_little_is_made_ahead_of_a_listener_that_takes_nothing(tmp_path: Path) -> None:
    engine, reads = Scripted(*spoken(3.5)), asyncio.Event()
    async with rig(tmp_path, engines={"one": engine, "two": Scripted()}) as one:
        ear = Ear()
        ear.waits = reads.wait
        speech = await one.begin(FILLER * 25, ear=ear)
        speech.utterance.end()
        await asyncio.sleep(30.0)
        made_ahead = "".join(segment.spoken for job in engine.jobs for segment in job.segments)
        assert len(made_ahead) <= len(FILLER) + 100
        reads.set()
        await one.check(await speech.whole())
    starts = speech.ear.starts
    assert len(starts[0].text) == len(FILLER)
    # A later piece begins at most 3 seconds before its turn, and all that is closed is in a long one.
    assert all(len(each.text) <= max(100, 10 * each.start_ms / 1000) for each in starts[1:])
    assert len(starts) < 14


@simulated
async def test_nothing_is_begun_for_a_listener_that_has_stopped_to_take_sound(tmp_path: Path) -> None:
    engine, reads = Scripted(*spoken(3.5)), asyncio.Event()
    async with rig(tmp_path, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin(FILLER)
        await speech.ear.has_sound(2.0)
        speech.ear.waits = reads.wait
        await asyncio.sleep(30.0)
        speech.utterance.add(FILLER * 25)
        await asyncio.sleep(30.0)
        assert len(engine.jobs) == 1
        reads.set()
        await one.check(await speech.whole())
    assert len(engine.jobs) > 1


@simulated
async def test_an_engine_with_one_slot_gets_a_piece_when_the_one_before_is_made(tmp_path: Path) -> None:
    halt = Halt(at=1)
    engine = Scripted(Started(RATE_HZ), *sound(2.0), halt, Finished())
    engine.slots = 1
    async with rig(tmp_path, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin(TWO)
        speech.utterance.end()
        await speech.ear.has_sound(1.9)
        await asyncio.sleep(30.0)
        assert len(engine.jobs) == 1
        halt.goes_on.set()
        end = await speech.whole()
        await one.check(end)
    assert (end.pieces, end.failure) == (2, None)


@each_row("marking, jobs", [("true", 1), ("false", 2)])
@simulated
async def test_a_piece_waits_for_the_one_before_only_if_that_is_marked(
    tmp_path: Path, marking: str, jobs: int
) -> None:
    """A mark goes on at its place. The speech of an engine that is not marked is made ahead as ever."""
    halt = Halt(at=1)
    engine = Scripted(Started(RATE_HZ), *sound(2.0), halt, Finished())
    config = PAIR.replace("[engines.one]", f"[engines.one]\nmarking = {marking}").replace(
        "[engines.two]", "[engines.two]\nmarking = true"
    )
    async with rig(tmp_path, config, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin(TWO)
        speech.utterance.end()
        await speech.ear.has_sound(1.8)
        await asyncio.sleep(30.0)
        assert len(engine.jobs) == jobs
        halt.goes_on.set()
        end = await speech.whole()
        await one.check(end)
    assert (end.pieces, end.failure) == (2, None)


@simulated
async def test_a_later_piece_asks_the_voice_of_the_first_without_a_hedge(tmp_path: Path) -> None:
    """The first engine is late at first, so the second one speaks; then the first one must not be asked."""
    slow = Halt()
    one_engine, two_engine = Scripted(slow, *spoken(3.0)), Scripted(*spoken(3.0))
    config = PAIR.replace("[engines.one]", "[engines.one]\nhedge_s = 0.2").replace(
        "[engines.two]", "[engines.two]\nhedge_s = 0.2"
    )
    async with rig(tmp_path, config, engines={"one": one_engine, "two": two_engine}) as one:
        speech = await one.begin(TWO)
        end = await speech.whole()
        await one.check(end)
    assert [start.model for start in speech.ear.starts] == ["two/m", "two/m"]
    assert len(one_engine.jobs) == 1


@simulated
async def test_another_voice_goes_on_only_if_the_first_one_fails(tmp_path: Path) -> None:
    fails = iter([None, errors.EngineFailed("it broke")])

    async def maybe() -> None:
        if (failure := next(fails)) is not None:
            raise failure

    one_engine, two_engine = Scripted(maybe, *spoken(3.0)), Scripted(*spoken(3.0))
    async with rig(tmp_path, engines={"one": one_engine, "two": two_engine}) as one:
        speech = await one.begin(TWO)
        end = await speech.whole()
        await one.check(end)
    assert [start.model for start in speech.ear.starts] == ["one/m", "two/m"]
    assert end.failure is None


@each_row("format_", ["mp3", "opus", "aac", "flac", "pcm", "g711_ulaw"])
async def test_all_pieces_are_one_file(tmp_path: Path, format_: str) -> None:
    async with rig(tmp_path, engines={"one": Scripted(*spoken(0.5)), "two": Scripted()}) as one:
        speech = await one.begin(TWO, response_format=format_)
        end = await speech.whole()
        await one.check(end)
    heard = decoded(bytes(speech.ear.data), format_)
    assert heard.seconds == pytest.approx(1.0, abs=0.12)
    assert end.usage.seconds == pytest.approx(1.0, abs=0.01)


@simulated
async def test_the_language_and_the_emotion_go_on(tmp_path: Path) -> None:
    engine = Scripted(*spoken(3.0), emotions=("happy",))
    async with rig(tmp_path, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin(
            "[happy] Olá, meu amigo, como vai você hoje à tarde? Eu estou aqui. Ok. [neutral] Tchau e até já."
        )
        end = await speech.whole()
        await one.check(end)
    assert {job.language for job in engine.jobs} == {"pt"}
    assert [job.emotion for job in engine.jobs] == ["happy", "happy", None]


@simulated
async def test_a_price_by_job_makes_one_piece(tmp_path: Path) -> None:
    plan = '[plans.paid]\nallowance = 1000\nprices.speech = { credits = 1, per = "job" }\n'
    engine = Scripted(*spoken(0.5))
    async with rig(tmp_path, PAIR + plan, engines={"one": engine, "two": Scripted()}, plan="paid") as one:
        speech = await one.begin(TWO)
        await asyncio.sleep(9.0)
        assert not engine.jobs
        speech.utterance.add(" And more.")
        rows = await one.check(await speech.whole())
    assert [(row.characters, row.credits) for row in rows] == [(len(TWO) + 10, 1_000_000)]


@each_row("code, said, characters", [("skip", "So: Done.", 11), ("read", "So: x = 1 Done.", 33)])
@simulated
async def test_a_block_of_code_is_silent_and_free(
    tmp_path: Path, code: str, said: str, characters: int
) -> None:
    engine = Scripted(*spoken(0.5))
    async with rig(tmp_path, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin("So:\n```\nx = 1\n```\n", code=code)
        speech.utterance.flush()
        await asyncio.sleep(9.0)
        speech.utterance.add("Done.\n```\n\n```\n")
        speech.utterance.flush()
        await asyncio.sleep(9.0)
        end = await speech.whole()
        rows = await one.check(end)
    assert " ".join(each.spoken for job in engine.jobs for each in job.segments) == said
    assert (end.failure, len(rows), end.usage.characters) == (None, end.pieces, characters)


@each_row("text", [" … !", "```\nx = 1\n```"])
async def test_a_text_with_nothing_to_say_is_an_empty_utterance(tmp_path: Path, text: str) -> None:
    async with rig(tmp_path, engines={"one": Scripted(), "two": Scripted()}) as one:
        speech = await one.begin(text)
        end = await speech.whole()
        assert await one.check(end) == []
    assert (end.pieces, end.usage.characters, end.failure) == (0, 0, None)
    assert not speech.ear.data


async def test_a_text_that_rests_is_spoken(tmp_path: Path) -> None:
    async with rig(tmp_path, engines={"one": Scripted(*spoken(0.5)), "two": Scripted()}) as one:
        speech = await one.begin("Just one moment.")
        await speech.ear.has_sound(0.45)
        await one.check(await speech.whole())


@simulated
async def test_a_word_has_the_sound_that_came_with_it(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.2), phonemes=("ipa",))
    async with rig(tmp_path, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin("A pear, a ")
        speech.utterance.add("tomato. ", {"tomato": "/a/"})
        speech.utterance.add("", {"pear": "/b/"})
        with pytest.raises(InvalidRequest):
            speech.utterance.add("More. ", {"tomato": "/c/"})
        await one.check(await speech.whole())
    ((first, second),) = (job.pronunciations for job in engine.jobs)
    assert (first.sounds, second.sounds) == ("b", "a")
