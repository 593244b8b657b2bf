"""Clients that stop reading: what a server does with them, for any limit of its patience."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from tests.faults.processes import state, worker
from tests.server import ALONE, Server
from tests.waiting import until

CONFIG = ALONE.replace("[engines.tone]", "[engines.tone]\nslots = 1")
"""One slot, so that an answer that holds it is seen."""

CLIENTS = 8
CLOUD_CLIENTS = 3
_LIBRARIES_BYTES = 40 * 1024 * 1024
_SENTENCE = "A sentence of middling length for a client that sleeps. "
SHORT, LONG = _SENTENCE * 14, _SENTENCE * 70
"""A minute of sound, which a host could keep as a whole, and several."""


@contextmanager
def requested(server: Server, text: str, **more: object) -> Iterator[socket.socket]:
    """A connection that has asked for PCM, and has read nothing yet."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    request_body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm", **more}
    body = json.dumps(request_body).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60.0)
        client.connect((host, int(port)))
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        yield client


@contextmanager
def stalled(
    server: Server, count: int, model: str = "tone/standard", speed: float = 1.0, text: str = LONG
) -> Iterator[list[socket.socket]]:
    """Connections that have asked for minutes of PCM, taken the first bytes, and then nothing more."""
    clients = []
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(requested(server, text, model=model, speed=speed))
            clients.append(client)
            begun = client.recv(1000)
            assert begun.startswith(b"HTTP/1.1 200"), begun
        yield clients


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


def expect_stalled_clients_to_be_cut_off(server: Server, stall_s: float, count: int = CLIENTS) -> None:
    """Clients that take no bytes hold no slot, little memory, and end once `stall_s` is over."""
    process = worker(server)
    before = process.memory_info().rss
    began = time.monotonic()
    with stalled(server, count) as clients:
        # Clips of minutes through one slot, with nobody reading: each is made, and makes room.
        until(lambda: _running(server) == 0)
        assert server.speech("Next, please.", model="tone/standard").status_code == 200
        # 8 MB of audio each were made; what the worker holds of them is its write buffers.
        assert process.memory_info().rss - before < 32 * 1024 * 1024
        until(lambda: len(_answers(server)) == count + 1, stall_s + 20.0)
        assert time.monotonic() - began >= stall_s
        with ThreadPoolExecutor(count) as reading:
            assert list(reading.map(_is_over, clients)) == [True] * count
    assert sum(not line["complete"] for line in _answers(server)) == count


def expect_endless_answers_that_nobody_reads_to_hold_no_slot(server: Server, count: int = 2) -> None:
    """Far more sound than a host keeps, or a worker keeps in memory: it goes to the disk."""
    process = worker(server)
    assert server.speech("The libraries are loaded.", model="tone/standard").status_code == 200
    before = process.memory_info().rss
    with stalled(server, count, speed=0.25):
        until(lambda: _running(server) == 0)
        assert len(_answers(server)) == 1, "they are not over yet"
        assert server.speech("Next, please.", model="tone/standard").status_code == 200
        assert process.memory_info().rss - before < 48 * 1024 * 1024


def expect_stalled_clients_of_a_provider_to_hold_no_slot(server: Server, engine: str, model: str) -> None:
    """Clients that take no bytes of a provider with one slot: each answer is read to its end all the same."""
    before = worker(server).memory_info().rss
    with stalled(server, CLOUD_CLIENTS, f"{engine}/{model}"):
        until(lambda: _running(server, engine) == 0)
        assert not _answers(server), "they are not over yet"
        assert server.speech("Next, please.", model=f"{engine}/{model}").status_code == 200
        # What was made and not taken is in the worker, and there is a bound for each. The first answer of all
        # loads the libraries of sound.
        most = _LIBRARIES_BYTES + CLOUD_CLIENTS * 17 * 1024 * 1024
        assert worker(server).memory_info().rss - before < most


def _running(server: Server, engine: str = "tone") -> int:
    return int(state(server, engine)["running"])


def _answers(server: Server) -> list[dict[str, object]]:
    """The log's lines on requests for speech that are over."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [line for line in lines if line.get("route") == "/v1/audio/speech"]
