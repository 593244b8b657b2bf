"""Utterances that wait behind the one that is spoken, and a client that leaves while one is refused."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from proxy.features.sockets import session
from proxy.features.sockets.session import NativeSession
from tests.features.sockets.http.socket_rig import socket_port
from tests.features.sockets.native import PATH
from tests.proxy.api.inside import TONE
from tests.waiting import soon

FIRST = "This takes a while to say, and the others wait behind it until it has ended. "
WAITING = "One of those that wait. "


async def send(socket: ClientConnection, type_: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": type_, **fields}))


async def say(socket: ClientConnection, text: str) -> None:
    await send(socket, "input.text", text=text)
    await send(socket, "input.done")


async def message(socket: ClientConnection, type_: str) -> dict[str, Any]:
    """The next message of this type. Sound and others come before."""
    while True:
        got = await socket.recv()
        found: dict[str, Any] = json.loads(got) if isinstance(got, str) else {}
        if found.get("type") == type_:
            return found


async def test_what_waits_is_bounded_and_comes_back_with_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.MOST_WAITING_CHARACTERS == 20_000
    monkeypatch.setattr(session, "MOST_WAITING_CHARACTERS", 100)
    async with socket_port(tmp_path, ()) as port, port.connect(PATH) as socket:
        await send(socket, "session.config", model="tts-1", voice="alloy")
        await say(socket, FIRST)
        await message(socket, "audio.start")
        for _ in range(3):
            await say(socket, WAITING)
        await say(socket, WAITING + WAITING)
        refused = (await message(socket, "error"))["error"]
        assert (refused["param"], refused["code"]) == ("text", "string_above_max_length")
        await say(socket, "The last one.")
        await send(socket, "input.cancel", played_ms=500)
        told = await message(socket, "audio.cancelled")
    assert told["text_spoken"] + told["text_remaining"] == f"{FIRST}{WAITING * 3}The last one."


async def test_a_client_that_leaves_while_its_text_is_refused_holds_no_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_told = asyncio.Event()

    async def tell(*_: object) -> None:
        is_told.set()
        await asyncio.Event().wait()

    async with socket_port(tmp_path, (), text=f"{TONE}\n[plans.unlimited]\nmax_characters = 10\n") as port:
        monkeypatch.setattr(NativeSession, "_send_failure", tell)
        async with port.connect(PATH) as socket:
            await send(socket, "session.config", model="tts-1", voice="alloy")
            await say(socket, "More than ten characters.")
            await is_told.wait()
        await soon(lambda: repr(port.worker.ledger), lambda text: " 0 live" in text)
