"""The steps of a job as its account sees them: each with its mark and its sound."""

from collections.abc import AsyncGenerator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from speech_engine import Audio, EngineUnavailable, Event, Finished, SpeechJob, Started
from tests import speech_clips
from tests.features.jobs.job_rig import content, job_with, jobs_inside, new_job, said, text_of, words_of
from tests.features.jobs.test_retention import retention
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.owning import new_key
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.audio.recordings.clips import wav
from tests.replies import json_of
from tests.sound import decoded

pytestmark = pytest.mark.slow

SPOKEN_S = 4


def _said() -> Iterator[Event]:
    heard = decoded(speech_clips.wav(), "wav")
    rate_hz = heard.sample_rate_hz
    samples = (heard.samples[: SPOKEN_S * rate_hz] * 32767).astype("<i2").tobytes()
    yield Started(rate_hz)
    for at in range(0, len(samples), rate_hz // 10 * 2):
        yield Audio(0, samples[at : at + rate_hz // 10 * 2])
    yield Finished()


async def steps(server: Inside, job: str, query: str = "") -> dict[str, Any]:
    return json_of(await server.ask("GET", f"/v1/jobs/{job}/steps{query}"))


async def step_sound(server: Inside, job: str, number: int) -> bytes:
    answer = await server.ask("GET", f"/v1/jobs/{job}/steps/{number}/content")
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("format_", ["mp3", "wav"])
async def test_a_step_has_the_digest_of_its_sound_and_its_mark_is_found(tmp_path: Path, format_: str) -> None:
    one = Scripted(*_said(), is_speech=True)
    async with jobs_inside(tmp_path, one=one) as server:
        made = await new_job(server, text_of(2), model="one", voice="one", response_format=format_)
        await job_with(server, made["id"], "done")
        listed = (await steps(server, made["id"]))["data"]
        assert [each["number"] for each in listed] == [1, 2]
        for each in listed:
            sound = await step_sound(server, made["id"], each["number"])
            assert each["sha256"] == sha256(sound).hexdigest()
            async with server.client() as client:
                file = sound if format_ == "mp3" else wav(sound, 24_000)
                detected = (await client.post("/v1/audio/marks/detect", files={"file": ("a", file)})).json()
            assert (detected["found"], detected["marks"][0]["key"]) == (True, each["mark"]["key"])


async def test_the_steps_are_the_text_and_the_sound_of_the_job(tmp_path: Path, store_url: str) -> None:
    text = text_of(5)
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_job(server, text)
        await job_with(server, made["id"], "done")
        first = await steps(server, made["id"], "?limit=3")
        assert (first["has_more"], len(first["data"])) == (True, 3)
        rest = await steps(server, made["id"], f"?limit=3&after={first['last_id']}")
        assert (rest["has_more"], len(rest["data"])) == (False, 2)
        listed = first["data"] + rest["data"]
        assert [text[each["start"] : each["end"]].strip() for each in listed] == words_of(5)
        assert {(each["status"], each["voice"], each["mark"]) for each in listed} == {("done", "alloy", None)}
        assert sum(each["credits"] for each in listed) == len(text)
        sounds = [await step_sound(server, made["id"], each["number"]) for each in listed]
        assert b"".join(sounds) == (await content(server, made["id"])).content
        for query in ("limit=0", "limit=1001", "after=job_gone"):
            assert (await server.ask("GET", f"/v1/jobs/{made['id']}/steps?{query}")).status_code == 400
        admins = await server.administer("GET", f"jobs/{made['id']}/steps?limit=3")
        assert admins.json() == first


class DownOnce(Scripted):
    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if not self.jobs:
            self.jobs.append(job)
            raise EngineUnavailable("down")
        async for event in super().speak(job):
            yield event


async def test_a_job_waits_for_its_natural_voice_and_no_robot_stands_in(tmp_path: Path) -> None:
    one = DownOnce(*spoken(0.5))
    async with jobs_inside(tmp_path, one=one) as server:
        made = await new_job(server, text_of(2), model="both", voice="both")
        assert (await job_with(server, made["id"], "done"))["substitute"] == ""
        assert len(one.jobs) == 3


async def test_a_step_has_its_sound_before_the_job_ends_and_none_before_it_is_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.jobs.texts.chapters.pieces", lambda *_: [(0, 11), (11, 22), (22, 33)])
    async with jobs_inside(tmp_path, plan="short") as server:
        made = await new_job(server, "Word one.\n\nWord two.\n\nWord three.")
        await job_with(server, made["id"], "waiting")
        listed = (await steps(server, made["id"]))["data"]
        assert [each["status"] for each in listed] == ["done", "done", "queued"]
        assert said(await step_sound(server, made["id"], 2)) == ["Word two."]
        assert (listed[2]["sha256"], listed[2]["seconds"], listed[2]["request"]) == (None, 0.0, None)
        for number in ("3", "4", "0", "x", "1" * 40):
            answer = await server.ask("GET", f"/v1/jobs/{made['id']}/steps/{number}/content")
            assert (answer.status_code, envelope(answer)["param"]) == (404, "number"), number


async def test_a_step_is_in_its_chapter_and_the_file_of_a_job_is_no_step(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        body = {"model": "tone", "voice": "alloy", "response_format": "flac"}
        chapters = [{"title": "One", "input": text_of(2)}, {"title": "Two", "input": "Word two."}]
        made = json_of(await server.ask("POST", "/v1/jobs", body={**body, "chapters": chapters}), 202)
        await job_with(server, made["id"], "done")
        listed = (await steps(server, made["id"]))["data"]
        assert [(each["number"], each["chapter"]) for each in listed] == [(1, 1), (2, 1), (3, 2)]
        whole = "".join(each["input"] for each in chapters)
        assert whole[listed[2]["start"] : listed[2]["end"]] == "Word two."
        # The sound of its steps stays beside its file: another job may take it over.
        await retention(server).delete_old()
        assert said(await step_sound(server, made["id"], 3)) == ["Word two."]


async def test_another_accounts_steps_are_those_of_no_job(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, "Hello.")
        await job_with(server, made["id"], "done")
        other = await new_key(server, "ben")
        for tail in ("steps", "steps/1/content"):
            answer = await server.ask("GET", f"/v1/jobs/{made['id']}/{tail}", key=other)
            assert (answer.status_code, envelope(answer)["code"]) == (404, "job_not_found")
