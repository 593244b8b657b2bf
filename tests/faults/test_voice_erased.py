"""A voice is erased while each of four workers speaks with it: all streams end, and nothing of it is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from tests import speech_clips
from tests.databases import postgres
from tests.faults.clusters import answered_by
from tests.faults.test_voice_canary import CONFIG
from tests.redis_server import redis_server
from tests.server import Server, running

WORKERS = 4
STREAMS = 16
ROUNDS = 6
"""The kernel gives connections to workers as it likes: rounds go on until each had a stream."""

TEXT = "The quick brown fox jumps over the lazy dog. " * 60


class Heard(NamedTuple):
    answer: httpx2.Response
    is_whole: bool


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with postgres() as database, redis_server() as redis:
        environ = {
            "VOXGATE_STORAGE__URL": database.url(),
            "VOXGATE_LIMITS__URL": redis.url,
            "VOXGATE_SERVER__WORKERS": str(WORKERS),
        }
        with running(tmp_path_factory.mktemp("erased"), CONFIG, environ=environ) as started:
            yield started


def make(server: Server, secret: str, name: str) -> str:
    with server.client(secret) as client:
        answer = client.post(
            "/v1/audio/voices",
            data={"name": name},
            files={"audio_sample": ("sample.wav", speech_clips.wav(), "audio/wav")},
        )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def listen(server: Server, secret: str, voice: str, number: int, begun: threading.Semaphore) -> Heard:
    """Hear a long text at the pace of speech."""
    body = {"model": "tts-1", "voice": voice, "input": f"{number} {TEXT}", "response_format": "pcm"}
    headers = {"x-voxgate-pace": "live", "idempotency-key": f"{voice} {number}", "connection": "close"}
    with server.client(secret) as client:
        with client.stream("POST", "/v1/audio/speech", json=body, headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            is_first = True
            try:
                for _ in answer.iter_raw():
                    if is_first:
                        begun.release()
                    is_first = False
            except httpx2.TransportError:
                return Heard(answer, is_whole=False)
            return Heard(answer, is_whole=True)


def left(data: Path) -> list[Path]:
    folders = (data / "cache", data / "idempotency", data / "voices")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_streams_of_all_workers_end_and_nothing_is_kept(server: Server) -> None:
    secret = server.mint_key("creator", plan="creator").secret
    heard_by: set[int] = set()
    for round_ in range(ROUNDS):
        voice, begun = make(server, secret, f"voice {round_}"), threading.Semaphore(0)
        with ThreadPoolExecutor(STREAMS) as listeners:
            listening: list[Future[Heard]] = [
                listeners.submit(listen, server, secret, voice, number, begun) for number in range(STREAMS)
            ]
            for _ in range(STREAMS):
                assert begun.acquire(timeout=30)
            with server.client(secret) as client:
                assert client.delete(f"/v1/audio/voices/{voice}").status_code == 200
                receipt = client.get(f"/v1/audio/voices/erasures/{voice}").json()
            heard = [each.result(timeout=30) for each in listening]
        assert receipt["completed"] is not None, json.dumps(receipt)
        assert not any(each.is_whole for each in heard)
        heard_by |= {answered_by(server, each.answer) for each in heard}
        if len(heard_by) == WORKERS:
            break
    assert heard_by == set(range(WORKERS))
    assert left(server.data) == []
    rows = json.loads(server.cli("usage", "--account", "creator", "--limit", "1000", "--json").stdout)["data"]
    assert {(row["outcome"], row["error"]) for row in rows} == {("failed", "voice_not_found")}
    assert all(row["audio_ms"] > 0 for row in rows)
    assert "background.turn.failed" not in server.log.read_text()
