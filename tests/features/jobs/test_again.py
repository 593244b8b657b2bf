"""A part of a job is said again: the new job takes over all other clips for nothing."""

from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from proxy.features.jobs.core import records, taking
from proxy.features.jobs.core.again import MOST_BODY_BYTES, AgainBody
from proxy.features.jobs.core.records import JobStep
from proxy.storage.store import Statement
from speech_engine import Finished, Started
from tests.features.erasure.erasing import erasure_of
from tests.features.jobs.job_rig import (
    CHAPTERS,
    RATE_HZ,
    ask_job,
    content,
    job,
    job_with,
    jobs_inside,
    kind_of,
    new_chapters,
    new_job,
    said,
    text_of,
    words_of,
)
from tests.features.jobs.test_retention import retention
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import Scripted, sound
from tests.replies import json_of
from tests.tables import each_row


async def _again(server: Inside, id_: str, **body: Any) -> httpx2.Response:
    return await server.ask("POST", f"/v1/jobs/{id_}/again", body=body)


async def _done_again(server: Inside, id_: str, **body: Any) -> dict[str, Any]:
    made = json_of(await _again(server, id_, **body), 202)
    return await job_with(server, made["id"], "done")


async def _taken(server: Inside, id_: str) -> list[bool]:
    steps = json_of(await server.ask("GET", f"/v1/jobs/{id_}/steps?limit=100"))["data"]
    return [each["is_taken_over"] for each in steps]


async def _done(server: Inside, text: str, **more: Any) -> dict[str, Any]:
    return await job_with(server, (await new_job(server, text, **more))["id"], "done")


