"""What a session of ElevenLabs' sockets limits, and what it leaves when its client goes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from proxy.features.elevenlabs_api import session
from proxy.features.sockets.utterances.utterance import Utterance
from proxy.features.sockets.utterances.utterances import Utterances
from tests.features.sockets.http.socket_rig import SocketPort, socket_port
from tests.waiting import soon

PATH = "/elevenlabs/v1/text-to-speech/alloy/multi-stream-input?output_format=pcm_24000"
LONG = "This takes a while to say, and a context that was closed says it to its end. "


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[SocketPort]:
    async with socket_port(tmp_path, ()) as opened:
        yield opened


def connected(port: SocketPort, more: str = "") -> Any:
    return port.connect(f"{PATH}{more}", key="", headers={"xi-api-key": port.inside.key})


async def send(socket: ClientConnection, context: str, **fields: Any) -> None:
    await socket.send(json.dumps({"context_id": context, **fields}))


async def test_of_closed_contexts_that_still_speak_the_oldest_one_ends_for_a_new_one(
    port: SocketPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.MOST_SPEAKING == 16
    monkeypatch.setattr(session, "MOST_SPEAKING", 2)
    async with connected(port) as socket:
        for name in ("a", "b", "c"):
            for fields in ({"text": LONG}, {"flush": True}, {"close_context": True}):
                await send(socket, name, **fields)
        sizes, ended = dict.fromkeys("abc", 0), list[str]()
        while len(ended) < 3:
            got = json.loads(await socket.recv())
            assert "error" not in got
            sizes[got["contextId"]] += len(got["audio"] or "")
            if got["isFinal"]:
                ended.append(got["contextId"])
    assert ended[0] == "a"
    assert sizes["a"] < sizes["b"] == sizes["c"]


async def test_a_client_that_leaves_while_a_context_begins_holds_no_stream(
    port: SocketPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun = Utterances.begin_utterance, list[Utterance]()

    async def begin_for_nobody(self: Utterances, *parts: Any) -> Utterance:
        utterance = await begin(self, *parts)
        (socket,) = port.sockets._open_sockets
        socket._note_lost()
        begun.append(utterance)
        return utterance

    monkeypatch.setattr(Utterances, "begin_utterance", begin_for_nobody)
    async with connected(port) as socket:
        await send(socket, "a", text=LONG)
        await soon(lambda: repr(port.sockets), lambda text: text.startswith("<OpenSockets 0 "))
    assert [repr(each) for each in begun] == [f"<Utterance {begun[0].id} 0 pieces, over>"]
    assert " 0 live" in repr(port.worker.ledger)


async def test_a_context_that_waits_for_text_ends_with_the_time_that_its_socket_asked_for(
    port: SocketPort,
) -> None:
    async with connected(port, "&inactivity_timeout=1") as socket:
        await send(socket, "a", text="And then")
        messages = [json.loads(each) async for each in socket]
    assert [each["isFinal"] for each in messages] == [True]
    assert (socket.close_code, socket.close_reason) == (1000, "No message came within 1 s.")
    assert " 0 live" in repr(port.worker.ledger)
