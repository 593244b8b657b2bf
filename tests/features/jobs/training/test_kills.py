"""Kill -9 in the middle of a training: the next worker goes on from its checkpoint, and it is paid once."""

import signal
from pathlib import Path

import pytest

from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.features.jobs.kinds.training import process
from proxy.storage.store import Statement
from tests import forked
from tests.features.jobs.job_rig import content, job_with
from tests.features.jobs.training import training_rig
from tests.proxy.api.inside import inside

STEPS = 90


async def test_the_next_worker_goes_on_and_it_is_paid_once(
    tmp_path: Path, store_url: str, early_checkpoints: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = training_rig.resumed_bytes(monkeypatch)
    # A nice process gets no time at all on a machine whose cores are all busy.
    monkeypatch.setattr(process, "JOB_NICENESS", 0)
    config = training_rig.CONFIG.format(url=store_url, tone="", jobs="")
    async with inside(tmp_path, config, {}, "metered") as server:
        training_rig.kind_of(server).runs_steps = False
        voice = await training_rig.voice_to_train(server)
        id_ = await training_rig.new_training(server, voice, steps=STEPS)
        held = await training_rig.hold_of(server, id_)
        assert held is not None
        # With its process, what it has in memory would be gone.
        server.worker.ledger.holds.drop(held.request, server.account.id)
    ended = await forked.run("tests.features.jobs.training.training_program", str(tmp_path / "config.toml"))
    assert ended.returncode == -signal.SIGKILL, ended.stdout
    async with open_store(store_url, tmp_path / "data") as store:
        # The lease of the dead is over.
        await store.write(Statement("UPDATE job_steps SET lease = 0"))
    async with training_rig.trainings_inside(tmp_path, store_url, name="ben") as again:
        ours = server._replace(worker=again.worker)
        shown = await job_with(ours, id_, "done", "failed")
        assert (shown["status"], shown["training"]["step"]) == ("done", STEPS)
        assert len(resumed) == 1
        assert resumed[0] > 100
        await training_rig.bills_of(ours).sweep()
        (row,) = await ours.usage()
        assert (row.kind, row.credits) == ("training", training_rig.PRICE)
        assert (await verify(again.worker.store)).is_clean
        assert (await content(ours, id_)).content.startswith(b"tone as onnx")
