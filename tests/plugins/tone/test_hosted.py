"""Clones and conversions of the tone engine over a host, as a server asks for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from plugins.tone.decode import decode
from plugins.tone.plugin import ToneSettings
from proxy.hosts.hosted import HostedEngine
from speech_engine import (
    HEARING_HZ,
    Clone,
    CloneRequest,
    CloneSample,
    Convert,
    DeleteVoice,
    Event,
    Finished,
    Hear,
    HearJob,
    Speak,
    Transcript,
    UnusableSample,
    VoiceMade,
    VoiceNotFound,
    Work,
)
from speech_engine.testing import job
from speech_engine.testing.hearing_contract import segments
from speech_engine.testing.recordings import PcmRecording, input_of
from tests.plugins.tone.ears import pcm_of, spoken, tone
from tests.proxy.hosts.host_rig import hosted
from tests.speech_engine.host.fakes import host, read, short_folder

RATE_HZ = 24_000


@asynccontextmanager
async def tone_host(settings: ToneSettings | None = None) -> AsyncIterator[HostedEngine]:
    with short_folder() as folder:
        async with tone(settings) as engine, host(engine, folder / "1"), hosted(folder / "1") as voice:
            yield voice


async def answer(engine: HostedEngine, work: Work) -> list[Event]:
    return await read(engine.open(work))


def clone(*samples: bytes) -> Clone:
    request = CloneRequest(name="Anna", samples=tuple(CloneSample(sample) for sample in samples))
    return Clone(id="work_1", tenant="acc_1", deadline_s=5.0, request=request)


async def test_a_clone_speaks_over_a_host_until_it_is_deleted() -> None:
    async with tone_host() as engine:
        made, finished = await answer(engine, clone(b"RIFF"))
        assert isinstance(made, VoiceMade)
        assert isinstance(finished, Finished)
        spoken = await answer(engine, Speak(job("Hello.", voice=made.id)))
        assert decode(pcm_of(tuple(spoken)), RATE_HZ) == ("Hello.",)
        delete = DeleteVoice(id="work_2", tenant="acc_1", deadline_s=5.0, voice=made.id)
        assert await answer(engine, delete) == [Finished()]
        for work in (delete, Speak(job("Hello.", voice=made.id))):
            with pytest.raises(VoiceNotFound):
                await answer(engine, work)


async def test_a_recording_that_is_none_makes_no_voice() -> None:
    async with tone_host() as engine:
        for work in (clone(), clone(b"no WAV")):
            with pytest.raises(UnusableSample):
                await answer(engine, work)


async def test_a_recording_is_converted_over_a_host_word_for_word() -> None:
    async with tone_host() as engine:
        recording = input_of(await answer(engine, Speak(job("Once more,", "please."))))
        converted = await read(engine.open(Convert(job()), pcm=PcmRecording(recording)))
        assert decode(pcm_of(tuple(converted)), RATE_HZ) == ("Once more,", "please.")
        with pytest.raises(UnusableSample):
            await read(engine.open(Convert(job()), pcm=PcmRecording(b"")))


async def test_a_conversion_that_is_closed_early_frees_its_slot() -> None:
    async with tone_host() as engine:
        recording = input_of(await answer(engine, Speak(job("word " * 50))))
        stream = engine.open(Convert(job(voice="hang-late")), pcm=PcmRecording(recording))
        assert await stream.next_event() is not None
        await stream.close()
        assert await stream.next_event() is None
        while (await engine.health()).running:
            pass


async def test_a_recording_is_heard_over_a_host_as_it_comes() -> None:
    texts = ("One.", "Two.", "Three.", "Four.", "Five.")
    pcm = (await spoken(*texts, sample_rate_hz=HEARING_HZ)).tobytes()
    work = Hear(HearJob(id="1", tenant="acc_1", model="ears", estimated_s=5.0, times="words"))
    async with tone_host(ToneSettings(hears=True)) as engine:
        events = await read(engine.open(work, pcm=PcmRecording(pcm)))
        assert [each.text.strip() for each in segments(events)] == list(texts)
        assert isinstance(events[-1], Finished)
        stream = engine.open(work, pcm=PcmRecording(pcm))
        assert isinstance(await stream.next_event(), Transcript)
        await stream.close()
        while (await engine.health()).running:
            pass
