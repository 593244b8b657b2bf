"""Rows of the checklist about answers that fail or are given up, and about their headers."""

from __future__ import annotations

import json
import time
from typing import Literal

import httpx2
import openai
import pytest

from tests.clients.servers import Servers, seconds

_TEXT = "This takes a while to say."
_REACTION_S = 1.0


def failure_before_audio_is_a_status(servers: Servers) -> None:
    speech = servers.shut.sdk.audio.speech
    for voice in ("tone/fail", "tone/bug", "tone/busy"):
        with pytest.raises(openai.InternalServerError) as failed:
            speech.create(model="tone/standard", voice=voice, input=_TEXT)
        assert failed.value.status_code == 503
        assert 1 <= int(failed.value.response.headers["retry-after"]) <= 60


def failure_midway_breaks_the_answer(servers: Servers) -> None:
    broken = _until_broken(servers, stream_format="audio")
    assert 0 < len(broken) < seconds(_TEXT) * 48_000
    *deltas, last = (json.loads(line.removeprefix(b"data: ")) for line in _events(servers))
    assert deltas
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert (last["type"], last["error"]["code"]) == ("error", "engine_unavailable")


def leaving_frees_the_slot(servers: Servers) -> None:
    server = servers.shut.server
    minted = server.cli("keys", "create", "--account", "dev", "--role", "admin", "--json")
    with server.client(json.loads(minted.stdout)["key"]) as admin:
        with servers.shut.sdk.audio.speech.with_streaming_response.create(
            model="tone44k/standard", voice="tone44k/slow", input=_TEXT * 20, response_format="pcm"
        ) as answer:
            # Kept by name: an iterator that nobody holds closes the answer by itself.
            parts = answer.iter_bytes()
            assert next(parts)
            assert _running(admin, "tone44k") == 1
        left = time.monotonic()
        while _running(admin, "tone44k"):
            assert time.monotonic() < left + _REACTION_S
            time.sleep(0.02)


def headers_are_openai_s(servers: Servers) -> None:
    answer = servers.shut.sdk.audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input=_TEXT)
    assert answer.http_request.headers["accept-encoding"].startswith("gzip")
    assert answer.headers["x-request-id"].startswith("req_")
    assert 0 <= int(answer.headers["openai-processing-ms"]) < 60_000
    assert "content-encoding" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    models = servers.shut.sdk.models.with_raw_response.list()
    assert models.headers["x-request-id"] not in ("", answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] in servers.shut.server.log.read_text()


def _events(servers: Servers) -> list[bytes]:
    return _until_broken(servers, stream_format="sse").strip().split(b"\n\n")


def _until_broken(servers: Servers, stream_format: Literal["audio", "sse"]) -> bytes:
    """What arrives of a speech that fails after 0.3 s; an answer that ends cleanly fails the row."""
    received = b""
    with servers.shut.sdk.audio.speech.with_streaming_response.create(
        model="tone/standard",
        voice="tone/fail-late",
        input=_TEXT,
        response_format="pcm",
        stream_format=stream_format,
    ) as answer:
        try:
            for part in answer.iter_bytes():
                received += part
        except httpx2.RemoteProtocolError:
            return received
    raise AssertionError("the answer ended as if it were complete")


def _running(admin: httpx2.Client, engine: str) -> int:
    listed = admin.get("/admin/engines").raise_for_status().json()["data"]
    running: int = next(entry["running"] for entry in listed if entry["name"] == engine)
    return running
