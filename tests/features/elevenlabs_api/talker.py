"""A client of the sockets: it sends messages as real clients do, and collects the answers by context."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.plugins.elevenlabs.rig import heard
from tests.server import Server

FIRST, SECOND = "Hello there my friend. ", "How are you today? I am fine. "
WHOLE = FIRST + SECOND

_WAIT_S = 30.0


class Turn:
    """What came of one context."""

    def __init__(self) -> None:
        self.sound = b""
        self.alignments: list[dict[str, list[Any]]] = []
        self.errors: list[dict[str, Any]] = []
        self.is_final = False
        self.messages = 0

    def add(self, message: dict[str, Any]) -> None:
        self.messages += 1
        if "error" in message:
            self.errors.append(message)
            return
        assert message["alignment"] == message["normalizedAlignment"]
        self.sound += base64.b64decode(message["audio"] or "")
        if message["alignment"]:
            self.alignments.append(message["alignment"])
        self.is_final = self.is_final or message["isFinal"] is True

    @property
    def characters(self) -> str:
        return "".join(character for each in self.alignments for character in each["chars"])

    @property
    def starts_ms(self) -> list[int]:
        return [start for each in self.alignments for start in each["charStartTimesMs"]]

    @property
    def summed_ms(self) -> list[int]:
        """The starts as Pipecat adds them up: each message counts from the end of the one before."""
        found, since = list[int](), 0
        for each in self.alignments:
            starts, durations = each["charStartTimesMs"], each["charDurationsMs"]
            found += [since + start for start in starts]
            since += starts[-1] + durations[-1]
        return found


class Talker(NamedTuple):
    socket: ClientConnection
    turns: dict[str | None, Turn]

    def send(self, text: str | None = None, context: str | None = None, **more: Any) -> None:
        message = {"text": text, "context_id": context, **more}
        self.socket.send(json.dumps({name: value for name, value in message.items() if value is not None}))

    def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(_WAIT_S))
        self.turns.setdefault(message.get("contextId"), Turn()).add(message)
        return message

    def turn(self, context: str | None = None) -> Turn:
        """Wait for the end of a context."""
        while context not in self.turns or not self.turns[context].is_final:
            self.next()
        return self.turns[context]

    def hear(self, seconds: float, context: str | None = None, rate_hz: int = 24_000) -> None:
        """Wait for so much sound of a context."""
        while context not in self.turns or len(self.turns[context].sound) < seconds * rate_hz * 2:
            self.next()

    def livekit(self, context: str, *sentences: str) -> None:
        self.send(" ", context, voice_settings={})
        for sentence in sentences:
            self.send(sentence, context, flush=True)

    def livekit_end(self, context: str) -> None:
        self.send("", context, flush=True)
        self.close(context)

    def pipecat(self, context: str, *texts: str) -> None:
        self.send(" ", context, voice_settings={"stability": 0.5})
        for text in texts:
            self.send(text, context)

    def pipecat_end(self, context: str) -> None:
        self.send(context=context, flush=True)
        self.close(context)

    def close(self, context: str) -> None:
        self.send(context=context, close_context=True)


def address(server: Server, path: str = "multi-stream-input", voice: str = "alloy", **query: Any) -> str:
    root = server.url.replace("http://", "ws://")
    query = {"output_format": "pcm_24000", "auto_mode": "true", **query}
    return f"{root}/elevenlabs/v1/text-to-speech/{voice}/{path}?{urlencode(query)}"


@contextmanager
def talking(
    server: Server, path: str = "multi-stream-input", key: str = "", **query: Any
) -> Iterator[Talker]:
    headers = {"xi-api-key": key or server.key}
    with connect(address(server, path, **query), additional_headers=headers, proxy=None) as socket:
        yield Talker(socket, {})


def said(sound: bytes, format_: str = "pcm") -> str:
    return " ".join(heard(sound, format_))


def closing_code(talker: Talker) -> int:
    """Wait until the server closes the socket."""
    with suppress(ConnectionClosed):
        while True:
            talker.next()
    code = talker.socket.close_code
    assert code is not None
    return code
