"""The preview of a job, and jobs of chosen chapters."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import estimate, price
from policies.price import Price
from proxy.errors import InvalidRequest
from proxy.features.jobs.core.choice import chosen_chapters
from tests.features.jobs.job_rig import (
    CHAPTERS,
    ask_job,
    content,
    job_with,
    jobs_inside,
    kind_of,
    new_chapters,
    said,
    text_of,
)
from tests.proxy.api.inside import Inside, LeavingPeer, envelope
from tests.proxy.http.hostile_json import MOST_S, cost
from tests.replies import json_of
from tests.tables import each_row


async def _preview(server: Inside, **body: Any) -> httpx2.Response:
    body = {"model": "tone", "voice": "alloy", "response_format": "pcm", **body}
    return await server.ask("POST", "/v1/jobs/preview", body=body)


@each_row(
    ("only", "chapters", "found"),
    [
        ("1", 3, [1]),
        ("2-3", 3, [2, 3]),
        ("3,1,1-1", 3, [1, 3]),
        ("2-14,16", 20, [*range(2, 15), 16]),
        ("0002", 3, [2]),
        ("0", 3, None),
        ("3-2", 3, None),
        ("2-4", 3, None),
        ("1", 0, None),
        (f"1-{'9' * 1900}", 3, None),
        (",".join(["1-500"] * 300), 500, [*range(1, 501)]),
    ],
)
def test_chapters_are_chosen_by_numbers(only: str, chapters: int, found: list[int] | None) -> None:
    began = time.process_time()
    if found is None:
        with pytest.raises(InvalidRequest) as caught:
            chosen_chapters(only, chapters)
        assert (caught.value.param, caught.value.code) == ("only", "chapter_not_found")
    else:
        assert chosen_chapters(only, chapters) == found
    assert time.process_time() - began < 0.5


async def test_a_job_speaks_the_chosen_chapters_alone(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        done = await job_with(server, (await new_chapters(server, only="1,3"))["id"], "done")
        assert (done["steps"], done["characters"], done["credits"]) == (2, 9, 9.0)
        assert said((await content(server, done["id"])).content) == ["One.", "Four."]
        path = f"/v1/jobs/{done['id']}"
        third = await server.ask("GET", f"{path}/content?chapter=3")
        assert said(third.content) == ["Four."], "chapters keep their numbers"
        assert (await server.ask("GET", f"{path}/content?chapter=2")).status_code == 409
        steps = json_of(await server.ask("GET", f"{path}/steps"))["data"]
        assert [(each["chapter"], each["number"]) for each in steps] == [(1, 1), (3, 2)]
        for only, code in (("4", "chapter_not_found"), ("x", "invalid_value"), ("2-", "invalid_value")):
            refused = await server.ask(
                "POST",
                "/v1/jobs",
                body={"model": "tone", "voice": "alloy", "chapters": CHAPTERS, "only": only},
            )
            assert (refused.status_code, envelope(refused)["code"]) == (400, code)
            assert envelope(refused)["param"] == "only"
        refused = await ask_job(server, "No chapters.", only="1")
        assert (refused.status_code, envelope(refused)["param"]) == (400, "only")


@each_row(("format_", "files"), [("flac", "one"), ("opus", "chapters")])
async def test_encoded_files_have_the_chosen_chapters(tmp_path: Path, format_: str, files: str) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server, only="2-3", response_format=format_, files=files)
        done = await job_with(server, made["id"], "done")
        assert done["steps"] == 3
        for path, status in (("content", 200), ("content?chapter=3", 200), ("content?chapter=1", 409)):
            assert (await server.ask("GET", f"/v1/jobs/{made['id']}/{path}")).status_code == status


async def test_chapters_may_be_chosen_of_a_large_text(tmp_path: Path) -> None:
    chapters = [{"input": text_of(1)}, {"input": "x" * 700_000}, {"input": "Three."}]
    async with jobs_inside(tmp_path) as server:
        shown = json_of(await _preview(server, chapters=chapters, only="1,3"))
        assert [each["number"] for each in shown["chapters"]] == [1, 3]
        made = json_of(
            await server.ask(
                "POST",
                "/v1/jobs",
                body={
                    "model": "tone",
                    "voice": "alloy",
                    "chapters": chapters,
                    "only": "3",
                    "response_format": "pcm",
                },
            ),
            202,
        )
        done = await job_with(server, made["id"], "done")
        assert said((await content(server, done["id"])).content) == ["Three."]


async def test_a_preview_tells_chapters_and_prices_and_makes_nothing(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        shown = json_of(await _preview(server, chapters=CHAPTERS))
        assert [(each["number"], each["title"]) for each in shown["chapters"]] == [
            (1, "The first"),
            (2, "The first"),
            (3, "บทที่ 3"),
        ]
        assert shown["steps"] == 4
        assert shown["credits"] == shown["most_credits"] == sum(len(each["input"]) for each in CHAPTERS)
        assert shown["credits"] == sum(each["credits"] for each in shown["chapters"])
        assert shown["available"] == 1_000_000
        assert shown["cast"] == {"names": [], "without_voice": []}
        assert (shown["left_out"], shown["warnings"]) == ([], [])
        assert await server.usage() == []
        assert json_of(await server.ask("GET", "/v1/jobs"))["data"] == []


@each_row("more, steps", [({}, 2), ({"code": "read"}, 4), ({"markdown": "off"}, 4)])
async def test_a_job_is_cut_without_its_code_unless_that_is_read(
    tmp_path: Path, more: dict[str, str], steps: int
) -> None:
    text = "One.\n```\n" + "x = 1\n\n" * 1000 + "```\nTwo."
    async with jobs_inside(tmp_path) as server:
        shown = json_of(await _preview(server, input=text, **more))
    assert shown["steps"] == steps
    assert (shown["credits"] == len("One.\n\nTwo.")) is (not more)


async def test_a_preview_names_speakers_without_a_voice(tmp_path: Path) -> None:
    text = "[Ana] One.\n[Ben] Two.\n[happy] Three.\n[Cid] Four."
    async with jobs_inside(tmp_path) as server:
        shown = json_of(await _preview(server, input=text, voice={"cast": {"Ana": "alloy", "Ben": "alloy"}}))
        assert shown["cast"] == {"names": ["Ana", "Ben"], "without_voice": ["Cid"]}


async def test_what_is_expected_follows_what_the_voice_has_spoken(tmp_path: Path, store_url: str) -> None:
    text = "A sentence of a few words. " * 20
    async with jobs_inside(tmp_path, store_url) as server:
        before = json_of(await _preview(server, input=text))
        done = await job_with(server, json_of(await ask_job(server, text), 202)["id"], "done")
        after = json_of(await _preview(server, input=text))
        assert after["seconds"] == pytest.approx(min(done["seconds"], before["seconds"] * 1.2), rel=0.02)
        fast = json_of(await _preview(server, input=text, speed=2.0))
        assert fast["seconds"] <= after["seconds"]


@given(
    estimated_s=st.floats(0.01, 1e5),
    characters=st.integers(1, 10**6),
    pace=st.none() | st.floats(0.01, 1e4),
    speed=st.floats(0.25, 4),
    micro=st.integers(0, 10**12),
    per=st.sampled_from(["minute", "character", "job"]),
)
def test_what_is_likely_never_passes_the_most(
    estimated_s: float, characters: int, pace: float | None, speed: float, micro: int, per: Any
) -> None:
    likely_s = estimate.expected_s(estimated_s, characters, pace, speed)
    assert 0 < likely_s <= estimated_s
    of = Price(micro, per)
    likely = price.estimate_charge(of, estimated_s=likely_s, characters=characters)
    assert likely <= price.estimate_charge(of, estimated_s=estimated_s, characters=characters)


async def test_bad_previews_name_their_field(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        for body, param in (
            ({"input": " "}, "input"),
            ({"input": "A.", "voice": "nobody"}, "voice"),
            ({"input": "A.", "only": "1"}, "only"),
            ({"kind": "batch", "input_file_id": "file-x"}, "kind"),
        ):
            refused = await _preview(server, **body)
            assert refused.status_code in (400, 409)
            assert envelope(refused)["param"] == param
    async with jobs_inside(tmp_path, plan="none", name="eve") as server:
        assert (await _preview(server, input="A.")).status_code == 403


async def test_a_preview_stops_when_its_client_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path) as server:
        begun, planned = asyncio.Event(), list[int]()
        pipeline = kind_of(server)._speaking.pipeline
        prepare = pipeline.prepare_texts

        async def noted(call: Any) -> None:
            planned.append(1)
            begun.set()
            await asyncio.sleep(0)
            await prepare(call)

        monkeypatch.setattr(pipeline, "prepare_texts", noted)
        body = json.dumps({"model": "tone", "voice": "alloy", "input": text_of(300)}).encode()
        sent = await server.raw_speech(body, begun, peer=LeavingPeer(), path="/v1/jobs/preview")
        assert not sent or sent[0]["status"] >= 400
        assert len(planned) < 300
        # Its place is free again.
        assert (await _preview(server, input="A.")).status_code == 200


LARGE: dict[str, dict[str, Any]] = {
    "chapters": {"chapters": [{"input": "Word after word is said by a long sentence"[:41]}] * 500},
    "brackets": {"input": "[b]\nx\n" + "[b]\n" * 62_000 + "end."},
    "speakers": {"input": "".join(f"[{number}]\nx\n" for number in range(20_000))},
}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "name", ["chapters", *(pytest.param(each, marks=pytest.mark.slow) for each in ("brackets", "speakers"))]
)
async def test_a_preview_of_a_large_text_never_holds_the_loop_for_long(
    tmp_path: Path, store_url: str, name: str
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        async with cost() as found:
            shown = json_of(await _preview(server, **LARGE[name]))
        assert shown["steps"] > 90
        assert found.held_s < MOST_S, found


async def test_a_preview_is_counted_and_one_at_a_time(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        answers = await asyncio.gather(*(_preview(server, input=text_of(4)) for _ in range(4)))
        assert sorted({each.status_code for each in answers}) in ([200], [200, 503])
        for _ in range(200):
            if (refused := await _preview(server, input="A.")).status_code == 429:
                break
        assert "of the class 'file'" in envelope(refused)["message"]
