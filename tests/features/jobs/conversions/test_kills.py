"""Kill -9 in mid-stretch, on each kind of database: each stretch of a recording is charged once."""

from pathlib import Path

import pytest

from proxy.features.admin.verify import verify
from proxy.storage import usage
from tests.features.jobs.conversions.rig import (
    conversions_inside,
    new_conversion,
    recording,
    seconds_of,
    short_stretches,
)
from tests.features.jobs.job_kills import Kill, killed_at_each
from tests.features.jobs.job_rig import content, job, kind_of, said

WORDS = [f"Sentence number {number}." for number in range(6)]
AUDIO = recording(WORDS)
__all__ = ["short_stretches"]
pytestmark = [pytest.mark.usefixtures("short_stretches"), pytest.mark.slow]

KILLS: dict[str, tuple[Kill, ...]] = {
    "sqlite": (("in sound", 1), ("after file", 1), ("after settlement", 1)),
    "postgresql": (("after hold", 1), ("after sound", 1), ("before end", 1)),
}


async def test_each_stretch_is_charged_once_however_often_its_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    async with conversions_inside(tmp_path, store_url) as server:
        kind_of(server).most_at_once = 0
        made = await new_conversion(server, AUDIO, response_format="pcm")
        before = server
    await killed_at_each(tmp_path, store_url, KILLS[store_url.partition(":")[0]])
    async with conversions_inside(tmp_path, store_url, name="ben") as server:
        store, ours = server.worker.store, before._replace(worker=server.worker)
        shown = await job(ours, made["id"])
        assert (shown["status"], shown["steps_done"]) == ("done", made["steps"])
        sound = (await content(ours, made["id"])).content
        assert said(sound) == WORDS
        charged = [row for row in await usage.list_newest(store, limit=1000) if row.credits]
        assert len(charged) == made["steps"]
        assert {row.kind for row in charged} == {"conversion"}
        assert sum(row.samples for row in charged) == len(sound) // 2
        assert shown["credits"] == pytest.approx(seconds_of(AUDIO), abs=0.001)
        assert (await verify(store)).is_clean
