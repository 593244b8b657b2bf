"""For seconds, two servers may run the tasks that one of them runs alone: each task does no harm twice."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from policies.alerts import Trouble
from proxy.app import Worker
from proxy.catalogue.cluster import ClusterView, LeaderTask
from proxy.engines.engine_list import Engines
from proxy.feature_list import open_store
from proxy.features.alerts import records
from proxy.features.alerts import watch as watching
from proxy.features.alerts.section import AlertSection
from proxy.features.alerts.watch import Watch
from proxy.storage import usage
from proxy.storage.retention import delete_old_usage
from proxy.storage.store import Statement, Store
from tests.features.alerts.test_watch import OPS, Orders, mailed, to_all
from tests.features.cluster.rig import Site
from tests.features.jobs.job_rig import jobs_inside, new_job, text_of
from tests.features.jobs.test_retention import retention
from tests.features.mail.rig import mail_rig
from tests.features.own_voices.test_retention import CONFIG, age, erase
from tests.proxy.api.inside import inside
from tests.proxy.api.owning import clone
from tests.waiting import soon

pytestmark = pytest.mark.slow

ROWS = 11_000
"""More than two batches of old usage."""
OLD_AND_NEW = (
    """usage (id, account, key, started, engine, model, voice, language, characters, samples,
    sample_rate_hz, format, outcome) SELECT {n}, 'a', '', {at}, '', '', '', '', 0, 0, 0, '', 'finished'""",
    """costs (request, attempt, account, at, engine, model, characters, audio_ms, micro_usd)
    SELECT {n}, 1, 'a', {at}, '', '', 0, 0, 0""",
    "refusals SELECT 'a', '', {at}, {n}, 400, '', 1, 1",
    """mails (id, account, subject, notice, wrapped, sealed, created, until)
    SELECT {n}, '', '', '', '', '', 0, {at} + 99999999999""",
    """webhook_deliveries (id, event, account, webhook, host, type, data, created, began, state, answered)
    SELECT {n}, '', '', '', '', '', '', 0, 0, 'delivered', {at}""",
    "payment_events (id, created, changed, due) SELECT {n}, 0, {at}, 9000000000000000",
    "sessions SELECT {n}, '', {n}, {at}, {at}",
    """sign_ins (id, address, language, network, token, code, created, until, is_invite, account,
    is_operator) SELECT {n}, '', '', '', '', '', {at}, 0, 0, '', 0""",
)
"""Rows for each task that deletes old ones: three are of now."""
TABLES = [sql.partition(" ")[0] for sql in OLD_AND_NEW]


def seed(now: int) -> list[Statement]:
    n, at = "CAST(n AS TEXT)", f"CASE WHEN n > 3 THEN n ELSE {now} END"
    return [
        Statement(f"INSERT INTO {sql.format(n=n, at=at)} FROM generate_series(1, {ROWS}) AS n")
        for sql in OLD_AND_NEW
    ]


async def numbers(store: Store) -> list[int]:
    return [(await store.read(f"SELECT count(*) AS number FROM {name}"))[0]["number"] for name in TABLES]


def tasks_alone(worker: Worker) -> list[asyncio.Task[None]]:
    old_usage: LeaderTask = partial(delete_old_usage, worker.store, lambda: 30, worker.metrics)
    return [asyncio.create_task(task()) for task in (old_usage, *worker.tasks_of_one_server)]


async def test_what_is_old_is_deleted_once_with_all_that_belongs_to_it(site: Site) -> None:
    async with site.machine("a") as first, site.machine("b") as second:
        await first.store.write(*seed(await first.store.now()))
        running = [*tasks_alone(first), *tasks_alone(second)]
        await soon(lambda: numbers(first.store), lambda found: found == [3] * len(TABLES))
        for each in running:
            each.cancel()
        await asyncio.wait(running)
        for worker in (first, second):
            assert "voxgate_background_failures_total{" not in worker.metrics.page_text()


async def test_two_deletions_of_usage_at_once_leave_no_costs_of_either(site: Site, tmp_path: Path) -> None:
    async with open_store(site.url, tmp_path) as one, open_store(site.url, tmp_path) as other:
        await one.write(*seed(now := await one.now()))
        deleted = await asyncio.gather(
            *(usage.delete_oldest(each, now - 1, ROWS // 3) for each in (one, other))
        )
        assert deleted == [(ROWS // 3, ROWS // 3)] * 2


async def test_an_old_job_ends_once(site: Site, tmp_path: Path) -> None:
    async with jobs_inside(tmp_path, site.url) as server:
        job = await new_job(server, text_of(1))
        await server.worker.store.write(Statement("UPDATE jobs SET ended = 1, state = 'done'"))
        await server.worker.store.write(Statement("UPDATE accounts SET resumed = 1"))
        await asyncio.gather(*(retention(server).delete_old() for _ in range(2)))
        assert (await server.ask("GET", f"/v1/jobs/{job['id']}")).status_code == 404
        assert await server.worker.store.read("SELECT id FROM job_steps") == []


async def test_an_unused_voice_ends_once(site: Site, tmp_path: Path) -> None:
    text = f'{CONFIG}\n[storage]\nurl = "{site.url}"\n'
    async with inside(tmp_path, text, plan="short") as server:
        voice = (await clone(server))["id"]
        await age(server, voice, 31)
        erased = await asyncio.gather(*(erase(server, tmp_path) for _ in range(2)))
        assert sum(erased) == 1
        receipt = (await server.ask("GET", f"/v1/audio/voices/erasures/{voice}")).json()
        assert (receipt["id"], receipt["pending"]) == (voice, [])


async def test_an_alert_of_the_whole_is_mailed_once_by_two_that_lead(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "disk_room", lambda _data: (49, 1000))
    async with open_store(site.url, tmp_path) as store, mail_rig(store, tmp_path) as rig:
        orders, views = Orders(), [ClusterView() for _ in range(2)]
        for name, other, cluster in zip("ab", "ba", views, strict=True):
            cluster.machine, cluster.others = name, frozenset(other)
        two = [Watch(store, rig.mails, Engines({}, {}), tmp_path, [orders], each) for each in views]
        for each in two:
            each.section = AlertSection(OPS)

        async def turns(*looking: Watch) -> list[str]:
            """Look, a minute later look again, and return what is mailed."""
            for _ in range(2):
                await asyncio.gather(*(each.look_once() for each in looking))
                await store.write(
                    Statement("UPDATE alerts SET since = since - 60000001, gone = gone - 60000001")
                )
            return await mailed(rig)

        orders.found = [Trouble("dispute", "mercadopago:77")]
        full = [to_all(f"[alert] The disk is nearly full: data on {name}") for name in "ab"]
        disputed = to_all("[alert] A payment is disputed: mercadopago:77")
        assert await turns(*two) == sorted([*disputed, *full[0], *full[1]])
        orders.found = []
        assert await turns(*two) == to_all("[ended] A payment is disputed: mercadopago:77")
        # The machine b is gone: the one that leads ends its alerts.
        views[0].others = frozenset()
        assert await turns(two[0]) == to_all("[ended] The disk is nearly full: data on b")
        views[0].lead(False)
        orders.found = [Trouble("dispute", "mercadopago:77")]
        assert await turns(two[0]) == []
        assert [(each.kind, each.machine) for each in await records.list_all(store)] == [("disk_full", "a")]
