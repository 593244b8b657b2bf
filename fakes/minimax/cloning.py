"""The voices of the fake: uploads, clones, the list and removals, with the checks of the real service."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from fakes.forms import Form
from fakes.minimax import rules, sound
from fakes.minimax.account import SYSTEM_VOICES, Account, is_voice_id
from fakes.minimax.answers import answer, envelope

_NAME_USED, _LENGTH, _PROMPT, _NO_VOICE = 2039, 2037, 2048, 2042
_PURPOSES = ("voice_clone", "prompt_audio", "t2a_async_input")
_MOST_BYTES = 20 * 1024 * 1024
_LEAST_S, _MOST_S, _PROMPT_S = 10.0, 300.0, 8.0


class Studio:
    def __init__(self, account: Account) -> None:
        self._account = account

    def upload(self, form: Form) -> Response:
        purpose = form.fields.get("purpose", "")
        file = next((each for each in form.files if each.field == "file"), None)
        if purpose not in _PURPOSES or file is None:
            return answer(envelope(rules.INVALID, "purpose or file"))
        if len(file.data) > _MOST_BYTES:
            return answer(envelope(rules.INVALID, "file size"))
        number = self._account.keep(purpose, sound.seconds(file.data), file.name)
        about = {
            "file_id": number,
            "bytes": len(file.data),
            "created_at": int(self._account.clock()),
            "filename": file.name,
            "purpose": purpose,
        }
        return answer(envelope(file=about))

    def files(self, purpose: str) -> Response:
        if purpose not in _PURPOSES:
            return answer(envelope(rules.INVALID, "purpose"))
        found = [
            {"file_id": number, "filename": file.name, "purpose": purpose}
            for number, file in self._account.files.items()
            if file.purpose == purpose
        ]
        return answer(envelope(files=found))

    def forget(self, raw: dict[str, Any]) -> Response:
        file = self._account.files.get(raw.get("file_id", 0))
        if file is None or file.purpose != raw.get("purpose"):
            return answer(envelope(rules.INVALID, "file_id"))
        del self._account.files[raw["file_id"]]
        return answer(envelope(file_id=raw["file_id"]))

    def clone(self, raw: dict[str, Any]) -> Response:
        voice = raw.get("voice_id")
        file = self._account.files.get(raw.get("file_id", 0))
        if not is_voice_id(voice) or not isinstance(voice, str):
            return answer(envelope(rules.INVALID, "voice_id"))
        if file is None or file.purpose != "voice_clone":
            return answer(envelope(rules.INVALID, "file_id"))
        if file.seconds is None or not _LEAST_S <= file.seconds <= _MOST_S:
            return answer(envelope(_LENGTH, "duration"))
        if raw.get("language_boost") not in {None, *rules.LANGUAGES}:
            return answer(envelope(rules.INVALID, "language_boost"))
        if (code := self._of_prompt(raw.get("clone_prompt"))) or not self._account.is_free(voice):
            return answer(envelope(code or _NAME_USED))
        self._account.add(voice)
        return answer(envelope(demo_audio="", input_sensitive={"type": 0}, extra_info=None))

    def listing(self, raw: dict[str, Any]) -> Response:
        voice_type = raw.get("voice_type")
        if voice_type not in ("system", "voice_cloning", "voice_generation", "all"):
            return answer(envelope(rules.INVALID, "voice_type"))
        system = [_row(voice, voice.replace("_", " ")) for voice in SYSTEM_VOICES]
        cloned = [_row(voice, "") for voice in self._account.listed()]
        return answer(
            envelope(
                system_voice=system if voice_type in ("system", "all") else None,
                voice_cloning=(cloned or None) if voice_type in ("voice_cloning", "all") else None,
                voice_generation=None,
            )
        )

    def delete(self, raw: dict[str, Any]) -> Response:
        if raw.get("voice_type") not in ("voice_cloning", "voice_generation"):
            return answer(envelope(rules.INVALID, "voice_type"))
        voice = raw.get("voice_id")
        if not self._account.remove(str(voice)):
            return answer(envelope(_NO_VOICE, "voice id"))
        return answer(envelope(voice_id=voice, created_time=""))

    def _of_prompt(self, prompt: Any) -> int:
        if not prompt:
            return 0
        file = self._account.files.get(prompt.get("prompt_audio", 0))
        if file is None or file.purpose != "prompt_audio":
            return rules.INVALID
        return 0 if file.seconds is not None and file.seconds < _PROMPT_S else _PROMPT


def _row(voice: str, name: str) -> dict[str, Any]:
    words = ["A calm voice,", "of tones."] if name else []
    return {"voice_id": voice, "voice_name": name, "description": words, "created_time": "2026-01-01"}