async def test_a_step_costs_a_step_and_the_rest_is_taken_over(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        first = await _done(server, text_of(4))
        shown = json_of(await _again(server, first["id"], steps=[3], preview=True))
        assert (shown["steps"], shown["credits"], shown["most_credits"]) == (1, 1998.0, 1998.0)
        assert len(json_of(await server.ask("GET", "/v1/jobs"))["data"]) == 1, "a preview makes nothing"
        done = await _done_again(server, first["id"], steps=[3])
        assert (done["credits"], done["steps_done"], done["seconds"]) == (1998.0, 4, first["seconds"])
        assert await _taken(server, done["id"]) == [True, True, False, True]
        steps = json_of(await server.ask("GET", f"/v1/jobs/{done['id']}/steps"))["data"]
        assert [each["credits"] for each in steps] == [0, 0, 1998, 0]
        assert said((await content(server, done["id"])).content) == words_of(4)
        assert (await job(server, first["id"])) == first, "the old job stays as it was"
        usage = [row.credits for row in await server.usage()]
        assert sum(usage) == int((first["credits"] + 1998) * 1_000_000)


async def test_a_chapter_of_a_job_is_said_again(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await job_with(server, (await new_chapters(server, files="chapters"))["id"], "done")
        done = await _done_again(server, made["id"], only="2")
        assert await _taken(server, done["id"]) == [True, False, False, True]
        assert done["credits"] == len(CHAPTERS[1]["input"])
        assert done["files"] == "chapters"


async def test_an_again_of_an_again_keeps_the_choice_of_chapters(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await job_with(server, (await new_chapters(server, only="1,3"))["id"], "done")
        once = await _done_again(server, made["id"], only="3")
        assert await _taken(server, once["id"]) == [True, False]
        twice = await _done_again(server, once["id"], only="1")
        assert await _taken(server, twice["id"]) == [False, True]
        steps = json_of(await server.ask("GET", f"/v1/jobs/{twice['id']}/steps"))["data"]
        assert [each["chapter"] for each in steps] == [1, 3]
        assert said((await content(server, twice["id"])).content) == ["One.", "Four."]
        refused = await _again(server, twice["id"], only="2")
        assert (refused.status_code, envelope(refused)["code"]) == (400, "chapter_not_found")


async def test_words_say_the_steps_again_that_they_change(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        words = {"beside": "near"}
        first = await _done(server, text_of(4), lexicon={"0": "nought"})
        done = await _done_again(server, first["id"], words={"Word 2": "Verb"} | words)
        assert await _taken(server, done["id"]) == [True, True, False, True]
        third = await _done_again(server, done["id"], words={"Word 1": "Noun"})
        assert await _taken(server, third["id"]) == [True, False, True, True], "earlier words stay"
        heard = said((await content(server, third["id"])).content) or []
        assert [line.split()[0] for line in heard] == ["Word", "Noun.", "Verb.", "Word"]


@each_row("lexicon", [None, "none", "names"])
async def test_words_count_beside_the_lexicon_of_the_job(tmp_path: Path, lexicon: str | None) -> None:
    async with jobs_inside(tmp_path) as server:
        put = await server.ask("PUT", "/v1/lexicons/names", body={"words": {"Ana": "Anna"}})
        assert put.status_code == 200
        first = await _done(server, "Ana and Ben.", **({"lexicon": lexicon} if lexicon else {}))
        done = await _done_again(server, first["id"], words={"Ben": "Benn"})
        wanted = "Anna and Benn." if lexicon == "names" else "Ana and Benn."
        assert said((await content(server, done["id"])).content) == [wanted]


async def test_words_may_be_kept_for_the_account(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        first = await _done(server, "Ana and Ben.", language="en")
        shown = await _again(server, first["id"], words={"Ben": "Benn"}, keep_words=True, preview=True)
        assert shown.status_code == 200
        assert json_of(await server.ask("GET", "/v1/lexicons"))["data"] == []
        await _done_again(server, first["id"], words={"Ben": "Benn"}, keep_words=True)
        assert json_of(await server.ask("GET", "/v1/lexicons/en"))["words"] == {"Ben": "Benn"}
        later = await _done(server, "Ben.", language="en")
        assert said((await content(server, later["id"])).content) == ["Benn."]


async def test_another_voice_of_the_cast_says_its_steps_again(tmp_path: Path) -> None:
    one = Scripted(Started(RATE_HZ), *sound(0.1), Finished(), is_speech=False)
    text = "[Ana] One." + " " * 1990 + "\n\n[Ben] Two."
    async with jobs_inside(tmp_path, one=one) as server:
        cast = {"cast": {"Ana": "alloy", "Ben": "alloy"}}
        first = await _done(server, text, voice=cast)
        refused = await _again(server, first["id"], cast={"Cid": "alloy"})
        assert envelope(refused)["code"] == "speaker_not_found"
        gone = await _again(server, first["id"], cast={"Ben": "nobody"})
        assert (gone.status_code, envelope(gone)["code"]) == (400, "voice_not_found")
        same = await _done_again(server, first["id"], cast={"ben": "alloy"})
        assert await _taken(server, same["id"]) == [True, True]


@each_row("format_", ["flac", "opus"])
async def test_encoded_jobs_keep_their_clips(tmp_path: Path, format_: str) -> None:
    async with jobs_inside(tmp_path) as server:
        first = await _done(server, text_of(3), response_format=format_)
        await retention(server).delete_old()
        done = await _done_again(server, first["id"], steps=[2])
        assert await _taken(server, done["id"]) == [True, False, True]
        assert (await content(server, done["id"])).status_code == 200
        assert (await server.ask("GET", f"/v1/jobs/{done['id']}/steps/1/content")).status_code == 200


async def test_shared_sound_stays_until_the_last_job_goes(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        first = await _done(server, text_of(3))
        done = await _done_again(server, first["id"], steps=[2])
        assert (await server.ask("DELETE", f"/v1/jobs/{first['id']}")).status_code == 200
        assert said((await content(server, done["id"])).content) == words_of(3)
        third = await _done_again(server, done["id"], steps=[1])
        assert await _taken(server, third["id"]) == [False, True, True]
        for each in (done, third):
            assert (await server.ask("DELETE", f"/v1/jobs/{each['id']}")).status_code == 200
        assert await server.worker.store.read("SELECT digest FROM blobs") == []
        stored = [path for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file()]
        assert not stored


async def test_an_erased_voice_takes_its_clips_in_all_jobs(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store, voice = server.worker.store, (await clone(server))["id"]
        first = await _done(server, text_of(2), voice=voice)
        again = await _done_again(server, first["id"], steps=[1])
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        await erasure_of(server.worker).finish_interrupted()
        for each in (first, again):
            assert await records.list_clips(store, each["id"]) == []
        assert await store.read("SELECT * FROM voice_paces WHERE voice <> 'alloy'") == []
        assert len(await store.read("SELECT digest FROM blobs WHERE wrapped <> ''")) == 2, "the texts"


async def test_nothing_is_taken_of_a_job_that_is_removed(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store = server.worker.store
        first = await _done(server, text_of(2))
        kind_of(server).most_at_once = 0
        second = json_of(await _again(server, first["id"], steps=[1]), 202)
        (row,) = await store.read(
            "SELECT * FROM job_steps WHERE job = :job AND number = 2", {"job": second["id"]}
        )
        step = msgspec.convert({**row, "fence": row["fence"]}, JobStep)
        clips = await records.list_clips(store, first["id"])
        known = [clip.fingerprint for clip in clips]
        assert await taking.find_usable(store, first["id"], server.account.id, known) == {*known}
        for state in ("removed", "making"):
            hidden = {"id": first["id"], "state": state}
            await store.write(Statement("UPDATE jobs SET state = :state WHERE id = :id", hidden))
            assert not await taking.take_clip(store, step, first["id"], known)
        await store.write(Statement("UPDATE jobs SET state = 'done' WHERE id = :id", {"id": first["id"]}))
        lost = msgspec.structs.replace(step, fence=step.fence + 1)
        assert not await taking.take_clip(store, lost, first["id"], known), "its lease is lost"
        assert not await taking.take_clip(store, step, first["id"], ["hmac:other"])
        assert await taking.take_clip(store, step, first["id"], known)
        assert not await taking.take_clip(store, step, first["id"], known), "it has one"
        (taken,) = await records.list_clips(store, second["id"])
        assert (taken.number, taken.digest, taken.taken) == (2, clips[1].digest, clips[1].step)


async def test_bad_input_names_its_field(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        first = await _done(server, text_of(2))
        many = {f"w{number}": "x" for number in range(101)}
        for body, param, code in (
            ({}, "only", "missing_required_parameter"),
            ({"only": "1"}, "only", "chapter_not_found"),
            ({"steps": [3]}, "steps", "step_not_found"),
            ({"steps": [20_000] * 1000, "words": dict([*many.items()][:100])}, "steps", "step_not_found"),
            ({"steps": [1] * 1001}, "steps", "invalid_value"),
            ({"steps": [0]}, "steps[0]", "invalid_value"),
            ({"steps": "1"}, "steps", "invalid_value"),
            ({"words": many}, "words", "invalid_value"),
            ({"words": {"a": 1}}, "words", "invalid_value"),
            ({"cast": {"Ana": "alloy"}}, "cast", "invalid_value"),
            ({"input_file_id": "file-x"}, "input_file_id", "invalid_value"),
        ):
            refused = await _again(server, first["id"], **body)
            assert refused.status_code == 400, body
            assert envelope(refused)["param"].startswith(param.partition("[")[0]), (body, refused.text)
            assert envelope(refused)["code"] == code, (body, refused.text)
        assert (await _again(server, "job_none", steps=[1])).status_code == 404
        kind_of(server).most_at_once = 0
        open_ = json_of(await ask_job(server, "Hello."), 202)
        assert (await _again(server, open_["id"], steps=[1])).status_code == 409


async def test_the_largest_words_are_taken(tmp_path: Path) -> None:
    words = {f"{number:02}" + "\U0001d4d0" * 98: "\U0001d4d1" * 200 for number in range(100)}
    largest = AgainBody(words=words, steps=(20_000,) * 1000)
    assert 2.5 * len(msgspec.json.encode(largest)) < MOST_BODY_BYTES, "also if all is escaped"
    async with jobs_inside(tmp_path) as server:
        first = await _done(server, text_of(1))
        fifty = {"é" * 98 + f"{number:02}": "x" for number in range(50)}
        assert (await _again(server, first["id"], words=fifty)).status_code == 202


async def test_an_idempotency_key_makes_one_job(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        first = await _done(server, text_of(2))
        path, key = f"/v1/jobs/{first['id']}/again", {"idempotency-key": "again-1"}
        made = [
            json_of(await server.ask("POST", path, body={"steps": [1]}, **key), 202)["id"] for _ in range(2)
        ]
        assert made[0] == made[1]
        other = await server.ask("POST", path, body={"steps": [2]}, **key)
        assert envelope(other)["code"] == "idempotency_key_reused"


async def test_other_kinds_are_not_said_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.features.jobs.batches.rig import ended, line, new_batch

    async with jobs_inside(tmp_path) as server:
        made = await ended(server, (await new_batch(server, line("a", "A.")))["id"])
        refused = await _again(server, made["id"], steps=[1])
        assert (refused.status_code, envelope(refused)["param"]) == (409, "id")
