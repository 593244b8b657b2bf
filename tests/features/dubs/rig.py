"""Dubs of a worker: their files, and what is in their sound."""

from __future__ import annotations

import io
from typing import Any

import av
import httpx2
import numpy as np
from numpy.typing import NDArray

from tests.features.jobs.batches.rig import upload
from tests.features.jobs.job_rig import job_with
from tests.proxy.api.inside import Inside
from tests.replies import json_of

SRT = """1
00:00:01,000 --> 00:00:02,000
Ana: One.

2
00:00:03,000 --> 00:00:04,000
Ben: Two.

3
00:00:05,000 --> 00:00:06,500
[door] Three.
"""
CAST = {"cast": {"Ana": "alloy", "Ben": "alloy"}}


async def user_file(server: Inside, data: bytes, name: str = "film.srt") -> str:
    id_: str = json_of(await upload(server, data, name=name, purpose="user_data"))["id"]
    return id_


async def ask_dub(
    server: Inside, srt: str | bytes, original: bytes | None = None, **more: Any
) -> httpx2.Response:
    body = {"kind": "dub", "model": "tone", "voice": CAST, **more}
    body["input_file_id"] = await user_file(server, srt.encode() if isinstance(srt, str) else srt)
    if original is not None:
        body["original_file_id"] = await user_file(server, original, "film.mp4")
    return await server.ask("POST", "/v1/jobs", body=body)


async def new_dub(server: Inside, srt: str | bytes = SRT, original: bytes | None = None, **more: Any) -> str:
    made = json_of(await ask_dub(server, srt, original, **more), 202)
    await job_with(server, made["id"], "done")
    id_: str = made["id"]
    return id_


async def file_of(server: Inside, id_: str, name: str = "track") -> bytes:
    answer = await server.ask("GET", f"/v1/jobs/{id_}/content?file={name}")
    assert answer.status_code == 200, answer.text
    return answer.content


def sound_of(file: bytes) -> tuple[NDArray[np.int16], int]:
    """Decode a file to mono samples."""
    with av.open(io.BytesIO(file), "r") as container:
        rate = container.streams.audio[0].rate or 0
        resampler = av.AudioResampler("s16", "mono", rate)
        frames = [each for frame in container.decode(audio=0) for each in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]), rate


def original_of(seconds: float, rate_hz: int = 48_000, format_: str = "flac") -> bytes:
    """Return a file of stereo noise."""
    noise = np.random.default_rng(1).integers(-3000, 3000, (1, round(seconds * rate_hz)), np.int16)
    out = io.BytesIO()
    with av.open(out, "w", format=format_) as container:
        stream = container.add_stream("flac" if format_ == "flac" else "aac", rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.sample_rate = rate_hz
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return out.getvalue()
