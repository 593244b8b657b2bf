"""The settings: their table in README.md, what is refused, and what they make of a model."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugins.openai import plugin
from plugins.openai.settings import OpenAISettings
from proxy.config import fields
from proxy.config.sections import EngineSection
from proxy.engines.registry import InProcessSpec, load
from speech_engine import Language
from tests.tables import each_row

README = Path(plugin.__file__).with_name("README.md").read_text()


def test_the_readme_has_every_setting_with_its_default() -> None:
    table = re.findall(r"^\| `(\w+)` \| (?:`(.+?)`|none) \| ", README, re.MULTILINE)
    documented = {
        name: tomllib.loads(f"value = {value}")["value"] if value else None for name, value in table
    }
    builtins = msgspec.to_builtins(OpenAISettings())
    assert documented == {
        name: list(value) if isinstance(value, tuple) else value for name, value in builtins.items()
    }


@each_row(
    "wrong",
    [
        {"base_url": "api.openai.com/v1"},
        {"base_url": "ftp://x/v1"},
        {"base_url": "https://x/v1?key=1"},
        {"base_url": "https://x/v1\n"},
        {"models": "tts-1"},
        {"models": [""]},
        {"languages": []},
        {"formats": ["flac"]},
        {"formats": []},
        {"sample_rate_hz": 7_999},
        {"stream": "websocket"},
        {"extra": []},
        {"max_characters": 0},
        {"speed": [0, 1]},
        {"speed": [1.0]},
        {"first_audio_s": 0},
        {"instructions": "Whisper."},
        {"max_instructions": 0},
        {"client_fields": ["ref_audio"]},
        {"client_fields": ["audio_path"]},
        {"client_fields": ["input"]},
        {"client_fields": ["task type"]},
        {"client_fields": ["task_type\n"]},
    ],
)
def test_wrong_settings_are_refused_by_their_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    strange = fields.find_unknown_keys(OpenAISettings, wrong)
    if strange:
        assert strange == [name]
        return
    with pytest.raises(fields.FieldFaults) as caught:
        fields.read_struct(OpenAISettings, wrong)
    (fault,) = caught.value.faults
    assert fault.field == name
    assert "of type" not in fault.expected


def test_several_keys_are_several_engines() -> None:
    section = EngineSection(plugin="openai", settings={"api_key": ["one", "two"]})
    spec = load().engine("up", section, "")
    assert isinstance(spec, InProcessSpec)
    keys = [each.api_key for each in spec.settings if isinstance(each, OpenAISettings)]
    assert keys == ["one", "two"]


def test_no_repr_shows_a_key() -> None:
    assert "sk-secret" not in repr(OpenAISettings(api_key="sk-secret"))


def test_a_model_is_what_the_settings_say() -> None:
    settings = OpenAISettings(
        languages=("en", "pt-BR", "en"), formats=("wav",), speed=(1.0, 1.0), max_characters=500, is_local=True
    )
    model = settings.model("kokoro")
    assert model.languages == (Language("en"), Language("pt-BR"))
    assert (model.formats, model.speed, model.max_characters) == ((), (1.0, 1.0), 500)
    assert model.is_local
    assert model.joins_segments
    assert OpenAISettings().model("tts-1").formats == ("mp3",)
    assert not OpenAISettings().model("tts-1").is_local


@each_row(
    ("model", "given", "most"),
    [
        ("gpt-4o-mini-tts", {}, 4096),
        ("gpt-4o-mini-tts-2025-12-15", {}, 4096),
        ("openai/gpt-4o-mini-tts", {}, 4096),
        ("tts-1", {}, 0),
        ("tts-1-hd", {}, 0),
        ("kokoro", {"instructions": ("*",), "max_instructions": 100}, 100),
        ("Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice", {"preset": "vllm-omni"}, 500),
        ("Qwen/Qwen3-TTS-12Hz-1.7B-Base", {"preset": "vllm-omni"}, 0),
        ("openbmb/VoxCPM2", {"preset": "vllm-omni"}, 0),
    ],
)
def test_which_models_follow_instructions(model: str, given: dict[str, Any], most: int) -> None:
    assert OpenAISettings(**given).model(model).max_instructions == most


def test_the_front_loads_no_library() -> None:
    heavy = {"av", "numpy", "starlette", "uvicorn", "aiohttp", "openai"}
    program = f"import sys, plugins.openai.plugin; sys.exit(bool({heavy!r} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_fake_is_a_program() -> None:
    command = [sys.executable, "-m", "fakes.openai", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert re.fullmatch(r"fakes\.openai serves on http://127\.0\.0\.1:\d+\n", line)
