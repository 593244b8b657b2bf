"""An Idempotency-Key whose client hangs up before the first sound, on a real server with real sockets."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.server import Server
from tests.tables import each_row
from tests.waiting import until

BODY = {"model": "tts-1", "voice": "tone/slow", "input": "Hi."}


@each_row("format_", ["mp3", "wav", "json"])
def test_the_answer_is_finished_kept_and_charged_once(
    plain_server: Server, request: pytest.FixtureRequest, format_: str
) -> None:
    key = plain_server.mint_key(f"{request.node.name} {format_}", plan="unlimited").secret
    body = json.dumps({**BODY, "response_format": format_}).encode()
    headers = f"authorization: Bearer {key}\r\nidempotency-key: one\r\ncontent-length: {len(body)}\r\n\r\n"
    place = urlsplit(plain_server.url)
    with socket.create_connection((place.hostname, place.port)) as client:
        client.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\n" + headers.encode() + body)
    with plain_server.client(key) as http:
        answers = list[httpx2.Response]()

        def is_over() -> bool:
            sent = http.post("/v1/audio/speech", content=body, headers={"idempotency-key": "one"})
            answers.append(sent)
            return sent.status_code != 409

        until(is_over)
        (row,) = http.get("/v1/usage").json()["data"]
    assert (row["outcome"], row["audio_ms"] > 0) == ("finished", True)
    assert (answers[-1].status_code, answers[-1].headers["x-voxgate-replay-of"]) == (200, row["id"])
