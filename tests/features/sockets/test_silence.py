"""A client that opens the native socket, and then sends no config, or no more text."""

import asyncio
import json
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from proxy.features.sockets import session
from proxy.features.sockets.http.socket import IDLE_S
from tests.features.sockets.http.socket_rig import socket_port
from tests.features.sockets.native import PATH
from tests.waiting import LIMIT_S


async def test_a_socket_without_a_config_closes_after_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.CONFIG_S == 10
    monkeypatch.setattr(session, "CONFIG_S", 0.0)
    async with socket_port(tmp_path, ()) as port:
        async with port.connect(PATH) as socket:
            assert json.loads(await socket.recv())["error"]["code"] == "config_missing"
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_an_utterance_that_waits_for_text_does_not_hold_its_stream_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert IDLE_S == 180
    config = {"type": "session.config", "model": "tts-1", "voice": "alloy"}
    async with socket_port(tmp_path, ()) as port:
        async with port.connect(PATH) as socket:
            await socket.send(json.dumps(config))
            await socket.send(json.dumps({"type": "input.text", "text": "One is here. And then"}))
            types = list[str]()
            while types[-1:] != ["audio.done"]:
                if isinstance(got := await socket.recv(), str):
                    types.append(json.loads(got)["type"])
            assert types == ["audio.start", "audio.done"]
            monkeypatch.setattr(session, "IDLE_S", 0.0)
            await socket.send(json.dumps({"type": "input.text", "text": " "}))
            async with asyncio.timeout(LIMIT_S / 2):
                assert [got async for got in socket] == []
    assert socket.close_code == 1000
