"""A real server that is full: its health is answered, and a reload makes room."""

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.server import PLAIN, Server, reconfigured
from tests.waiting import until

MOST = 4
_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def _config(connections: int) -> str:
    return PLAIN.replace("[server]", f"[server]\nconnections = {connections}")


@contextmanager
def _held(server: Server, count: int) -> Iterator[None]:
    """Connections that have been answered once, and then begin a request that they do not end."""
    clients = [_connected(server) for _ in range(count)]
    try:
        for client in clients:
            assert _ask(client, _HEALTH)[0] == 200
            client.sendall(b"GET /")
        yield
    finally:
        for client in clients:
            client.close()


def _connected(server: Server) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20.0)


def _ask(client: socket.socket, request: bytes) -> tuple[int, bytes]:
    client.sendall(request)
    heard = b""
    while b"\r\n\r\n" not in heard or not heard.partition(b"\r\n\r\n")[2]:
        heard += (part := client.recv(65536))
        if not part:
            break
    head, _, body = heard.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


@pytest.fixture
def full(plain_server: Server) -> Iterator[Server]:
    """One that has no room for more, as the next configuration says."""
    with reconfigured(plain_server, _config(MOST)) as server, _held(server, MOST):
        yield server


def test_a_full_server_answers_health_until_a_reload_makes_room(full: Server) -> None:
    server = full
    models = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode()
    with _connected(server) as client:
        status, body = _ask(client, models)
    assert (status, json.loads(body)["error"]["code"]) == (503, "server_busy")
    with _connected(server) as client:
        assert _ask(client, _HEALTH)[0] == 200
    server.config.write_text(_config(10 * MOST))
    server.process.send_signal(signal.SIGHUP)

    def has_room() -> bool:
        with _connected(server) as client:
            return _ask(client, models)[0] == 200

    until(has_room)
