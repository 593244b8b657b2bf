"""Answer POST /v1/t2a_v2 of the fake: check the request, speak it, send it whole or as a stream."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from fakes.faults import ScriptedFault
from fakes.minimax import answers, rules, sound
from fakes.minimax.account import Account
from fakes.minimax.answers import envelope
from fakes.minimax.sound import Clip

_CHUNK_BYTES = 4_801
"""An odd number, so that PCM is cut inside a sample."""
_NO_ACCESS, _BAD_VOICE = 2042, 20132


class Mouth:
    """The speech of the fake. `voice` gives 24 kHz PCM for a text.

    Dice decide where a stream is cut. They fall alike in every run.
    """

    def __init__(self, account: Account, voice: Callable[[str], bytes]) -> None:
        self.unknown: list[str] = []
        self._account = account
        self._voice = voice
        self._dice = random.Random(7)

    def answer(self, raw: Any, fault: ScriptedFault | None) -> Response:
        if not self._account.may_ask():
            return answers.answer(envelope(1002, "rate limit", data=None))
        self.unknown += rules.unknown(raw)
        try:
            request = rules.speech(raw)
        except msgspec.ValidationError as broken:
            return answers.answer(envelope(rules.INVALID, str(broken), data=None))
        for voice in request.voices:
            if not self._account.speak_with(voice):
                code = _BAD_VOICE if " " in voice else _NO_ACCESS
                return answers.answer(envelope(code, "voice id", data=None))
        return self._spoken(request, fault)

    def _spoken(self, request: rules.Speech, fault: ScriptedFault | None) -> Response:
        format_ = request.audio_setting.format
        if fault and fault.name == "wrong_codec":
            format_ = "flac" if format_ != "flac" else "wav"
        clip = sound.clip(request, self._voice, format_)
        if not request.stream:
            return answers.answer(_whole(request, clip, fault))
        events = answers.torn(self._events(request, clip, fault), self._dice)
        return StreamingResponse(answers.as_they_come(events), media_type="text/event-stream")

    def _events(self, request: rules.Speech, clip: Clip, fault: ScriptedFault | None) -> Iterator[bytes]:
        end = self._dice.choice((b"\n", b"\r\n"))
        digits_sent = 0
        for start in range(0, len(clip.data), _CHUNK_BYTES):
            if fault and fault.name == "error_midstream" and digits_sent >= fault.after_bytes:
                yield answers.event(envelope(int(fault.code or 1000), data=None), end)
                return
            chunk = clip.data[start : start + _CHUNK_BYTES].hex()
            body = envelope(data={"audio": _odd(chunk, fault), "status": 1, "ced": ""})
            yield answers.event(_silenced(body, fault), end)
            digits_sent += len(chunk)
        if fault and fault.code == "no_end":
            return
        # By default the last event repeats the whole clip.
        again = "" if request.stream_options.exclude_aggregated_audio else clip.data.hex()
        yield answers.event(_silenced(_last(request, clip, again), fault), end)


def _whole(request: rules.Speech, clip: Clip, fault: ScriptedFault | None) -> dict[str, Any]:
    return _silenced(_last(request, clip, _odd(clip.data.hex(), fault)), fault)


def _last(request: rules.Speech, clip: Clip, audio: str) -> dict[str, Any]:
    info = answers.extra_info(request.text, clip, request.audio_setting)
    return envelope(data={"audio": audio, "status": 2, "ced": ""}, extra_info=info)


def _odd(digits: str, fault: ScriptedFault | None) -> str:
    return digits[:-1] if fault and fault.code == "odd_hex" else digits


def _silenced(body: dict[str, Any], fault: ScriptedFault | None) -> dict[str, Any]:
    """Take the audio out of a body if the fault says so.

    The real service has sent `empty` under bursts of requests. Its reference describes `null_data`.
    """
    if fault and fault.code == "empty":
        body["data"]["audio"] = ""
    elif fault and fault.code == "null_data" and body["data"]["status"] == 1:
        body["data"] = None
    return body
