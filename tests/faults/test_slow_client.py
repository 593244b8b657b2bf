"""A client that stops reading: the slot is free all the same, memory is bounded, and it is cut off."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.processes import state, until, worker
from tests.server import TONE, Server, running

CUT_OFF_S = 30.0
_LONG = "A sentence of middling length for a client that sleeps. " * 70


@contextmanager
def _stalled(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Connections that have asked for minutes of PCM, taken the first bytes, and then nothing more."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    body = json.dumps(
        {"model": "espeak/standard", "voice": "alloy", "input": _LONG, "response_format": "pcm"}
    ).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    clients = []
    try:
        for _ in range(count):
            client = socket.socket()
            clients.append(client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(20.0)
            client.connect((host, int(port)))
            client.sendall(request)
            assert client.recv(12) == b"HTTP/1.1 200"
        yield clients
    finally:
        for client in clients:
            client.close()


def _is_over(client: socket.socket) -> bool:
    """Whether the server has ended the connection, once what it had already sent is read."""
    client.settimeout(5.0)
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.fixture(scope="module")
def espeak_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("slow"), TONE) as server:
        yield server


def test_a_stalled_client_holds_no_slot_little_memory_and_is_cut_off(espeak_server: Server) -> None:
    server = espeak_server
    process = worker(server)
    before = process.memory_info().rss
    with _stalled(server, 8) as clients:
        asked = time.monotonic()
        # Eight clips of minutes through one slot, with nobody reading: each is made, and makes room.
        until(lambda: int(state(server, "espeak")["running"]) == 0, within_s=20.0)
        assert server.speech("Next, please.", model="espeak/standard").status_code == 200
        # 8 MB of audio each were made; what the worker holds of them is its write buffers.
        assert process.memory_info().rss - before < 32 * 1024 * 1024
        assert time.monotonic() - asked < CUT_OFF_S
        done: list[bool] = []
        time.sleep(max(0.0, asked + CUT_OFF_S + 5.0 - time.monotonic()))
        threads = [threading.Thread(target=lambda c=client: done.append(_is_over(c))) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done == [True] * 8
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    answers = [line for line in lines if line.get("route") == "/v1/audio/speech"]
    assert sum(not line["complete"] for line in answers) == 8
