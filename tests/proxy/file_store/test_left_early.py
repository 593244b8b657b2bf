"""An Idempotency-Key whose client hangs up before the first sound, on a real server with real sockets."""

import json
import socket
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.faults.processes import state
from tests.server import Server
from tests.waiting import until

BODY = {"model": "tts-1", "voice": "tone/late", "input": "Hi."}


def test_the_answer_is_finished_kept_and_charged_once(
    plain_server: Server, request: pytest.FixtureRequest
) -> None:
    key = plain_server.mint_key(request.node.name, plan="unlimited").secret
    body = json.dumps(BODY).encode()
    headers = f"authorization: Bearer {key}\r\nidempotency-key: one\r\ncontent-length: {len(body)}\r\n\r\n"
    place = urlsplit(plain_server.url)
    with socket.create_connection((place.hostname, place.port)) as client:
        client.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\n" + headers.encode() + body)
        until(lambda: state(plain_server, "tone")["running"] == 1)
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
