"""A training whose account is suspended."""

from pathlib import Path

import pytest

from proxy.features.admin.verify import verify
from proxy.features.jobs.core.encoded_records import list_file
from proxy.features.jobs.kinds.training import trainings
from tests.databases import postgresql_in_soak
from tests.features.jobs.job_rig import job_with
from tests.features.jobs.test_suspended import seen_by_operator, switch, waits, with_operator
from tests.features.jobs.training.training_rig import new_training, trainings_inside, voice_to_train
from tests.waiting import soon

pytestmark = pytest.mark.slow


@postgresql_in_soak
async def test_a_training_goes_on_from_its_checkpoint_when_its_account_is_resumed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "WAITS_S", 0.1)
    monkeypatch.setattr("proxy.queue.tasks.LEASE_CHECK_S", 0.1)
    async with trainings_inside(tmp_path, store_url, tone="delay_s = 0.02") as opened:
        server = await with_operator(opened)
        id_ = await new_training(server, await voice_to_train(server), steps=80)
        await soon(lambda: seen_by_operator(server, id_), lambda found: found["training"]["step"])
        await switch(server, "suspend")
        await soon(waits(server, id_))
        assert await list_file(server.worker.store, id_, "checkpoint")
        stopped_at = (await seen_by_operator(server, id_))["training"]["step"]
        assert stopped_at < 80
        await switch(server, "resume")
        done = await job_with(server, id_, "done", "failed")
        assert (done["status"], done["training"]["step"]) == ("done", 80)
        assert (await verify(server.worker.store)).is_clean
