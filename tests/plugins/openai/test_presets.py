"""Presets: with an address alone, a vLLM-Omni is asked as its pages say."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from fakes.openai.app import provider
from plugins.openai.presets import PRESETS
from plugins.openai.settings import OpenAISettings
from plugins.tone.decode import decode
from speech_engine import Sample, Samples
from speech_engine.host.sample_shelf import SampleShelf
from speech_engine.models import Language
from speech_engine.testing import collect, job
from speech_engine.testing.serving import served
from tests.plugins.openai.upstream import pair, pcm_of, until_it_fails
from tests.plugins.tone.clips import clip
from tests.proxy.api import owning
from tests.proxy.api.inside import inside
from tests.tones import tones

VOXCPM2, BASE = "openbmb/VoxCPM2", "Qwen/Qwen3-TTS-12Hz-1.7B-Base"
CUSTOM = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice"


def shelf() -> SampleShelf:
    made = SampleShelf()
    for model in (VOXCPM2, BASE):
        made.put("contract", model, "mine", clip(187.0, 4.0))
    return made


def test_a_preset_gives_what_a_section_leaves_out_and_no_more() -> None:
    plain = OpenAISettings(preset="vllm-omni")
    assert (plain.base_url, plain.speed, plain.recordings) == ("http://127.0.0.1:8091/v1", (1.0, 1.0), "json")
    assert (plain.billed_on_submit, plain.extra) == (False, {"stream_format": "audio"})
    own = OpenAISettings(preset="vllm-omni", base_url="http://gpu/v1", recordings="form", extra={"x": 1})
    assert (own.base_url, own.recordings, own.extra) == ("http://gpu/v1", "form", {"x": 1})
    assert OpenAISettings().extra == {}


def test_a_model_that_the_preset_knows_has_its_languages_rate_and_licence() -> None:
    settings = OpenAISettings(preset="vllm-omni")
    model = settings.model(VOXCPM2)
    assert {"th", "pt", "en"} <= {language.tag for language in model.languages}
    assert (model.sample_rate_hz, model.speaks_samples, model.needs_sample_text) == (48_000, True, False)
    assert (model.licence, model.paid_use, model.must_accept_licence) == ("Apache-2.0", True, False)
    assert settings.model(BASE).needs_sample_text
    assert not settings.model(CUSTOM).speaks_samples
    assert Language("th") not in settings.model(CUSTOM).languages


def test_a_model_that_it_does_not_know_is_what_the_settings_say() -> None:
    model = OpenAISettings(preset="vllm-omni", languages=("fi",), licence="MIT").model("someone/else")
    assert (model.languages, model.licence, model.speaks_samples) == ((Language("fi"),), "MIT", True)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_settings_are_settings(preset: str) -> None:
    assert set(PRESETS[preset].settings) < set(OpenAISettings.__struct_fields__) - {"is_local", "api_key"}


async def test_voxcpm2_is_asked_for_a_stream_of_samples_at_its_rate() -> None:
    async with pair("voxcpm2", shelf(), preset="vllm-omni") as (engine, fake):
        await engine.refresh()
        assert [model.id for model in engine.models()] == [VOXCPM2]
        spoken = replace(job("One.", "Two.", model=VOXCPM2, language="th"), voice=Samples((_sample(),)))
        events = await collect(engine, replace(spoken, formats=("mp3",)))
    (sent,) = [seen.json for seen in fake.spoken()]
    assert sent.pop("ref_audio").startswith("data:audio/wav;base64,")
    assert sent == {
        "model": VOXCPM2,
        "input": "One. Two.",
        "response_format": "pcm",
        "stream_format": "audio",
        "ref_text": "A few words.",
    }
    heard = np.frombuffer(pcm_of(events), dtype="<i2")
    assert " ".join(decode(heard, 48_000)) == "One. Two."


async def test_qwen_hears_the_languages_name_and_needs_the_words() -> None:
    async with pair("qwen3-base", shelf(), preset="vllm-omni") as (engine, fake):
        await engine.refresh()
        spoken = replace(job("Um.", model=BASE, language="pt-BR"), voice=Samples((_sample(),)))
        await collect(engine, spoken)
        assert fake.spoken()[0].json["language"] == "Portuguese"
        _, error = await until_it_fails(engine, job("Um.", model=BASE, voice="vivian"))
        assert error is not None
    async with pair("qwen3-custom", preset="vllm-omni") as (engine, fake):
        await engine.refresh()
        await collect(engine, job("One.", model=CUSTOM, voice="vivian", language="en"))
        assert fake.spoken()[0].json["language"] == "English"


async def test_the_fake_refuses_a_stream_of_another_format_or_speed() -> None:
    for wrong in ({"formats": ("mp3",)}, {"speed": (0.5, 2.0)}):
        async with pair("voxcpm2", shelf(), preset="vllm-omni", **wrong) as (engine, _):
            asked = replace(job("One.", model=VOXCPM2, voice="default"), formats=("mp3",), speed=1.5)
            _, error = await until_it_fails(engine, asked)
            assert error is not None


_CONFIG = """
[server]
default_model = "omni/openbmb/VoxCPM2"
[engines.omni]
plugin = "openai"
preset = "vllm-omni"
base_url = "{url}/voxcpm2/v1"
is_local = true
models = ["openbmb/VoxCPM2"]
[models]
tts-1 = ["omni/openbmb/VoxCPM2"]
[voices.alloy]
omni = "default"
[plans.unlimited]
voices = 5
"""


async def test_only_its_owner_speaks_with_a_voice_and_only_its_recording_leaves(tmp_path: Path) -> None:
    async with served(provider(tones)) as fake, inside(tmp_path, _CONFIG.format(url=fake.url)) as server:
        voice = await owning.clone(server)
        assert fake.provider.spoken() == []
        heard = await server.speech("It is mine.", voice={"id": voice["id"]}, language="pt-BR")
        assert heard.status_code == 200, heard.text
        (sent,) = [seen.json for seen in fake.provider.spoken()]
        with wave.open(io.BytesIO(base64.b64decode(sent["ref_audio"].partition(",")[2]))) as recording:
            assert recording.getframerate() == 24_000
        assert "voice" not in sent
        stranger = await owning.new_key(server, "stranger")
        body = {"model": "tts-1", "voice": {"id": voice["id"]}, "input": "It is not."}
        refused = await server.ask("POST", "/v1/audio/speech", key=stranger, body=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "voice_not_found")
        assert len(fake.provider.spoken()) == 1


def _sample() -> Sample:
    return Sample("mine", text="A few words.", seconds=4.0)
