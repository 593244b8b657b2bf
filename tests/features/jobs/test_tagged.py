"""The tag of a job: its steps, its batch's lines, its retries and its training carry it into usage."""

from pathlib import Path
from typing import Any

import pytest

from tests.features.jobs.batches.rig import ask_batch, ended, jsonl, line
from tests.features.jobs.conversions import rig as conversions
from tests.features.jobs.job_rig import ask_job, job_with, jobs_inside, kind_of, new_job, text_of
from tests.features.jobs.training import training_rig
from tests.features.jobs.training.conftest import few_recordings  # noqa: F401  # a fixture
from tests.proxy.api.inside import Inside, envelope
from tests.replies import json_of
from tests.tables import each_row

pytestmark = pytest.mark.slow

HEADER = "x-voxgate-tag"


async def tags(server: Inside) -> list[str]:
    return sorted(row.tag for row in await server.usage())


async def test_each_step_has_the_tag_of_its_job_by_header_or_body(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        for more in ({"headers": {HEADER: "ep:1"}}, {"tag": "ep:1"}):
            made = await new_job(server, text_of(2), **more)
            await job_with(server, made["id"], "done")
        made = json_of(
            await server.ask(
                "POST",
                "/v1/audio/speech",
                body={"model": "tone", "voice": "alloy", "input": "Word one.", "background": True},
                **{HEADER: "ep:2"},
            ),
            202,
        )
        await job_with(server, made["id"], "done")
        assert await tags(server) == ["ep:1"] * 4 + ["ep:2"]
        (sum_,) = (await server.administer("GET", "usage?by=operation&tag=ep:2")).json()["data"]
        assert sum_["requests"] == 1


async def test_a_retried_job_has_it(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        kind = kind_of(server)
        at_once, kind.most_at_once = kind.most_at_once, 0
        made = await new_job(server, "Word one.", tag="ep:1")
        await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        assert (await server.ask("POST", f"/v1/jobs/{made['id']}/retry")).is_success
        kind.most_at_once = at_once
        kind.look_now()
        await job_with(server, made["id"], "done")
        assert await tags(server) == ["ep:1"]


async def test_a_line_has_its_own_tag_or_that_of_its_batch(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        lines = jsonl(line("a", "Word one."), line("b", "Word two.", tag="ep:2"), line("c", "No.", tag="x y"))
        made = json_of(await ask_batch(server, lines, {HEADER: "ep:1"}))
        shown = await ended(server, made["id"])
        assert shown["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
        assert await tags(server) == ["ep:1", "ep:2"]


@pytest.mark.usefixtures("few_recordings")
async def test_a_training_has_it(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path) as server:
        voice = await training_rig.voice_to_train(server)
        id_ = await training_rig.new_training(server, voice, headers={HEADER: "ana"})
        await job_with(server, id_, "done")
        await training_rig.bills_of(server).sweep()
        assert [row.tag for row in await server.usage() if row.kind == "training"] == ["ana"]


async def test_a_long_conversion_has_it(tmp_path: Path) -> None:
    async with conversions.conversions_inside(tmp_path) as server:
        made = await conversions.new_conversion(server, conversions.recording(["Word one."]), tag="ep:3")
        await job_with(server, made["id"], "done")
        assert set(await tags(server)) == {"ep:3"}


@each_row(
    "more, param",
    [
        ({"tag": "x" * 65}, "tag"),
        ({"tag": ""}, "tag"),
        ({"tag": 5}, "tag"),
        ({"headers": {HEADER: "a b"}}, HEADER),
        ({"tag": "one", "headers": {HEADER: "two"}}, "tag"),
    ],
)
async def test_a_job_with_a_bad_tag_is_refused(tmp_path: Path, more: dict[str, Any], param: str) -> None:
    async with jobs_inside(tmp_path) as server:
        answer = await ask_job(server, "Word one.", **more)
        assert (answer.status_code, envelope(answer)["param"]) == (400, param)
