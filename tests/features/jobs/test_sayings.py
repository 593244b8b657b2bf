"""Who speaks a step, and how: found once when the job is made, and stored with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from policies import text_tags
from proxy.features.jobs.core.fields import StepFields
from proxy.features.jobs.core.records import JOBS
from proxy.storage.store import Statement
from tests.features.jobs.job_rig import job_with, jobs_inside, kind_of, text_of
from tests.proxy.api.inside import Inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.replies import json_of

CHAPTERS = [
    {"input": f"[Ana] [sad] {text_of(2)}\n\n[Ben] [happy] {text_of(2)}"},
    {"input": f"{text_of(1)}\n\nThe end."},
]
BODY = {
    "model": "both",
    "voice": {"cast": {"Ben": "alloy", "Ana": "one"}},
    "chapters": CHAPTERS,
    "response_format": "pcm",
}


async def _make_of_earlier_version(server: Inside, id_: str) -> None:
    """Make the record of a job what an earlier version wrote."""
    store, vault = server.worker.store, kind_of(server)._files.vault
    job = await JOBS.get(store, server.account.id, id_)
    assert job is not None
    fields = vault.open_record(job.account, job.id, job.record, StepFields)
    assert fields.sayings == ((1, -1, ""), (2, 1, "sad"), (4, 0, "happy"), (5, -1, ""))
    record = await vault.seal_record(job.account, job.id, replace(fields, sayings=None))
    await store.write(
        Statement(
            "UPDATE jobs SET wrapped = :wrapped, sealed = :sealed WHERE id = :id",
            {"wrapped": record.wrapped, "sealed": record.sealed, "id": id_},
        )
    )


async def _ended(server: Inside, id_: str) -> dict[str, Any]:
    done = await job_with(server, id_, "done", "failed")
    assert (done["status"], done["steps"]) == ("done", 6), done
    return done


def _heard(engine: Scripted) -> list[tuple[str, str | None]]:
    return [(each.segments[0].spoken.split(".")[0], each.emotion) for each in engine.jobs]


@pytest.mark.parametrize("is_old", [False, True])
async def test_a_step_goes_on_with_its_speaker_and_emotion(tmp_path: Path, is_old: bool) -> None:
    one = Scripted(*spoken(0.1), emotions=("sad",))
    async with jobs_inside(tmp_path, one=one) as server:
        steps = kind_of(server)
        at_once, steps.most_at_once = steps.most_at_once, 0
        made = json_of(await server.ask("POST", "/v1/jobs", body=BODY), 202)
        if is_old:
            await _make_of_earlier_version(server, made["id"])
        steps.most_at_once = at_once
        steps.look_now()
        await _ended(server, made["id"])
        assert sorted(_heard(one)) == [("Word 0", "sad"), ("Word 1", "sad")]
        path, body = f"/v1/jobs/{made['id']}/again", {"steps": [2]}
        preview = json_of(await server.ask("POST", path, body={**body, "preview": True}))
        assert preview["steps"] == 1
        again = json_of(await server.ask("POST", path, body=body), 202)
        await _ended(server, again["id"])
        assert _heard(one)[2:] == [("Word 1", "sad")]


async def test_no_step_searches_the_text_of_its_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, seen, turns = "[b]\nx\n" + "[b]\n" * 10_000 + "end.", list[int](), text_tags.find_turns

    def turns_of(text: str, *more: Any) -> Sequence[text_tags.Turn]:
        seen.append(len(text))
        return turns(text, *more)

    async with jobs_inside(tmp_path) as server:
        monkeypatch.setattr(text_tags, "find_turns", turns_of)
        body = {"model": "tone", "voice": "alloy", "input": text, "response_format": "pcm"}
        made = json_of(await server.ask("POST", "/v1/jobs", body=body), 202)
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps"]) == ("done", 21), done
        assert sum(seen) < 6 * len(text)
