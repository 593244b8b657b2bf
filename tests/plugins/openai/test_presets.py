"""Presets: with a key or an address alone, each host is asked as its own pages say."""

import base64
import io
import wave
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from msgspec.structs import replace

from fakes.openai.app import provider
from fakes.openai.habits import HABITS
from fakes.openai.sound import at_rate
from fakes.serving import served
from plugins.openai.answer_reader import AnswerReader
from plugins.openai.presets import PRESETS, PresetName
from plugins.openai.settings import OpenAISettings
from plugins.tone.decode import decode
from speech_engine import EngineFailed, Sample, Samples, Started, UnsupportedRequest
from speech_engine.host.sample_cache import SampleCache
from speech_engine.models import Language
from speech_engine.testing import collect, job
from tests.commands import command
from tests.plugins.openai.upstream import mp3_of, pair, pcm_of, until_it_fails
from tests.plugins.tone.clips import clip
from tests.proxy.api import owning
from tests.proxy.api.inside import inside
from tests.tables import each_row
from tests.tones import tones

VOXCPM2, BASE = "openbmb/VoxCPM2", "Qwen/Qwen3-TTS-12Hz-1.7B-Base"
CUSTOM = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice"


def sample_cache() -> SampleCache:
    made = SampleCache()
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


@each_row("preset", PRESETS)
def test_a_presets_settings_are_settings(preset: str) -> None:
    assert set(PRESETS[preset].settings) < set(OpenAISettings.__struct_fields__) - {"is_local", "api_key"}


class Row(NamedTuple):
    """A preset at its host's fake: what the section adds, what a request then is, what the host lists."""

    models: tuple[str, ...]
    voice: str
    sent: dict[str, Any]
    more: Mapping[str, Any] = MappingProxyType({})
    language: str = "en"
    formats: tuple[str, ...] = ()
    header: str = "authorization"
    query: str = ""
    listed_at: str = "/audio/models"
    listed: tuple[tuple[str, str | None], ...] = (("", None),)


