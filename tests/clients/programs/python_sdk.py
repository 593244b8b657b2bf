"""OpenAI's Python SDK, 1.x or 3.x: `python_sdk.py URL KEY [ROW]` does a row and prints what it saw.

Without a row it takes one from each line of its input, which may name another URL and KEY behind it. URL is
the server's root, without /v1.
"""

import base64
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import openai
from openai import OpenAI

_TEXT = "The quick brown fox."
_LONG = "This takes a while to say. " * 20
_SECOND = 48_000

# The lines differ in the HTTP client that they are built on, and each lets its errors through.
_http = importlib.import_module("httpx" if openai.__version__.startswith("1.") else "httpx2")

_SAMPLE = os.environ.get("VOXGATE_TEST_SAMPLE", "")
"""A recording of speech, as a WAV file."""

_exchanges: list[dict[str, Any]] = []


def _note(response: Any) -> None:
    asked = response.request
    retry = asked.headers.get("x-stainless-retry-count")
    seen = {"path": asked.url.path, "retry": retry, "status": response.status_code}
    _exchanges.append({**seen, "headers": dict(response.headers)})


_noting = openai.DefaultHttpxClient(event_hooks={"response": [_note]})


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
    whole = failing_again(sdk)
    return {
        "whole": {**whole["error"], "requests": len(whole["exchanges"])},
        "streamed": _broken_stream(sdk, "audio"),
        "events": _broken_stream(sdk, "sse"),
    }


def rate_limit(sdk: OpenAI) -> Any:
    error = _refused(sdk)
    once_more = sdk.with_options(max_retries=1)
    return {"error": error, **_exchanged(lambda: {"answer": _answer(_say(once_more))})}


def quota(sdk: OpenAI) -> Any:
    return _exchanged(lambda: {"error": _refused(_retrying(sdk))})


def failing_again(sdk: OpenAI) -> Any:
    late = {"model": "tone/standard", "voice": "tone/fail-late"}
    return _exchanged(lambda: {"error": _refused(_retrying(sdk), **late)})


def stream_cap(sdk: OpenAI) -> Any:
    slow = {"model": "tone/standard", "voice": "tone/slow", "input": _LONG, "response_format": "pcm"}
    with _stream(sdk, **slow) as first:
        parts = first.iter_bytes()
        next(parts)
        error = _refused(sdk)
        received = len(next(parts))
    return {"error": error, "received": received, "after": _answer(_say(_retrying(sdk)))}


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


def voice_creation(sdk: OpenAI) -> Any:
    audio: Any = sdk.audio
    consent = audio.voice_consents.create(
        name="Ana", language="en-US", recording=("me.wav", _sample(), "audio/wav")
    ).id
    # As bytes with a name and a type, and as a plain file that says nothing of itself.
    made = [audio.voices.create(audio_sample=made_file(), consent=consent, name="py-a").model_dump()]
    with open(_SAMPLE, "rb") as plain:
        made.append(audio.voices.create(audio_sample=plain, consent=consent, name="py-b").model_dump())
    whole = _wav_of(10 * 1024 * 1024)
    with_more = {"language": "pt-BR", "speaker_description": "Calm.", "tags": ["warm", "low"]}
    fits = audio.voices.create(
        audio_sample=("m.wav", whole, "audio/wav"), consent=consent, name="py-c", extra_body=with_more
    )
    made.append(fits.model_dump())
    too_large = ("m.wav", whole + b"\0", "audio/wav")
    refused = {
        "size": lambda: audio.voices.create(audio_sample=too_large, consent=consent, name="py-d"),
        "name": lambda: audio.voices.create(audio_sample=made_file(), consent=consent, name="py-a"),
        "consent": lambda: audio.voices.create(audio_sample=made_file(), consent="cons_0", name="py-e"),
        "audio": lambda: audio.voices.create(audio_sample=b"no audio", consent=consent, name="py-f"),
        "type": lambda: audio.voices.create(
            type="prompt", prompt="A warm voice.", script_hint="Hello.", name="py-g"
        ),
    }
    formats = ("mp3", "opus", "aac", "flac", "wav", "pcm")
    spoken = {each: _answer(_say(sdk, voice={"id": made[0]["id"]}, response_format=each)) for each in formats}
    return {
        "made": made,
        "refused": {name: _error(call) for name, call in refused.items()},
        "spoken": spoken,
        "by_name": _answer(_say(sdk, voice="py-a", response_format="wav")),
    }


def made_file() -> tuple[str, bytes, str]:
    return ("me.wav", _sample(), "audio/wav")


def voice_deletion(sdk: OpenAI) -> Any:
    audio: Any = sdk.audio
    consent = audio.voice_consents.create(name="Ben", language="en-US", recording=made_file())
    voice = audio.voices.create(audio_sample=made_file(), consent=consent.id, name="py-gone")
    gone = audio.voices.delete(voice.id).model_dump()
    return {
        "id": voice.id,
        "gone": gone,
        "again": _error(lambda: audio.voices.delete(voice.id)),
        "consent": audio.voice_consents.retrieve(consent.id).id == consent.id,
        "spoken": _refused(sdk, voice={"id": voice.id}),
    }


