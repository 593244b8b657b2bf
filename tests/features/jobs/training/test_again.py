"""A key whose training is over and deleted makes another training, which is another bill."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.features.admin.verify import verify
from proxy.features.jobs.kinds.training import records
from tests.databases import postgresql_in_soak
from tests.features.jobs.job_rig import job_with
from tests.features.jobs.training.training_rig import (
    PRICE,
    bills_of,
    hold_of,
    new_training,
    trainings_inside,
    voice_to_train,
)

pytestmark = [pytest.mark.usefixtures("trainer_here"), pytest.mark.slow]


async def test_a_key_is_charged_for_each_training_that_it_makes(tmp_path: Path, store_url: str) -> None:
    async with trainings_inside(tmp_path, store_url) as server:
        voice = await voice_to_train(server)
        sent = {"headers": {"idempotency-key": "once"}}
        for number in (1, 2):
            id_ = await new_training(server, voice, **sent)
            assert await hold_of(server, id_) is not None
            shown = await job_with(server, id_, "done", "failed")
            assert shown["status"] == "done"
            await bills_of(server).sweep()
            assert [row.credits for row in await server.usage()] == [PRICE] * number
            assert (await server.ask("DELETE", f"/v1/jobs/{id_}")).status_code == 200
            await bills_of(server).sweep()
        assert (await verify(server.worker.store)).is_clean


@postgresql_in_soak
async def test_a_key_makes_another_training_before_the_sweep(tmp_path: Path, store_url: str) -> None:
    async with trainings_inside(tmp_path, store_url) as server:
        voice = await voice_to_train(server)
        sent = {"headers": {"idempotency-key": "once"}}
        for _ in (1, 2):
            id_ = await new_training(server, voice, **sent)
            await job_with(server, id_, "done", "failed")
            assert (await server.ask("DELETE", f"/v1/jobs/{id_}")).status_code == 200
        await bills_of(server).sweep()
        assert [row.credits for row in await server.usage()] == [PRICE] * 2
        assert (await verify(server.worker.store)).is_clean
        assert not await server.worker.store.read("SELECT request FROM holds")


@postgresql_in_soak
async def test_a_sweep_that_has_listed_the_one_before_leaves_it_alone(tmp_path: Path, store_url: str) -> None:
    async with trainings_inside(tmp_path, store_url, tone="delay_s = 0.1") as server:
        store = server.worker.store
        id_ = await new_training(server, await voice_to_train(server), steps=2_000)
        training = await records.get(store, id_)
        assert training is not None
        await records.close_training(store, replace(training, hold="hold_before"))
        left = await records.get(store, id_)
        assert left is not None
        assert left.state == "held"


@postgresql_in_soak
async def test_a_refund_gives_back_what_it_cost_once(tmp_path: Path, store_url: str) -> None:
    async with trainings_inside(tmp_path, store_url) as server:
        await job_with(server, await new_training(server, await voice_to_train(server)), "done")
        await bills_of(server).sweep()
        (row,) = await server.usage()
        refund = await server.administer("POST", f"requests/{row.id}/refund", {"reason": "noisy"})
        assert refund.json()["credits"] == 400
        assert (await server.ask("GET", "/v1/me")).json()["credits"]["available"] == 1000
        again = await server.administer("POST", f"requests/{row.id}/refund", {"reason": "noisy"})
        assert again.status_code == 409
        assert (await verify(server.worker.store)).is_clean
