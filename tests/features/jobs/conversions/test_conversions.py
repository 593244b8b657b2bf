"""Jobs of long recordings: every word comes out in its place, and each stretch is charged once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import av
import httpx2
import numpy as np
import pytest

from proxy.audio.formats import wav_header
from proxy.features.jobs.conversions.kind import SOURCE
from proxy.features.jobs.results.encoded_records import list_encoded
from proxy.ledger.verify import verify
from proxy.storage import blobs
from tests.features.jobs.job_rig import RATE_HZ, content, said, until
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.owning import agree
from tests.sound import decoded
from tests.tones import tones

CONFIG = """
[server]
default_model = "tone"
[storage]
url = "{url}"
[engines.tone]
hosted = false
voices = ["tone", "other"]
[models]
tone = ["tone/standard"]
[voices.alloy]
tone = "tone"
[plans.metered]
allowance = 1000
streams = 1
prices.conversion = {{ credits = 60, per = "minute" }}
[plans.none]
job_characters = 0
"""
FIELDS = {
    "kind": "conversion",
    "model": "tone/standard",
    "voice": "alloy",
    "consent": "true",
    "response_format": "pcm",
}
WORDS = 13


def long_pcm(words: int = WORDS, each_s: float = 30.0) -> bytes:
    """Return words, one every half a minute, with silence between them."""
    parts = []
    for number in range(words):
        pcm = tones(f"Word {number}.")
        parts.append(pcm + bytes(round(each_s * RATE_HZ) * 2 - len(pcm)))
    return b"".join(parts)


def as_flac(pcm: bytes, rate_hz: int = RATE_HZ) -> bytes:
    from io import BytesIO

    file = BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate_hz, layout="mono")
        samples = np.frombuffer(pcm, np.int16)
        for at in range(0, len(samples), 48_000):
            frame = av.AudioFrame.from_ndarray(samples[at : at + 48_000][None], "s16", "mono")
            frame.sample_rate, frame.pts = rate_hz, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.fixture(scope="module")
def recording() -> bytes:
    return as_flac(long_pcm())


async def ask(
    server: Inside, audio: bytes, headers: dict[str, str] | None = None, **more: Any
) -> httpx2.Response:
    fields = {name: value for name, value in {**FIELDS, **more}.items() if value is not None}
    async with server.client(**(headers or {})) as client:
        return await client.post("/v1/jobs", data=fields, files={"file": audio}, timeout=60.0)


async def new(server: Inside, audio: bytes, **more: Any) -> str:
    answer = await ask(server, audio, **more)
    assert answer.status_code == 202, answer.text
    id_: str = answer.json()["id"]
    return id_


async def test_every_word_is_heard_in_its_place_and_charged_once(
    tmp_path: Path, store_url: str, recording: bytes
) -> None:
    async with inside(tmp_path, CONFIG.format(url=store_url), {}, "metered") as server:
        id_ = await new(server, recording)
        shown = await until(server, id_, "done", "failed")
        assert (shown["status"], shown["kind"]) == ("done", "conversion"), shown
        assert shown["steps"] == shown["steps_done"] >= 3
        pcm = (await content(server, id_)).content
        assert len(pcm) == len(long_pcm())
        assert said(pcm) == [f"Word {number}." for number in range(WORDS)]
        rows = await server.usage()
        assert {row.kind for row in rows} == {"conversion"}
        assert {row.job for row in rows} == {id_}
        # A credit a second, each stretch rounded up by less than a millionth.
        assert sum(row.credits for row in rows) == pytest.approx(WORDS * 30 * 1_000_000, abs=10)
        assert (await verify(server.worker.store)).is_clean
        steps = (await server.ask("GET", f"/v1/jobs/{id_}/steps")).json()["data"]
        assert [step["start"] for step in steps[1:]] == [step["end"] for step in steps[:-1]]
        assert steps[-1]["end"] == WORDS * 30 * RATE_HZ


@pytest.mark.parametrize("format_", ["flac", "opus", "wav", "mp3"])
async def test_the_sound_is_one_file_in_every_format(tmp_path: Path, format_: str) -> None:
    audio = as_flac(long_pcm(6))
    async with inside(tmp_path, CONFIG.format(url="sqlite"), {}, "metered") as server:
        id_ = await new(server, audio, response_format=format_)
        assert (await until(server, id_, "done", "failed"))["status"] == "done"
        samples, rate_hz = decoded((await content(server, id_)).content, format_)
        assert len(samples) / rate_hz == pytest.approx(180.0, abs=0.2)


async def test_the_job_goes_with_its_recording(tmp_path: Path, recording: bytes) -> None:
    async with inside(tmp_path, CONFIG.format(url="sqlite"), {}, "metered") as server:
        id_ = await new(server, recording)
        await until(server, id_, "done")
        rows = await list_encoded(server.worker.store, id_, SOURCE)
        assert len(rows) >= 3
        assert (await server.ask("DELETE", f"/v1/jobs/{id_}")).status_code == 200
        assert not await list_encoded(server.worker.store, id_, SOURCE)
        for row in rows:
            assert not await blobs.touch(server.worker.store, row.account, row.digest)


async def test_the_same_key_makes_one_job(tmp_path: Path, recording: bytes) -> None:
    async with inside(tmp_path, CONFIG.format(url="sqlite"), {}, "metered") as server:
        sent = {"headers": {"idempotency-key": "once"}}
        first = await new(server, recording, **sent)
        assert await new(server, recording, **sent) == first
        other = await ask(server, recording, pitch="3", **sent)
        assert other.status_code == 422
        await until(server, first, "done")


async def test_a_consent_that_is_gone_ends_the_job(tmp_path: Path, recording: bytes) -> None:
    config = CONFIG.format(url="sqlite").replace('voices = ["tone", "other"]', "pace = 0.5\nslots = 1")
    async with inside(tmp_path, config, {}, "metered") as server:
        consent = await agree(server)
        id_ = await new(server, recording, consent=consent["id"])
        answer = await server.ask("DELETE", f"/v1/audio/voice_consents/{consent['id']}")
        assert answer.status_code == 200, answer.text
        await server.ask("POST", f"/v1/jobs/{id_}/cancel")
        again = await server.ask("POST", f"/v1/jobs/{id_}/retry")
        assert again.status_code == 200, again.text
        shown = await until(server, id_, "failed")
        assert shown["error_code"] == "consent_not_found"


@pytest.mark.parametrize(
    ("plan", "audio", "fields", "status", "param", "code"),
    [
        ("metered", b"", {}, 400, "file", "invalid_audio"),
        ("metered", b"no sound at all", {}, 400, "file", "invalid_audio"),
        ("metered", wav_header(RATE_HZ, RATE_HZ) + bytes(2 * RATE_HZ), {}, 400, "file", "invalid_audio"),
        ("metered", None, {"kind": "speech"}, 400, "kind", None),
        ("metered", None, {"kind": None}, 400, "kind", None),
        ("metered", None, {"pitch": "13"}, 400, "pitch", None),
        ("metered", None, {"voice": "nobody"}, 400, "voice", "voice_not_found"),
        ("metered", None, {"model": "nothing"}, 404, "model", "model_not_found"),
        ("metered", None, {"consent": None}, 400, "consent", "missing_required_parameter"),
        ("metered", None, {"consent": "vc_none"}, 404, "consent", "consent_not_found"),
        ("metered", None, {"provenance": "c2pa", "response_format": "wav"}, 400, "provenance", None),
        ("metered", None, {"response_format": "ogg"}, 400, "response_format", None),
        ("none", None, {}, 403, None, "jobs_not_allowed"),
    ],
)
async def test_bad_input_is_refused_and_leaves_nothing(
    tmp_path: Path,
    plan: str,
    audio: bytes | None,
    fields: dict[str, Any],
    status: int,
    param: str | None,
    code: str | None,
) -> None:
    async with inside(tmp_path, CONFIG.format(url="sqlite"), {}, plan) as server:
        pcm = tones("Short.")
        answer = await ask(
            server, wav_header(len(pcm) // 2, RATE_HZ) + pcm if audio is None else audio, **fields
        )
        error = envelope(answer)
        assert (answer.status_code, error["param"]) == (status, param), answer.text
        assert code is None or error["code"] == code
        assert not await server.worker.store.read("SELECT id FROM jobs")
        assert not await server.worker.store.read("SELECT digest FROM blobs")


async def test_more_than_an_hour_is_refused(tmp_path: Path) -> None:
    audio = await asyncio.to_thread(as_flac, bytes(3_601 * 8_000 * 2), 8_000)
    async with inside(tmp_path, CONFIG.format(url="sqlite"), {}, "metered") as server:
        answer = await ask(server, audio)
        error = envelope(answer)
        assert (answer.status_code, error["param"], error["code"]) == (400, "file", "recording_too_long")
        assert not await server.worker.store.read("SELECT digest FROM blobs")
