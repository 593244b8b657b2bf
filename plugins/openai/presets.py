"""Presets for kinds of servers, so that a section needs little more than a key or an address.

They follow the servers' own pages, which README.md names, and the models' cards. None was tested live.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from plugins.openai.lists import BUILT_IN

PresetName = Literal[
    "",
    "openrouter",
    "assemblyai",
    "azure",
    "groq",
    "inworld",
    "deepinfra",
    "fish",
    "mistral",
    "vllm-omni",
    "sglang-omni",
    "kokoro",
    "localai",
    "speaches",
    "fireworks",
    "chatterbox-server",
    "voxgate",
]


class PresetModel(NamedTuple):
    """A model that a server of this kind may run.

    `languages` are tags. With `language_names`, a request names its language in English. With `by_language`,
    the name of the model contains the language: `{}` is the tag's first part. A model that `clones` speaks
    with a recording. `max_characters` is the model's own limit, if it has one.
    """

    languages: tuple[str, ...] = ()
    licence: str = ""
    sample_rate_hz: int = 24_000
    clones: bool = False
    needs_sample_text: bool = False
    language_names: Mapping[str, str] = {}
    by_language: str = ""
    max_characters: int | None = None


class PresetVoice(NamedTuple):
    """The language and gender of a voice, known by its name."""

    language: str
    gender: str | None = None


class Preset(NamedTuple):
    """The settings of a kind of server, its models and its voices by patterns of their names.

    `required` are settings that only the operator knows, each with an explanation. `model_list` is the path
    of its list of models, if it is not the usual path. `unlisted` are the voices of a server that lists none.
    A server that `knows_names` accepts the names of OpenAI's voices. `voice_field` names the voice in a
    request. A server that does not `speaks` only hears. `takes_prompts` is about recordings.
    """

    settings: Mapping[str, Any]
    models: Mapping[str, PresetModel] = {}
    voices: Mapping[str, PresetVoice] = {}
    required: Mapping[str, str] = {}
    model_list: str = ""
    unlisted: tuple[str, ...] = BUILT_IN
    knows_names: bool = False
    voice_field: str = "voice"
    speaks: bool = True
    takes_prompts: bool = True

    def model(self, id_: str) -> PresetModel | None:
        return next((found for pattern, found in self.models.items() if fnmatchcase(id_, pattern)), None)

    def voice(self, id_: str) -> PresetVoice | None:
        return next((found for pattern, found in self.voices.items() if fnmatchcase(id_, pattern)), None)


_QWEN_LANGUAGE_NAMES = {
    "zh": "Chinese",
    "en": "English",
    "ja": "Japanese",
    "ko": "Korean",
    "de": "German",
    "fr": "French",
    "ru": "Russian",
    "pt": "Portuguese",
    "es": "Spanish",
    "it": "Italian",
}
_QWEN3_MODELS = {
    "Qwen/Qwen3-TTS-12Hz-*-Base": PresetModel(
        tuple(_QWEN_LANGUAGE_NAMES),
        "Apache-2.0",
        clones=True,
        needs_sample_text=True,
        language_names=_QWEN_LANGUAGE_NAMES,
    ),
    "Qwen/Qwen3-TTS-12Hz-*": PresetModel(
        tuple(_QWEN_LANGUAGE_NAMES), "Apache-2.0", language_names=_QWEN_LANGUAGE_NAMES
    ),
}
_VOXCPM2_LANGUAGES = (
    *("zh", "en", "ar", "my", "da", "nl", "fi", "fr", "de", "el", "he", "hi", "id", "it", "ja", "km", "ko"),
    *("lo", "ms", "no", "pl", "pt", "ru", "es", "sw", "sv", "tl", "th", "tr", "vi"),
)

_VLLM_OMNI = Preset(
    {
        "base_url": "http://127.0.0.1:8091/v1",
        # Only these two formats are streamed, and only at the speed 1.
        "formats": ("pcm", "wav"),
        "extra": {"stream_format": "audio"},
        "speed": (1.0, 1.0),
        "recordings": "json",
        # Its other models ignore instructions.
        "instructions": ("Qwen/Qwen3-TTS-12Hz-*-CustomVoice", "Qwen/Qwen3-TTS-12Hz-*-VoiceDesign"),
        # It refuses longer instructions.
        "max_instructions": 500,
        "billed_on_submit": False,
    },
    models={
        "openbmb/VoxCPM2": PresetModel(_VOXCPM2_LANGUAGES, "Apache-2.0", sample_rate_hz=48_000, clones=True),
        **_QWEN3_MODELS,
    },
)

# Source: the page basic_usage/tts of the docs of sgl-project/sglang-omni, read on 2026-11-25. Without
# `stream`, the server makes the whole sound before the first byte. With it, only pcm comes.
_SGLANG_OMNI = Preset(
    {
        "base_url": "http://127.0.0.1:8000/v1",
        "formats": ("pcm",),
        "extra": {"stream": True},
        "speed": (1.0, 1.0),
        "recordings": "json",
        "instructions": ("Qwen/Qwen3-TTS-12Hz-*-CustomVoice",),
        "billed_on_submit": False,
    },
    models={
        **_QWEN3_MODELS,
        "fishaudio/s2-pro": PresetModel(licence="Fish Audio Research License", clones=True),
        "mistralai/Voxtral-4B-TTS-*": PresetModel(licence="CC-BY-NC-4.0"),
    },
    unlisted=("default",),
)

# The first letter of a voice's name is its language, the second one its gender.
_KOKORO_LANGUAGES = {
    "a": "en-US",
    "b": "en-GB",
    "e": "es",
    "f": "fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-BR",
    "z": "zh",
}
_KOKORO_MODEL = PresetModel(("en", "es", "fr", "hi", "it", "ja", "pt", "zh"), "Apache-2.0")
_KOKORO_VOICES = {
    f"{letter}{sex}_*": PresetVoice(language, gender)
    for letter, language in _KOKORO_LANGUAGES.items()
    for sex, gender in (("f", "female"), ("m", "male"))
}
_KOKORO = Preset(
    {
        "base_url": "http://127.0.0.1:8880/v1",
        "formats": ("mp3", "opus", "aac", "pcm"),
        "billed_on_submit": False,
    },
    models={"*": _KOKORO_MODEL},
    voices=_KOKORO_VOICES,
    # It accepts OpenAI's names, but lists only its own voices.
    knows_names=True,
)

_OPENROUTER = Preset(
    {
        "base_url": "https://openrouter.ai/api/v1",
        "formats": ("mp3", "pcm"),
        # Each of its providers has its own range, or none.
        "speed": (1.0, 1.0),
    },
    models={"x-ai/grok-voice-*": PresetModel(max_characters=15_000)},
    model_list="/models?output_modalities=speech",
    # Each model has its provider's voices.
    unlisted=(),
)

_ASSEMBLYAI_LANGUAGES = ("en", "de", "es", "fr", "it", "pt")
_ASSEMBLYAI = Preset(
    {
        "base_url": "https://tts.us.assemblyai.com/v1/openai",
        "models": ("assemblyai-tts-1",),
        "voices": (
            *BUILT_IN,
            *("aai-alba", "aai-anna", "aai-charles", "aai-eve", "aai-george", "aai-jane"),
            *("aai-jean", "aai-mary", "aai-michael", "aai-paul", "aai-vera"),
        ),
        "formats": ("mp3", "pcm"),
        "speed": (1.0, 1.0),
        "max_characters": 5_000,
    },
    models={
        # It does not detect a text's language, and without one it reads English.
        "assemblyai-tts-1": PresetModel(_ASSEMBLYAI_LANGUAGES, by_language="assemblyai-tts-{}"),
        **{f"assemblyai-tts-{tag}": PresetModel((tag,)) for tag in _ASSEMBLYAI_LANGUAGES},
    },
    knows_names=True,
)

_AZURE = Preset(
    {"key_header": "api-key", "formats": ("mp3", "opus", "aac", "pcm")},
    required={
        "base_url": "your resource's address, such as https://NAME.openai.azure.com/openai/v1",
        "models": "a list of your deployments' names, which Azure lists nowhere",
    },
    knows_names=True,
)

_ORPHEUS_ENGLISH = ("autumn", "diana", "hannah", "austin", "daniel", "troy")
_ORPHEUS_ARABIC = ("abdullah", "fahad", "sultan", "lulwa", "noura", "aisha")
_GROQ = Preset(
    {
        "base_url": "https://api.groq.com/openai/v1",
        # Its list has models for all purposes, and no name says which of them speak.
        "models": ("canopylabs/orpheus-v1-english", "canopylabs/orpheus-arabic-saudi"),
        "voices": (*_ORPHEUS_ENGLISH, *_ORPHEUS_ARABIC),
        "formats": ("wav",),
        "speed": (1.0, 1.0),
        "max_characters": 200,
        "transcribes": ("whisper-large-v3", "whisper-large-v3-turbo"),
        "translates": ("whisper-large-v3",),
    },
    models={
        "canopylabs/orpheus-v1-english": PresetModel(("en",)),
        "canopylabs/orpheus-arabic-saudi": PresetModel(("ar",)),
    },
    voices={
        **{name: PresetVoice("en") for name in _ORPHEUS_ENGLISH},
        **{name: PresetVoice("ar") for name in _ORPHEUS_ARABIC},
    },
)

# Source: docs.inworld.ai, "OpenAI compatibility" and "Create speech", read on 2026-11-25. The server refuses
# OpenAI's names of models. Its list also has models that generate text, so the models are named here.
_INWORLD = Preset(
    {
        "base_url": "https://api.inworld.ai/v1",
        "models": ("inworld-tts-2", "inworld-tts-1.5-max", "inworld-tts-1.5-mini"),
        "speed": (1.0, 1.0),
        "max_characters": 4_000,
    },
    unlisted=("Dennis", "Sarah"),
)

_ORPHEUS_VOICES = ("tara", "leah", "jess", "leo", "dan", "mia", "zac", "zoe")
# Source: public clients of its endpoint, read on 2026-11-25. Its own page was not at hand. Each model has its
# own sample rate. Both formats state it, but PCM would not.
_DEEPINFRA = Preset(
    {
        "base_url": "https://api.deepinfra.com/v1/openai",
        "models": ("hexgrad/Kokoro-82M", "canopylabs/orpheus-3b-0.1-ft"),
        "voices": ("af_heart", "af_bella", "am_michael", "bf_emma", "bm_fable", *_ORPHEUS_VOICES),
        "formats": ("mp3", "wav"),
        "speed": (1.0, 1.0),
        "transcribes": ("openai/whisper-large-v3", "openai/whisper-large-v3-turbo"),
        "translates": ("openai/whisper-large-v3",),
    },
    models={"hexgrad/Kokoro-82M": _KOKORO_MODEL, "canopylabs/orpheus-3b-0.1-ft": PresetModel(("en",))},
    voices={**_KOKORO_VOICES, **{name: PresetVoice("en") for name in _ORPHEUS_VOICES}},
)

# Source: docs.fish.audio, "Migrate from OpenAI", read on 2026-11-25. The server takes the ids of its own
# library as voices. It refuses instructions, events and OpenAI's voices, except for alloy, which is another
# voice there.
_FISH = Preset(
    {
        "base_url": "https://api.fish.audio/compat/v1",
        "models": ("fish-audio/s2.1-pro",),
        "formats": ("mp3", "pcm"),
        # The server offers this rate for both formats.
        "extra": {"sample_rate": 44_100},
        "sample_rate_hz": 44_100,
    },
    unlisted=(),
)

# Sources: its SDK on PyPI, mistralai 3.7.0, and docs.mistral.ai, "Generate speech", read on 2026-11-25. The
# server refuses unknown fields. Its PCM has floating-point samples, so WAV is taken.
_MISTRAL = Preset(
    {
        "base_url": "https://api.mistral.ai/v1",
        "formats": ("wav",),
        "extra": {"stream": True},
        "speed": (1.0, 1.0),
        "transcribes": ("voxtral-mini-latest",),
    },
    unlisted=(),
    voice_field="voice_id",
    takes_prompts=False,
)

# Source: docs/content/features/text-to-audio.md of mudler/LocalAI, read on 2026-11-25. The server sends the
# whole WAV at the end if a backend cannot stream.
_LOCALAI = Preset(
    {
        "base_url": "http://127.0.0.1:8080/v1",
        "formats": ("wav",),
        "extra": {"stream": True},
        "speed": (1.0, 1.0),
        "billed_on_submit": False,
        "transcribes": ("whisper-1",),
        "times": (),
        "translates": (),
    },
    unlisted=(),
)

_SPEACHES = Preset(
    {
        "base_url": "http://127.0.0.1:8000/v1",
        "billed_on_submit": False,
        **dict.fromkeys(("transcribes", "translates"), ("Systran/faster-whisper-small",)),
    },
    voices=_KOKORO_VOICES,
)

_FIREWORKS = Preset(
    {
        "base_url": "https://audio-prod.api.fireworks.ai/v1",
        **dict.fromkeys(("transcribes", "translates"), ("whisper-v3",)),
    },
    unlisted=(),
    speaks=False,
)

# Source: documentation.md of devnen/Chatterbox-TTS-Server, read on 2026-11-25. The server does not let a
# request name its language. So its multilingual model reads each text in the language of its own settings.
_CHATTERBOX = Preset(
    {
        "base_url": "http://127.0.0.1:8004/v1",
        "models": ("chatterbox",),
        "formats": ("wav",),
        "speed": (1.0, 1.0),
        "billed_on_submit": False,
    },
    models={"chatterbox": PresetModel(("en",), "MIT")},
    unlisted=(),
)

# The endpoint of this server. Events tell whether an answer is whole.
_VOXGATE = Preset(
    {
        "formats": ("mp3", "opus", "aac", "pcm"),
        "stream": "sse",
        "instructions": ("*",),
        "send_language": True,
        "recordings": "form",
        "billed_on_submit": False,
        "times": ("*",),
        "translates": ("*",),
    },
    required={"base_url": "the other server's address, such as https://speech.example.com/v1"},
    knows_names=True,
)

PRESETS: Mapping[str, Preset] = {
    "openrouter": _OPENROUTER,
    "assemblyai": _ASSEMBLYAI,
    "azure": _AZURE,
    "groq": _GROQ,
    "inworld": _INWORLD,
    "deepinfra": _DEEPINFRA,
    "fish": _FISH,
    "mistral": _MISTRAL,
    "vllm-omni": _VLLM_OMNI,
    "sglang-omni": _SGLANG_OMNI,
    "kokoro": _KOKORO,
    "localai": _LOCALAI,
    "speaches": _SPEACHES,
    "fireworks": _FIREWORKS,
    "chatterbox-server": _CHATTERBOX,
    "voxgate": _VOXGATE,
}


@lru_cache(1024)
def preset_model(preset: PresetName, id_: str) -> PresetModel | None:
    return PRESETS[preset].model(id_) if preset else None
