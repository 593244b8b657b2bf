"""A Wyoming server in front of voxgate: Home Assistant hears an answer while its model still writes it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from asyncio import LimitOverrunError
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib.request import Request, urlopen

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, async_write_event
from wyoming.info import Attribution, Info, TtsProgram, TtsVoice
from wyoming.tts import SynthesizeStopped

MOST_CONNECTIONS = 16
MOST_BYTES = 64 * 1024
QUIET_S = 120  # a model may wait for a tool in mid-sentence
SOUND = {"rate": 24_000, "width": 2, "channels": 1}
FAULTS = (OSError, HTTPException, WebSocketException, ValueError, LookupError, TypeError)
ABOUT: dict[str, Any] = {"attribution": Attribution("voxgate", ""), "installed": True, "version": None}

try:
    URL = os.environ["VOXGATE_URL"]
    HEADERS = {"Authorization": f"Bearer {os.environ['VOXGATE_KEY']}", "Content-Type": "application/json"}
except KeyError as missing:
    raise SystemExit(f"Set {missing}: VOXGATE_URL is such as http://127.0.0.1:8000/v1.") from None


class Refused(Exception):
    """What the client is told."""


class Client:
    """A connection. It may ask what there is, and have one text read aloud."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.is_fed = reader, writer, False
        # So what `say` has written is with the system, and a client that stops reading is noticed.
        writer.transport.set_write_buffer_limits(0)

    async def serve(self) -> None:
        try:
            async with asyncio.timeout(QUIET_S) as self.clock:
                await self.answer()
        except Refused as refused:
            await self.tell(str(refused))
        except TimeoutError:
            await self.tell(f"Nothing came or went for {QUIET_S} seconds.")

    async def answer(self) -> None:
        while True:
            match (event := await self.next()).type:
                case "describe":
                    await self.say(await described())
                case "synthesize":
                    return await self.play(read_aloud(event.data))
                case "synthesize-start":
                    await self.stream(event.data)
                    return await self.say(SynthesizeStopped().event())

    async def stream(self, data: dict[str, Any]) -> None:
        with told():
            url = f"ws{URL.removeprefix('http')}/audio/speech/stream"
            socket = await connect(url, additional_headers=HEADERS, compression=None, close_timeout=1)
        async with socket:
            await send(socket, "session.config", **settings(data))
            tasks = [asyncio.create_task(one) for one in (self.feed(socket), self.play(self.spoken(socket)))]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def feed(self, socket: ClientConnection) -> None:
        """Hand the text on as it comes. It comes whole once more, for servers that do not stream."""
        while True:
            match (event := await self.next()).type:
                case "synthesize-chunk":
                    await send(socket, "input.text", text=event.data.get("text"))
                case "synthesize-stop":
                    self.is_fed = True
                    return await send(socket, "input.done")
                case "synthesize-start":
                    raise Refused("Open a connection for each text.")

    async def spoken(self, socket: ClientConnection) -> AsyncIterator[bytes]:
        """Yield the sound of the text that is fed."""
        with suppress(ConnectionClosed):
            async for message in socket:
                said = message if isinstance(message, bytes) else json.loads(message)
                if isinstance(said, bytes):
                    yield said
                elif said["type"] == "error":
                    raise Refused(said["error"]["message"])
                elif said["type"] == "session.done" and self.is_fed:
                    return
        raise Refused(socket.close_reason or "The speech server broke off.")

    async def play(self, sound: AsyncIterator[bytes]) -> None:
        begun = False
        async for data in sound:
            if not begun:
                await self.say(AudioStart(**SOUND).event())
                begun = True
            await self.say(AudioChunk(audio=data, **SOUND).event())
        await self.say(AudioStop().event())

    async def next(self) -> Event:
        """Return the next event. The package would read as much as a header announces."""
        try:
            header = json.loads(await self.reader.readuntil())
            lengths = [header.get(name) or 0 for name in ("data_length", "payload_length")]
            if not all(0 <= length <= MOST_BYTES for length in lengths):
                raise Refused(f"An event has up to {MOST_BYTES} bytes.")
            data, payload = [await self.reader.readexactly(length) for length in lengths]
            event = Event(header["type"], {**header.get("data", {}), **json.loads(data or b"{}")}, payload)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, LimitOverrunError):
            raise Refused(f"That is no event, or its line has more than {MOST_BYTES} bytes.") from None
        self.clock.reschedule(monotonic() + QUIET_S)
        return event

    async def say(self, event: Event) -> None:
        await async_write_event(event, self.writer)
        self.clock.reschedule(monotonic() + QUIET_S)

    async def tell(self, fault: str) -> None:
        """Say what failed. Home Assistant waits until it hears that the reading has stopped."""
        async with asyncio.timeout(5):
            await async_write_event(Error(fault).event(), self.writer)
            await async_write_event(SynthesizeStopped().event(), self.writer)


