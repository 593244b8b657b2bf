"""What is told of a step beside its sound, and of whose job its usage is."""

import zlib
from pathlib import Path

import msgspec
import pytest

from proxy.api.speech_answers import SpeechReport
from proxy.features.jobs.core import records
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import STEPS
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement
from tests.features.jobs.job_rig import content, job_with, jobs_inside, new_job, text_of

pytestmark = pytest.mark.slow

CAST = {"cast": {"Ana": "alloy", "Ben": "alloy"}}


async def test_words_are_placed_in_the_users_own_piece(tmp_path: Path, store_url: str) -> None:
    """A turn that is cut begins with a tag of ours, which moves no place."""
    text = f"[Ana] {'It is a long turn. ' * 150}[Ben] Short."
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_job(server, text, voice=CAST)
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        context = server.worker.open_features.context
        files, heard = JobFiles(context.store, context.find(Vault)), list[str]()
        clips = await records.list_clips(context.store, made["id"])
        assert len(clips) == made["steps"] >= 2
        sound = (await content(server, made["id"])).content
        for clip in clips:
            told = msgspec.json.decode(await files.report_of(clip), type=SpeechReport)
            step = await STEPS.get(context.store, clip.step)
            assert step is not None
            assert told.words
            piece = text[step.first : step.last]
            heard += [word.word for word in told.words]
            assert [piece[word.source_start : word.source_end] for word in told.words] == [
                word.word for word in told.words
            ]
            assert (told.audio_format, told.model_used) == ("pcm", "tone/standard")
            assert told.duration_seconds == round(clip.samples / clip.sample_rate_hz, 3)
            assert zlib.crc32(sound[: clip.bytes]) == clip.crc32
            sound = sound[clip.bytes :]
        assert heard == ["It", "is", "a", "long", "turn."] * 150 + ["Short."]
        assert not sound


async def test_usage_says_of_which_job_it_is(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_job(server, text_of(2))
        await job_with(server, made["id"], "done")
        body = {"model": "tone", "voice": "alloy", "input": "Hello."}
        assert (await server.ask("POST", "/v1/audio/speech", body=body)).status_code == 200
        sums = (await server.ask("GET", "/v1/usage?by=job")).json()["data"]
        assert {each["name"]: each["requests"] for each in sums} == {made["id"]: 2, "": 1}
        rows = (await server.ask("GET", "/v1/usage")).json()["data"]
        assert sorted(row["job"] for row in rows) == ["", made["id"], made["id"]]
        names = {row["id"].removesuffix("_1") for row in rows if row["job"]}
        listed = (await server.ask("GET", f"/v1/jobs/{made['id']}/steps")).json()["data"]
        assert names == {step["id"] for step in listed}
        # What a run has cost is of the job too, but of no step.
        await server.worker.store.write(
            Statement(f"UPDATE usage SET id = 'a_run' WHERE id LIKE '{listed[0]['id']}%'")
        )
        most = (await server.ask("GET", "/v1/usage?by=job&limit=1")).json()
        assert [(each["name"], each["requests"]) for each in most["data"]] == [(made["id"], 2)]
        assert most["has_more"]


async def test_two_jobs_of_one_idempotency_key_are_one_sum_with_their_id(
    tmp_path: Path, store_url: str
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        once, made = {"idempotency-key": "a book"}, []
        for steps in (2, 1):
            made.append(await new_job(server, text_of(steps), headers=once))
            await job_with(server, made[-1]["id"], "done")
            sums = (await server.ask("GET", "/v1/usage?by=job")).json()["data"]
            if steps == 2:
                assert [(each["name"], each["requests"]) for each in sums] == [(made[0]["id"], 2)]
                await server.ask("DELETE", f"/v1/jobs/{made[0]['id']}")
        assert made[0]["id"] == made[1]["id"]
        assert [(each["name"], each["requests"]) for each in sums] == [(made[0]["id"], 3)]
