"""The hosts of a gateway's clusters: those that join, its part of many, and the end of all Watches."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from proxy.config.clusters import ClusterSection
from proxy.config.sections import Config, EngineSection, Server, Storage
from proxy.hosts.cluster import cluster_hosts, watch
from proxy.hosts.cluster.cluster_hosts import ClusterHosts
from proxy.hosts.cluster.messages import HostHello, HostMessage, HostTick, ProcessLoad
from speech_engine.host.cluster_messages import FORGOTTEN_S, ClusterNews, HostLoad, ProcessJobs
from speech_engine.host.pipe_messages import EngineQuestion, HostState
from tests.proxy.hosts.cluster.joined import NOBODY, JoinedLinks, answering
from tests.proxy.hosts.cluster.test_watch import SayingAgent, encoded_hello
from tests.waiting import soon

_OWN = "mch_1"


@pytest.fixture(autouse=True)
def _hosts_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SILENT_S", 60.0)


class _Gateway:
    def __init__(self, links: JoinedLinks, config: Config, most_hosts: int) -> None:
        self.told: list[HostState | ProcessJobs] = []
        self.links = links
        engines = {"xtts": EngineSection(plugin="xtts", cluster="gpu")}
        config = msgspec.structs.replace(
            config,
            storage=Storage("postgresql://u:p@h/d"),
            engines=engines,
            clusters={"gpu": ClusterSection(most_hosts)},
        )
        self.hosts = ClusterHosts(config, self.told.append, _OWN, links)

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
    paths: Mapping[str, str] = {}, *, workers: int = 1, data: Path = Path("data"), most_hosts: int = 64
) -> AsyncIterator[_Gateway]:
    config = Config(Server(workers=workers), data=str(data))
    gateway = _Gateway(JoinedLinks(**paths), config, most_hosts)
    task = asyncio.create_task(gateway.hosts.run())
    try:
        yield gateway
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _agents(count: int, *more: HostMessage) -> AsyncIterator[dict[str, str]]:
    """So many hosts with a process, which say more: their paths by machine."""
    machines = [f"mch_host{number}" for number in range(count)]
    ready = HostState("xtts", 0, 1, "ready", address="xtts.0.1")
    async with answering(*(SayingAgent((HostHello(each), ready, *more)) for each in machines)) as paths:
        yield dict(zip(machines, paths, strict=True))


def _news(gateways: int = 1) -> ClusterNews:
    return ClusterNews(tuple(f"mch_{number}" for number in range(1, gateways + 1)))


async def test_hosts_that_join_with_an_engine_of_the_cluster_are_watched() -> None:
    async with _gateway() as gateway:
        gateway.hosts.take_news(_news())
        gateway.links.join("mch_a")
        gateway.links.join("mch_b", cluster="other")
        gateway.links.join("mch_c", engines=["rvc"], cluster="")
        await soon(lambda: gateway.count("away") == 1)
        gateway.links.join("mch_d", engines=["rvc", "xtts"], cluster="")
        await soon(lambda: gateway.count("away") == 2)


async def test_a_host_that_has_no_link_any_more_keeps_its_work() -> None:
    async with _agents(1) as paths, _gateway(paths) as gateway:
        await soon(lambda: [each.state for each in gateway.states] == ["ready"])
        gateway.links.join("mch_b")
        gateway.links.lose("mch_host0")
        await soon(lambda: gateway.count("away") == 1)
        assert gateway.count("watched") == 1
        assert [each.state for each in gateway.states] == ["ready"]


async def test_the_models_of_an_engine_are_known_to_new_workers_and_after_a_start_without_hosts(
    tmp_path: Path,
) -> None:
    described = HostState("xtts", 1, 1, "starting", hello=encoded_hello())
    async with _agents(1, described) as paths, _gateway(paths, data=tmp_path) as gateway:
        await soon(lambda: len(gateway.states) == 2)
        assert [each.hello for each in gateway.hosts.states()] == [described.hello, b"", b""]
    async with _gateway(data=tmp_path) as gateway:
        assert [each.hello for each in gateway.hosts.states()] == [described.hello]


async def test_an_engine_is_switched_on_all_hosts_that_are_there() -> None:
    question = EngineQuestion(1, "xtts", "unload")
    async with _agents(2) as paths, _gateway({**paths, "mch_away": NOBODY}) as gateway:
        assert "no host of the cluster gpu" in (await gateway.hosts.switch(question) or "")
        await soon(lambda: gateway.count("watched") == 2)
        refusals = (await gateway.hosts.switch(question) or "").split("; ")
        assert {*refusals} == {f"{each}: not now" for each in paths}
        assert await gateway.hosts.switch(msgspec.structs.replace(question, action="load")) == ""
        assert await gateway.hosts.switch(msgspec.structs.replace(question, engine="rvc")) is None


async def test_the_jobs_of_a_host_are_shared_by_the_workers_of_all_its_gateways() -> None:
    tick = HostTick((ProcessLoad("xtts", 0, HostLoad(jobs=5, slots=8, waiting_s=0.0)),), watches=3)
    async with _agents(1, tick) as paths, _gateway(paths, workers=2) as gateway:
        (jobs,) = await soon(lambda: [each for each in gateway.told if isinstance(each, ProcessJobs)])
        assert (jobs.jobs, jobs.sharers) == (5, 6)


async def test_a_gateway_watches_its_part_of_many_hosts_when_it_knows_the_others() -> None:
    many = {f"mch_host{number}": NOBODY for number in range(40)}
    async with _gateway(many, most_hosts=10) as gateway:
        await asyncio.sleep(0.01)
        assert gateway.count("away") == 0
        gateway.hosts.take_news(_news(gateways=8))
        await soon(lambda: gateway.count("away") > 0)
        assert 4 <= gateway.count("away") <= 20


@pytest.mark.clock
async def test_hosts_that_other_gateways_have_from_now_on_get_nothing_new_and_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_hosts, "_FIND_EVERY_S", 0.02)
    async with _agents(12) as paths, _gateway(paths, most_hosts=1) as gateway:
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
    async with _agents(1) as paths, _gateway(paths) as gateway:
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