def consents(sdk: OpenAI) -> Any:
    kept: Any = sdk.audio.voice_consents
    made = kept.create(name="Ana", language="en-US", recording=made_file())
    seen = _exchanged(lambda: {"ids": [each.id for each in kept.list(limit=20)]})
    first = made.id
    return {
        "made": made.model_dump(),
        "ids": seen["ids"],
        "pages": len(seen["exchanges"]),
        "unknown_after": _error(lambda: [*kept.list(after="cons_nothing", limit=20)]),
        "renamed": kept.update(first, name="new name").model_dump(),
        "found": kept.retrieve(first).model_dump(),
        "deleted": kept.delete(first).model_dump(),
        "again": _error(lambda: kept.delete(first)),
    }


def transcription(sdk: OpenAI) -> Any:
    transcriptions: Any = _retrying(sdk).audio.transcriptions
    asked = {"model": "gpt-4o-transcribe", "file": ("a.wav", bytes(1 << 20))}
    seen = _exchanged(lambda: {"error": _error(lambda: transcriptions.create(**asked))})
    return {"error": seen["error"], "sent": [exchange["path"] for exchange in seen["exchanges"]]}


def written_down(sdk: OpenAI) -> Any:
    sound = sdk.audio.speech.create(model="tts-1", voice="alloy", input=_TEXT, response_format="wav").content
    audio: Any = sdk.audio
    ask = partial(audio.transcriptions.create, model="whisper-1", file=("a.wav", sound))
    whole = {name: ask(response_format=name) for name in ("json", "text", "srt", "vtt")}
    words = ask(response_format="verbose_json", timestamp_granularities=["word"])
    return {
        **{name: each if isinstance(each, str) else each.model_dump() for name, each in whole.items()},
        "verbose": ask(response_format="verbose_json").model_dump(),
        "words": [each.word for each in words.words],
        "events": [each.model_dump() for each in ask(stream=True)],
        "translation": audio.translations.create(model="whisper-1", file=("a.wav", sound)).text,
    }


def batch(sdk: OpenAI) -> Any:
    files: Any = sdk.files
    batches: Any = sdk.batches
    lines = [
        {"custom_id": id_, "method": "POST", "url": "/v1/audio/speech", "body": _batched(text)}
        for id_, text in {"first": _TEXT, "empty": "", "last": f"{_TEXT} Twice."}.items()
    ]
    data = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    file = files.create(file=("lines.jsonl", data), purpose="batch")
    begun = batches.create(
        input_file_id=file.id, endpoint="/v1/audio/speech", completion_window="24h", metadata={"book": "one"}
    )
    while (ended := batches.retrieve(begun.id)).status == "in_progress":
        time.sleep(0.1)
    return {
        "begun": begun.model_dump(),
        "ended": ended.model_dump(),
        "listed": [each.id for each in batches.list(limit=1)],
        "rows": files.content(ended.output_file_id).text,
        "errors": files.content(ended.error_file_id).text,
        "sound": base64.b64encode(files.content(ended.sound_file_id).content).decode(),
    }


def headers(sdk: OpenAI) -> Any:
    answer = sdk.audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input=_TEXT)
    return {"asked": dict(answer.http_request.headers), "answered": dict(answer.headers)}


ROWS: dict[int, Callable[[OpenAI], Any]] = {
    1: default_mp3,
    2: six_formats,
    7: voice_forms,
    11: limits,
    13: errors,
    14: rate_limit,
    15: quota,
    17: failure_before_audio,
    18: failure_midway,
    19: failing_again,
    20: leaving,
    21: stream_cap,
    22: events,
    23: events_of_tts_1,
    26: models,
    29: voice_creation,
    30: voice_deletion,
    31: consents,
    32: transcription,
    33: headers,
    37: batch,
    41: written_down,
}


def _sample() -> bytes:
    with open(_SAMPLE, "rb") as file:
        return file.read()


def _wav_of(size: int) -> bytes:
    """The sample with so much behind its sound that the file has this size: an unknown chunk."""
    sample = _sample()
    rest = size - len(sample) - 8
    return sample + b"junk" + rest.to_bytes(4, "little") + bytes(rest)


def _retrying(sdk: OpenAI) -> OpenAI:
    """As often as it does by itself."""
    return sdk.with_options(max_retries=openai.DEFAULT_MAX_RETRIES)


def _exchanged(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it gives, beside the exchanges that it took."""
    _exchanges.clear()
    return {**call(), "exchanges": [*_exchanges]}


def _say(sdk: OpenAI, **more: Any) -> Any:
    create: Any = sdk.audio.speech.create
    return create(**{"model": "tts-1", "voice": "alloy", "input": _TEXT, **more})


def _batched(text: str) -> dict[str, str]:
    return {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "wav"}


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
    return create(**{"input": _TEXT, **more})


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
    with OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=_noting) as sdk:
        for line in rows or sys.stdin:
            row, *other = line.split()
            root, own = other or (url, key)
            there = sdk.with_options(base_url=f"{root}/v1", api_key=own)
            print(json.dumps(ROWS[int(row)](there)), flush=True)


if __name__ == "__main__":
    main()
