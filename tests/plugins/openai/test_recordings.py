"""Recordings on their way to servers that clone on the fly: what arrives is the voice, whole and alone."""

import base64
import io
import wave
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from fakes.forms import form_of
from plugins.tone.timbre import measure
from speech_engine import EngineVoice, Mix, Sample, Samples, SpeechJob, UnusableSample, VoiceNotFound
from speech_engine.host.sample_cache import SampleCache
from speech_engine.testing import collect, job
from tests.plugins.openai.upstream import Pair, pair, until_it_fails
from tests.plugins.tone.clips import clip

SAMPLE = Sample("mine", text="A few words.", seconds=4.0)
VLLM, VOXGATE = "Qwen/Qwen3-TTS", "tts-1"


def sample_cache(pcm: bytes | None = None) -> SampleCache:
    made = SampleCache()
    for model in (VLLM, VOXGATE):
        made.put("contract", model, "mine", clip(187.0, 4.0) if pcm is None else pcm)
        made.put("contract", model, "short", clip(300.0, 2.0))
    return made


def cloned(model: str, *samples: Sample) -> SpeechJob:
    return replace(job("One.", "Two.", model=model), voice=Samples(samples or (SAMPLE,)))


def timbre_of(wav: bytes) -> tuple[float, float]:
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        found = measure([file.readframes(file.getnframes())], file.getframerate())
    return found.pitch_hz, found.seconds


@pytest.fixture
async def vllm() -> AsyncIterator[Pair]:
    async with pair("vllm", sample_cache(), recordings="json") as made:
        yield made


@pytest.fixture
async def voxgate() -> AsyncIterator[Pair]:
    async with pair("voxgate", sample_cache(), recordings="form", send_language=False) as made:
        yield made


async def test_vllm_gets_a_data_url_and_the_words_and_no_voice(vllm: Pair) -> None:
    await collect(vllm.engine, cloned(VLLM))
    (sent,) = [seen.json for seen in vllm.provider.spoken()]
    head, _, audio = sent.pop("ref_audio").partition(",")
    assert head == "data:audio/wav;base64"
    assert timbre_of(base64.b64decode(audio)) == pytest.approx((187.0, 4.0), rel=0.01)
    assert sent == {
        "model": VLLM,
        "input": "One. Two.",
        "response_format": "pcm",
        "ref_text": "A few words.",
    }


async def test_another_voxgate_gets_a_form_with_the_consent(voxgate: Pair) -> None:
    await collect(voxgate.engine, replace(cloned(VOXGATE), speed=1.5))
    (seen,) = voxgate.provider.spoken()
    form = form_of(seen.headers["content-type"], seen.body)
    (file,) = form.files
    assert (file.field, file.media_type) == ("reference_audio", "audio/wav")
    assert timbre_of(file.data) == pytest.approx((187.0, 4.0), rel=0.01)
    assert form.fields == {
        "model": VOXGATE,
        "input": "One. Two.",
        "response_format": "pcm",
        "speed": "1.5",
        "consent": "true",
        "reference_text": "A few words.",
    }


async def test_words_that_nobody_knows_are_not_sent(vllm: Pair) -> None:
    await collect(vllm.engine, cloned(VLLM, replace(SAMPLE, text="")))
    assert "ref_text" not in vllm.provider.spoken()[0].json


async def test_of_several_recordings_the_longest_is_sent(vllm: Pair) -> None:
    await collect(vllm.engine, cloned(VLLM, Sample("short", seconds=2.0), SAMPLE))
    audio = vllm.provider.spoken()[0].json["ref_audio"].partition(",")[2]
    assert timbre_of(base64.b64decode(audio))[1] == 4.0


async def test_its_own_voices_are_sent_as_ever(vllm: Pair) -> None:
    await collect(vllm.engine, job("One.", model=VLLM, voice="vivian"))
    assert vllm.provider.spoken()[0].json["voice"] == "vivian"
    assert "ref_audio" not in vllm.provider.spoken()[0].json


@pytest.mark.parametrize("settings", [{}, {"recordings": "none"}])
async def test_a_server_that_takes_none_says_so_and_is_not_asked(settings: dict[str, Any]) -> None:
    async with pair("vllm", sample_cache(), **settings) as (engine, provider):
        assert not any(info.speaks_samples for info in engine.models())
        _, error = await until_it_fails(engine, cloned(VLLM))
        assert isinstance(error, VoiceNotFound)
        assert provider.spoken() == []


async def test_a_mix_is_refused(vllm: Pair) -> None:
    mix = Mix(((Samples((SAMPLE,)), 1.0), (EngineVoice("vivian"), 1.0)))
    _, error = await until_it_fails(vllm.engine, replace(cloned(VLLM), voice=mix))
    assert isinstance(error, VoiceNotFound)


@pytest.mark.parametrize(("server", "model", "how"), [("vllm", VLLM, "json"), ("voxgate", VOXGATE, "form")])
async def test_a_recording_that_the_server_refuses_is_unusable(server: str, model: str, how: str) -> None:
    async with pair(server, sample_cache(bytes(200)), recordings=how) as (engine, _):
        _, error = await until_it_fails(engine, cloned(model))
    assert isinstance(error, UnusableSample)


async def test_the_settings_say_what_a_model_needs() -> None:
    async with pair(
        "vllm",
        sample_cache(),
        recordings="json",
        sample_s=(5.0, 20.0),
        needs_sample_text=True,
        models=(VLLM,),
    ) as (engine, _):
        (info,) = engine.models()
    assert (info.speaks_samples, info.sample_s, info.needs_sample_text) == (True, (5.0, 20.0), True)
    assert not info.is_local
