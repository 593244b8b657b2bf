"""A worker that is stopped leaves its steps to others at once, and not at the end of their leases."""

from pathlib import Path

import pytest

from proxy.feature_list import open_store
from proxy.queue import tasks
from tests.features.jobs.job_rig import Halting, jobs_inside, new_job


async def test_a_step_that_a_stop_breaks_off_is_free_at_once(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.TaskKind, "closing_s", 0.05)
    engine = Halting()
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        await new_job(server, "Hello.", model="one", voice="one")
        await engine.is_there.wait()
    async with open_store(store_url, tmp_path / "data") as store:
        rows = await store.read("SELECT state, lease, fence FROM job_steps")
    assert rows == [{"state": "wanted", "lease": 0, "fence": 1}]
