"""Machines among others: who leads, who is dead, what they show, and the orders to them."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Literal

import httpx2
import pytest
import structlog
from msgspec.structs import replace

from proxy.app import Worker
from proxy.catalogue.cluster import ClusterView
from proxy.cli import machine_orders
from proxy.cli.machine_orders import give_order
from proxy.errors import UpstreamFailed
from proxy.features.cluster import feature, machines, membership, orders, sharing
from proxy.features.cluster.feature import FEATURE
from proxy.features.cluster.machines import NOW_SQL
from proxy.features.cluster.membership import Membership
from proxy.features.cluster.orders import OrderOutcome
from proxy.features.marks.stored_rings import StoredRings
from proxy.storage.store import Statement, StorageFailed
from speech_engine.host.cluster_messages import ClusterNews
from tests.features.cluster.rig import Link, Site, age, key, living, renewed
from tests.waiting import soon


@asynccontextmanager
async def control(worker: Worker) -> AsyncIterator[Callable[..., Coroutine[None, None, Any]]]:
    """What commands ask."""
    transport = httpx2.ASGITransport(app=worker.control)
    async with httpx2.AsyncClient(transport=transport, base_url="http://control") as client:

        async def ask(method: str, path: str, body: Any = None) -> Any:
            answer = await client.request(method, f"/admin/{path}", json=body)
            return answer.json() if answer.is_success else answer.json()["error"]["message"]

        yield ask


def member(worker: Worker) -> Membership:
    (run,) = [
        task
        for task in worker.tasks_of_each_server
        if isinstance(getattr(task, "__self__", None), Membership)
    ]
    found = getattr(run, "__self__")  # noqa: B009 - a bound method has it
    assert isinstance(found, Membership)
    return found


async def test_the_oldest_living_server_leads_and_hands_over_when_it_is_dead(site: Site) -> None:
    async with site.machine("a") as first, site.machine("w", serves=False) as worker:
        async with site.machine("b") as second:
            each = [member(one) for one in (worker, first, second)]
            assert not second.cluster.leads, "it has not looked"

            async def leads() -> list[bool]:
                for one in each:
                    await one.look()
                return [one.cluster.leads for one in (worker, first, second)]

            assert await leads() == [False, True, False]
            old, *_ = await living(first.store)
            await age(first.store, 15.1, old.id)
            assert await leads() == [False, False, True]
            await age(first.store, 0, old.id)
            assert await leads() == [False, True, False]


async def test_tasks_run_alone_until_another_machine_leads() -> None:
    cluster, running = ClusterView(), 0

    async def task() -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    alone = asyncio.create_task(cluster.run_while_leading([task, task]))
    for leads in (True, False, True):
        cluster.lead(leads)
        for _ in range(5):
            await asyncio.sleep(0)
        assert running == (2 if leads else 0)
    alone.cancel()
    await asyncio.wait([alone])
    assert running == 0

    async def failing() -> None:
        raise RuntimeError

    with pytest.raises(ExceptionGroup):
        await cluster.run_while_leading([task, failing])


async def test_a_machine_without_its_database_leads_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.machine("a") as first:
        one, began, leads = member(first), time.monotonic(), []
        await one.look()
        await first.store.close()
        for passed_s in (5, 10, 14, 16):
            clock = SimpleNamespace(monotonic=lambda now=began + passed_s: now)
            monkeypatch.setattr(membership, "time", clock)
            with pytest.raises(StorageFailed):
                await one.look()
            leads.append(first.cluster.leads)
        assert leads == [True, True, True, False], "it may be back soon, and then another one leads"


async def test_rows_are_renewed_put_again_and_removed(site: Site) -> None:
    async with site.machine("a", renews=True) as first:
        store = first.store
        await store.write(
            Statement(
                f"INSERT INTO machines SELECT 'gone', name, kind, version, schema, workers, "
                f"folder, limits, keys, config, engines, began, {NOW_SQL} - 86400000001 FROM machines"
            )
        )
        await age(store, 14, "mch%")
        await member(first)._renew()
        (row,) = await machines.list_all(store)
        assert row.silent_us < 5e6
        # As after a restore of an older database.
        await machines.remove_machine(store, row.id)
        await member(first)._renew()
        assert [each.id for each in await living(store)] == [row.id]
        async with site.machine("b") as second:
            watching = second.store
            assert len(await living(watching)) == 2
            assert second.cluster.machine.startswith(first.cluster.machine)
    async with site.machine("c") as third:
        assert row.id not in [each.id for each in await living(third.store)]


async def test_machines_are_listed_with_what_differs(site: Site) -> None:
    shares: list[int] = []
    async with site.machine("a") as first:
        setattr(first.engines, "divide_limits", shares.append)  # noqa: B010 - not every version has it
        async with (
            site.machine("b", site.settings + "[jobs]\nhere = false\n") as second,
            control(second) as ask,
        ):
            await second.store.write(Statement("UPDATE machines SET version = '9' WHERE name LIKE '%/b/%'"))
            answer = await ask("GET", "machines")
            assert [(each["leads"], each["is_alive"]) for each in answer["data"]] == [
                (True, True),
                (False, True),
            ]
            assert answer["differing"] == ["version", "config"]
            assert [each["name"] for each in answer["data"][0]["engines"]] == ["tone"]
            shares.clear()
            with structlog.testing.capture_logs() as logs:
                await member(first).look()
                await member(first)._renew()
                await member(first)._renew()
            assert [each["event"] for each in logs] == ["machines.differ"]
            assert {*shares} == {2}
            text = first.metrics.page_text()
            assert 'voxgate_machines{kind="server"} 2.0' in text
            assert 'voxgate_machines_differ{what="version"} 1.0' in text
            assert 'voxgate_machines_differ{what="keys"} 0.0' in text


async def orders_of(worker: Worker) -> int:
    (row,) = await worker.store.read("SELECT count(*) AS number FROM machine_orders")
    return int(row["number"])


async def test_orders_are_carried_out_at_the_next_renewal(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = [Link(), Link()]
    async with site.machine("a", link=links[0]) as first, site.machine("b", link=links[1]) as second:
        names = [each.name for each in await living(first.store)]

        async def order(action: str, machines: list[str], **more: object) -> Any:
            async with control(second) as ask:
                body = {"machines": machines, "action": action, **more}
                before = await orders_of(first)
                asking = asyncio.create_task(ask("POST", "machines/orders", body))
                await soon(lambda: orders_of(first), lambda count: count > before or asking.done())
                while not asking.done():
                    await member(first)._renew()
                answer = await asking
                return answer["data"] if isinstance(answer, dict) else answer

        assert await order("restart", names[:1], engine="tone", now=True) == [
            {"machine": names[0], "is_silent": False, "refusal": ""}
        ]
        assert links[0].asked == ["restart tone now"]
        links[0].refusal = "the file is wrong"
        (refused,) = await order("reload", names[:1])
        assert (refused["is_silent"], refused["refusal"]) == (False, "the file is wrong")
        links[0].failure = UpstreamFailed("The supervisor is away.")
        assert (await order("reload", names[:1]))[0]["refusal"] == "The supervisor is away."
        monkeypatch.setattr(orders, "WAITS_S", 0.1)
        (silent,) = await order("reload", names[1:])
        assert (silent["is_silent"], silent["refusal"]) == (True, "")
        assert links[1].asked == [], "the other one has not renewed"
        await first.store.write(Statement(f"UPDATE machine_orders SET asked = {NOW_SQL} - 60000001"))
        await order("restart", names[1:], engine="tone")
        await member(second)._renew()
        assert await soon(lambda: links[1].asked) == ["restart tone"], "the first order is void"
        assert "There is no machine 'none'" in await order("reload", ["none"])
        assert "has no engine 'nothing'" in await order("load", names, engine="nothing")
        await age(first.store, 16, (await living(first.store))[1].id)
        assert "is dead" in await order("reload", names)
        await first.store.write(Statement("UPDATE machines SET name = 'one', seen = began + 999999999999"))
        assert "Several machines" in await order("reload", ["one"])
        assert links[0].asked == ["restart tone now", "reload", "reload"]


async def test_an_order_that_takes_long_stops_no_renewal_and_is_carried_out_once(site: Site) -> None:
    link = Link()
    async with site.machine("a", link=link) as first:
        link.answers.clear()
        (machine,) = await living(first.store)

        def give(action: Literal["load", "unload"]) -> asyncio.Task[list[OrderOutcome]]:
            order = orders.NewMachineOrder(machines=("x",), action=action, engine="tone")
            return asyncio.create_task(orders.give_order(first.store, order, [machine]))

        first_one = give("load")
        await soon(lambda: orders_of(first))
        for _ in range(3):
            await member(first)._renew()
        assert await soon(lambda: link.asked) == ["load tone"]
        second = give("unload")
        await soon(lambda: orders_of(first), lambda count: count == 2)
        for _ in range(3):
            await member(first)._renew()
        assert link.asked == ["load tone"], "one after the other"
        link.answers.set()
        assert [each.is_silent for each in (*await first_one, *await second)] == [False, False]
        assert link.asked == ["load tone", "unload tone"]
        await member(first)._renew()
        runner = member(first)._orders
        assert runner is not None
        assert runner._begun == set(), "what has ended is forgotten"


async def test_the_doctor_names_what_differs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.machine("a") as first, site.machine("b"):
        (doctor,) = [look for name, look in FEATURE.doctor if name == "machines"]

        async def found() -> list[tuple[str, str]]:
            findings = await asyncio.to_thread(lambda: [*doctor(config)])
            return [(each.verdict, each.name) for each in findings]

        config = member(first).config
        assert await found() == [("ok", "")]
        # Of 100 connections, the workers of both machines may take 90.
        config = replace(config, storage=replace(config.storage, connections=45))
        assert await found() == [("note", ""), ("ok", "")]
        config = member(first).config
        await first.store.write(Statement("UPDATE machines SET name = 'one', schema = workers + 30 * began"))
        monkeypatch.setattr(time, "time", lambda: 300.0)
        assert await found() == [("wrong", ""), ("wrong", "one"), ("note", "version"), ("ok", "")]


async def test_no_key_reaches_the_orders(site: Site) -> None:
    async with site.machine("a") as first:
        transport = httpx2.ASGITransport(app=first.public)
        async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:
            assert (await client.post("/admin/machines/orders", json={})).status_code in (401, 404)
        assert "/admin/machines/orders" not in [each.path for each in first.endpoints]


async def test_a_new_key_makes_nothing_until_all_machines_know_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.machine("a") as first, site.machine("b") as second, control(first) as ask:
        rings = [one.open_features.context.find(StoredRings) for one in (first, second)]

        async def newest() -> list[tuple[str, int]]:
            found = []
            for each in rings:
                await each.refresh()
                keys = each.ring("keys")
                assert keys is not None
                found.append((keys.newest.id, len([*keys])))
            return found

        before = await newest()
        assert (await ask("POST", "marking/rotations", {"ring": "keys"}))["keys"] == 2
        assert [(id_, 2) for id_, _ in before] == await newest(), "the first key is not old either"
        await first.store.write(Statement("UPDATE ring_keys SET made = made - 16000000"))
        after = await newest()
        assert after[0] == after[1] != before[0]
        await first.store.write(Statement("UPDATE ring_keys SET wrapped = ''"))
        assert await newest() == after, "it was read before"


async def test_a_machine_of_a_kind_that_only_a_newer_version_knows_is_left_out(site: Site) -> None:
    async with site.machine("a") as first:
        await first.store.write(
            Statement(
                "INSERT INTO machines SELECT 'new', name, 'engines', version, schema, workers, folder, "
                "limits, "
                "keys, config, engines, began - 1, seen FROM machines"
            )
        )
        await member(first).look()
        assert [each.kind for each in await living(first.store)] == ["server"]
        assert first.cluster.leads


async def test_a_restart_of_all_ends_at_the_first_machine_whose_engine_fails(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASTER", key(1))
    monkeypatch.setattr(machine_orders, "_POLL_S", 0.1)
    monkeypatch.setattr(feature, "RENEW_S", 0.05)
    monkeypatch.setattr(membership, "RENEW_S", 0.05)
    links = [Link(), Link()]
    async with (
        site.machine("a", link=links[0], renews=True) as first,
        site.machine("b", link=links[1], renews=True),
    ):
        vars(first.engines["tone"]).update(state="failed", reason="its file is broken")
        file = site.folder / "c" / "config.toml"
        file.parent.mkdir()
        file.write_text(site.settings)
        with pytest.raises(SystemExit):
            await asyncio.to_thread(give_order, "restart", None, True, file, None, engine="tone")
        assert [link.asked for link in links] == [["restart tone"], []]
    shown = capsys.readouterr().out
    assert "its file is broken" in shown
    assert "1 machine(s) were not asked" in shown


async def test_a_copy_of_a_data_folder_on_another_host_replaces_no_machine(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = site.settings.replace("redis://127.0.0.1:1/0", "memory")
    monkeypatch.setattr(sharing, "AGAIN_S", 0.03)
    async with site.machine("a", memory) as first, renewed(first.store):
        monkeypatch.setattr(socket, "gethostname", lambda: "other")
        with pytest.raises(StorageFailed, match=r"limits\.url"):
            # It has the file that names the machine, and the same path.
            async with site.machine("a", memory):
                pytest.fail("it started")
        assert len(await living(first.store)) == 1


async def test_a_gateway_tells_its_supervisor_whom_hosts_must_meet(site: Site) -> None:
    cluster, link = '[engines.xtts]\ncluster = "gpu"\n[clusters.gpu]\n', Link()
    taking = {"VOXGATE_SERVER__LINKS": "127.0.0.1:1"}
    async with (
        site.machine("a", site.settings + cluster, link=link) as one,
        site.machine("b"),
        site.machine("w", serves=False),
        site.machine("x", site.settings + cluster, environ=taking, serves=False),
    ):
        await member(one).look()
        await member(one)._renew()
        there = await living(one.store)
        news = [each for each in link.told if isinstance(each, ClusterNews)]
        assert news[-1] == ClusterNews(
            tuple(each.id for each in there if each.kind == "server" or each.takes_links)
        )
        assert (len(there), len(news[-1].gateways)) == (4, 3)
