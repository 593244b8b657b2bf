"""The title of a job, its model and its voice: sealed with its request, and shown wherever the job is."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from proxy.features.jobs.kinds.training import training_input
from tests.features.jobs.batches.rig import jsonl, line, new_batch, upload
from tests.features.jobs.conversions.rig import ask_conversion, conversions_inside, recording
from tests.features.jobs.job_rig import ask_job, job, job_with, jobs_inside
from tests.features.jobs.training.training_rig import (
    RECORDINGS,
    ask_training,
    trainings_inside,
    voice_to_train,
)
from tests.features.users.rig import texts_of
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.scripted import Scripted, spoken
from tests.replies import json_of
from tests.tables import each_row

TITLE = "บทที่ 1 <b>\u202e of 1001 nights"
PIECE = "1001 nights"
LONGEST = "ü" * 200
FAULTS = ("ü" * 201, "two\nlines", "\x00", "a\x9b", 3, ["a"], {"a": "b"})


def label(shown: dict[str, Any]) -> tuple[str, str, str]:
    return shown["title"], shown["model"], shown["voice"]


@each_row(
    "sent, expected",
    [
        ({"title": TITLE}, (TITLE, "tone", "alloy")),
        ({"title": LONGEST, "voice": {"id": "one"}, "model": "one"}, (LONGEST, "one", "one")),
        ({"model": "tone/standard", "title": None}, ("", "tone/standard", "alloy")),
        ({"voice": {"cast": {"Ana": "alloy", "Ben": "both"}}, "model": "both"}, ("", "both", "alloy+both")),
    ],
)
async def test_a_job_of_speech_shows_its_title_model_and_voice(
    tmp_path: Path, sent: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    async with jobs_inside(tmp_path, one=Scripted(*spoken(0.1))) as server:
        made = json_of(await ask_job(server, "Hello.", **sent), 202)
        done = await job_with(server, made["id"], "done")
        (listed,) = json_of(await server.ask("GET", "/v1/jobs"))["data"]
        (of_all,) = json_of(await server.administer("GET", "jobs"))["data"]
        events = (await server.ask("GET", f"/v1/jobs/{made['id']}/events")).text
        (event,) = [part[6:] for part in events.splitlines() if part.startswith("data: ")]
        shown = [made, done, listed, of_all, json.loads(event)]
        assert [label(each) for each in shown] == [expected] * 5
        assert PIECE not in await texts_of(server.worker.store)


async def test_a_saved_voice_is_shown_by_its_id_which_names_no_one(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        cast = {"name": "Ana Maria", "cast": {"A": "alloy"}}
        voice = json_of(await server.ask("POST", "/v1/audio/voices", body=cast))["id"]
        made = json_of(await ask_job(server, "Hello.", voice="Ana Maria"), 202)
        assert label(made) == ("", "tone", voice)


async def test_a_request_in_the_background_may_have_a_title(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = json_of(await server.speech(background=True, title=TITLE), 202)
        assert label(made) == (TITLE, "tts-1", "alloy")


async def test_the_same_key_with_another_title_is_another_request(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        once = {"idempotency-key": "once"}
        answers = [await ask_job(server, "Hi.", title=title, headers=once) for title in ("a", "a", "b")]
        assert [answer.status_code for answer in answers] == [202, 202, 422]


async def test_conversions_have_titles(tmp_path: Path) -> None:
    async with conversions_inside(tmp_path) as server:
        made = json_of(await ask_conversion(server, recording(["Hello."]), title=TITLE), 202)
        assert label(await job(server, made["id"])) == (TITLE, "tone/standard", "alloy")
        assert PIECE not in await texts_of(server.worker.store)
        answer = await ask_conversion(server, recording(["Hello."]), title="ü" * 201)
        assert (answer.status_code, envelope(answer)["param"]) == (400, "title")


async def test_batches_have_titles_and_openais_have_none(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = json_of(await ask_batch_job(server, TITLE), 202)
        assert label(await job(server, made["id"])) == (TITLE, "", "")
        assert PIECE not in await texts_of(server.worker.store)
        theirs = await new_batch(server, line("a", "Hello."))
        assert "title" not in theirs
        assert label(await job(server, theirs["id"])) == ("", "", "")


async def ask_batch_job(server: Inside, title: object) -> httpx2.Response:
    file = json_of(await upload(server, jsonl(line("a", "Hello."))))["id"]
    body = {"kind": "batch", "input_file_id": file, "title": title}
    return await server.ask("POST", "/v1/jobs", body=body)


async def test_trainings_have_titles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", RECORDINGS)
    async with trainings_inside(tmp_path) as server:
        voice = await voice_to_train(server)
        made = json_of(await ask_training(server, voice, title=TITLE), 202)
        assert label(await job(server, made["id"])) == (TITLE, "tone/standard", voice)
        assert PIECE not in await texts_of(server.worker.store)
        answer = await ask_training(server, voice, title="two\nlines")
        assert (answer.status_code, envelope(answer)["param"]) == (400, "title")


async def test_a_bad_title_is_refused_by_name_and_makes_no_job(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        for title in FAULTS:
            for answer in (await ask_job(server, "Hi.", title=title), await ask_batch_job(server, title)):
                assert (answer.status_code, envelope(answer)["param"]) == (400, "title"), title
                assert "ü" not in answer.text
        assert json_of(await server.ask("GET", "/v1/jobs"))["data"] == []
