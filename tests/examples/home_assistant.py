"""Home Assistant towards a Wyoming server, where `wyoming` is: the events that its source sends.

The first argument is the server's port, the second a JSON list of calls. Each answer is a line of JSON.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

WAIT_S = 30


class Heard:
    """What came: the types of the events, each run of the same once; sound, rate and error."""

    def __init__(self) -> None:
        self.types: list[str] = []
        self.sound = b""
        self.rate = 0
        self.error = ""

    def take(self, event: Event) -> None:
        if self.types[-1:] != [event.type]:
            self.types.append(event.type)
        if AudioStart.is_type(event.type):
            self.rate = AudioStart.from_event(event).rate
        if AudioChunk.is_type(event.type):
            self.sound += AudioChunk.from_event(event).audio
        if Error.is_type(event.type):
            self.error = Error.from_event(event).text

    def told(self) -> dict[str, Any]:
        sound = base64.b64encode(self.sound).decode()
        return {"types": self.types, "sound": sound, "rate": self.rate, "error": self.error}


async def describe(client: AsyncClient) -> dict[str, Any]:
    await client.write_event(Describe().event())
    event = await client.read_event()
    if event is None or not Info.is_type(event.type):
        heard = Heard()
        while event is not None:
            heard.take(event)
            event = await client.read_event()
        return heard.told()
    (program,) = Info.from_event(event).tts
    voices = {each.name: [each.description, each.languages] for each in program.voices if each.installed}
    return {"streams": program.supports_synthesize_streaming, "voices": voices}


async def say(client: AsyncClient, text: str, voice: str | None = None) -> dict[str, Any]:
    """It ends at `audio-stop`, or when the connection does, and ignores errors."""
    named = None if voice is None else SynthesizeVoice(name=voice)
    await client.write_event(Synthesize(text=text, voice=named).event())
    heard = Heard()
    while (event := await client.read_event()) is not None:
        heard.take(event)
        if AudioStop.is_type(event.type):
            break
    return heard.told()


async def stream(client: AsyncClient, chunks: list[str | None], voice: str | None = None) -> dict[str, Any]:
    """It writes and reads at once, and ends at `synthesize-stopped` or when the connection does.

    A chunk of null waits until sound has come, prints a line, and waits for one.
    """
    named = None if voice is None else SynthesizeVoice(name=voice)
    await client.write_event(SynthesizeStart(voice=named).event())
    heard, has_sound = Heard(), asyncio.Event()

    async def write() -> None:
        for chunk in chunks:
            if chunk is None:
                await has_sound.wait()
                print(json.dumps("sounds"), flush=True)
                await asyncio.to_thread(sys.stdin.readline)
            else:
                await client.write_event(SynthesizeChunk(chunk).event())
        await client.write_event(Synthesize("".join(filter(None, chunks)), voice=named).event())
        await client.write_event(SynthesizeStop().event())

    writing = asyncio.create_task(write())
    while (event := await client.read_event()) is not None:
        heard.take(event)
        if heard.sound:
            has_sound.set()
        if SynthesizeStopped.is_type(event.type):
            break
    writing.cancel()
    return heard.told()


CALLS: dict[str, Callable[..., Awaitable[dict[str, Any]]]]
CALLS = {"describe": describe, "say": say, "stream": stream}


async def main(port: str, calls: list[list[Any]]) -> None:
    for name, *arguments in calls:
        async with asyncio.timeout(WAIT_S), AsyncClient.from_uri(f"tcp://127.0.0.1:{port}") as client:
            answer = await CALLS[name](client, *arguments)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
