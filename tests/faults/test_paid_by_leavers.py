"""A client that leaves pays for the bytes that left this machine, and not for what lay in buffers."""

import json
import socket
import struct

import pytest

from tests.server import Server
from tests.waiting import until

RECEIVE_BUFFER = 16 * 1024
"""The client's own, so that little of an answer is on its way."""
PCM_BYTES_A_S = 2 * 24_000
SLACK_S = (128 * 1024) / PCM_BYTES_A_S
TEXT = "Word after word after word. " * 140
"""Minutes of sound: many times more than all buffers together."""


def leave_after(server: Server, key: str, wanted: int, *, reset: bool, **more: object) -> int:
    """Ask, read at least so many bytes of the answer, and vanish. Return how many were read."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    body = json.dumps(
        {"model": "inside/standard", "voice": "inside/tone", "input": TEXT, "response_format": "pcm", **more}
    ).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        client.connect((host, int(port)))
        head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        received = 0
        while received < wanted:
            part = client.recv(4096)
            assert part
            received += len(part)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return received


def newest(server: Server, account: str, count: int) -> dict[str, object]:
    """The newest row of an account's usage, when there are so many."""

    def rows() -> list[dict[str, object]]:
        with server.control() as control:
            answer = control.get("/admin/usage", params={"account": account}).raise_for_status()
        found: list[dict[str, object]] = answer.json()["data"]
        return found

    until(lambda: len(rows()) == count)
    return rows()[0]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_leaver_pays_for_what_left_this_machine(server: Server, reset: bool) -> None:
    account = f"leaver {reset}"
    key = server.mint_key(account, plan="metered").secret
    for count, wanted in enumerate((2_000, 200_000, 600_000), 1):
        received_s = leave_after(server, key, wanted, reset=reset) / PCM_BYTES_A_S
        row = newest(server, account, count)
        assert row["outcome"] == "left"
        charged_s = row["credits"]
        assert isinstance(charged_s, float | int)
        assert received_s - 0.05 <= charged_s <= received_s + SLACK_S, (received_s, charged_s)


def test_the_second_answer_on_a_connection_is_counted_by_itself(server: Server) -> None:
    key = server.mint_key("listener", plan="metered").secret
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        client.connect((host, int(port)))
        for text in ("A whole first answer.", TEXT):
            body = json.dumps(
                {"model": "inside/standard", "voice": "inside/tone", "input": text, "response_format": "pcm"}
            ).encode()
            head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
            client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            received = b""
            while not received.endswith(b"0\r\n\r\n") and len(received) < 400_000:
                received += client.recv(4096)
    row = newest(server, "listener", 2)
    assert row["outcome"] == "left"
    charged_s = row["credits"]
    assert isinstance(charged_s, float | int)
    received_s = len(received) / PCM_BYTES_A_S
    assert received_s - 0.05 <= charged_s <= received_s + SLACK_S, (received_s, charged_s)
