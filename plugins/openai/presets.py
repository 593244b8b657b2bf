"""Presets: what is known of a kind of server, so that its section needs an address and little else.

They follow the servers' own documentation and the models' cards. None was tried live.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

PresetName = Literal["", "vllm-omni"]


class PresetModel(NamedTuple):
    """A model that a server of this kind may run. `languages` are tags; with `language_names`, the server
    wants the language of a request by its English name. A model that `clones` speaks with a recording."""

    languages: tuple[str, ...]
    licence: str
    sample_rate_hz: int = 24_000
    clones: bool = False
    needs_sample_text: bool = False
    language_names: Mapping[str, str] = {}


class Preset(NamedTuple):
    """The settings of a kind of server, and its models by a pattern of their names."""

    settings: Mapping[str, Any]
    models: Mapping[str, PresetModel]

    def model(self, id_: str) -> PresetModel | None:
        return next((found for pattern, found in self.models.items() if fnmatchcase(id_, pattern)), None)


_QWEN = {
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
_VOXCPM2 = (
    *("zh", "en", "ar", "my", "da", "nl", "fi", "fr", "de", "el", "he", "hi", "id", "it", "ja", "km", "ko"),
    *("lo", "ms", "no", "pl", "pt", "ru", "es", "sw", "sv", "tl", "th", "tr", "vi"),
)

_VLLM_OMNI = Preset(
    {
        "base_url": "http://127.0.0.1:8091/v1",
        # Only these two come piece by piece, and only at the speed 1; all others come when all is said.
        "formats": ("pcm", "wav"),
        "extra": {"stream_format": "audio"},
        "speed": (1.0, 1.0),
        "recordings": "json",
        # Its other models do not look at them, and it refuses longer ones.
        "instructions": ("Qwen/Qwen3-TTS-12Hz-*-CustomVoice", "Qwen/Qwen3-TTS-12Hz-*-VoiceDesign"),
        "max_instructions": 500,
        "billed_on_submit": False,
    },
    {
        "openbmb/VoxCPM2": PresetModel(_VOXCPM2, "Apache-2.0", sample_rate_hz=48_000, clones=True),
        "Qwen/Qwen3-TTS-12Hz-*-Base": PresetModel(
            tuple(_QWEN), "Apache-2.0", clones=True, needs_sample_text=True, language_names=_QWEN
        ),
        "Qwen/Qwen3-TTS-12Hz-*": PresetModel(tuple(_QWEN), "Apache-2.0", language_names=_QWEN),
    },
)

PRESETS: Mapping[str, Preset] = {"vllm-omni": _VLLM_OMNI}
