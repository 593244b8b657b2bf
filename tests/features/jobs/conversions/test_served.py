"""Jobs of a whole worker that convert a long recording: cut, converted, charged, heard, and gone."""

import asyncio
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from plugins.tone.decode import decode
from proxy.audio.formats import FORMATS
from proxy.features.admin.verify import verify
from proxy.features.transcriptions import long_recordings
from proxy.features.transcriptions.long_recordings import MOST_MS
from proxy.storage.blobs import list_all
from tests.features.conversions.test_conversions import raw
from tests.features.jobs.conversions import rig
from tests.features.jobs.conversions.rig import flac, short_stretches
from tests.features.jobs.job_rig import content, job_with
from tests.proxy.api.inside import LeavingPeer, envelope
from tests.proxy.audio.recordings.clips import Kind, encoded
from tests.sound import decoded

WORDS = [f"Sentence number {number}." for number in range(6)]
__all__ = ["short_stretches"]
pytestmark = [
    pytest.mark.usefixtures("short_stretches"),
    pytest.mark.slow_but("test_a_long_recording_is_heard_in_order_and_charged_by_its_length"),
]


async def test_a_long_recording_is_heard_in_order_and_charged_by_its_length(
    tmp_path: Path, store_url: str
) -> None:
    audio = rig.recording(WORDS)
    async with rig.conversions_inside(tmp_path, store_url) as server:
        made = await rig.new_conversion(server, audio, response_format="pcm")
        assert (made["kind"], made["characters"], made["format"]) == ("conversion", 0, "pcm")
        assert made["steps"] >= rig.seconds_of(audio) * 1000 / rig.STEP_MS
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["error"], done["steps_done"]) == ("done", "", made["steps"])
        sound = (await content(server, made["id"])).content
        assert decode(*decoded(sound, "pcm")) == tuple(WORDS)
        assert abs(len(sound) - (len(audio) - 44)) <= 2 * made["steps"]
        rows = await server.usage()
        assert {(row.kind, row.outcome, row.characters) for row in rows} == {("conversion", "finished", 0)}
        assert len(rows) == made["steps"]
        assert done["credits"] == pytest.approx(rig.seconds_of(audio), abs=0.001)
        assert (await verify(server.worker.store)).is_clean


async def test_the_same_sound_has_as_many_steps_at_any_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_recordings, "MOST_MS", 18_000)
    steps = []
    async with rig.conversions_inside(tmp_path) as server:
        for rate_hz in (24_000, 192_000):
            hum = np.tile(np.repeat((0.25, -0.25), rate_hz // 200), 8 * 100)
            audio = encoded(Kind("flac", "flac", "s16", rate_hz), hum)
            steps.append((await rig.new_conversion(server, audio))["steps"])
    assert steps == [1, 1]


@pytest.mark.parametrize("format_", FORMATS)
async def test_the_words_come_in_every_format(tmp_path: Path, format_: str) -> None:
    async with rig.conversions_inside(tmp_path) as server:
        made = await rig.new_conversion(server, rig.recording(WORDS[:4]), response_format=format_)
        assert made["steps"] > 1
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["error"]) == ("done", "")
        answer = await content(server, made["id"])
        assert decode(*decoded(answer.content, format_)) == tuple(WORDS[:4])


async def test_a_rate_and_kbit_s_are_those_of_the_file(tmp_path: Path) -> None:
    async with rig.conversions_inside(tmp_path) as server:
        audio = rig.recording(WORDS[:3])
        for more in (
            {"response_format": "opus", "bitrate": "32", "sample_rate": "16000"},
            {"response_format": "flac", "sample_rate": "16000"},
            {"response_format": "wav", "sample_rate": "16000"},
            {"response_format": "mp3", "bitrate": "64"},
        ):
            made = await rig.new_conversion(server, audio, **more)
            done = await job_with(server, made["id"], "done", "failed")
            assert (done["status"], done["error"]) == ("done", ""), more
            sound = (await content(server, made["id"])).content
            samples, rate_hz = decoded(sound, more["response_format"])
            if more["response_format"] in ("flac", "wav"):
                assert rate_hz == 16_000
            assert len(samples) / rate_hz == pytest.approx(rig.seconds_of(audio), abs=0.2)


async def test_six_minutes_are_cut_into_three_and_each_step_tells_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    pcm = rig.said(["One.", "Two.", "Three."], pause_s=179.0)
    audio, seconds = flac(pcm), len(pcm) / 48_000
    assert seconds > 360.0
    async with rig.conversions_inside(tmp_path) as server:
        made = await rig.new_conversion(server, audio, response_format="pcm")
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["error"]) == ("done", "")
        steps = (await server.ask("GET", f"/v1/jobs/{made['id']}/steps")).json()["data"]
        assert steps[0]["start"] == 0
        assert all(one["end"] == two["start"] for one, two in pairwise(steps))
        assert steps[-1]["end"] == pytest.approx(seconds * 1000, abs=1)
        assert max(step["end"] - step["start"] for step in steps) <= MOST_MS
        for step in steps:
            assert step["seconds"] == pytest.approx((step["end"] - step["start"]) / 1000, abs=0.001)
            assert step["credits"] == pytest.approx(step["seconds"], abs=0.001)