ROWS = {
    "openrouter": Row(
        ("mistralai/voxtral-mini-tts-2603", "x-ai/grok-voice-1.0"),
        "ara",
        {"model": "mistralai/voxtral-mini-tts-2603", "voice": "ara", "response_format": "pcm"},
        listed_at="/models?output_modalities=speech",
        listed=(),
    ),
    "assemblyai": Row(
        ("assemblyai-tts-1",),
        "nova",
        {"model": "assemblyai-tts-pt", "voice": "nova", "response_format": "mp3"},
        language="pt-BR",
        formats=("mp3",),
    ),
    "azure": Row(
        ("my-speech",),
        "onyx",
        {"model": "my-speech", "voice": "onyx", "response_format": "opus", "speed": 1.5},
        more={"models": ("my-speech",), "api_version": "preview"},
        formats=("opus",),
        header="api-key",
        query="api-version=preview",
        listed_at="/audio/models?api-version=preview",
    ),
    "groq": Row(
        ("canopylabs/orpheus-v1-english", "canopylabs/orpheus-arabic-saudi"),
        "noura",
        {"model": "canopylabs/orpheus-v1-english", "voice": "noura", "response_format": "wav"},
        listed=(("ar", None),),
    ),
    "vllm-omni": Row(
        (VOXCPM2,),
        "default",
        {"model": VOXCPM2, "voice": "default", "response_format": "pcm", "stream_format": "audio"},
    ),
    "kokoro": Row(
        ("kokoro",),
        "bf_emma",
        {"model": "kokoro", "voice": "bf_emma", "response_format": "aac", "speed": 1.5},
        formats=("aac",),
        listed=(("en-GB", "female"),),
    ),
    "inworld": Row(
        ("inworld-tts-2", "inworld-tts-1.5-max", "inworld-tts-1.5-mini"),
        "Dennis",
        {"model": "inworld-tts-2", "voice": "Dennis", "response_format": "pcm"},
    ),
    "deepinfra": Row(
        ("hexgrad/Kokoro-82M", "canopylabs/orpheus-3b-0.1-ft"),
        "bf_emma",
        {"model": "hexgrad/Kokoro-82M", "voice": "bf_emma", "response_format": "wav"},
        listed=(("en-GB", "female"),),
    ),
    "fish": Row(
        ("fish-audio/s2.1-pro",),
        "7f92f8af",
        {
            "model": "fish-audio/s2.1-pro",
            "voice": "7f92f8af",
            "response_format": "mp3",
            "sample_rate": 44_100,
            "speed": 1.5,
        },
        formats=("mp3",),
        listed=(),
    ),
    "mistral": Row(
        ("voxtral-mini-tts-3-0",),
        "voice_592",
        {"model": "voxtral-mini-tts-3-0", "voice_id": "voice_592", "response_format": "wav", "stream": True},
        language="fr",
        listed=(("fr-fr", "female"),),
    ),
    "sglang-omni": Row(
        ("Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice",),
        "default",
        {
            "model": "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice",
            "voice": "default",
            "response_format": "pcm",
            "stream": True,
            "language": "English",
        },
    ),
    "localai": Row(
        ("voxcpm",),
        "nova",
        {"model": "voxcpm", "voice": "nova", "response_format": "wav", "stream": True},
        listed=(),
    ),
    "speaches": Row(
        ("speaches-ai/Kokoro-82M-v1.0-ONNX",),
        "bf_emma",
        {
            "model": "speaches-ai/Kokoro-82M-v1.0-ONNX",
            "voice": "bf_emma",
            "response_format": "mp3",
            "speed": 1.5,
        },
        formats=("mp3",),
        listed=(("en-GB", "female"),),
    ),
    "chatterbox-server": Row(
        ("chatterbox",),
        "Emily.wav",
        {"model": "chatterbox", "voice": "Emily.wav", "response_format": "wav"},
    ),
    "voxgate": Row(
        ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"),
        "nova",
        {
            "model": "tts-1",
            "voice": "nova",
            "response_format": "opus",
            "speed": 1.5,
            "language": "en",
            "stream_format": "sse",
        },
        formats=("opus",),
    ),
}
_FAKES = {"vllm-omni": "voxcpm2"}


@each_row("rate_hz", sorted({habits.rate_hz for habits in HABITS.values()}))
def test_a_fake_speaks_at_the_rate_of_its_host(rate_hz: int) -> None:
    assert decode(np.frombuffer(at_rate(tones("One."), rate_hz), "<i2"), rate_hz) == ("One.",)


def test_every_preset_has_a_row() -> None:
    assert set(ROWS) == {name for name, preset in PRESETS.items() if preset.speaks}


@each_row("preset", ROWS)
async def test_a_host_is_asked_as_its_pages_say(preset: str) -> None:
    row = ROWS[preset]
    async with pair(_FAKES.get(preset, preset), preset=preset, **row.more) as (engine, fake):
        await engine.refresh()
        assert tuple(model.id for model in engine.models() if model.speaks) == row.models
        assert any(f"{seen.path}?{seen.query}".rstrip("?").endswith(row.listed_at) for seen in fake.seen)
        voices = [voice for voice in engine.voices() if voice.id == row.voice]
        assert [(voice.language or "", voice.gender) for voice in voices] == list(row.listed)
        low, high = engine.models()[0].speed
        speed = 1.5 if low < high else 1.0
        wanted = replace(
            job("One.", "Two.", model=row.models[0], voice=row.voice, language=row.language),
            formats=row.formats,
            speed=speed,
        )
        events = await collect(engine, wanted)
    (spoken,) = fake.spoken()
    assert spoken.json == {"input": "One. Two.", **row.sent}
    assert spoken.query == row.query
    key = spoken.headers[row.header]
    assert key == ("sk-good" if row.header == "api-key" else "Bearer sk-good")
    assert ("authorization" in spoken.headers) is (row.header == "authorization")
    if speed == 1.0 and not row.formats:
        started = next(event for event in events if isinstance(event, Started))
        heard = np.frombuffer(pcm_of(events), dtype="<i2")
        assert " ".join(decode(heard, started.sample_rate_hz)) == "One. Two."
    else:
        assert pcm_of(events) or mp3_of(events)


