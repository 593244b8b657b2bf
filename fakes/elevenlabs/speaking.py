"""The routes for sound: speech whole and streamed, with and without times, and the voice changer."""

from __future__ import annotations

from collections.abc import Callable

import av
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fakes.elevenlabs import answers, bodies
from fakes.elevenlabs.account import Account
from fakes.elevenlabs.encoding import VOICE_RATE_HZ, Format, decoded, encoded
from fakes.elevenlabs.forms import demanded
from fakes.elevenlabs.refusing import refuse, refuse_as_before, refuse_fields, request_id
from fakes.faults import ScriptedFault, scripted
from fakes.forms import Form

_DEFAULT_FORMAT = "mp3_44100_128"


class Speaker:
    def __init__(self, account: Account, voice: Callable[[str], bytes]) -> None:
        self._account = account
        self._voice = voice

    def __repr__(self) -> str:
        return f"<Speaker of {self._account!r}>"

    def routes(self) -> list[Route]:
        speech = "/v1/text-to-speech/{voice}"
        changers = [
            Route(f"/v1/{path}/{{voice}}{ending}", self._change, methods=["POST"], name=path)
            for path in self._account.conversion_paths
            for ending in ("", "/stream")
        ]
        return [
            Route(speech, self._speak, methods=["POST"]),
            Route(f"{speech}/stream", self._speak, methods=["POST"]),
            Route(f"{speech}/with-timestamps", self._speak_timed, methods=["POST"]),
            Route(f"{speech}/stream/with-timestamps", self._stream_timed, methods=["POST"]),
            *changers,
        ]

    async def _speak(self, request: Request) -> Response:
        body, headers = await self._accept(request)
        return self._sounding(request, self._voice(body.spoken), headers)

    async def _speak_timed(self, request: Request) -> Response:
        body, headers = await self._accept(request)
        pcm = self._voice(body.spoken)
        audio = encoded(pcm, _format(request))
        return JSONResponse(answers.timed(body.text, _seconds(pcm), audio), headers=headers)

    async def _stream_timed(self, request: Request) -> Response:
        body, headers = await self._accept(request)
        pcm, fault = self._voice(body.spoken), scripted(request.scope)
        audio = encoded(pcm, _disguised(_format(request), fault))
        lines = answers.lines(body.text, _seconds(pcm), audio, fault)
        leave = self._account.enter()
        return answers.Streamed(
            lines, media_type="application/json", headers=headers | self._at_once(), leave=leave
        )

    async def _change(self, request: Request) -> Response:
        path = request.url.path.split("/")[2]
        if path in self._account.missing_paths:
            return JSONResponse({"detail": "Not Found"}, 404)
        self._account.conversion_paths[path] += 1
        self._account.know(request.path_params["voice"])
        form = await demanded(request, files="audio")
        model = self._account.model(form.fields.get("model_id", "eleven_english_sts_v2"))
        if not model["can_do_voice_conversion"]:
            raise refuse(400, "invalid_parameters", "Not a model for this.", param="model_id")
        if (settings := form.fields.get("voice_settings")) is not None:
            bodies.read(bodies.VoiceSettings, settings, "voice_settings")
        pcm = _recording(form)
        self._account.demand_room()
        cost = self._account.charge(round(_seconds(pcm) * 1000 / 60), model)
        return self._sounding(request, pcm, _headers(cost))

    async def _accept(self, request: Request) -> tuple[bodies.SpeechBody, dict[str, str]]:
        body = bodies.read(bodies.SpeechBody, await request.body())
        _format(request)
        self._account.know(request.path_params["voice"])
        model = self._account.model(body.model_id)
        if not model["can_do_text_to_speech"]:
            raise refuse(400, "invalid_parameters", "Not a model for this.", param="model_id")
        if len(body.text) > model["maximum_text_length_per_request"]:
            raise refuse_as_before(400, "max_character_limit_exceeded", f"Too long: {body.text}")
        tags = {language["language_id"] for language in model["languages"]}
        if body.language_code is not None and body.language_code not in tags:
            raise refuse(400, "invalid_parameters", "Not a language of it.", param="language_code")
        self._account.demand_room()
        return body, _headers(self._account.charge(len(body.text), model))

    def _sounding(self, request: Request, pcm: bytes, headers: dict[str, str]) -> Response:
        target, fault = _format(request), scripted(request.scope)
        audio = encoded(pcm, _disguised(target, fault))
        if fault and fault.name == "error_in_200":
            audio = b""
        is_cut = fault is not None and fault.name == "error_midstream"
        leave = self._account.enter()
        return answers.Streamed(
            audio,
            media_type=target.kind.media_type,
            headers=headers | self._at_once(),
            leave=leave,
            cut_at=len(audio) // 2 if is_cut else None,
        )

    def _at_once(self) -> dict[str, str]:
        return {
            "current-concurrent-requests": str(self._account.at_once),
            "maximum-concurrent-requests": str(self._account.most_at_once),
        }


def _headers(cost: int) -> dict[str, str]:
    return {"character-cost": str(cost), "request-id": request_id()}


def _format(request: Request) -> Format:
    return Format.read(request.query_params.get("output_format", _DEFAULT_FORMAT))


def _disguised(target: Format, fault: ScriptedFault | None) -> Format:
    if fault is None or fault.name != "wrong_codec":
        return target
    return Format.read("wav_24000" if target.kind.container == "mp3" else "mp3_44100_128")


def _seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / VOICE_RATE_HZ


def _recording(form: Form) -> bytes:
    (audio,) = (file.data for file in form.files if file.field == "audio")
    try:
        return decoded(audio)
    except av.FFmpegError:
        raise refuse_fields((("audio",), "Not a recording")) from None
