"""LiveKit Agents' own OpenAI plugin: `livekit_tts.py URL KEY [ROW]` does a row and prints what it saw.

Without a row it takes one from each line of its input. URL is the server's root, without /v1.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import openai
from livekit.agents import APIConnectOptions
from livekit.plugins.openai import TTS

_TEXT = "The quick brown fox."


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


ROWS = {24: events_and_bytes}


@asynccontextmanager
async def _tts(server: Server, **settings: Any) -> AsyncIterator[Any]:
    tts = TTS(**{"base_url": f"{server.url}/v1", "api_key": server.key, "voice": "alloy", **settings})
    try:
        yield tts
    finally:
        await tts.aclose()


async def _spoken(server: Server, **settings: Any) -> dict[str, Any]:
    """The frames of one speech, joined, and what it cost by LiveKit's own count."""
    pcm, shapes, ids, usage = b"", set(), set(), list[Any]()
    async with _tts(server, **settings) as tts:
        tts.on("metrics_collected", usage.append)
        # Its own retries would only hide what the first try saw.
        async with tts.synthesize(_TEXT, conn_options=APIConnectOptions(max_retry=0)) as stream:
            async for audio in stream:
                pcm += bytes(audio.frame.data)
                shapes.add((audio.frame.sample_rate, audio.frame.num_channels))
                ids.add(audio.request_id)
    counted = [{"input": each.input_tokens, "output": each.output_tokens} for each in usage]
    seen = {"shapes": sorted(shapes), "request_ids": sorted(ids), "usage": counted}
    return {**seen, "pcm": base64.b64encode(pcm).decode()}


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


def main() -> None:
    url, key, *rows = sys.argv[1:]
    for row in rows or sys.stdin:
        print(json.dumps(asyncio.run(ROWS[int(row)](Server(url, key)))), flush=True)


if __name__ == "__main__":
    main()
