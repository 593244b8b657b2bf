"""Clients that send a byte now and then, with the limits as they are shipped."""

import socket
import time

from proxy.http.request_protocol import RequestProtocol
from tests.server import Server

CLIENTS = 50
DRIP_S = 2.0


def test_slow_heads_and_bodies_are_ended_and_nobody_else_waits(server: Server) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "
    bodies = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    body = f"{bodies}Content-Length: 100000\r\n\r\n".encode()
    assert _seconds_to_the_end(server, head) < RequestProtocol.head_s + 2 * DRIP_S
    assert _seconds_to_the_end(server, body) < RequestProtocol.body_s + 2 * DRIP_S


def _seconds_to_the_end(server: Server, beginning: bytes) -> float:
    host, _, port = server.url.removeprefix("http://").partition(":")
    clients = [socket.create_connection((host, int(port))) for _ in range(CLIENTS)]
    began = time.monotonic()
    for client in clients:
        client.setblocking(False)
        client.sendall(beginning)
    while clients:
        assert server.speech("In between.").status_code == 200
        time.sleep(DRIP_S)  # dripping is the test
        clients = [client for client in clients if _drips(client)]
    return time.monotonic() - began


def _drips(client: socket.socket) -> bool:
    """Sends a byte, unless the server has ended the connection with a 408."""
    try:
        heard = client.recv(65536)
    except BlockingIOError:
        client.send(b"a")
        return True
    assert heard.startswith(b"HTTP/1.1 408 ")
    client.close()
    return False
