"""What a training on a rented machine costs its account that ends it: the share of its steps that ran."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.features.admin.verify import verify
from proxy.features.jobs.core.records import JOBS
from proxy.features.jobs.kinds.training import records
from proxy.features.jobs.kinds.training.trainings import Trainings
from proxy.storage import samples
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import Statement, Store
from speech_engine.host import remote_worker
from speech_engine.training import TrainingProgress
from tests.features.jobs.job_rig import job_with
from tests.features.jobs.remote.remote_rig import sweeping
from tests.features.jobs.remote.test_far_trainings import SLOW, Rig, _piece, few_recordings, training
from tests.features.jobs.training.training_rig import (
    PRICE,
    bills_of,
    hold_of,
    new_training,
    voice_to_train,
)
from tests.speech_engine.host.simulated_time import simulated
from tests.waiting import soon

pytestmark = pytest.mark.slow

__all__ = ["few_recordings"]


@pytest.fixture(autouse=True)
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine tells is told by the test."""

    async def train(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(remote_worker, "train", train)


STEPS = 2_000
Ends = Callable[[Rig, str, str], Awaitable[object]]


@asynccontextmanager
async def under_way(folder: Path) -> AsyncIterator[tuple[Rig, str, str]]:
    """Give the rig, the voice and the job of a training that has run some steps elsewhere."""
    async with training(folder, settings=SLOW) as rig:
        voice = await voice_to_train(rig.server)
        yield rig, voice, await _begun(rig, voice)


async def _begun(rig: Rig, voice: str) -> str:
    """Begin a training, and return its job once the machine has its link."""
    links = len(rig.lines.urls)
    id_ = await new_training(rig.server, voice, model="far", steps=STEPS)
    await soon(lambda: len(rig.lines.urls) > links)
    return id_


async def _row(rig: Rig, id_: str) -> records.Training:
    row = await records.get(rig.server.worker.store, id_)
    assert row is not None
    return row


async def _tell(rig: Rig, step: int, stage: Any = "training") -> None:
    said = TrainingProgress(stage=stage, step=step, of=100)
    assert (await rig.lines.post(rig.path, msgspec.msgpack.encode(said))).status_code == 200


async def _keep(rig: Rig, step: int) -> None:
    stored = msgspec.structs.replace(_piece(b"whole", is_last=True), step=step)
    assert (await rig.lines.post(rig.path, msgspec.msgpack.encode(stored))).status_code == 200


async def test_a_checkpoint_is_of_no_more_steps_than_were_asked_for(tmp_path: Path) -> None:
    async with under_way(tmp_path) as (rig, _, id_):
        await _keep(rig, STEPS + 1)
        assert (await _row(rig, id_)).kept == STEPS


async def _cancel(rig: Rig, _voice: str, id_: str) -> None:
    assert (await rig.server.ask("POST", f"/v1/jobs/{id_}/cancel")).status_code == 200


async def _delete_job(rig: Rig, _voice: str, id_: str) -> None:
    assert (await rig.server.ask("DELETE", f"/v1/jobs/{id_}")).status_code == 200


async def _delete_voice(rig: Rig, voice: str, _id: str) -> None:
    assert (await rig.server.ask("DELETE", f"/v1/audio/voices/{voice}")).is_success


async def _close_account(rig: Rig, _voice: str, _id: str) -> None:
    assert (await rig.server.administer("DELETE", f"accounts/{rig.server.account.id}")).is_success


async def _admin_cancel(rig: Rig, _voice: str, id_: str) -> None:
    assert (await rig.server.administer("POST", f"jobs/{id_}/cancel")).is_success


async def _admin_delete(rig: Rig, _voice: str, id_: str) -> None:
    assert (await rig.server.administer("DELETE", f"jobs/{id_}")).is_success


async def _admin_delete_voice(rig: Rig, voice: str, _id: str) -> None:
    assert (await rig.server.administer("DELETE", f"voices/{voice}")).is_success


async def _fail(rig: Rig, _voice: str, id_: str) -> None:
    """The machine ends after a checkpoint, and so does the next one, and the server asks for no third."""
    await _keep(rig, 300)
    links = len(rig.lines.urls)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.features.jobs.kinds.training.trainings.MOST_TRIES", 1)
        patch.setattr("proxy.features.jobs.kinds.training.trainings.WAITS_S", 0.01)
        await rig.machines.remote_worker.cancel(rig.machines.begun[-1])
        await soon(lambda: len(rig.lines.urls) > links)
        await rig.machines.remote_worker.cancel(rig.machines.begun[-1])
        await job_with(rig.server, id_, "failed")
    # What has ended before, nobody ends any more.
    await _delete_job(rig, _voice, id_)


ENDS: dict[str, tuple[Ends, bool]] = {
    "cancelled by the operator": (_admin_cancel, False),
    "deleted by the operator": (_admin_delete, False),
    "its voice deleted by the operator": (_admin_delete_voice, False),
    "broken by the machine": (_fail, False),
    "cancelled": (_cancel, True),
    "its job deleted": (_delete_job, True),
    "its voice deleted": (_delete_voice, True),
    "its account closed": (_close_account, True),
}


async def test_who_ends_a_training_elsewhere_pays_for_the_steps_that_ran(
    tmp_path: Path, store_url: str, subtests: pytest.Subtests
) -> None:
    async with training(tmp_path, store_url, SLOW) as rig:
        store, voice = rig.server.worker.store, await voice_to_train(rig.server)
        # What differs in PostgreSQL is the commit that ends a job with all its rows.
        for how, (end, is_charged) in list(ENDS.items())[5 if store.is_shared else 0 :]:
            with subtests.test(how):
                id_ = await _begun(rig, voice)
                await _tell(rig, 777)
                held = await hold_of(rig.server, id_)
                assert held is not None
                await end(rig, voice, id_)
                for _ in range(2):
                    await bills_of(rig.server).sweep()
                rows = [row for row in await rig.server.usage() if row.job == id_]
                # 400 credits for 2000 steps: 777 are 155.4.
                charged = [(held.request, "training", 155_400_000, PRICE, "left")] if is_charged else []
                assert [
                    (row.id, row.kind, row.credits, row.price_micro, row.outcome) for row in rows
                ] == charged
                assert not await store.read("SELECT request FROM holds")
                assert (await verify(store)).is_clean
                await sweeping(rig.server).sweep()
                if end in (_delete_voice, _admin_delete_voice):
                    voice = await voice_to_train(rig.server)


async def test_what_a_training_owes_is_bounded_by_what_was_asked_and_kept(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with under_way(tmp_path) as (rig, _voice, id_):
        with subtests.test("preparing is no step, and a machine cannot tell of more than was asked for"):
            await _tell(rig, 90, stage="preparing")
            assert (await _row(rig, id_)).ran < 90
            await _tell(rig, 10**6)
            assert (await _row(rig, id_)).ran == STEPS
        with subtests.test("without a checkpoint, all of a machine's steps go with it"):
            await rig.lines.get(rig.path)
            assert (await _row(rig, id_)).ran == 0
        with subtests.test("with one, those after it do"):
            await _keep(rig, 300)
            await _tell(rig, 500)
            assert (await _row(rig, id_)).ran == 500
            await rig.lines.get(rig.path)
            assert (await _row(rig, id_)).ran == 300
        with subtests.test("who goes on tells of fewer steps at first, and owes no less"):
            await _tell(rig, 5)
            assert (await _row(rig, id_)).ran == 300
        with subtests.test("one that was asked for before steps were counted owes nothing"):
            old = "UPDATE trainings SET asked = {}, ran = 0, kept = 0"
            await rig.server.worker.store.write(Statement(old.format(0)))
            await _tell(rig, 500)
            assert (await _row(rig, id_)).ran == 0
            await rig.server.worker.store.write(Statement(old.format(STEPS)))
        with subtests.test("the job shows it"):
            await _tell(rig, 777)
            shown = (await rig.server.ask("POST", f"/v1/jobs/{id_}/cancel")).json()
            assert (shown["status"], shown["credits"]) == ("canceled", 155.4)


@simulated
async def test_a_voice_that_goes_while_its_recordings_are_read_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_voice = samples.list_of_voice
    async with under_way(tmp_path) as (rig, voice, id_):
        store = rig.server.worker.store
        (trains,) = [each for each in rig.server.worker.task_kinds if isinstance(each, Trainings)]
        job, training = await JOBS.get(store, None, id_), await records.get(store, id_)
        assert job is not None
        assert training is not None
        info = trains.trainers.trained_model_info(training.engine)
        assert info is not None
        assert await trains._input_reader.training_inputs(job, training, info) is not None

        async def read_late(of: Store, id_: str) -> list[SampleRecord]:
            monkeypatch.setattr(samples, "list_of_voice", of_voice)
            assert (await rig.server.ask("DELETE", f"/v1/audio/voices/{voice}")).is_success
            return await of_voice(of, id_)

        monkeypatch.setattr(samples, "list_of_voice", read_late)
        assert await trains._input_reader.training_inputs(job, training, info) is None


@simulated
async def test_recordings_that_its_account_deletes_end_it_for_the_same_share(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.features.jobs.kinds.training.trainings.WAITS_S", 0.01)
        patch.setattr("policies.tasks.FIRST_DELAY_S", 0.01)
        async with under_way(tmp_path) as (rig, voice, id_):
            await _keep(rig, 500)
            path = f"/v1/audio/voices/{voice}/samples"
            sample = (await rig.server.ask("GET", path)).json()["data"][-1]["id"]
            assert (await rig.server.ask("DELETE", f"{path}/{sample}")).is_success
            shown = await job_with(rig.server, id_, "failed")
            assert shown["error_code"] == "too_few_recordings"
            await bills_of(rig.server).sweep()
            (row,) = [row for row in await rig.server.usage() if row.kind == "training"]
            assert row.credits == PRICE * 500 // STEPS
