"""The habits of servers that speak OpenAI's API, as one value for each server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from plugins.openai.lists import BUILT_IN

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
KOKORO_VOICES = ("af_heart", "am_adam", "bf_emma", "ef_dora")
_ASSEMBLYAI = ("en", "de", "es", "fr", "it", "pt")


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """The habits of one server.

    `lists` maps a path to the list behind it. `label`, if set, is the Content-Type of all speech. With
    `recordings`, a request may bring the voice that it wants; with `needs_recording`, it must.
    Sound comes at `rate_hz`, 24000 or more. `languages` are the names that a request may give.
    With `streams_samples_only`, a `stream_format` wants pcm or wav, and the speed 1. `unknown_model` is the
    status for one. With `states_rate`, the label of pcm says its rate. `voice_field` names the voice in a
    request, which may have `more_fields`. A `stream` that is true asks a server that `streams_by_field` for
    events. `hearing` are the models that hear. Without `takes_prompts`, a request for them
    has no prompt and no format.
    """

    models: tuple[str, ...] = ("gpt-5", "tts-1", "tts-1-hd", "gpt-4o-mini-tts", "whisper-1")
    voices: tuple[str, ...] = BUILT_IN
    formats: tuple[str, ...] = FORMATS
    lists: Mapping[str, Any] = {}
    shutdown_dates: Mapping[str, str] = {}
    takes_unknown_fields: bool = False
    recordings: Literal["none", "json", "form"] = "none"
    error_shape: Literal["openai", "fastapi", "bare", "html"] = "openai"
    label: str = ""
    always_wav: bool = False
    has_events: bool = True
    payload: str = "audio"
    usage: str = "usage"
    ends_with: Literal["done", "[DONE]", "both", "nothing"] = "done"
    names_events: bool = False
    comments: bool = False
    line_end: str = "\n"
    rate_hz: int = 24_000
    languages: tuple[str, ...] = ()
    streams_samples_only: bool = False
    needs_recording: bool = False
    key_header: str = "authorization"
    unknown_model: int = 404
    default_format: str = "mp3"
    longest: int = 4096
    speeds: tuple[float, float] = (0.25, 4.0)
    states_rate: bool = False
    voice_field: str = "voice"
    more_fields: tuple[str, ...] = ()
    streams_by_field: bool = False
    hearing: tuple[str, ...] = ("gpt-transcribe", "gpt-4o-transcribe", "whisper-1")
    takes_prompts: bool = True


_QWEN = (
    *("Auto", "Chinese", "English", "Japanese", "Korean", "German", "French", "Russian", "Portuguese"),
    *("Spanish", "Italian"),
)
_VLLM_OMNI: dict[str, Any] = {
    "formats": ("wav", "pcm", "mp3", "flac", "opus"),
    "lists": {"/audio/voices": {"voices": ["default", "vivian", "ryan"], "uploaded_voices": []}},
    "takes_unknown_fields": True,
    "recordings": "json",
    "names_events": True,
    "streams_samples_only": True,
}

HABITS: dict[str, Habits] = {
    "": Habits(),
    "speaches": Habits(
        models=("speaches-ai/Kokoro-82M-v1.0-ONNX",),
        voices=KOKORO_VOICES,
        lists={
            "/audio/models": {"data": [{"id": "speaches-ai/Kokoro-82M-v1.0-ONNX"}], "object": "list"},
            "/audio/voices": {"voices": [{"voice_id": voice, "name": voice} for voice in KOKORO_VOICES]},
        },
        takes_unknown_fields=True,
        error_shape="fastapi",
        usage="token_usage",
        hearing=("Systran/faster-whisper-small",),
    ),
    "vllm": Habits(
        models=("Qwen/Qwen3-TTS",),
        voices=("vivian",),
        formats=("wav", "pcm", "mp3", "flac", "opus"),
        lists={"/audio/voices": {"voices": ["vivian"], "uploaded_voices": [{"name": "mine"}]}},
        takes_unknown_fields=True,
        recordings="json",
        payload="delta",
        names_events=True,
        ends_with="both",
    ),
    # vLLM-Omni as its pages describe it; a server has one model.
    "voxcpm2": Habits(**_VLLM_OMNI, models=("openbmb/VoxCPM2",), voices=("default",), rate_hz=48_000),
    "qwen3-base": Habits(
        **_VLLM_OMNI, models=("Qwen/Qwen3-TTS-12Hz-1.7B-Base",), languages=_QWEN, needs_recording=True
    ),
    "qwen3-custom": Habits(
        **_VLLM_OMNI,
        models=("Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice",),
        voices=("vivian", "ryan"),
        languages=_QWEN,
    ),
    "kokoro": Habits(
        models=("kokoro",),
        voices=KOKORO_VOICES,
        lists={
            "/audio/voices": {"voices": [{"id": voice, "name": voice.title()} for voice in KOKORO_VOICES]}
        },
        takes_unknown_fields=True,
        error_shape="fastapi",
        has_events=False,
    ),
    # Hosts of the endpoint, as their pages describe them.
    "openrouter": Habits(
        models=("mistralai/voxtral-mini-tts-2603", "x-ai/grok-voice-1.0"),
        voices=("ara", "casual_male"),
        formats=("mp3", "pcm"),
        default_format="pcm",
        rate_hz=48_000,
        states_rate=True,
        longest=15_000,
        has_events=False,
    ),
    "assemblyai": Habits(
        models=("assemblyai-tts-1", *(f"assemblyai-tts-{tag}" for tag in _ASSEMBLYAI)),
        voices=(*BUILT_IN, "aai-jane", "aai-paul"),
        formats=("mp3", "pcm", "wav"),
        unknown_model=400,
        longest=5_000,
        speeds=(1.0, 1.0),
        has_events=False,
    ),
    "azure": Habits(models=("my-speech",), key_header="api-key"),
    "groq": Habits(
        models=("llama-3.3-70b", "canopylabs/orpheus-v1-english", "canopylabs/orpheus-arabic-saudi"),
        voices=(
            *("autumn", "diana", "hannah", "austin", "daniel", "troy"),
            *("abdullah", "fahad", "sultan", "lulwa", "noura", "aisha"),
        ),
        formats=("wav",),
        default_format="wav",
        longest=200,
        speeds=(1.0, 1.0),
        has_events=False,
        hearing=("whisper-large-v3", "whisper-large-v3-turbo"),
    ),
    "inworld": Habits(models=("inworld-tts-2",), voices=("Dennis",), unknown_model=400, longest=4_000),
    "deepinfra": Habits(
        models=("hexgrad/Kokoro-82M", "meta-llama/chat"),
        voices=KOKORO_VOICES,
        default_format="wav",
        hearing=("openai/whisper-large-v3",),
    ),
    "fish": Habits(
        models=("fish-audio/s2.1-pro",),
        voices=("7f92f8af",),
        formats=("mp3", "pcm"),
        default_format="pcm",
        rate_hz=44_100,
        more_fields=("sample_rate",),
    ),
    "mistral": Habits(
        models=("mistral-large-latest", "voxtral-mini-tts-3-0"),
        voices=("voice_592",),
        lists={
            "/audio/voices": {
                "items": [{"id": "voice_592", "name": "Marie", "languages": ["fr_fr"], "gender": "female"}],
                "total": 1,
            }
        },
        formats=("pcm", "wav", "mp3", "flac", "opus"),
        speeds=(1.0, 1.0),
        payload="audio_data",
        names_events=True,
        voice_field="voice_id",
        more_fields=("stream",),
        streams_by_field=True,
        hearing=("voxtral-mini-latest",),
        takes_prompts=False,
    ),
    "sglang-omni": Habits(
        models=("Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice",),
        voices=("default", "Vivian"),
        languages=_QWEN,
        recordings="json",
        payload="audio.data",
        ends_with="[DONE]",
        more_fields=("stream", "language"),
        streams_by_field=True,
    ),
    "localai": Habits(
        models=("voxcpm",), voices=("nova",), more_fields=("stream",), default_format="wav", has_events=False
    ),
    "fireworks": Habits(models=("whisper-v3",), hearing=("whisper-v3",)),
    "chatterbox-server": Habits(
        models=("chatterbox",),
        voices=("Emily.wav",),
        lists={"/audio/voices": {"voices": ["Emily.wav"]}},
        formats=("wav", "opus"),
        error_shape="fastapi",
        has_events=False,
    ),
    "openedai": Habits(takes_unknown_fields=True, error_shape="bare", has_events=False, always_wav=True),
    # Every oddity that has been seen at any server, all at once.
    "odd": Habits(
        lists={"/voices": list(BUILT_IN)},
        shutdown_dates={"tts-1": "2028-03-04"},
        takes_unknown_fields=True,
        error_shape="html",
        label="application/json; charset=utf-8",
        ends_with="[DONE]",
        names_events=True,
        comments=True,
        line_end="\r\n",
    ),
    "cut": Habits(ends_with="nothing"),
    "voxgate": Habits(recordings="form", more_fields=("language",)),
}
"""The habits by the first part of the path: `/v1` is OpenAI, `/vllm/v1` is vLLM-Omni, and so on."""
