"""The far side of the native socket, with faults that a real server does not show when it is asked to."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

Fault = Literal["none", "cut", "early end", "flood"]
_SOUND = b"\0\1" * 2_400


class FakeSocket(NamedTuple):
    """`url` is the root. `messages` are all that came, `ended` is set when a connection is over."""

    url: str
    messages: list[dict[str, Any]]
    ended: threading.Event


@contextmanager
def spoken_socket(fault: Fault = "none") -> Iterator[FakeSocket]:
    messages: list[dict[str, Any]] = []
    ended = threading.Event()

    def handle(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for message in socket:
                messages.append(json.loads(message))
                _answer(socket, messages[-1], fault)
        ended.set()

    def chosen(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return offered[0] if offered else None

    with serve(handle, "127.0.0.1", 0, select_subprotocol=chosen, compression=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield FakeSocket(f"http://127.0.0.1:{server.socket.getsockname()[1]}", messages, ended)
        server.shutdown()


def _answer(socket: ServerConnection, message: dict[str, Any], fault: Fault) -> None:
    at = {"utterance_index": 0, "sentence_index": 0}
    match message["type"], fault:
        case "input.text", _:
            _say(socket, "audio.start", **at, format="pcm", sample_rate=24_000)
            socket.send(_SOUND)
            if fault == "cut":
                socket.socket.shutdown(2)
            if fault == "early end":
                _say(socket, "session.done", utterance_index=0, usage={"characters": 5, "seconds": 0.1})
                socket.close(1001)
            while fault == "flood":
                socket.send(_SOUND * 10)
        case "session.close", _:
            socket.close()


def _say(socket: ServerConnection, type_: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": type_, **fields}))
