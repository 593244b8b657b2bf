"""A client of the native socket: it sends messages, and keeps all that comes, with the time."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.server import Server

PATH = "/v1/audio/speech/stream"
_PATIENCE_S = 60.0

Message = dict[str, Any]


class Spoken(NamedTuple):
    """What came for one utterance: its messages in order, and its sound. The last message ends it."""

    messages: list[Message]
    sound: bytes
    first_sound_s: float

    @property
    def types(self) -> list[str]:
        return [each["type"] for each in self.messages]

    @property
    def end(self) -> Message:
        return self.messages[-1]

    def having(self, type_: str) -> list[Message]:
        return [each for each in self.messages if each["type"] == type_]

    @property
    def utterance(self) -> str:
        """The id of the utterance, which those of its pieces begin with."""
        return self.requests[0].rpartition("-")[0]

    @property
    def requests(self) -> list[str]:
        return [each["request_id"] for each in self.having("audio.start")]

    def joined(self, rest: "Spoken") -> "Spoken":
        """This and what came after it."""
        first_s = self.first_sound_s or rest.first_sound_s
        return Spoken([*self.messages, *rest.messages], self.sound + rest.sound, first_s)


class Talker:
    """One socket. `code` and `reason` are what the server closed it with, None and "" while it is open."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.code: int | None = None
        self.reason = ""

    @property
    def id(self) -> str:
        """The id of the socket, which those of its utterances begin with."""
        assert self.socket.response is not None, "it is open"
        return self.socket.response.headers["x-request-id"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *messages: Message | str | bytes) -> None:
        for each in messages:
            self.socket.send(json.dumps(each) if isinstance(each, dict) else each)

    def config(self, **fields: Any) -> None:
        self.send({"type": "session.config", "model": "tts-1", "voice": "alloy", **fields})

    def texts(self, *texts: str) -> None:
        self.send(*({"type": "input.text", "text": text} for text in texts))

    def done(self) -> None:
        self.send({"type": "input.done"})

    def cancel(self, **fields: Any) -> None:
        self.send({"type": "input.cancel", **fields})

    def next(self, within_s: float = _PATIENCE_S) -> Message | bytes | None:
        """The next message, a piece of sound, or None once the socket is closed."""
        try:
            got = self.socket.recv(within_s)
        except ConnectionClosed as closed:
            self.code, self.reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
            return None
        if isinstance(got, bytes):
            return got
        message: Message = json.loads(got)
        return message

    def read_until(self, *types: str, by: float = math.inf) -> Spoken:
        """All that comes until a message of one of these types, until this moment of `time.monotonic`, or
        until the socket is closed."""
        messages, sound, first = list[Message](), bytearray(), 0.0
        while (got := self._next_by(by)) is not None:
            if isinstance(got, bytes):
                first = first or time.monotonic()
                sound += got
                continue
            messages.append(got)
            if got["type"] in types:
                break
        return Spoken(messages, bytes(sound), first)

    def _next_by(self, moment: float) -> Message | bytes | None:
        if moment == math.inf:
            return self.next()
        try:
            return self.next(max(0.0, moment - time.monotonic()))
        except TimeoutError:
            return None

    def spoken(self) -> Spoken:
        """What comes until the utterance has ended."""
        return self.read_until("session.done", "audio.cancelled")

    def speak(self, *texts: str) -> Spoken:
        self.texts(*texts)
        self.done()
        return self.spoken()

    def interrupt(self, before: Spoken, **fields: Any) -> Spoken:
        """Interrupt an utterance, of which this came before. Returns all of it."""
        self.cancel(**fields)
        return before.joined(self.spoken())

    def error(self) -> Message:
        """The failure that the next message tells."""
        got = self.next()
        assert isinstance(got, dict), got
        assert got["type"] == "error", got
        detail: Message = got["error"]
        return detail

    def closing_code(self) -> int | None:
        """How the server closes it: nothing but messages may come before."""
        while self.next() is not None:
            pass
        return self.code


@contextmanager
def talking(url: str, key: str, config: bool = True, **fields: Any) -> Iterator[Talker]:
    """Open a socket at a server, with its first config."""
    address = url.replace("http", "ws", 1) + PATH
    headers = {"authorization": f"Bearer {key}"}
    with connect(
        address, additional_headers=headers, compression=None, max_size=None, open_timeout=_PATIENCE_S
    ) as socket:
        with Talker(socket) as talker:
            if config:
                talker.config(**fields)
            yield talker


def at(server: Server, key: str | None = None, config: bool = True, **fields: Any) -> Any:
    return talking(server.url, key or server.key, config, **fields)


def refusal(server: Server, key: str) -> tuple[int, str]:
    """The status and the code with which a handshake is refused."""
    try:
        with talking(server.url, key, config=False):
            raise AssertionError("the socket is open")
    except InvalidStatus as refused:
        body = json.loads(refused.response.body or b"{}")
        return refused.response.status_code, body["error"]["code"]


def rows(server: Server, utterance: str, key: str | None = None) -> list[Message]:
    """The rows of usage of an utterance, also of pieces that did not begin, in their order."""
    with server.client(key) as client:
        listed = client.get("/v1/usage?limit=100")
        assert listed.is_success, listed.text
        found = [each for each in listed.json()["data"] if each["id"].startswith(f"{utterance}-")]
    return sorted(found, key=lambda each: str(each["id"]))
