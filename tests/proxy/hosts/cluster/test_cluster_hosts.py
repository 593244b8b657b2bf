"""The hosts of a gateway's clusters: announced ones, its part of many, and the end of all Watches."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import msgspec
import pytest

from proxy.config.clusters import ClusterSection
from proxy.config.sections import Config, EngineSection, Server, Storage
from proxy.hosts.cluster import cluster_hosts, watch
from proxy.hosts.cluster.cluster_hosts import ClusterHosts
from proxy.hosts.cluster.links_child import LinksChild
from proxy.hosts.cluster.messages import HostHello, HostMessage, HostTick, ProcessLoad
from speech_engine.host.cluster_messages import FORGOTTEN_S, AnnouncedHost, ClusterNews, HostLoad, ProcessJobs
from speech_engine.host.pipe_messages import EngineQuestion, HostState
from tests.proxy.hosts.cluster.test_watch import SayingAgent, encoded_hello
from tests.tables import each_row
from tests.waiting import soon

_OWN = "mch_1"
_NOBODY = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def _hosts_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SILENT_S", 60.0)


class _Gateway:
    def __init__(self, cluster: ClusterSection, config: Config) -> None:
        self.told: list[HostState | ProcessJobs] = []
        engines = {"xtts": EngineSection(plugin="xtts", cluster="gpu")}
        storage = Storage("postgresql://u:p@h/d")
        config = msgspec.structs.replace(config, storage=storage, engines=engines, clusters={"gpu": cluster})
        no_tools: Any = None
        self.hosts = ClusterHosts(config, self.told.append, _OWN, LinksChild(no_tools))

    @property
    def states(self) -> list[HostState]:
        return [each for each in self.told if isinstance(each, HostState)]

    def count(self, state: str) -> float:
        hosts, _ = self.hosts.metrics()
        return sum(each.value for each in hosts.samples if each.labels["state"] == state)

    @property
    def lost(self) -> float:
        _, lost = self.hosts.metrics()
        return sum(each.value for each in lost.samples)


@asynccontextmanager
async def _gateway(
    *hosts: str,
    announced: bool = True,
    host: str = "127.0.0.1",
    workers: int = 1,
    data: Path = Path("data"),
    **more: Any,
) -> AsyncIterator[_Gateway]:
    cluster = ClusterSection(hosts=hosts, announced=announced, **more)
    gateway = _Gateway(cluster, Config(Server(host=host, workers=workers), data=str(data)))
    task = asyncio.create_task(gateway.hosts.run())
    try:
        yield gateway
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _agents(count: int, *more: HostMessage) -> AsyncIterator[list[str]]:
    """So many hosts with a process, which say more."""
    ports, servers = [], [grpc.aio.server() for _ in range(count)]
    for server in servers:
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        ready = HostState("xtts", 0, 1, "ready", address=f"10.0.0.5:{ports[-1] + 1}")
        server.add_generic_rpc_handlers((SayingAgent((HostHello("mch_host"), ready, *more)),))
        await server.start()
    try:
        yield [f"127.0.0.1:{port}" for port in ports]
    finally:
        for server in servers:
            await server.stop(None)


def _news(*hosts: AnnouncedHost, gateways: int = 1) -> ClusterNews:
    return ClusterNews(tuple(f"mch_{number}" for number in range(1, gateways + 1)), hosts)


async def test_announced_hosts_with_an_engine_of_the_cluster_are_watched() -> None:
    async with _gateway() as gateway:
        one, other = AnnouncedHost(_NOBODY, ("xtts", "rvc")), AnnouncedHost("127.0.0.2:1", ("rvc",))
        gateway.hosts.take_news(_news(one, other))
        await soon(lambda: gateway.count("away") == 1)
        gateway.hosts.take_news(_news(one, AnnouncedHost("127.0.0.3:1", ("xtts",))))
        await soon(lambda: gateway.count("away") == 2)


async def test_a_cluster_without_announcements_uses_none() -> None:
    async with _gateway("127.0.0.3:1", announced=False) as gateway:
        gateway.hosts.take_news(_news(AnnouncedHost(_NOBODY, ("xtts",))))
        await soon(lambda: gateway.count("away") > 0)
        assert gateway.count("away") == 1


@each_row("name", ["a..b:1", f"{'x' * 64}.org:1"])
async def test_a_name_that_cannot_be_looked_up_harms_no_other_host(name: str) -> None:
    async with _agents(1) as addresses, _gateway(*addresses) as gateway:
        gateway.hosts.take_news(_news(AnnouncedHost(name, ("xtts",))))
        await soon(lambda: gateway.count("watched") == 1)
        gateway.hosts.take_news(_news(AnnouncedHost(name, ("xtts",)), AnnouncedHost(_NOBODY, ("xtts",))))
        await soon(lambda: gateway.count("away") == 1)
        assert gateway.count("watched") == 1


async def test_a_name_that_fails_keeps_its_addresses_and_a_host_that_it_names_no_more_its_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses, looks = list[str](), 0

    async def look_up(*_name: object, **_more: object) -> list[tuple[object, ...]]:
        nonlocal looks
        looks += 1
        if not addresses:
            raise socket.gaierror
        return [(0, 0, 0, "", (each, 0)) for each in addresses]

    monkeypatch.setattr(cluster_hosts, "_RESOLVE_EVERY_S", 0.0)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    async with _agents(1) as (agent,), _gateway(agent.replace("127.0.0.1", "gpu.test")) as gateway:
        await soon(lambda: looks > 3)
        assert not gateway.count("away")
        addresses[:] = "127.0.0.1", "127.0.0.3"
        await soon(lambda: gateway.states and gateway.count("away") == 1)
        for names, away in (([], 1), (["127.0.0.3"], 1), (["127.0.0.4", "127.0.0.5"], 2)):
            addresses[:] = names
            await soon(lambda: looks, (looks + 3).__lt__)
            assert (gateway.count("watched"), gateway.count("away")) == (1, away)
        assert [each.state for each in gateway.states] == ["ready"]


async def test_the_models_of_an_engine_are_known_to_new_workers_and_after_a_start_without_hosts(
    tmp_path: Path,
) -> None:
    described = HostState("xtts", 1, 1, "starting", hello=encoded_hello())
    async with _agents(1, described) as addresses, _gateway(*addresses, data=tmp_path) as gateway:
        await soon(lambda: len(gateway.states) == 2)
        assert [each.hello for each in gateway.hosts.states()] == [described.hello, b"", b""]
    async with _gateway(data=tmp_path) as gateway:
        assert [each.hello for each in gateway.hosts.states()] == [described.hello]


async def test_an_engine_is_switched_on_all_hosts_that_are_there() -> None:
    question = EngineQuestion(1, "xtts", "unload")
    async with _agents(2) as addresses, _gateway(*addresses, _NOBODY) as gateway:
        assert "no host of the cluster gpu" in (await gateway.hosts.switch(question) or "")
        await soon(lambda: gateway.count("watched") == 2)
        refusals = (await gateway.hosts.switch(question) or "").split("; ")
        assert {*refusals} == {f"{each}: not now" for each in addresses}
        assert await gateway.hosts.switch(msgspec.structs.replace(question, action="load")) == ""
        assert await gateway.hosts.switch(msgspec.structs.replace(question, engine="rvc")) is None


async def test_the_jobs_of_a_host_are_shared_by_the_workers_of_all_its_gateways() -> None:
    tick = HostTick((ProcessLoad("xtts", 0, HostLoad(jobs=5, slots=8, waiting_s=0.0)),), watches=3)
    async with _agents(1, tick) as addresses, _gateway(*addresses, workers=2) as gateway:
        (jobs,) = await soon(lambda: [each for each in gateway.told if isinstance(each, ProcessJobs)])
        assert (jobs.jobs, jobs.sharers) == (5, 6)


async def test_a_name_that_leads_to_the_gateway_itself_is_no_host() -> None:
    async with _gateway("127.0.0.3:1", host="0.0.0.0") as gateway:
        # Written so, it is a name, and the system takes it for 127.0.0.1.
        gateway.hosts.take_news(_news(AnnouncedHost("127.1:1", ("xtts",)), AnnouncedHost(_NOBODY, ("xtts",))))
        await soon(lambda: gateway.count("away") == 1)


@each_row(
    ("host", "networks", "addresses", "away"),
    [
        ("127.0.0.1", (), ["169.254.169.254:1", _NOBODY], 1),
        (
            "0.0.0.0",
            (),
            ["169.254.169.254:1", "[::ffff:169.254.169.254]:1", "224.0.0.1:1", _NOBODY, "10.1.2.3:1"],
            1,
        ),
        ("0.0.0.0", (), ["two:1"], 1),
        ("0.0.0.0", ("10.1.0.0/16", "fd00::/8"), ["10.1.2.3:1", "10.2.0.1:1", "[fd00::1]:1", "8.8.8.8:1"], 2),
        ("0.0.0.0", ("10.1.0.0/16",), ["two:1", "10.1.2.3:1"], 1),
    ],
)
async def test_announced_addresses_are_judged_before_they_are_dialled(
    monkeypatch: pytest.MonkeyPatch, host: str, networks: tuple[str, ...], addresses: list[str], away: int
) -> None:
    looked_up = cluster_hosts._resolve
    both = frozenset({"127.0.0.1:1", "10.7.0.1:1"})

    async def look_up(written: str) -> frozenset[str] | None:
        return both if written == "two:1" else await looked_up(written)

    monkeypatch.setattr(cluster_hosts, "_resolve", look_up)
    # What the operator names is used wherever it is.
    async with _gateway("127.0.0.3:1", host=host, networks=networks) as gateway:
        gateway.hosts.take_news(_news(*(AnnouncedHost(each, ("xtts",)) for each in addresses)))
        await soon(lambda: gateway.count("away") == 1 + away)


async def test_a_gateway_watches_its_part_of_many_hosts_when_it_knows_the_others() -> None:
    many = tuple(f"127.0.0.{number}:1" for number in range(1, 41))
    async with _gateway(*many, most_hosts=10) as gateway:
        await asyncio.sleep(0.01)
        assert gateway.count("away") == 0
        gateway.hosts.take_news(_news(gateways=8))
        await soon(lambda: gateway.count("away") > 0)
        assert 4 <= gateway.count("away") <= 20


@pytest.mark.clock
async def test_hosts_that_other_gateways_have_from_now_on_get_nothing_new_and_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_hosts, "_RESOLVE_EVERY_S", 0.02)
    async with _agents(12) as addresses, _gateway(*addresses, most_hosts=1) as gateway:
        gateway.hosts.take_news(_news())
        await soon(lambda: len(gateway.states) == 12)
        gateway.hosts.take_news(_news(gateways=12))
        await soon(lambda: len(gateway.states) > 12)
        await asyncio.sleep(0.1)
        assert gateway.count("watched") == 12, "what they have begun goes on for a while"
        monkeypatch.setattr(cluster_hosts, "_RELEASED_S", 0.0)
        await soon(lambda: gateway.count("watched") < 12 and gateway.count("away") == 0)
        states = [each.state for each in gateway.states[12:]]
        assert states.count("leaving") == states.count("gone") > 0


async def test_all_watches_end_while_a_worker_does_not_read_what_is_erased(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    for module in (cluster_hosts, watch):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(cluster_hosts, "_LOOK_EVERY_S", 0.01)
    async with _agents(1) as addresses, _gateway(*addresses) as gateway:
        await soon(lambda: [each.state for each in gateway.states] == ["ready"])
        gateway.hosts.note_read(1)
        now += 30.0
        gateway.hosts.note_read(0)
        now += 11.0
        await soon(lambda: len(gateway.states) == 2)
        assert gateway.hosts.states() == [gateway.states[1]], "a worker that begins now hears of it, too"
        assert gateway.states[1].lost_at == now
        assert (gateway.count("watched"), gateway.lost) == (0, 0), "no host was lost"
        gateway.hosts.forget_worker(1)
        await soon(lambda: len(gateway.states) >= 3)
        assert [each.state for each in gateway.states[:3]] == ["ready", "gone", "ready"]
        now += FORGOTTEN_S + 1.0
        assert [each.state for each in gateway.hosts.states()] == ["ready"]
