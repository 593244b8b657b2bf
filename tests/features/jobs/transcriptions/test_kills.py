"""Kill -9 of a worker that writes recordings down, on each kind of database: each stretch is charged once."""

from pathlib import Path

import pytest

from proxy.features.admin.verify import verify
from proxy.storage import usage
from tests.features.jobs.conversions import rig
from tests.features.jobs.conversions.rig import short_stretches
from tests.features.jobs.job_kills import Kill, killed_at_each
from tests.features.jobs.job_rig import job, kind_of
from tests.features.jobs.transcriptions.test_written_down import AUDIO, WORDS, new_job, read

__all__ = ["short_stretches"]
pytestmark = [pytest.mark.usefixtures("short_stretches"), pytest.mark.slow]

KILLS: tuple[Kill, ...] = (
    *(("after take", 1), ("before hold", 1), ("after hold", 1), ("before file", 1), ("after file", 1)),
    *(("before settlement", 1), ("after settlement", 1), ("before end", 1)),
)


async def test_each_stretch_is_charged_once_however_often_its_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    async with rig.conversions_inside(tmp_path, store_url) as server:
        kind_of(server).most_at_once = 0
        made = await new_job(server, response_format="text")
        before = server
    await killed_at_each(tmp_path, store_url, KILLS)
    async with rig.conversions_inside(tmp_path, store_url, name="ben") as server:
        store, ours = server.worker.store, before._replace(worker=server.worker)
        shown = await job(ours, made["id"])
        assert (shown["status"], shown["steps_done"]) == ("done", made["steps"])
        assert await read(ours, made["id"]) == f"{' '.join(WORDS)}\n"
        charged = [row for row in await usage.list_newest(store, limit=1000) if row.credits]
        assert len(charged) == made["steps"]
        assert {row.kind for row in charged} == {"transcription"}
        assert shown["credits"] == pytest.approx(rig.seconds_of(AUDIO), abs=0.001)
        assert (await verify(store)).is_clean
