"""Trainings on days when the database is away, another server is faster, or a form cannot be made."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from policies.device_reservations import DeviceMemory, LoadRefusal
from proxy.features.admin.verify import verify
from proxy.features.jobs.core.encoded_records import list_file
from proxy.features.jobs.kinds.training import trainings
from proxy.features.jobs.kinds.training.ending import TrainingEnds
from proxy.features.jobs.kinds.training.following import BlobFile, TrainingJournal
from proxy.features.jobs.kinds.training.process import TrainingBroken, TrainingProcess
from proxy.storage.store import Statement, StorageFailed, StorageUnreachable, Store
from tests.databases import postgresql_in_soak
from tests.features.jobs.job_rig import job, job_with
from tests.features.jobs.training.test_trainings import model_of
from tests.features.jobs.training.training_rig import (
    PRICE,
    bills_of,
    hold_of,
    kind_of,
    new_training,
    trainings_inside,
    voice_to_train,
)
from tests.proxy.api.inside import Inside
from tests.waiting import soon

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("trainer_here")
async def test_of_two_servers_that_sweep_at_once_one_charges(tmp_path: Path, store_url: str) -> None:
    async with trainings_inside(tmp_path, store_url) as server:
        await job_with(server, await new_training(server, await voice_to_train(server)), "done", "failed")
        await asyncio.gather(*(bills_of(server).sweep() for _ in range(2)))
        assert [row.credits for row in await server.usage()] == [PRICE]
        store = server.worker.store
        assert (await verify(store)).is_clean
        assert not await store.read("SELECT request FROM holds")
        # Nothing is left to be written later that never could be. The server sweeps by itself, too, and on
        # PostgreSQL each sweep drops its hold again after the row is gone.
        await soon(server.worker.ledger.holds.pending.all_written.is_set)


@postgresql_in_soak
async def test_a_checkpoint_that_cannot_be_kept_is_let_go(
    tmp_path: Path, store_url: str, early_checkpoints: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = TrainingJournal._store_checkpoint
    tries = 0

    async def away(journal: TrainingJournal, checkpoint: BlobFile) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StorageUnreachable("away for a moment")
        await stored(journal, checkpoint)

    monkeypatch.setattr(TrainingJournal, "_store_checkpoint", away)
    async with trainings_inside(tmp_path, store_url, tone="delay_s = 0.001") as server:
        id_ = await new_training(server, await voice_to_train(server), steps=110)
        shown = await job_with(server, id_, "done", "failed")
        assert (shown["status"], shown["training"]["step"]) == ("done", 110)
        assert tries == 2, "the checkpoint of step 100 is kept"
        rows = await server.worker.store.read("SELECT fence FROM job_steps WHERE job = :job", {"job": id_})
        assert [row["fence"] for row in rows] == [1], "one attempt"


@pytest.mark.usefixtures("trainer_here")
@postgresql_in_soak
@pytest.mark.parametrize("is_written", [False, True], ids=["lost", "in doubt"])
async def test_a_voice_waits_for_a_database_that_is_away(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    done = TrainingEnds.end_with_voice
    tries: list[bool] = []

    async def away(ends: TrainingEnds, *asked: Any) -> None:
        tries.append(True)
        if is_written or len(tries) > 1:
            await done(ends, *asked)
        if len(tries) == 1:
            raise StorageUnreachable("away for a moment")

    monkeypatch.setattr(TrainingEnds, "end_with_voice", away)
    monkeypatch.setattr(trainings, "WAITS_S", 0.01)
    monkeypatch.setattr("proxy.queue.tasks.LEASE_CHECK_S", 0.001)
    async with trainings_inside(tmp_path, store_url) as server:
        voice = await voice_to_train(server)
        id_ = await new_training(server, voice)
        assert (await job_with(server, id_, "done", "failed"))["status"] == "done"
        await soon(lambda: len(tries) == 2 and "0 under way" in repr(kind_of(server)))
        assert await model_of(server, voice) is not None
        content = await server.ask("GET", f"/v1/jobs/{id_}/content")
        assert content.content.startswith(b"tone as onnx")
        await bills_of(server).sweep()
        assert [row.credits for row in await server.usage()] == [PRICE]


async def test_who_has_lost_the_step_stops(tmp_path: Path, store_url: str) -> None:
    async with trainings_inside(tmp_path, store_url, tone="delay_s = 0.02") as server:
        id_ = await new_training(server, await voice_to_train(server), steps=2_000)
        await job_with(server, id_, "running")
        # Another server has it, as this one could not renew its lease.
        later = await server.worker.store.now() + 10**12
        taken = "UPDATE job_steps SET fence = fence + 1, lease = :later WHERE job = :job"
        await server.worker.store.write(Statement(taken, {"job": id_, "later": later}))
        await soon(lambda: "0 under way" in repr(kind_of(server)))
        assert (await job(server, id_))["status"] in ("running", "queued")


@pytest.mark.soak
@pytest.mark.clock
async def test_a_lease_is_renewed_again_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.queue.tasks.LEASE_S", 1.2)
    async with trainings_inside(tmp_path, tone="delay_s = 0.02") as server:
        written = type(kind_of(server).table).write_held
        renewals: list[object] = []

        async def write(table: Any, store: Store, held: Any, values: dict[str, Any], **more: Any) -> bool:
            if set(values) == {"lease"} and values["lease"]:
                renewals.append(values["lease"])
                if len(renewals) == 1:
                    raise StorageFailed("away for a moment")
            return bool(await written(table, store, held, values, **more))

        monkeypatch.setattr(type(kind_of(server).table), "write_held", write)
        id_ = await new_training(server, await voice_to_train(server), steps=150)
        shown = await job_with(server, id_, "done", "failed")
        assert shown["status"] == "done"
        rows = await server.worker.store.read("SELECT fence FROM job_steps WHERE job = :job", {"job": id_})
        assert [row["fence"] for row in rows] == [1], "nobody else has taken it up"
        assert len(renewals) > 1


async def test_lives_that_get_on_are_no_failed_tries(
    tmp_path: Path, early_checkpoints: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "WAITS_S", 0.01)
    monkeypatch.setattr(trainings, "MOST_TRIES", 2)
    async with trainings_inside(tmp_path, tone="delay_s = 0.01") as server:
        voice = await voice_to_train(server)
        id_ = await new_training(server, voice, steps=160)
        last: Collection[str] = ()
        for _ in range(2):

            async def is_further() -> bool:
                nonlocal last
                found = [each.digest for each in await list_file(server.worker.store, id_, "checkpoint")]
                is_new = bool(found) and found != last
                last = found if is_new else last
                return is_new

            await soon(is_further)
            kind_of(server).forget_voice(voice, ())
        shown = await job_with(server, id_, "done", "failed")
        assert shown["status"] == "done"


@pytest.mark.usefixtures("trainer_here")
async def test_a_voice_without_its_onnx_is_a_voice(tmp_path: Path) -> None:
    async with trainings_inside(tmp_path, tone="fail_form = true") as server:
        voice = await voice_to_train(server)
        id_ = await new_training(server, voice)
        assert (await job_with(server, id_, "done", "failed"))["status"] == "done"
        assert await model_of(server, voice) is not None
        content = await server.ask("GET", f"/v1/jobs/{id_}/content")
        assert content.status_code == 409
        assert "model has it" in content.json()["error"]["message"]


async def test_what_one_machine_lacks_another_may_have(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def train(*_: object) -> None:
        raise TrainingBroken("plugin tone: its environment is not built", lasting=True)

    monkeypatch.setattr(TrainingProcess, "train", train)
    async with trainings_inside(tmp_path, store_url) as server:
        id_ = await new_training(server, await voice_to_train(server))
        if server.worker.store.is_shared:
            await soon(lambda: job(server, id_), lambda found: found["waits_for"] == "engine")
            assert await hold_of(server, id_) is not None
        else:
            assert (await job_with(server, id_, "failed"))["error_code"] == "internal_error"


class Scarce:
    """A book of a device whose memory is somebody else's for a while."""

    def __init__(self) -> None:
        self.is_free = False
        self.held: set[str] = set()
        self.asked: list[float] = []

    async def reserve_memory(self, holder: str, needs_gb: float, found: DeviceMemory) -> LoadRefusal | None:
        assert found.total_gb > 0
        self.asked.append(needs_gb)
        if not self.is_free:
            return LoadRefusal("xtts has it", again_s=0.01)
        self.held.add(holder)
        return None

    def note_peak(self, holder: str, gb: float) -> None:
        assert holder in self.held
        assert gb > 0

    def release(self, holder: str) -> None:
        self.held.discard(holder)


