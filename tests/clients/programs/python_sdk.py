"""OpenAI's Python SDK, 1.x or 3.x: `python_sdk.py URL KEY [ROW]` does a row and prints what it saw.

Without a row it takes one from each line of its input. URL is the server's root, without /v1.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

import openai
from openai import OpenAI

_TEXT = "The quick brown fox."
_LONG = "This takes a while to say. " * 20
_SECOND = 48_000

# The lines differ in the HTTP client that they are built on, and each lets its errors through.
_http = importlib.import_module("httpx" if openai.__version__.startswith("1.") else "httpx2")

_sent: list[str] = []
_counting = openai.DefaultHttpxClient(
    event_hooks={"request": [lambda request: _sent.append(request.url.path)]}
)


def default_mp3(sdk: OpenAI) -> Any:
    return _answer(sdk.audio.speech.create(model="tts-1", voice="alloy", input=_TEXT))


def six_formats(sdk: OpenAI) -> Any:
    formats = ("mp3", "opus", "aac", "flac", "wav", "pcm")
    create: Any = sdk.audio.speech.create
    return {
        name: _answer(create(model="tts-1", voice="alloy", input=_TEXT, response_format=name))
        for name in formats
    }


def voice_forms(sdk: OpenAI) -> Any:
    # The object is not in 1.x's types, but it is sent as it stands.
    create: Any = sdk.audio.speech.create
    forms = {"id": "tone16k/only-here", "name": "Only-here", "object": {"id": "tone16k/only-here"}}
    return {
        form: _answer(create(model="tone16k/standard", voice=voice, input=_TEXT))
        for form, voice in forms.items()
    }


def limits(sdk: OpenAI) -> Any:
    longest = sdk.audio.speech.create(
        model="tts-1", voice="alloy", input="x" * 4096, speed=4.0, response_format="pcm"
    )
    wrong: list[tuple[str, Any]] = [
        ("input", "x" * 4097),
        ("input", ""),
        ("input", " \n"),
        ("speed", 0.24),
        ("speed", 4.01),
        ("response_format", "ogg"),
    ]
    refused = [[field, _refused(sdk, extra_body={field: value})] for field, value in wrong]
    return {"longest": _answer(longest), "refused": refused}


def errors(sdk: OpenAI) -> Any:
    root = str(sdk.base_url).removesuffix("v1/")
    stranger = sdk.with_options(api_key="vg-wrong")
    return {
        "400": _refused(sdk, voice="nobody"),
        "401": _refused(stranger),
        "403": _error(lambda: sdk.with_options(base_url=root).get("/admin/accounts", cast_to=object)),
        "404": _refused(sdk, model="tts-9"),
        "503": _refused(sdk, model="tone/standard", voice="tone/unavailable"),
    }


def failure_before_audio(sdk: OpenAI) -> Any:
    return [
        _refused(sdk, model="tone/standard", voice=voice) for voice in ("tone/fail", "tone/bug", "tone/busy")
    ]


def failure_midway(sdk: OpenAI) -> Any:
    _sent.clear()
    retrying = sdk.with_options(max_retries=openai.DEFAULT_MAX_RETRIES)
    whole = _refused(retrying, model="tone/standard", voice="tone/fail-late")
    requests = len(_sent)
    return {
        "whole": {**whole, "requests": requests},
        "streamed": _broken_stream(sdk, "audio"),
        "events": _broken_stream(sdk, "sse"),
    }


def leaving(sdk: OpenAI) -> Any:
    received = 0
    with sdk.audio.speech.with_streaming_response.create(
        model="tts-1-hd", voice="verse", input=_LONG, response_format="pcm"
    ) as answer:
        parts = answer.iter_bytes()
        while received < _SECOND:
            received += len(next(parts))
    return {"received": received}


def events(sdk: OpenAI) -> Any:
    return _streamed(sdk, "gpt-4o-mini-tts")


def events_of_tts_1(sdk: OpenAI) -> Any:
    return [_streamed(sdk, model) for model in ("tts-1", "tts-1-hd")]


def models(sdk: OpenAI) -> Any:
    listed = [model.to_dict() for model in sdk.models.list()]
    return {
        "listed": listed,
        "retrieved": [sdk.models.retrieve(str(model["id"])).to_dict() for model in listed],
        "missing": _error(lambda: sdk.models.retrieve("org/f6")),
    }


def transcription(sdk: OpenAI) -> Any:
    _sent.clear()
    retrying = sdk.with_options(max_retries=openai.DEFAULT_MAX_RETRIES)
    error = _error(
        lambda: retrying.audio.transcriptions.create(model="whisper-1", file=("a.wav", bytes(1 << 20)))
    )
    return {"error": error, "sent": list(_sent)}


def headers(sdk: OpenAI) -> Any:
    answer = sdk.audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input=_TEXT)
    return {"asked": dict(answer.http_request.headers), "answered": dict(answer.headers)}


ROWS: dict[int, Callable[[OpenAI], Any]] = {
    1: default_mp3,
    2: six_formats,
    7: voice_forms,
    11: limits,
    13: errors,
    17: failure_before_audio,
    18: failure_midway,
    20: leaving,
    22: events,
    23: events_of_tts_1,
    26: models,
    32: transcription,
    33: headers,
}


def _say(sdk: OpenAI, **more: Any) -> Any:
    create: Any = sdk.audio.speech.create
    return create(**{"model": "tts-1", "voice": "alloy", "input": _TEXT, **more})


def _refused(sdk: OpenAI, **more: Any) -> dict[str, Any]:
    return _error(lambda: _say(sdk, **more))


def _answer(answer: Any) -> dict[str, Any]:
    return {"headers": dict(answer.response.headers), "audio": base64.b64encode(answer.content).decode()}


def _streamed(sdk: OpenAI, model: str) -> dict[str, Any]:
    with _stream(sdk, model=model, voice="alloy", stream_format="sse") as answer:
        body = answer.read()
    return {"headers": dict(answer.headers), "audio": base64.b64encode(body).decode()}


def _broken_stream(sdk: OpenAI, stream_format: str) -> dict[str, Any]:
    received = b""
    request = {"model": "tone/standard", "voice": "tone/fail-late", "response_format": "pcm"}
    with _stream(sdk, **request, stream_format=stream_format) as answer:
        try:
            for part in answer.iter_bytes():
                received += part
            broken = ""
        except _http.RemoteProtocolError as error:
            broken = type(error).__name__
    return {"broken": broken, "received": base64.b64encode(received).decode()}


def _stream(sdk: OpenAI, **more: Any) -> Any:
    create: Any = sdk.audio.speech.with_streaming_response.create
    return create(input=_TEXT, **more)


def _error(call: Callable[[], object]) -> dict[str, Any]:
    try:
        call()
    except openai.APIError as error:
        seen: dict[str, Any] = {"class": type(error).__name__, "message": error.message}
        if isinstance(error, openai.APIStatusError):
            seen |= {"status": error.status_code, "request_id": error.request_id}
            seen |= {"code": error.code, "param": error.param, "type": error.type}
            seen |= {"retry_after": error.response.headers.get("retry-after")}
        return seen
    return {"class": "none"}


def main() -> None:
    url, key, *rows = sys.argv[1:]
    with OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=_counting) as sdk:
        for row in rows or sys.stdin:
            print(json.dumps(ROWS[int(row)](sdk)), flush=True)


if __name__ == "__main__":
    main()
