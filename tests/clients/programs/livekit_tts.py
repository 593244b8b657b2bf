"""LiveKit Agents' own OpenAI plugin: `livekit_tts.py URL KEY [ROW]` does a row and prints what it saw.

Without a row it takes one from each line of its input, which may name another URL and KEY behind it. URL is
the server's root, without /v1.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import openai
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError
from livekit.plugins.openai import STT, TTS

_TEXT = "The quick brown fox."
_LONG = "This takes a while to say. " * 20
_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
_SECOND = 24_000

# Its own retries would only hide what the first try saw.
_ONCE = APIConnectOptions(max_retry=0)


class Server(NamedTuple):
    url: str
    key: str


async def events_and_bytes(server: Server) -> Any:
    return {
        "warm": await _warmed_up(server),
        # By its own rule it asks these two for bytes, and every other model for events.
        "events": await _spoken(server, model="gpt-4o-mini-tts"),
        "bytes": await _spoken(server, model="tts-1"),
    }


async def six_formats(server: Server) -> Any:
    return {name: await _spoken(server, model="tts-1", response_format=name) for name in _FORMATS}


async def errors(server: Server) -> Any:
    return {
        "400": await _spoken(server, voice="nobody"),
        "401": await _spoken(server, api_key="vg-wrong"),
        "404": await _spoken(server, model="tts-9"),
        "503": await _spoken(server, model="tone/standard", voice="tone/unavailable"),
    }


async def failure_before_audio(server: Server) -> Any:
    voices = ("tone/fail", "tone/bug", "tone/busy")
    return [await _spoken(server, model="tone/standard", voice=voice) for voice in voices]


async def failure_midway(server: Server) -> Any:
    return {
        "streamed": await _spoken(server, model="tts-1", voice="tone/fail-late", response_format="pcm"),
        "events": await _spoken(server, model="tone/standard", voice="tone/fail-late", response_format="pcm"),
    }


async def leaving(server: Server) -> Any:
    received = 0
    async with _tts(server, model="tts-1-hd", voice="verse", response_format="pcm") as tts:
        async with tts.synthesize(_LONG, conn_options=_ONCE) as stream:
            async for audio in stream:
                received += audio.frame.samples_per_channel
                if received >= _SECOND:
                    break
    return {"received": received}


async def failing_again(server: Server) -> Any:
    return await _spoken(server, APIConnectOptions(), model="tone/standard", voice="tone/fail-late")


async def written_down(server: Server) -> Any:
    spoken = await _spoken(server, model="tts-1", response_format="pcm")
    pcm = base64.b64decode(spoken["pcm"])
    frame = rtc.AudioFrame(pcm, _SECOND, 1, len(pcm) // 2)
    seen = {}
    for model in ("whisper-1", "gpt-4o-mini-transcribe"):
        async with STT(model=model, base_url=f"{server.url}/v1", api_key=server.key) as stt:
            (found,) = (await stt.recognize(frame, conn_options=_ONCE)).alternatives
            seen[model] = {"text": found.text, "language": found.language}
    return seen


ROWS: dict[int, Callable[[Server], Coroutine[Any, Any, Any]]] = {
    2: six_formats,
    13: errors,
    17: failure_before_audio,
    18: failure_midway,
    19: failing_again,
    20: leaving,
    24: events_and_bytes,
    41: written_down,
}


@asynccontextmanager
async def _tts(server: Server, **settings: Any) -> AsyncIterator[Any]:
    tts = TTS(**{"base_url": f"{server.url}/v1", "api_key": server.key, "voice": "alloy", **settings})
    try:
        yield tts
    finally:
        await tts.aclose()


async def _spoken(server: Server, trying: APIConnectOptions = _ONCE, **settings: Any) -> dict[str, Any]:
    """The frames of one speech, joined, what it cost by LiveKit's own count, and the error that ended it."""
    pcm, shapes, ids, seen = b"", set(), set(), {"error": {"class": "none"}}
    usage: list[Any] = []
    async with _tts(server, **settings) as tts:
        tts.on("metrics_collected", usage.append)
        async with tts.synthesize(_TEXT, conn_options=trying) as stream:
            try:
                async for audio in stream:
                    pcm += bytes(audio.frame.data)
                    shapes.add((audio.frame.sample_rate, audio.frame.num_channels))
                    ids.add(audio.request_id)
            except (APIStatusError, APIConnectionError) as error:
                seen["error"] = _error(error)
    counted = [{"input": each.input_tokens, "output": each.output_tokens} for each in usage]
    shape = {"shapes": sorted(shapes), "request_ids": sorted(ids), "usage": counted}
    return {**seen, **shape, "pcm": base64.b64encode(pcm).decode()}


async def _warmed_up(server: Server) -> list[int]:
    """The statuses of what a prewarm asks for, which the plugin itself does not look at."""
    statuses: list[int] = []

    async def note(response: Any) -> None:
        statuses.append(response.status_code)

    http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [note]})
    async with openai.AsyncClient(
        base_url=f"{server.url}/v1", api_key=server.key, http_client=http
    ) as client:
        async with _tts(server, client=client) as tts:
            tts.prewarm()
            await tts._prewarm_task
    return statuses


def _error(error: Any) -> dict[str, Any]:
    seen = {"class": type(error).__name__, "message": error.message}
    if isinstance(error, APIStatusError):
        body = error.body if isinstance(error.body, dict) else {}
        seen |= {"status": error.status_code, "request_id": error.request_id}
        seen |= {name: body.get(name) for name in ("code", "param", "type")}
    return seen


def main() -> None:
    url, key, *rows = sys.argv[1:]
    for line in rows or sys.stdin:
        row, *other = line.split()
        print(json.dumps(asyncio.run(ROWS[int(row)](Server(*(other or (url, key)))))), flush=True)


if __name__ == "__main__":
    main()