async def test_it_waits_for_memory_begins_when_there_is_some_and_gives_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "WAITS_S", 0.3)
    async with trainings_inside(tmp_path, jobs="training_gb = 3.5") as server:
        book = kind_of(server).trainers.reservations = Scarce()
        id_ = await new_training(server, await voice_to_train(server))
        await soon(lambda: job(server, id_), lambda found: found["waits_for"] == "memory")
        book.is_free = True
        shown = await job_with(server, id_, "done", "failed")
        assert (shown["status"], shown["waits_for"]) == ("done", "")
        assert set(book.asked) == {3.5}
        assert not book.held


async def test_a_killed_one_gives_its_memory_back(tmp_path: Path) -> None:
    async with trainings_inside(tmp_path, jobs="training_gb = 3.5", tone="delay_s = 0.02") as server:
        book = kind_of(server).trainers.reservations = Scarce()
        book.is_free = True
        voice = await voice_to_train(server)
        await new_training(server, voice, steps=2_000)
        await soon(lambda: book.held)
        kind_of(server).forget_voice(voice, ())
        await soon(lambda: not book.held)


@pytest.mark.usefixtures("trainer_here")
async def test_a_plan_that_has_no_jobs_any_more_trains_nothing(tmp_path: Path) -> None:
    async with trainings_inside(tmp_path, tone="delay_s = 0.05") as server:
        # The first one of the account has its turn.
        first = await new_training(server, await voice_to_train(server), steps=100)
        await job_with(server, first, "running")
        second = await new_training(server, await _other_voice(server))
        changed = await server.administer("POST", f"accounts/{server.account.id}", {"plan": "none"})
        assert changed.status_code == 200
        await server.ask("POST", f"/v1/jobs/{first}/cancel")
        shown = await job_with(server, second, "failed")
        assert shown["error_code"] == "jobs_not_allowed"
        await bills_of(server).sweep()
        assert await server.usage() == []


async def _other_voice(server: Inside) -> str:
    rows = await server.worker.store.read("SELECT id FROM voices")
    id_: str = rows[0]["id"]
    return id_
