"""Jobs of chapters: one file of all, one of each, and a zip file of them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from proxy.features.jobs.core import records
from proxy.features.jobs.core.fields import file_name
from proxy.features.jobs.texts.chapters import MOST_CHAPTERS, MOST_TITLE
from proxy.storage.store import Statement
from tests.databases import postgresql_in_soak
from tests.features.jobs.job_rig import CHAPTERS, content, job_with, jobs_inside, new_chapters
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.scripted import Scripted, spoken
from tests.replies import json_of
from tests.sound import decoded
from tests.tones import words

pytestmark = pytest.mark.slow

HEARD = [["One."], ["Two.", "Three."], ["Four."]]


async def chapter(server: Inside, id_: str, number: object, **headers: str) -> Any:
    return await server.ask("GET", f"/v1/jobs/{id_}/content?chapter={number}", **headers)


@postgresql_in_soak
@pytest.mark.parametrize("format_", ["mp3", "wav", "flac", "opus", "m4b"])
async def test_one_file_of_all_and_any_chapter_alone(tmp_path: Path, store_url: str, format_: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_chapters(server, response_format=format_)
        assert made["steps"] == 4, "no piece is in two chapters"
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps_done"]) == ("done", 4), done
        whole = await content(server, made["id"])
        assert words(*decoded(whole.content, format_)) == [word for heard in HEARD for word in heard]
        for number, heard in enumerate(HEARD, 1):
            answer = await chapter(server, made["id"], number)
            assert words(*decoded(answer.content, format_)) == heard
            assert f'{made["id"]}_{number}.{format_}"' in answer.headers["content-disposition"]
            part = await chapter(server, made["id"], number, range="bytes=40-99")
            assert (part.status_code, part.content) == (206, answer.content[40:100])
        for odd in ("0", "4", "-1", "x", "١"):
            refused = await chapter(server, made["id"], odd)
            assert (refused.status_code, envelope(refused)["param"]) == (400, "chapter")


@pytest.mark.parametrize("format_", ["mp3", "wav", "opus"])
async def test_a_zip_has_a_file_of_each_chapter(tmp_path: Path, format_: str) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server, response_format=format_, files="chapters")
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        whole = await content(server, made["id"])
        assert whole.headers["content-type"] == "application/zip"
        assert whole.headers["content-length"] == str(len(whole.content))
        with zipfile.ZipFile(io.BytesIO(whole.content)) as file:
            assert file.testzip() is None, "every check sum is right"
            assert file.namelist() == [
                f"1 The first.{format_}",
                f"2 The first.{format_}",
                f"3 บทที่ 3.{format_}",
            ]
            for number, (name, heard) in enumerate(zip(file.namelist(), HEARD, strict=True), 1):
                sound = file.read(name)
                assert words(*decoded(sound, format_)) == heard
                assert (await chapter(server, made["id"], number)).content == sound
        again = await content(server, made["id"], range="bytes=25-99")
        assert (again.status_code, again.headers["accept-ranges"]) == (200, "none")
        assert again.content == whole.content


async def test_a_zip_of_a_job_that_was_cut_short_has_what_there_is(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server, files="chapters")
        await job_with(server, made["id"], "done")
        clips = await records.list_clips(server.worker.store, made["id"])
        await server.worker.store.write(
            Statement("DELETE FROM job_clips WHERE number IN (1, 3)"),
            Statement("UPDATE jobs SET state = 'canceled'"),
        )
        answer = await content(server, made["id"])
        with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
            assert [name[0] for name in file.namelist()] == ["2", "3"]
            assert [entry.file_size for entry in file.infolist()] == [clips[1].bytes, clips[3].bytes]
        assert (await chapter(server, made["id"], 1)).status_code == 409


async def test_a_chapter_without_a_title_is_called_by_its_number(tmp_path: Path) -> None:
    chapters = [{"input": "One."}, {"title": " ", "input": "Two."}, {"title": "Three", "input": "Three."}]
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server, chapters=chapters, files="chapters")
        await job_with(server, made["id"], "done")
        with zipfile.ZipFile(io.BytesIO((await content(server, made["id"])).content)) as file:
            assert file.namelist() == ["1 Chapter 1.pcm", "2 Chapter 2.pcm", "3 Three.pcm"]
        assert made["files"] == "chapters"
        steps = json_of(await server.ask("GET", f"/v1/jobs/{made['id']}/steps"))["data"]
        told = [(step["chapter"], step["chapter_title"]) for step in steps]
        assert told == [(1, "Chapter 1"), (2, "Chapter 2"), (3, "Three")]


async def test_bad_chapters_name_their_field(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:

        async def refused(chapters: object, **more: Any) -> tuple[str, str | None]:
            body = {"model": "tone", "voice": "alloy", "chapters": chapters, **more}
            answer = await server.ask("POST", "/v1/jobs", body=body)
            assert answer.status_code == 400, answer.text
            return envelope(answer)["code"], envelope(answer)["param"]

        good = {"title": "One", "input": "One."}
        assert await refused([]) == ("invalid_value", "chapters")
        assert await refused("One.") == ("invalid_value", "chapters")
        assert await refused([good] * (MOST_CHAPTERS + 1)) == ("invalid_value", "chapters")
        assert await refused([good], input="One.") == ("invalid_value", "chapters")
        assert await refused(None) == ("missing_required_parameter", "input")
        assert await refused(None, input="One.", files="chapters") == ("invalid_value", "files")
        assert await refused([good], files="two") == ("invalid_value", "files")
        for silent in (" \n", "* * *"):
            wrong = [good, good, good, {"title": "Four", "input": silent}]
            assert await refused(wrong) == ("invalid_value", "chapters[3].input")
        assert await refused([good, {"title": "Two"}]) == ("missing_required_parameter", "chapters[1].input")
        long = {"title": "x" * (MOST_TITLE + 1), "input": "One."}
        assert await refused([long]) == ("invalid_value", "chapters[0].title")
        assert await refused([good | {"input": 7}]) == ("invalid_value", "chapters[0].input")
        halves = [good | {"input": "x" * 500_001}] * 2
        assert await refused(halves) == ("string_above_max_length", "chapters")
        assert (await server.ask("GET", "/v1/jobs")).json()["data"] == []


async def test_a_plan_counts_the_characters_of_all_chapters(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path, plan="few") as server:
        body = {"model": "tone", "voice": "alloy", "chapters": CHAPTERS}
        answer = await server.ask("POST", "/v1/jobs", body=body)
        assert (answer.status_code, envelope(answer)["code"]) == (403, "text_too_long")
        assert envelope(answer)["param"] == "chapters"


async def test_titles_and_texts_are_sealed(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server)
        await job_with(server, made["id"], "done")
        rows = await server.worker.store.read("SELECT * FROM jobs")
        assert "The first" not in str(rows)
        assert "บทที่" not in repr(rows)


def test_names_of_files_are_safe_and_no_two_are_one() -> None:
    titles = ["../../etc/passwd", 'a\\b:c*?"<>|\x00\n', "", " . ", "CON", "e\u0301" * 80, "🎧"]
    names = [file_name(number, 12, title, "mp3") for number, title in enumerate(titles, 1)]
    assert names[:2] == ["01 etc passwd.mp3", "02 a b c.mp3"]
    assert names[2:5] == ["03.mp3", "04.mp3", "05 CON.mp3"]
    assert names[5] == f"06 {'é' * 60}.mp3"
    assert len(set(names)) == len(names)


async def test_who_speaks_begins_anew_with_each_chapter(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.1))
    cast = {"cast": {"Ana": "alloy", "Ben": "one"}}
    sent = [{"title": "One", "input": "One. [Ben] Two."}, {"title": "Two", "input": "Three."}]
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_chapters(server, chapters=sent, model="both", voice=cast)
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        # What comes before the first name is the first member's.
        assert [" ".join(each.spoken for each in job.segments) for job in engine.jobs] == ["Two."]
        pcm = (await chapter(server, made["id"], 2)).content
        assert words(*decoded(pcm, "pcm")) == ["Three."]
