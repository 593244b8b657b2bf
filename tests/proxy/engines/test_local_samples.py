"""Recordings for engines in the server itself: there before the work begins, and gone when dropped."""

import asyncio
from hashlib import sha256

import pytest

from proxy.engines.in_process import InProcessEngine
from proxy.engines.local_samples import LocalSamples
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import ProviderKey, ProviderPace
from proxy.telemetry.metrics import Metrics
from speech_engine import Audio, EngineFailed, Speak, SpeechJob, Started, VoiceNotFound
from speech_engine.host.slots import Slots
from tests.proxy.engines.sources import Recordings
from tests.speech_engine.host.fakes import RATE_HZ, job, read
from tests.speech_engine.host.mimics import Mimic, sampled, trained
from tests.waiting import soon

Local = InProcessEngine | CloudEngine


@pytest.fixture(params=["in process", "cloud"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def local(kind: str, source: Recordings, *, holds: bool = False) -> tuple[Local, Mimic]:
    samples = LocalSamples(source)
    mimic = Mimic(samples.sample_cache, holds=holds)
    if kind == "in process":
        return InProcessEngine(mimic, 8, samples), mimic
    metrics = Metrics().engines
    key = ProviderKey("fake", 1, mimic, Slots(16, 8), ProviderPace(None), metrics)
    return CloudEngine("fake", [key], metrics, samples=samples), mimic


async def heard(engine: Local, job: SpeechJob) -> list[bytes]:
    return [event.pcm for event in await read(engine.open(Speak(job))) if isinstance(event, Audio)]


async def test_recordings_are_read_once_before_the_work_begins(kind: str) -> None:
    source = Recordings(acc_1={"a": b"aa"}, acc_2={"a": b"other"})
    engine, _ = local(kind, source)
    jobs = [sampled("a", id_=f"job_{number}") for number in range(16)]
    assert await asyncio.gather(*(heard(engine, each) for each in jobs)) == [[b"aa"]] * 16
    assert await heard(engine, sampled("a", tenant="acc_2")) == [b"other"]
    assert source.asked == [("acc_1", "a"), ("acc_2", "a")]


async def test_a_model_is_brought_in_pieces_and_a_drop_ends_its_work(kind: str) -> None:
    file = bytes(range(256)) * 20_000
    engine, _ = local(kind, Recordings(acc_1={"m": file}), holds=True)
    stream = engine.open(Speak(trained("m")))
    assert isinstance(await stream.next_event(), Started)
    assert await stream.next_event() == Audio(0, sha256(file).digest())
    await engine.drop_samples(["m"])
    with pytest.raises(VoiceNotFound):
        await stream.next_event()


async def test_a_voice_of_the_engine_opens_what_it_always_did(kind: str) -> None:
    engine, mimic = local(kind, Recordings())
    stream = engine.open(Speak(job()))
    assert type(stream).__name__ in ("SlotStream", "CloudStream")
    await read(stream)
    assert mimic.jobs == ["job_1"]


async def test_a_recording_that_cannot_be_had_begins_nothing(kind: str) -> None:
    engine, mimic = local(kind, Recordings())
    with pytest.raises(EngineFailed):
        await heard(engine, sampled("a"))
    assert mimic.jobs == []


async def test_a_job_that_is_cancelled_while_its_recording_comes_leaves_nothing(kind: str) -> None:
    source = Recordings(acc_1={"a": b"aa"})
    source.gate.clear()
    engine, mimic = local(kind, source)
    speaking = asyncio.create_task(heard(engine, sampled("a")))
    await soon(lambda: source.waiting == 1)
    speaking.cancel()
    await asyncio.wait([speaking])
    await soon(lambda: source.waiting == 0)
    assert (await engine.health()).running == 0
    assert mimic.jobs == []


async def test_a_drop_ends_the_work_at_its_next_event_and_frees_its_slot(kind: str) -> None:
    source = Recordings(acc_1={"a": b"aa"})
    engine, _ = local(kind, source, holds=True)
    stream = engine.open(Speak(sampled("a")))
    assert await stream.next_event() == Started(RATE_HZ)
    await engine.drop_samples(["a"])
    with pytest.raises(VoiceNotFound):
        await stream.next_event()
    await stream.close()
    assert (await engine.health()).running == 0
    del source.by_tenant["acc_1"]["a"]
    with pytest.raises(EngineFailed):
        await heard(engine, sampled("a"))


async def test_closing_early_gives_back_the_loan_and_the_slot(kind: str) -> None:
    engine, mimic = local(kind, Recordings(acc_1={"a": b"aa"}), holds=True)
    for _ in range(2):
        stream = engine.open(Speak(sampled("a")))
        while not isinstance(await stream.next_event(), Audio):
            pass
        await stream.close()
        await stream.close()
        assert await stream.next_event() is None
    assert (await engine.health()).running == 0
    assert repr(mimic._sample_cache) == "<SampleCache 1 recordings, 0 loans>"