@each_row(
    ("preset", "longest"),
    [("groq", 200), ("assemblyai", 5_000), ("openrouter", 15_000), ("azure", 4_096), ("inworld", 4_000)],
)
def test_a_hosts_longest_text_is_known(preset: PresetName, longest: int) -> None:
    more = dict(ROWS[preset].more) | (
        {"base_url": "https://mine.openai.azure.com/openai/v1"} if preset == "azure" else {}
    )
    models = OpenAISettings(preset=preset, **more).model("x-ai/grok-voice-1.0")
    assert models.max_characters == longest
    own = OpenAISettings(preset=preset, **more, max_characters=99)
    assert own.model("x-ai/grok-voice-1.0").max_characters == 99


async def test_assemblyai_refuses_openais_names_and_an_alias_gives_its_own(tmp_path: Path) -> None:
    async with pair("assemblyai", preset="assemblyai") as (engine, _):
        _, error = await until_it_fails(engine, job("One.", model="tts-1", voice="nova"))
        assert isinstance(error, UnsupportedRequest)
        assert error.detail == "HTTP 400 model_not_found"
    config = _HOST.format(url="{url}", preset="assemblyai", model="assemblyai-tts-1", voice="nova")
    async with served(provider(tones)) as fake, inside(tmp_path, config.format(url=fake.url)) as server:
        heard = await server.speech("Tudo bem.", voice="nova", language="pt", response_format="wav")
        assert heard.status_code == 200, heard.text
        refused = await server.speech("Yksi.", voice="nova", language="fi")
        assert refused.status_code == 400
        (sent,) = fake.provider.spoken()
    assert sent.json["model"] == "assemblyai-tts-pt"


async def test_a_label_says_the_rate_and_an_impossible_one_is_refused() -> None:
    reader = AnswerReader(job("One."), "pcm", 24_000)
    reader.state_rate("audio/pcm; rate=48000; channels=1")
    reader.begin(0)
    started = next(event for event in reader.feed(bytes(range(128, 178))) if isinstance(event, Started))
    assert started.sample_rate_hz == 48_000
    for label in ("audio/pcm;rate=24000;channels=2", "audio/L16;rate=1", "audio/pcm;rate=999999999"):
        with pytest.raises(EngineFailed):
            reader.state_rate(label)
    reader.state_rate("audio/mpeg;rate=1")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('models = ["speech"]', "engines.azure.base_url: must be your resource's address"),
        ('base_url = "https://mine.openai.azure.com/openai/v1"', "engines.azure.models: must be a list"),
    ],
)
def test_azure_cannot_be_guessed(tmp_path: Path, section: str, said: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[engines.azure]\nplugin = "openai"\npreset = "azure"\n{section}\n')
    told = command(file, "check", "--json", check=False)
    assert told.returncode != 0
    assert said in told.stdout


async def test_voxcpm2_is_asked_for_a_stream_of_samples_at_its_rate() -> None:
    async with pair("voxcpm2", sample_cache(), preset="vllm-omni") as (engine, fake):
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
    async with pair("qwen3-base", sample_cache(), preset="vllm-omni") as (engine, fake):
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
        async with pair("voxcpm2", sample_cache(), preset="vllm-omni", **wrong) as (engine, _):
            asked = replace(job("One.", model=VOXCPM2, voice="default"), formats=("mp3",), speed=1.5)
            _, error = await until_it_fails(engine, asked)
            assert error is not None


_HOST = """
[server]
default_model = "host/{model}"
[engines.host]
plugin = "openai"
preset = "{preset}"
base_url = "{url}/{preset}/v1"
[models]
tts-1 = ["host/{model}"]
[voices.nova]
host = "{voice}"
"""
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
