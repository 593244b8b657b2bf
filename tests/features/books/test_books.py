"""Books from an upload to an audiobook: what is read, how long the pauses are, and what it costs."""

import io
import re
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from proxy.features.books import book_reader
from proxy.features.jobs.core import uploads
from proxy.file_store.sealed_blobs import SealedBlobs, StoredFile
from tests.features.books.epubs import PNG, epub, nav, xhtml
from tests.features.jobs.batches.rig import upload
from tests.features.jobs.job_rig import RATE_HZ, content, job_with, jobs_inside
from tests.features.jobs.results.pictures import JPEG
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.http.hostile_json import MOST_S, cost
from tests.replies import json_of
from tests.sound import decoded
from tests.tones import words

pytestmark = pytest.mark.slow

BOOK = epub(
    {
        "cover.xhtml": xhtml("<p>The cover.</p>", 'epub:type="cover"'),
        "one.xhtml": xhtml("<h1>One</h1><p>First.</p><p>Second.</p><hr/><p>Third.</p>"),
        "two.xhtml": xhtml('<h1>Two</h1><p>Fourth<a epub:type="noteref" href="#n">1</a>.</p>'),
        "nav.xhtml": xhtml(nav("one.xhtml|One", "two.xhtml|Two")),
        "c.png": PNG,
    },
    items='<item id="c" href="c.png" media-type="image/png" properties="cover-image"/>',
)


async def uploaded(server: Inside, data: bytes = BOOK, name: str = "novel.epub") -> str:
    file = json_of(await upload(server, data, name=name, purpose="user_data"))
    return str(file["id"])


def body_of(file: str, **more: Any) -> dict[str, Any]:
    return {"kind": "book", "model": "tone", "voice": "alloy", "input_file_id": file, **more}


async def made(server: Inside, body: dict[str, Any]) -> dict[str, Any]:
    return json_of(await server.ask("POST", "/v1/jobs", body=body), 202)


