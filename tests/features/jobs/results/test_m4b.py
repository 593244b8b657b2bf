"""Audiobooks: their chapters, names and index, as players read them."""

import io
from pathlib import Path

import av

from tests.features.jobs.job_rig import CHAPTERS, content, job_with, jobs_inside, new_chapters
from tests.proxy.api.inside import envelope


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
