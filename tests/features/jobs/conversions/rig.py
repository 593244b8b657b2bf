"""Recordings that are long for a test, and jobs of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from proxy.audio.formats import wav_header
from proxy.features.transcriptions import long_recordings
from tests.proxy.api.inside import Inside, inside
from tests.proxy.audio.recordings.clips import Kind, encoded
from tests.replies import json_of
from tests.tones import tones

CONFIG = """
[server]
default_model = "tone"
[storage]
url = "{url}"
[webhooks]
on = true
[engines.tone]
hosted = false
hears = true
voices = ["tone", "other"]
[engines.slow]
plugin = "tone"
hosted = false
hears = true
pace = 0.25
[engines.cloud]
plugin = "openai"
models = ["tts-1"]
[models]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
slow = "tone"
cloud = "alloy"
[plans.metered]
allowance = 1000000
streams = 1
prices.speech = {{ credits = 1, per = "character" }}
prices.conversion = {{ credits = 60, per = "minute" }}
prices.transcription = {{ credits = 60, per = "minute" }}
[plans.short]
allowance = 5
prices.conversion = {{ credits = 60, per = "minute" }}
prices.transcription = {{ credits = 60, per = "minute" }}
[plans.none]
job_characters = 0
"""
FORM = {"kind": "conversion", "model": "tone/standard", "voice": "alloy", "consent": "true"}
TRANSCRIPTION: dict[str, Any] = {
    "kind": "transcription",
    "model": "tone/ears",
    "voice": None,
    "consent": None,
}
PAUSE_S = 0.5
STEP_MS = 4_000
"""Of a stretch in most tests."""


def said(words: list[str], pause_s: float = PAUSE_S) -> bytes:
    """PCM that says each of these, with pauses between."""
    return bytes(round(pause_s * 24_000) * 2).join(tones(word) for word in words)


def recording(words: list[str]) -> bytes:
    """A WAV that says this."""
    pcm = said(words)
    return wav_header(len(pcm) // 2) + pcm


def flac(pcm: bytes) -> bytes:
    kind = Kind("flac", "flac", "s16", 24_000)
    return encoded(kind, np.frombuffer(pcm, "<i2") / 32768)


def seconds_of(wav: bytes) -> float:
    return (len(wav) - len(wav_header(0))) / 48_000


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_recordings, "MOST_MS", STEP_MS)


@asynccontextmanager
async def conversions_inside(
    folder: Path, url: str = "sqlite", plan: str = "metered", more: str = "", **named: Any
) -> AsyncIterator[Inside]:
    async with inside(folder, CONFIG.format(url=url) + more, {}, plan, **named) as server:
        yield server


async def ask_conversion(
    server: Inside, audio: bytes | None, headers: dict[str, str] | None = None, **more: Any
) -> httpx2.Response:
    """Send a form; a field of None is left out."""
    sent: dict[str, tuple[str | None, Any]] = {
        name: (None, value) for name, value in {**FORM, **more}.items() if value is not None
    }
    if audio is not None:
        sent["file"] = ("long.wav", audio)
    async with server.client(**(headers or {})) as client:
        return await client.post("/v1/jobs", files=sent)


async def new_conversion(server: Inside, audio: bytes, **more: Any) -> dict[str, Any]:
    return json_of(await ask_conversion(server, audio, **more), 202)
