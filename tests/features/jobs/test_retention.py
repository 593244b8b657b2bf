"""The end of old jobs, and what a kill has left of erased voices."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.features.erasure.tombstone_rows import erase_subject
from proxy.features.jobs.core import records
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.retention import JobRetention
from proxy.features.jobs.kinds.batch.kind import BatchKind
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement
from proxy.storage.tombstones import Tombstone
from tests.features.jobs.job_rig import job_with, jobs_inside, new_job, text_of
from tests.proxy.api.inside import Inside
from tests.proxy.api.owning import clone

pytestmark = pytest.mark.slow


def batches(server: Inside) -> BatchKind:
    context = server.worker.open_features.context
    return BatchKind(JobFiles(context.store, context.find(Vault)), context.find(DeliveryTasks))


def retention(server: Inside) -> JobRetention:
    kind = batches(server)
    return JobRetention(kind.files, server.worker.open_features.context.metrics, (kind.tidy,))


async def test_a_job_is_deleted_days_after_its_end(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store = server.worker.store
        old, young = [await new_job(server, text_of(1)) for _ in range(2)]
        for made in (old, young):
            await job_with(server, made["id"], "done")
        day_us = 86_400 * 1_000_000
        of_old = {"id": old["id"], "ended": await store.now() - 7 * day_us - 1}
        await store.write(Statement("UPDATE jobs SET ended = :ended WHERE id = :id", of_old))
        for switch in ("suspended = 1", f"suspended = NULL, resumed = {await store.now()}"):
            await store.write(Statement(f"UPDATE accounts SET {switch}"))
            assert await retention(server).delete_old() == 0, "a suspended account loses nothing"
        await store.write(Statement("UPDATE accounts SET resumed = 1"))
        assert await retention(server).delete_old() == 1
        assert await retention(server).delete_old() == 0
        longer = retention(server)
        longer.days = 0.5
        of_young = {"id": young["id"], "ended": await store.now() - day_us // 2 + 10_000_000}
        await store.write(Statement("UPDATE jobs SET ended = :ended WHERE id = :id", of_young))
        assert await longer.delete_old() == 0
        assert (await server.ask("GET", f"/v1/jobs/{old['id']}")).status_code == 404
        assert len(await records.list_clips(store, young["id"])) == 1
        assert len(await store.read("SELECT digest FROM blobs")) == 3


async def test_a_plan_has_days_of_its_own(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store, day_us = server.worker.store, 86_400 * 1_000_000
        old, young = [await new_job(server, text_of(1)) for _ in range(2)]
        now = await store.now()
        for made, days in ((old, 3), (young, 1)):
            await job_with(server, made["id"], "done")
            of_job = {"id": made["id"], "ended": now - days * day_us}
            await store.write(Statement("UPDATE jobs SET ended = :ended WHERE id = :id", of_job))
        ours = retention(server)
        plans = server.worker.kernel.config.plans
        for name, days, deleted in (("few", 2, 0), ("metered", 30, 0), ("metered", 2, 1), ("metered", 2, 0)):
            ours.plans = {**plans, name: replace(plans[name], job_days=float(days))}
            assert await ours.delete_old() == deleted, (name, days)
        left = (await server.ask("GET", "/v1/jobs")).json()["data"]
        assert [row["id"] for row in left] == [young["id"]]
        ours.plans = {**plans, "metered": replace(plans["metered"], job_days=30.0)}
        ours.days = 0.5
        assert await ours.delete_old() == 0, "the plan's, although the server keeps jobs shorter"


async def test_what_a_kill_has_left_of_an_erased_voice_is_found(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store, voice = server.worker.store, (await clone(server))["id"]
        spoken = await new_job(server, text_of(1), voice=voice)
        other = await new_job(server, text_of(1))
        for made in (spoken, other):
            await job_with(server, made["id"], "done")
        # A settlement that came late, whose step was canceled: nobody ends it any more.
        tombstone = Tombstone(
            subject=voice, account=server.account.id, digests=(), began=await store.now(), pending=()
        )
        assert await erase_subject(store, tombstone)
        await retention(server).delete_old()
        assert await records.list_clips(store, spoken["id"]) == []
        assert len(await records.list_clips(store, other["id"])) == 1
