"""Tags of emotions in a long text: what its job says of those that its voices cannot express."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.features.jobs.batches import rig
from tests.features.jobs.job_rig import content, job, job_with, jobs_inside, new_job, said, text_of
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.scripted import Scripted, spoken
from tests.replies import json_of

pytestmark = pytest.mark.slow

TEXT = f"{text_of(12)}\n\n[sad] Last.{' ' * 7000}\n\n[sad]"
"""The last tag would be a piece of its own, which says nothing."""
WARNING = "emotion: not all of it is followed"
UNFOLLOWED = "instructions: not all of it is followed"
CHAPTERS = [{"title": "1", "input": "One."}, {"title": "2", "input": f"{text_of(2)}\n\n[HAPPY] Ha."}]
CAST = {"cast": {"Ana": "one", "Ben": "alloy"}}


async def _ask(server: Inside, more: dict[str, Any]) -> httpx2.Response:
    return await server.ask("POST", "/v1/jobs", body={"model": "tone", "voice": "alloy", **more})


async def test_a_job_tells_when_it_comes_that_tags_are_left_out(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, TEXT, instructions="Softly.")
        assert (len(TEXT) > 30_000, made["warnings"]) == (True, [WARNING, UNFOLLOWED])
        ended = await job_with(server, made["id"], "done", "failed")
        assert (ended["status"], ended["warnings"]) == ("done", [WARNING, UNFOLLOWED])
        events = await server.ask("GET", f"/v1/jobs/{made['id']}/events")
        (event,) = [each[6:] for each in events.text.splitlines() if each.startswith("data: ")]
        assert json.loads(event)["warnings"] == [WARNING, UNFOLLOWED]
        heard = said((await content(server, made["id"])).content) or []
        assert heard[-1] == "Last."
        steps = (await server.ask("GET", f"/v1/jobs/{made['id']}/steps?limit=100")).json()["data"]
        assert sum(each["credits"] for each in steps) == sum(each["end"] - each["start"] for each in steps)


async def test_a_job_is_judged_by_the_whole_text(tmp_path: Path, subtests: pytest.Subtests) -> None:
    engine = Scripted(*spoken(0.1), emotions=("sad",))
    async with jobs_inside(tmp_path, one=engine) as server:
        cases: list[tuple[dict[str, Any], list[str]]] = [
            ({"input": TEXT, "emotion_tags": "text"}, []),
            ({"input": TEXT, "model": "one", "voice": "one"}, []),
            ({"input": TEXT, "model": "one", "voice": "one", "emotion_tags": "refuse"}, []),
            ({"input": f"{TEXT} [tired] Ah.", "model": "one", "voice": "one"}, [WARNING]),
            ({"input": f"[Ben] {text_of(3)} [Ana] [sad] Oh.", "model": "both", "voice": CAST}, []),
            ({"input": f"[Ana] {text_of(3)} [Ben] [sad] Oh.", "model": "both", "voice": CAST}, [WARNING]),
            ({"chapters": CHAPTERS}, [WARNING]),
            ({"input": text_of(2)}, []),
        ]
        for more, warnings in cases:
            with subtests.test(str(more)[-60:]):
                made = json_of(await _ask(server, more), 202)
                assert (await job(server, made["id"]))["warnings"] == made["warnings"] == warnings


async def test_a_job_that_refuses_tags_is_refused_before_anything_is_charged(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    refused: list[tuple[dict[str, Any], str, int]] = [
        ({"input": TEXT}, "input", TEXT.index("[sad]")),
        ({"input": "  [happy] Hi."}, "input", 2),
        ({"input": f"[Ben] {TEXT}", "voice": {"cast": {"Ben": "alloy"}}}, "input", 6 + TEXT.index("[sad]")),
        ({"chapters": CHAPTERS}, "chapters[1].input", CHAPTERS[1]["input"].index("[HAPPY]")),
    ]
    async with jobs_inside(tmp_path) as server:
        for more, param, place in refused:
            with subtests.test(f"{param} {place}"):
                answer = await _ask(server, {"emotion_tags": "refuse", **more})
                error = envelope(answer)
                assert (answer.status_code, error["param"]) == (400, param), answer.text
                assert f"' at character {place} is an emotion that tone/standard" in error["message"]
        assert (await server.ask("GET", "/v1/jobs")).json()["data"] == []
        assert await server.usage() == []


async def test_a_line_of_a_batch_tells_it_or_fails_alone(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        lines = [
            rig.line("drops", "[sad] Oh."),
            rig.line("reads", "[sad] Oh.", emotion_tags="text"),
            rig.line("refuses", "[sad] Oh.", emotion_tags="refuse"),
        ]
        ended = await rig.ended(server, (await rig.new_batch(server, *lines))["id"])
        output = await rig.rows_of(server, ended["output_file_id"])
        errors = await rig.rows_of(server, ended["error_file_id"])
    told = {name: row["response"]["body"].get("ignored") for name, row in output.items()}
    assert told == {"drops": ["emotion"], "reads": None}
    error = errors["refuses"]["response"]["body"]["error"]
    assert (error["param"], error["code"]) == ("input", "unsupported_value")
