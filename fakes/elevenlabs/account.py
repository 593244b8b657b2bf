"""An account of the fake: its key, models, voices, credits, and its most requests at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fakes.elevenlabs.refusing import refuse, refuse_as_before

KEY = "fake-elevenlabs-key"
SMALL_LIMIT = 200
"""The most characters of `eleven_fake_small`, which ElevenLabs does not have.

With it, a short text takes several requests.
"""

_LANGUAGES = re.findall(
    r"\w+", "ar bg cs da de el en es fi fil fr hi hr id it ja ko ms nl pl pt ro ru sk sv ta tr uk zh"
)


def _model(id_: str, characters: int, languages: list[str], *, speaks: bool = True) -> dict[str, Any]:
    return {
        "model_id": id_,
        "name": id_.replace("_", " ").title(),
        "can_be_finetuned": False,
        "can_do_text_to_speech": speaks,
        "can_do_voice_conversion": not speaks,
        "can_use_style": True,
        "can_use_speaker_boost": True,
        "maximum_text_length_per_request": characters,
        "languages": [{"language_id": tag, "name": tag.upper()} for tag in languages],
        "model_rates": {"character_cost_multiplier": 0.5 if "flash" in id_ else 1.0},
    }


MODELS = (
    _model("eleven_v3", 5_000, sorted([*_LANGUAGES, "hu", "no", "th", "vi"])),
    _model("eleven_multilingual_v2", 10_000, _LANGUAGES),
    _model("eleven_flash_v2_5", 40_000, sorted([*_LANGUAGES, "hu", "no", "vi"])),
    _model("eleven_flash_v2", 30_000, ["en"]),
    _model("eleven_fake_small", SMALL_LIMIT, ["en"]),
    _model("eleven_fake_silent_about_languages", 5_000, []),
    _model("eleven_multilingual_sts_v2", 5_000, _LANGUAGES, speaks=False),
)


class Account:
    """The state of the account, which tests set as they like.

    `credits` counts the credits that are left. `permissions` lists what the key may read. `additions` counts
    the voices that were ever added; deleting one gives its slot back, but not its addition.
    """

    def __init__(self) -> None:
        self.voices = {f"fakeVoice{number:02}": f"Voice {number}" for number in range(1, 4)}
        self.credits = 100_000
        self.credit_limit = 100_000
        self.may_extend = False
        self.voice_slots = 10
        self.additions = 0
        self.most_additions = 30
        self.most_at_once = 5
        self.permissions = {"models_read", "voices_read", "user_read"}
        self.wants_verification = False
        self.at_once = 0
        self.conversion_paths = {"voice-changer": 0, "speech-to-speech": 0}
        self.missing_paths: set[str] = set()

    def __repr__(self) -> str:
        return f"<Account {len(self.voices)} voices, {self.credits} credits, {self.at_once} at once>"

    def allow(self, permission: str) -> None:
        if permission not in self.permissions:
            raise refuse(401, "missing_permissions", f"The API key lacks the permission {permission}.")

    def model(self, id_: str) -> dict[str, Any]:
        for model in MODELS:
            if model["model_id"] == id_:
                return model
        raise refuse(400, "model_not_found", "A model with this id does not exist.", param="model_id")

    def know(self, voice: str) -> None:
        if voice not in self.voices:
            raise refuse_as_before(404, "voice_not_found", "A voice with this id was not found.")

    def charge(self, characters: int, model: dict[str, Any]) -> int:
        cost = -int(-characters * model["model_rates"]["character_cost_multiplier"] // 1)
        if cost > self.credits:
            raise refuse_as_before(401, "quota_exceeded", "This request exceeds your quota.")
        self.credits -= cost
        return cost

    def demand_room(self) -> None:
        if self.at_once >= self.most_at_once:
            raise refuse_as_before(429, "concurrent_limit_exceeded", "Too many concurrent requests.")

    def enter(self) -> Callable[[], None]:
        """Count one more request. Return the function to call when its answer ends, in any way."""
        self.at_once += 1
        return self._leave

    def _leave(self) -> None:
        self.at_once -= 1