async def test_a_key_makes_one_job_however_the_form_is_written(tmp_path: Path) -> None:
    async with rig.conversions_inside(tmp_path) as server:
        key, audio = {"idempotency-key": "once"}, rig.recording(WORDS[:2])
        first = await rig.ask_conversion(server, audio, key)
        again = await rig.ask_conversion(server, audio, key)
        assert first.json()["id"] == again.json()["id"]
        assert again.headers["x-voxgate-replayed"] == "true"
        others = (
            await rig.ask_conversion(server, rig.recording(WORDS[1:3]), key),
            await rig.ask_conversion(server, audio, key, seed="7"),
        )
        for other in others:
            assert (other.status_code, envelope(other)["code"]) == (422, "idempotency_key_reused")


async def test_it_is_no_stream_of_its_plan_when_it_is_asked_for_either(
    tmp_path: Path, store_url: str
) -> None:
    async with rig.conversions_inside(tmp_path, store_url) as server:
        peer, began = LeavingPeer(), asyncio.Event()
        listening = asyncio.create_task(raw(server, "slow/standard", peer, began))
        await asyncio.wait_for(began.wait(), 20.0)
        made = await rig.new_conversion(server, rig.recording(WORDS[:2]))
        await job_with(server, made["id"], "done")
        peer.leave()
        await asyncio.wait_for(asyncio.wait([listening]), 20.0)


async def test_the_file_is_sealed_and_goes_with_its_job(tmp_path: Path, store_url: str) -> None:
    audio = rig.recording(WORDS[:3])
    needle = audio[len(audio) // 2 :][:400]
    async with rig.conversions_inside(tmp_path, store_url) as server:
        made = await rig.new_conversion(server, audio)
        await job_with(server, made["id"], "done")
        files = await asyncio.to_thread(contents, tmp_path)
        assert max(map(len, files)) > len(audio), "it is there"
        assert not [file for file in files if needle in file]
        assert (await server.ask("DELETE", f"/v1/jobs/{made['id']}")).is_success
        assert await list_all(server.worker.store) == []
        assert await asyncio.to_thread(contents, tmp_path / "data" / "voices") == []


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_there_are_no_subtitles_and_no_chapters(tmp_path: Path) -> None:
    async with rig.conversions_inside(tmp_path) as server:
        made = await rig.new_conversion(server, rig.recording(WORDS[:2]))
        await job_with(server, made["id"], "done")
        answer = await server.ask("GET", f"/v1/jobs/{made['id']}/subtitles")
        assert answer.status_code == 409
        assert envelope(answer)["message"] == "A conversion has no subtitles: it has no text."
        answer = await server.ask("GET", f"/v1/jobs/{made['id']}/content?chapter=1")
        assert (answer.status_code, envelope(answer)["param"]) == (400, "chapter")