def silences(samples: Any) -> list[float]:
    """Return the silences in a sound that are longer than those of the engine, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    gaps = np.diff(loud) / RATE_HZ
    return [round(float(each), 2) for each in gaps if each > 0.3]


async def test_an_epub_becomes_an_audiobook(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        file = await uploaded(server)
        preview = json_of(await server.ask("POST", "/v1/jobs/preview", body=body_of(file)))
        assert [(each["number"], each["title"]) for each in preview["chapters"]] == [(1, "One"), (2, "Two")]
        assert {each["rule"] for each in preview["left_out"]} == {"cover", "note_mark"}
        job = await made(server, body_of(file))
        assert (await server.ask("DELETE", f"/v1/files/{file}")).status_code == 200, "the job holds it"
        done = await job_with(server, job["id"], "done", "failed")
        assert (done["status"], done["title"], done["kind"]) == ("done", "The Book", "book"), done
        assert done["columns"] == {"author": "Ana Lima"}
        assert done["credits"] <= preview["most_credits"]
        sound = (await content(server, job["id"])).content
        path = f"/v1/jobs/{job['id']}/content?file="
        cover = await server.ask("GET", f"{path}cover")
        assert (cover.content, cover.headers["content-type"]) == (PNG, "image/png")
        unknown = await server.ask("GET", f"{path}report.json")
        assert (unknown.status_code, envelope(unknown)["param"]) == (400, "file")
    assert words(*decoded(sound, "m4b")) == ["One", "First.", "Second.", "Third.", "Two", "Fourth."]
    with av.open(io.BytesIO(sound), "r") as book:
        assert (book.metadata["title"], book.metadata["artist"]) == ("The Book", "Ana Lima")
        assert [each["metadata"]["title"] for each in book.chapters()] == ["One", "Two"]
        assert [each.type for each in book.streams] == ["audio", "data", "video"]


async def test_ruby_is_read_by_the_language_of_the_request_or_of_the_text(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        file = await uploaded(
            server, epub({"a.xhtml": xhtml("<p>これは<ruby>本<rt>ほん</rt></ruby>だ。</p>")})
        )
        for language, left_out in (("auto", "本"), ("ja", "本"), ("zh-CN", "ほん"), ("", "本")):
            body = body_of(file, language=language)
            preview = json_of(await server.ask("POST", "/v1/jobs/preview", body=body))
            assert [each["sample"] for each in preview["left_out"]] == [left_out], language


async def test_a_cover_that_cannot_be_read_names_no_field_of_another_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path) as server:
        job = await made(server, body_of(await uploaded(server)))
        await job_with(server, job["id"], "done", "failed")
        path = f"/v1/jobs/{job['id']}/content?file=cover"
        monkeypatch.setattr(book_reader.BookReader, "within_s", 0)
        late = await server.ask("GET", path)
        assert (late.status_code, envelope(late)["code"]) == (503, "server_busy")
        assert "decoded" in envelope(late)["message"]
        monkeypatch.setattr(book_reader, "find_spec", lambda _name: None)
        unread = await server.ask("GET", path)
        assert (unread.status_code, envelope(unread)["param"]) == (409, "file")
        described = json_of(await server.ask("GET", "/openapi.json"))
    busy = described["paths"]["/v1/jobs/{id}/content"]["get"]["responses"]["503"]["$ref"]
    assert "DecodingFailed" in busy


async def test_a_book_of_the_most_sections_is_not_felt(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        for sections, status in ((9_999, 200), (10_001, 400)):
            file = await uploaded(server, epub({"a.xhtml": xhtml("<p>A</p><hr/>" * sections)}))
            began = time.process_time()
            async with cost() as found:
                answer = await server.ask("POST", "/v1/jobs/preview", body=body_of(file))
            assert answer.status_code == status, answer.text
            assert found.held_s < MOST_S, found
            assert found.grown_bytes < 32 * 2**20, found
            assert time.process_time() - began < 5
        assert (envelope(answer)["param"], envelope(answer)["code"]) == ("input_file_id", "unusable_book")
        assert "10,000 sections" in envelope(answer)["message"]


async def test_a_book_that_does_not_say_its_language_has_that_of_its_text(tmp_path: Path) -> None:
    text = "# Uno\n\nLa casa era muy grande y el jardín también. No había nadie en las calles de la ciudad."
    async with jobs_inside(tmp_path) as server:
        file = await uploaded(server, text.encode(), "libro.md")
        done = await job_with(server, (await made(server, body_of(file)))["id"], "done", "failed")
        assert done["status"] == "done", done
        with av.open(io.BytesIO((await content(server, done["id"])).content), "r") as book:
            assert book.streams.audio[0].metadata["language"] == "spa"
        none = await server.ask("GET", f"/v1/jobs/{done['id']}/content?file=cover")
        assert (none.status_code, envelope(none)["param"]) == (404, "file")


async def test_pauses_are_those_of_a_narrator(tmp_path: Path) -> None:
    pauses = {"paragraph": 1, "scene": 2, "chapter": 3}
    async with jobs_inside(tmp_path) as server:
        job = await made(server, body_of(await uploaded(server), response_format="flac", pauses=pauses))
        done = await job_with(server, job["id"], "done", "failed")
        assert done["status"] == "done", done
        sound = decoded((await content(server, job["id"])).content, "flac")
        cues = (await server.ask("GET", f"/v1/jobs/{job['id']}/subtitles?format=srt")).text
    assert silences(sound.samples) == pytest.approx([1, 2, 3, 1], abs=0.03)
    times = [int(m) * 60 + float(s.replace(",", ".")) for m, s in re.findall(r":(\d\d):(\d\d,\d+)", cues)]
    loud = np.flatnonzero(np.abs(sound.samples) > 0.02) / RATE_HZ
    begins = [float(loud[0]), *(float(each) for each in loud[1:][np.diff(loud) > 0.3])]
    # A word of tone begins with silence.
    assert max(min(abs(time - each) for time in times[::2]) for each in begins) < 0.31
    assert times[-1] == pytest.approx(len(sound.samples) / RATE_HZ, abs=0.01)


async def test_a_written_pause_is_added_to_that_of_the_layout(tmp_path: Path) -> None:
    scenes = ("One. [pause 2s]", "Two. [pause 0.5s]", "Three.", "Four. [pause 1s] 🙂\n\n# Five")
    text = "\n\n---\n\n".join(scenes)
    async with jobs_inside(tmp_path) as server:
        file = await uploaded(server, text.encode(), "novel.md")
        job = await made(server, body_of(file, response_format="flac", pauses={"scene": 1}))
        done = await job_with(server, job["id"], "done", "failed")
        assert done["status"] == "done", done
        sound = decoded((await content(server, job["id"])).content, "flac")
    assert silences(sound.samples) == pytest.approx([3, 1.5, 1, 3], abs=0.03)


async def test_chapters_are_chosen_and_a_word_is_said_again(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        file = await uploaded(server)
        job = await made(server, body_of(file, only="2", response_format="flac"))
        done = await job_with(server, job["id"], "done", "failed")
        assert (done["status"], done["steps"]) == ("done", 2), done
        assert words(*decoded((await content(server, job["id"])).content, "flac")) == ["Two", "Fourth."]
        again = {"words": {"Fourth": "Fifth"}}
        path = f"/v1/jobs/{job['id']}/again"
        preview = json_of(await server.ask("POST", path, body={**again, "preview": True}))
        assert preview["steps"] == 1
        anew = json_of(await server.ask("POST", path, body=again), 202)
        done = await job_with(server, anew["id"], "done", "failed")
        assert done["status"] == "done", done
        assert words(*decoded((await content(server, anew["id"])).content, "flac")) == ["Two", "Fifth."]


async def test_again_costs_what_is_said_again(tmp_path: Path) -> None:
    twelve = epub({f"{n:02}.xhtml": xhtml(f"<h1>Part {n:02}</h1><p>Some words.</p>") for n in range(12)})
    async with jobs_inside(tmp_path) as server:
        job = await made(server, body_of(await uploaded(server, twelve)))
        done = await job_with(server, job["id"], "done", "failed")
        anew = json_of(await server.ask("POST", f"/v1/jobs/{job['id']}/again", body={"only": "5"}), 202)
        again = await job_with(server, anew["id"], "done", "failed")
        assert (again["status"], again["credits"]) == ("done", done["credits"] / 12), again
        names = {3: "Siobhan", 17: "Siobhan", 38: "Siobhan"}
        forty = [{"input": f"{names.get(n, 'Somebody')} spoke."} for n in range(40)]
        body = {"model": "tone", "voice": "alloy", "chapters": forty}
        job = await made(server, body)
        await job_with(server, job["id"], "done", "failed")
        words = {"words": {"Siobhan": "shi-VAWN"}}
        anew = json_of(await server.ask("POST", f"/v1/jobs/{job['id']}/again", body=words), 202)
        again = await job_with(server, anew["id"], "done", "failed")
        steps = json_of(await server.ask("GET", f"/v1/jobs/{anew['id']}/steps?limit=100"))["data"]
        assert [each["number"] for each in steps if not each["is_taken_over"]] == [4, 18, 39]
        assert again["credits"] == sum(each["credits"] for each in steps) == 3 * len("shi-VAWN spoke.")


async def test_a_cover_of_the_request_takes_the_place_of_the_books_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, held_content = list[str](), uploads.held_content

    async def noted(files: SealedBlobs, account: str, id_: str) -> StoredFile:
        read.append(id_)
        return await held_content(files, account, id_)

    monkeypatch.setattr(uploads, "held_content", noted)
    async with jobs_inside(tmp_path) as server:
        cover = await uploaded(server, JPEG, "cover.jpg")
        job = await made(server, body_of(await uploaded(server), cover_file_id=cover))
        read.clear()  # of the request's checks
        done = await job_with(server, job["id"], "done", "failed")
        assert done["status"] == "done", done
        with av.open(io.BytesIO((await content(server, job["id"])).content), "r") as book:
            assert [each.codec_context.name for each in book.streams.video] == ["mjpeg"]
    assert read == [cover] * 3, "once for the file of the book, and for each of two chapters"


REFUSED: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "a text beside it": ({"input": "A."}, 400, "input", None),
    "chapters beside it": ({"chapters": [{"input": "A."}]}, 400, "chapters", None),
    "mp3": ({"response_format": "mp3"}, 400, "response_format", None),
    "an unknown file": ({"input_file_id": "file_1"}, 404, "input_file_id", "file_not_found"),
    "a cover that is no file": ({"cover_file_id": "file_1"}, 404, "cover_file_id", "file_not_found"),
    "a level too deep": ({"read": {"depth": 4}}, 400, "read.depth", None),
    "an unknown rule": ({"read": {"footnotes": "skip"}}, 400, "read.footnotes", None),
    "a long pause": ({"pauses": {"scene": 11}}, 400, "pauses.scene", None),
    "a chapter that is not there": ({"only": "3"}, 400, "only", "chapter_not_found"),
}


async def test_a_replay_needs_no_file_any_more(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        file, key = await uploaded(server), {"idempotency-key": "book-1"}
        first = json_of(await server.ask("POST", "/v1/jobs", body=body_of(file), **key), 202)
        assert (await server.ask("DELETE", f"/v1/files/{file}")).status_code == 200
        again = await server.ask("POST", "/v1/jobs", body=body_of(file), **key)
        assert (json_of(again, 202)["id"], again.headers["x-voxgate-replayed"]) == (first["id"], "true")
        other = await server.ask("POST", "/v1/jobs", body=body_of(file, title="Other"), **key)
        assert envelope(other)["code"] == "idempotency_key_reused"


async def test_bad_requests_name_the_field(tmp_path: Path, subtests: pytest.Subtests) -> None:
    async with jobs_inside(tmp_path) as server:
        file = await uploaded(server)
        for name, (more, status, param, code) in REFUSED.items():
            with subtests.test(name):
                refused = await server.ask("POST", "/v1/jobs", body=body_of(file, **more))
                found = envelope(refused)
                assert (refused.status_code, found["param"]) == (status, param), found
                assert code in (None, found["code"])
        no_book = await uploaded(server, b"PK nothing")
        refused = await server.ask("POST", "/v1/jobs/preview", body=body_of(no_book))
        assert (refused.status_code, envelope(refused)["code"]) == (400, "unusable_book")
        slow = await uploaded(server, b"# One\n\nWait. [pause 11s] Go on.", "slow.md")
        found = envelope(await server.ask("POST", "/v1/jobs", body=body_of(slow)))
        assert (found["param"], found["code"]) == ("input_file_id", "pause_too_long")
