"""Audiobooks: their chapters, names and index, as players read them."""

import io
from pathlib import Path
from typing import Any

import av
import pytest

from tests.features.jobs.batches.rig import upload
from tests.features.jobs.job_rig import CHAPTERS, content, job_with, jobs_inside, new_chapters
from tests.features.jobs.results.pictures import JPEG, PNG
from tests.proxy.api.inside import Inside, envelope
from tests.replies import json_of
from tests.sound import decoded


async def test_an_audiobook_has_its_chapters_and_names_and_its_index_first(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server, response_format="m4b", title="Tales", quality="small")
        done = await job_with(server, made["id"], "done", "failed")
        assert done["status"] == "done", done
        answer = await content(server, made["id"])
    assert answer.headers["content-type"] == "audio/mp4"
    assert answer.content.index(b"moov") < answer.content.index(b"mdat")
    with av.open(io.BytesIO(answer.content), "r") as book:
        assert (book.metadata["title"], book.metadata["composer"]) == ("Tales", "alloy")
        assert book.metadata["major_brand"] == "M4B "
        assert "machine" in book.metadata["comment"]
        marks = [(each["metadata"]["title"], each["start"], each["end"]) for each in book.chapters()]
        assert book.duration is not None
        assert abs(book.duration / 1e6 - done["seconds"]) < 0.001
    assert [title for title, _, _ in marks] == [each["title"] for each in CHAPTERS]
    assert [marks[0][1], *[end for _, _, end in marks[:-1]]] == [begin for _, begin, _ in marks]


async def test_a_quality_is_one_of_three(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        body = {"model": "tone", "voice": "alloy", "input": "One.", "response_format": "m4b"}
        refused = await server.ask("POST", "/v1/jobs", body={**body, "quality": "great"})
        assert (refused.status_code, envelope(refused)["param"]) == (400, "quality")


async def _uploaded(server: Inside, data: bytes) -> str:
    id_: str = json_of(await upload(server, data, name="cover", purpose="user_data"))["id"]
    return id_


async def test_a_cover_is_in_the_file_when_its_upload_is_gone(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with jobs_inside(tmp_path) as server:
        for name, picture in (("png", PNG), ("mjpeg", JPEG)):
            with subtests.test(name):
                file = await _uploaded(server, picture)
                body = {"response_format": "m4b", "cover_file_id": file, "language": "pt-BR"}
                made = await new_chapters(server, **body)
                assert (await server.ask("DELETE", f"/v1/files/{file}")).status_code == 200
                done = await job_with(server, made["id"], "done", "failed")
                assert done["status"] == "done", done
                with av.open(io.BytesIO((await content(server, made["id"])).content), "r") as book:
                    (cover,) = book.streams.video
                    assert cover.codec_context.name == name
                    assert [bytes(each) for each in book.demux(cover) if each.size] == [picture]
                    assert book.streams.audio[0].metadata["language"] == "por"


async def test_a_bad_cover_names_its_field(tmp_path: Path, subtests: pytest.Subtests) -> None:
    async with jobs_inside(tmp_path) as server:
        batch = json_of(await upload(server, b"{}", name="a.jsonl"))["id"]
        picture = await _uploaded(server, PNG)
        cases: dict[str, tuple[dict[str, Any], int, str | None]] = {
            "no picture": ({"cover_file_id": await _uploaded(server, b"GIF89a")}, 400, "unusable_cover"),
            "cut": ({"cover_file_id": await _uploaded(server, PNG[:-20])}, 400, "unusable_cover"),
            "large": ({"cover_file_id": await _uploaded(server, PNG + bytes(2**22))}, 400, "unusable_cover"),
            "of a batch": ({"cover_file_id": batch}, 400, None),
            "unknown": ({"cover_file_id": "file_none"}, 404, "file_not_found"),
            "another format": ({"cover_file_id": picture, "response_format": "flac"}, 400, None),
        }
        for name, (more, status, code) in cases.items():
            with subtests.test(name):
                body = {"model": "tone", "voice": "alloy", "input": "One.", "response_format": "m4b", **more}
                for path in ("/v1/jobs", "/v1/jobs/preview"):
                    refused = await server.ask("POST", path, body=body)
                    found = envelope(refused)
                    assert (refused.status_code, found["param"]) == (status, "cover_file_id"), found
                    assert code in (None, found["code"])
        assert json_of(await server.ask("GET", "/v1/jobs"))["data"] == []


async def test_a_file_plays_as_long_as_its_sound(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server, response_format="m4b", sample_rate=48_000)
        done = await job_with(server, made["id"], "done", "failed")
        sound = decoded((await content(server, made["id"])).content, "m4b")
        assert len(sound.samples) == round(done["seconds"] * 48_000), "also in a player that reads all frames"