def settings(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request. Home Assistant names a voice or none, and never a language."""
    voice = data["voice"] if isinstance(data.get("voice"), dict) else {}
    wanted = {"language": voice.get("language"), "input_type": data.get("text_format")}
    wanted |= {"model": "tts-1", "voice": voice.get("name") or "alloy", "response_format": "pcm"}
    return {name: value for name, value in wanted.items() if value}


async def read_aloud(data: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield the sound of a whole text, which is one request."""
    sound = fetched("audio/speech", {**settings(data), "input": data.get("text")})
    while part := await asyncio.to_thread(next, sound, b""):
        yield part


async def send(socket: ClientConnection, type_: str, **fields: Any) -> None:
    with suppress(ConnectionClosed):  # `spoken` says why
        await socket.send(json.dumps({"type": type_, **fields}))


async def described() -> Event:
    """List the voices. One without a language speaks all that there are."""
    with told():
        models = json.loads(await asyncio.to_thread(b"".join, fetched("models")))["data"]
        found = json.loads(await asyncio.to_thread(b"".join, fetched("audio/voices")))["data"]
    tags = sorted({tag for each in models for tag in each.get("spoken_languages", ())} - {"*"}) or ["en"]
    voices = [
        TtsVoice(voice["id"], description=voice["title"], languages=languages, **ABOUT)
        for voice in found
        if (languages := [voice["language"]] if voice["language"] else tags)
    ]
    program = TtsProgram("voxgate", description="voxgate", voices=voices, **ABOUT)
    program.supports_synthesize_streaming = True
    return Info(tts=[program]).event()


def fetched(path: str, body: dict[str, Any] | None = None) -> Iterator[bytes]:
    """Yield the server's answer, in whole samples."""
    request = Request(f"{URL}/{path}", json.dumps(body).encode() if body else None, HEADERS)
    with told(), urlopen(request, timeout=60) as response:
        while part := response.read(4_800):
            yield part


@contextmanager
def told() -> Iterator[None]:
    """Make the server's faults the client's: its refusals are written for people."""
    try:
        yield
    except FAULTS as fault:
        with suppress(*FAULTS):
            body = fault.response.body if isinstance(fault, InvalidStatus) else getattr(fault, "read", str)()
            raise Refused(json.loads(body or "")["error"]["message"]) from None
        raise Refused(f"The speech server does not answer, or broke off: {fault!r}.") from None


async def listen(host: str, port: int) -> None:
    places = asyncio.Semaphore(MOST_CONNECTIONS)

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer)
        with suppress(OSError, EOFError):  # it left
            if places.locked():
                await client.tell(f"The bridge takes up to {MOST_CONNECTIONS} connections.")
            else:
                async with places:
                    await client.serve()
            # What is not read would make the system drop what was written.
            writer.write_eof()
            async with asyncio.timeout(5):
                while await reader.read(MOST_BYTES):
                    pass
        writer.transport.abort()

    server = await asyncio.start_server(meet, host, port, limit=MOST_BYTES)
    if host not in ("127.0.0.1", "::1", "localhost"):
        print("Wyoming has no key: whoever reaches this port speaks at your cost. Use a plan with limits.")
    print(f"Wyoming on tcp://{host}:{server.sockets[0].getsockname()[1]}. Ctrl-C stops it.", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=10200)
    with suppress(KeyboardInterrupt):
        asyncio.run(listen(**vars(options.parse_args())))
