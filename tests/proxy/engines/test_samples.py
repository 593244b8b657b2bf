"""Recordings on their way to hosts over real sockets: once, to the right tenant, and gone when dropped."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.hosts import host_process
from proxy.hosts.hosted import HostedEngine
from speech_engine import (
    Audio,
    Convert,
    EngineBusy,
    EngineFailed,
    EngineUnavailable,
    Event,
    Finished,
    Mix,
    Sample,
    Samples,
    Speak,
    SpeechJob,
    Started,
    VoiceNotFound,
)
from speech_engine.host.messages import MissingSamples, encode
from speech_engine.host.sample_cache import SampleCache
from speech_engine.testing.recordings import PcmRecording
from speech_engine.values import Trained, find_samples
from tests.fixtures import opened
from tests.proxy.engines.sources import FileInParts, Recordings
from tests.proxy.hosts.host_rig import hosted, odd_host, spoken, state
from tests.speech_engine.host.fakes import RATE_HZ, host, read, short_folder
from tests.speech_engine.host.mimics import CountingCache, Mimic, sampled, trained
from tests.waiting import soon

folder = opened(short_folder)


@asynccontextmanager
async def served(engine: Mimic, folder: Path, source: Recordings) -> AsyncIterator[HostedEngine]:
    """A host of the engine, with its cache, and the engine as a worker has it."""
    address = folder / "1"
    async with (
        host(engine, address, sample_cache=engine._sample_cache),
        hosted(address, source=source) as voice,
    ):
        yield voice


async def heard(engine: HostedEngine, job: SpeechJob) -> list[bytes]:
    return [event.pcm for event in await spoken(engine, job) if isinstance(event, Audio)]


async def test_a_host_gets_the_recordings_that_it_lacks_and_keeps_them(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa", "b": b"bb"}), CountingCache()
    async with served(Mimic(sample_cache), folder, source) as voice:
        assert await heard(voice, sampled("a")) == [b"aa"]
        assert await heard(voice, sampled("a", "b")) == [b"aa", b"bb"]
        assert await heard(voice, sampled("b", "a")) == [b"bb", b"aa"]
    assert sample_cache.came == [("acc_1", "a"), ("acc_1", "b")]
    assert source.asked == sample_cache.came


async def test_a_host_gets_no_other_recording_of_the_account_than_the_works_own(folder: Path) -> None:
    source = Recordings(acc_1={"a": b"aa", "b": b"bb"})
    wants = encode(MissingSamples(("a", "b")))
    async with odd_host(folder / "1", answers=(wants,)), hosted(folder / "1", source=source) as voice:
        with pytest.raises(EngineUnavailable, match="that this work cannot bring"):
            await heard(voice, sampled("a"))
    assert not source.asked


async def test_a_host_gets_a_large_model_in_pieces_and_keeps_it(folder: Path) -> None:
    file = bytes(range(256)) * 300_000  # more than a message may have
    source, sample_cache = Recordings(acc_1={"m": file}), SampleCache()
    async with served(Mimic(sample_cache), folder, source) as voice:
        found = await asyncio.gather(*(heard(voice, trained("m", f"job_{number}")) for number in range(2)))
        assert found == [[sha256(file).digest()]] * 2
        assert await heard(voice, trained("m")) == found[0]
        with pytest.raises(EngineFailed, match="cannot be had"):
            await heard(voice, trained("m", tenant="acc_2"))
        await voice.drop_samples(["m"])
        assert sample_cache.missing(trained("m")) == ("m",)
    assert source.asked == [("acc_1", "m"), ("acc_2", "m")]


async def test_a_model_of_the_operator_comes_once_for_all_accounts(folder: Path) -> None:
    source, sample_cache = Recordings(**{"": {"m": b"file"}}), SampleCache()
    voice = Trained("m", is_operators=True)
    async with served(Mimic(sample_cache), folder, source) as engine:
        for tenant in ("acc_1", "acc_2"):
            job = replace(trained("m", tenant=tenant), voice=voice)
            assert await heard(engine, job) == [sha256(b"file").digest()]
        with pytest.raises(EngineFailed, match="cannot be had"):
            await heard(engine, trained("m"))
    assert source.asked == [("", "m"), ("acc_1", "m")]


async def test_a_model_that_is_not_whole_is_not_spoken_with(folder: Path) -> None:
    class Broken(Recordings):
        async def model(self, tenant: str, digest: str) -> FileInParts:
            return FileInParts(b"some", 5)

    sample_cache = SampleCache()
    async with served(Mimic(sample_cache), folder, Broken()) as voice:
        with pytest.raises(EngineFailed, match="cannot be had"):
            await heard(voice, trained("m"))


class Repeater(Mimic):
    """Answers a conversion with the recordings of its voice, then with what it is to repeat."""

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        for sample in find_samples(job.voice):
            yield Audio(0, self._sample_cache.pcm(job, sample))
        async for piece in pcm:
            yield Audio(0, piece)
        yield Finished()


async def converted(engine: HostedEngine, job: SpeechJob) -> bytes:
    events = await read(engine.open(Convert(job), pcm=PcmRecording(b"repeat me ")))
    return b"".join(event.pcm for event in events if isinstance(event, Audio))


async def test_a_conversion_gets_the_recordings_that_its_host_lacks(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa", "b": b"bb"}), CountingCache()
    async with served(Repeater(sample_cache), folder, source) as voice:
        assert await converted(voice, sampled("a")) == b"aarepeat me "
        assert await converted(voice, sampled("a", "b")) == b"aabbrepeat me "
        assert await heard(voice, sampled("b")) == [b"bb"]
    assert sample_cache.came == [("acc_1", "a"), ("acc_1", "b")]


async def test_a_conversion_whose_recording_had_to_go_is_served_the_next_time(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"a" * 8, "b": b"b" * 8}), CountingCache(limit_bytes=10)
    async with served(Repeater(sample_cache), folder, source) as voice:
        assert await converted(voice, sampled("a")) == b"a" * 8 + b"repeat me "
        assert await heard(voice, sampled("b")) == [b"b" * 8]
        with pytest.raises(EngineBusy, match="no room"):
            await converted(voice, sampled("a"))
        assert await converted(voice, sampled("a")) == b"a" * 8 + b"repeat me "


async def test_sixteen_first_jobs_at_once_bring_a_recording_once(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa"}), CountingCache()
    async with served(Mimic(sample_cache), folder, source) as voice:
        jobs = [sampled("a", id_=f"job_{number}") for number in range(16)]
        assert await asyncio.gather(*(heard(voice, each) for each in jobs)) == [[b"aa"]] * 16
    assert sample_cache.came == [("acc_1", "a")]


async def test_each_process_gets_its_own_copy(folder: Path) -> None:
    source = Recordings(acc_1={"a": b"aa"})
    shelves = CountingCache(), CountingCache()
    async with AsyncExitStack() as stack:
        for number, sample_cache in enumerate(shelves):
            await stack.enter_async_context(
                host(Mimic(sample_cache), folder / str(number), sample_cache=sample_cache)
            )
        voice = await stack.enter_async_context(hosted(folder / "0", folder / "1", source=source))
        jobs = [sampled("a", id_=f"job_{number}") for number in range(16)]
        assert await asyncio.gather(*(heard(voice, each) for each in jobs)) == [[b"aa"]] * 16
    assert [sample_cache.came for sample_cache in shelves] == [[("acc_1", "a")]] * 2


async def test_the_same_digest_of_two_accounts_is_two_recordings(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"mine"}, acc_2={"a": b"theirs"}), CountingCache()
    async with served(Mimic(sample_cache), folder, source) as voice:
        mine, theirs = sampled("a"), sampled("a", tenant="acc_2")
        assert await asyncio.gather(*(heard(voice, each) for each in (mine, theirs, mine))) == [
            [b"mine"],
            [b"theirs"],
            [b"mine"],
        ]
        with pytest.raises(EngineFailed):
            await heard(voice, sampled("a", tenant="acc_3"))
    assert sorted(sample_cache.came) == [("acc_1", "a"), ("acc_2", "a")]


async def test_a_host_that_died_gets_the_recording_again_in_its_next_life(folder: Path) -> None:
    source, first, reborn = Recordings(acc_1={"a": b"aa"}), CountingCache(), CountingCache()
    async with AsyncExitStack() as life:
        await life.enter_async_context(host(Mimic(first), folder / "1", sample_cache=first))
        async with (
            hosted(folder / "1", source=source) as voice,
            host(Mimic(reborn), folder / "2", sample_cache=reborn),
        ):
            assert await heard(voice, sampled("a")) == [b"aa"]
            await life.aclose()
            voice.update_host(state("", "restarting"))
            voice.update_host(state(folder / "2"))
            assert await heard(voice, sampled("a")) == [b"aa"]
    assert first.came == reborn.came == [("acc_1", "a")]


async def test_a_host_that_dies_before_the_recording_comes_is_not_waited_for(folder: Path) -> None:
    source, first, reborn = Recordings(acc_1={"a": b"aa"}), CountingCache(), CountingCache()
    source.gate.clear()
    async with AsyncExitStack() as life:
        await life.enter_async_context(host(Mimic(first), folder / "1", sample_cache=first))
        async with (
            hosted(folder / "1", source=source) as voice,
            host(Mimic(reborn), folder / "2", sample_cache=reborn),
        ):
            speaking = asyncio.create_task(heard(voice, sampled("a")))
            await soon(lambda: source.waiting == 1)
            await life.aclose()
            voice.update_host(state("", "restarting"))
            voice.update_host(state(folder / "2"))
            source.gate.set()
            assert await speaking == [b"aa"]
    assert (first.came, reborn.came) == ([], [("acc_1", "a")])


async def test_work_whose_recordings_came_to_a_leaving_process_goes_to_another(folder: Path) -> None:
    source, caches = Recordings(acc_1={"a": b"aa"}), (CountingCache(), CountingCache())
    source.gate.clear()
    async with (
        host(Mimic(caches[0]), folder / "1", sample_cache=caches[0]),
        host(Mimic(caches[1]), folder / "2", sample_cache=caches[1]),
        hosted(folder / "1", source=source) as voice,
    ):
        speaking = asyncio.create_task(heard(voice, sampled("a")))
        await soon(lambda: source.waiting == 1)
        voice.update_host(state(folder / "1", "leaving"))
        voice.update_host(state(folder / "2", process=1))
        source.gate.set()
        assert await speaking == [b"aa"]
    assert caches[1].came == [("acc_1", "a")]


async def test_the_last_job_that_is_cancelled_ends_the_delivery_and_the_next_begins_another(
    folder: Path,
) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa"}), CountingCache()
    source.gate.clear()
    async with served(Mimic(sample_cache), folder, source) as voice:
        speaking = [asyncio.create_task(heard(voice, sampled("a", id_=f"job_{n}"))) for n in range(2)]
        await soon(lambda: [each.waiting for each in voice._delivery._transfers.values()] == [2])
        await soon(lambda: source.waiting == 1)
        speaking[0].cancel()
        await asyncio.wait(speaking[:1])
        assert source.waiting == 1
        speaking[1].cancel()
        await asyncio.wait(speaking)
        assert all(each.cancelled() for each in speaking)
        await soon(lambda: source.waiting == 0)
        await soon(lambda: repr(voice) == "<HostedEngine fake: ready, 0 running>")
        source.gate.set()
        assert await heard(voice, sampled("a")) == [b"aa"]
    assert sample_cache.came == [("acc_1", "a")]


async def test_a_recording_that_cannot_be_had_fails_its_own_jobs_alone(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa"}), CountingCache()
    async with served(Mimic(sample_cache), folder, source) as voice:
        results = await asyncio.gather(
            heard(voice, sampled("gone")), heard(voice, sampled("a")), return_exceptions=True
        )
        assert isinstance(results[0], EngineFailed)
        assert results[1] == [b"aa"]
        await soon(lambda: repr(voice) == "<HostedEngine fake: ready, 0 running>")


async def test_a_host_without_room_is_busy_and_serves_those_that_it_has(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa", "b": bytes(20)}), CountingCache(limit_bytes=10)
    async with served(Mimic(sample_cache), folder, source) as voice:
        with pytest.raises(EngineBusy):
            await heard(voice, sampled("b"))
        assert await heard(voice, sampled("a")) == [b"aa"]


async def test_a_drop_ends_the_jobs_that_use_the_recording_and_no_others(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa", "b": b"bb"}), CountingCache()
    engine = Mimic(sample_cache, holds=True)
    async with served(engine, folder, source) as voice:
        ended, kept = (voice.open(Speak(sampled(digest, id_=digest))) for digest in "ab")
        for stream in (ended, kept):
            assert await stream.next_event() == Started(RATE_HZ)
            assert isinstance(await stream.next_event(), Audio)
        await voice.drop_samples(["a"])
        assert engine.stopped == ["a"]
        assert repr(sample_cache) == "<SampleCache 1 recordings, 1 loans>"
        with pytest.raises(VoiceNotFound):
            await ended.next_event()
        await kept.close()
        del source.by_tenant["acc_1"]["a"]
        with pytest.raises(EngineFailed):
            await heard(voice, sampled("a"))


@pytest.mark.parametrize("dropped", ["a", "b"])
async def test_a_mix_brings_what_all_its_members_lack_and_ends_with_any_of_them(
    folder: Path, dropped: str
) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa", "b": b"bb", "c": b"cc"}), CountingCache()
    engine = Mimic(sample_cache, holds=True)
    members = Samples((Sample("a"), Sample("c"))), Samples((Sample("b"),))
    mix = replace(sampled(), voice=Mix(((members[0], 0.5), (members[1], 0.5))))
    async with served(engine, folder, source) as voice:
        stream = voice.open(Speak(mix))
        assert await stream.next_event() == Started(RATE_HZ)
        assert engine.jobs == ["job_1"]
        assert source.asked == [("acc_1", digest) for digest in "acb"]
        for pcm in (b"aa", b"cc", b"bb"):
            assert await stream.next_event() == Audio(0, pcm)
        await voice.drop_samples([dropped])
        assert engine.stopped == ["job_1"]
        with pytest.raises(VoiceNotFound):
            await stream.next_event()


async def test_a_drop_ends_jobs_that_still_wait_for_a_slot(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa"}), CountingCache()
    engine = Mimic(sample_cache, slots=1, holds=True)
    async with served(engine, folder, source) as voice:
        first = voice.open(Speak(sampled("a", id_="first")))
        await first.next_event()
        waiting = asyncio.create_task(read(voice.open(Speak(sampled("a", id_="second", tenant="acc_1")))))
        await soon(voice.health, lambda health: health.waiting)
        await voice.drop_samples(["a"])
        with pytest.raises(VoiceNotFound):
            await waiting
        with pytest.raises(VoiceNotFound):
            await read(first)
    assert engine.jobs == ["first"]


async def test_what_is_on_its_way_during_a_drop_never_arrives(folder: Path) -> None:
    source, sample_cache = Recordings(acc_1={"a": b"aa"}), CountingCache()
    source.gate.clear()
    async with served(Mimic(sample_cache), folder, source) as voice:
        speaking = asyncio.create_task(heard(voice, sampled("a")))
        await soon(lambda: source.waiting == 1)
        await voice.drop_samples(["a"])
        assert source.waiting == 0
        with pytest.raises(VoiceNotFound):
            await speaking
        source.gate.set()
    assert sample_cache.came == []


@pytest.mark.clock
async def test_a_dead_process_has_forgotten_and_a_silent_one_has_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_cache = CountingCache()
    async with AsyncExitStack() as life:
        await life.enter_async_context(host(Mimic(sample_cache), folder / "1", sample_cache=sample_cache))
        async with hosted(folder / "1") as voice:
            await life.aclose()
            dropping = asyncio.create_task(voice.drop_samples(["a"]))
            await soon(lambda: not dropping.done())
            voice.update_host(state("", "restarting"))
            await dropping
    monkeypatch.setattr(host_process, "DEATH_S", 0.05)
    async with odd_host(folder / "2"), hosted(folder / "2") as voice:
        with pytest.raises(EngineUnavailable):
            await voice.drop_samples(["a"])


async def test_a_voice_of_the_engine_asks_nobody_for_recordings(folder: Path) -> None:
    source, sample_cache = Recordings(), CountingCache()
    async with served(Mimic(sample_cache), folder, source) as voice:
        assert isinstance((await spoken(voice, sampled()))[-1], Finished)
    assert source.asked == []
