"""Speech in the background: a request for speech that is answered at once, with a job."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.features.jobs.job_rig import content, job, job_with, jobs_inside, new_job, said
from tests.proxy.api.inside import Inside, envelope, inside
from tests.sound import decoded

LATER = {"model": "tone", "voice": "alloy", "input": "Word one.", "background": True}
FILLED = """
[server]
default_model = "tone"
fill_missing = true
[engines.tone]
hosted = false
[models]
tone = ["tone/standard"]
[voices.alloy]
tone = "tone"
[plans.twice]
rpm = 2
"""


async def ask(server: Inside, headers: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
    return await server.ask("POST", "/v1/audio/speech", body={**LATER, **more}, **(headers or {}))


async def test_a_request_in_the_background_is_a_job_like_any_other(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        answer = await ask(server, response_format="pcm", speed=0.5)
        assert answer.status_code == 202, answer.text
        made = answer.json()
        assert answer.headers["location"] == f"/v1/jobs/{made['id']}"
        assert (made["object"], made["kind"], made["format"], made["steps"]) == ("job", "speech", "pcm", 1)
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps_done"]) == ("done", 1)
        heard = await content(server, made["id"])
        same = await new_job(server, "Word one.", speed=0.5)
        await job_with(server, same["id"], "done")
        assert heard.content == (await content(server, same["id"])).content
        assert len(heard.content) > 0
        usual = await ask(server, background=False, response_format="pcm")
        assert (usual.status_code, said(usual.content)) == (200, ["Word one."])


async def test_any_format_is_spoken_in_the_background(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        for format_, media_type in (("opus", "audio/ogg"), ("flac", "audio/flac"), ("wav", "audio/wav")):
            answer = await ask(server, response_format=format_)
            assert answer.status_code == 202, answer.text
            done = await job_with(server, answer.json()["id"], "done", "failed")
            assert (done["status"], done["format"]) == ("done", format_)
            heard = await content(server, done["id"])
            assert (heard.headers["content-type"], heard.status_code) == (media_type, 200)
            assert decoded(heard.content, format_).seconds > 0.3


async def test_the_idempotency_key_makes_the_id_of_the_job(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        once = {"idempotency-key": "greeting"}
        first, again = await ask(server, once), await ask(server, once)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json()["id"] == again.json()["id"]
        assert again.headers["x-voxgate-replayed"] == "true"
        assert len((await server.ask("GET", "/v1/jobs")).json()["data"]) == 1
        other = await ask(server, once, input="Another text.")
        assert (other.status_code, envelope(other)["code"]) == (422, "idempotency_key_reused")
        bad = await ask(server, {"idempotency-key": "x" * 256})
        assert (bad.status_code, envelope(bad)["param"]) == (400, "Idempotency-Key")


async def test_what_cannot_be_spoken_later_names_its_field(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        for more, status, param in (
            ({"stream_format": "sse"}, 400, "stream_format"),
            ({"stream_format": "words"}, 400, "stream_format"),
            ({"response_format": "json"}, 400, "response_format"),
            ({"stream": True}, 400, "stream"),
            ({"background": "yes"}, 400, "background"),
            ({"input": " "}, 400, "input"),
            ({"input": "x" * 4097}, 400, "input"),
            ({"voice": "nobody"}, 400, "voice"),
            ({"model": "nothing"}, 404, "model"),
        ):
            answer = await ask(server, **more)
            assert (answer.status_code, envelope(answer)["param"]) == (status, param), more
        assert (await server.ask("GET", "/v1/jobs")).json()["data"] == []


async def test_what_the_server_fills_in_for_speech_it_fills_in_for_jobs(tmp_path: Path) -> None:
    async with inside(tmp_path, FILLED) as server:
        body = {"input": "Hello.", "voice": None}
        speech = await server.ask("POST", "/v1/audio/speech", body={**body, "background": True})
        asked = await server.ask("POST", "/v1/jobs", body=body)
        for answer in (speech, asked):
            assert answer.status_code == 202, answer.text
            done = await job_with(server, answer.json()["id"], "done", "failed")
            assert (done["status"], done["error"]) == ("done", "")


async def test_it_counts_as_one_request(tmp_path: Path) -> None:
    async with inside(tmp_path, FILLED, plan="twice") as server:
        answers = [await ask(server) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        refused = envelope(await server.ask("POST", "/v1/jobs", body={"input": "Hello."}))
        assert refused["code"] == "rate_limit_exceeded"
        assert "up to 20000 texts: POST /v1/batches" in refused["message"]


@pytest.mark.parametrize("plan", ["none", "few"])
async def test_a_plan_says_how_long_its_text_may_be(tmp_path: Path, plan: str) -> None:
    async with jobs_inside(tmp_path, plan=plan) as server:
        answer = await ask(server, input="Hello. " * 10)
        code = "jobs_not_allowed" if plan == "none" else "text_too_long"
        assert (answer.status_code, envelope(answer)["code"]) == (403, code)


async def test_a_recording_that_comes_with_a_request_is_not_kept_for_later(tmp_path: Path) -> None:
    text = FILLED + "one_shot = true\n"
    async with inside(tmp_path, text, plan="twice") as server, server.client() as client:
        form = {"model": "tone", "input": "Hello.", "background": "true", "consent": "true"}
        answer = await client.post(
            "/v1/audio/speech", data=form, files={"reference_audio": ("a.wav", b"RIFF", "audio/wav")}
        )
        assert (answer.status_code, envelope(answer)["param"]) == (400, "background")


async def test_the_document_has_both_answers(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        document = (await server.ask("GET", "/openapi.json")).json()
        responses = document["paths"]["/v1/audio/speech"]["post"]["responses"]
        assert responses["202"]["content"]["application/json"]["schema"]["$ref"].endswith("/ShownJob")
        assert "location" in responses["202"]["headers"]
        assert "audio/mpeg" in responses["200"]["content"]
        assert await job(server, (await ask(server)).json()["id"])
