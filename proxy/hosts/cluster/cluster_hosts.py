"""All hosts of a gateway's clusters, in its supervisor: it finds, watches and loses them.

Workers get the states of their processes, as they get those of hosts on this machine.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from policies.host_subset import host_subset
from proxy.config.addresses import is_postgres
from proxy.config.sections import Config
from proxy.hosts import introductions
from proxy.hosts.cluster.links_child import LinkChannels, LinksChild, machines_of
from proxy.hosts.cluster.messages import SwitchQuestion
from proxy.hosts.cluster.watch import HostWatch
from proxy.hosts.introductions import StoredIntroduction
from speech_engine.host.cluster_messages import FORGOTTEN_S, ClusterNews, ProcessJobs
from speech_engine.host.pipe_messages import EngineQuestion, HostState

_FIND_EVERY_S = 5.0
UNREAD_S = 40.0
"""A worker that has not read the tombstones for this time may send erased recordings to hosts. Then all
Watches end, and the hosts forget their recordings."""
_LOOK_EVERY_S = 1.0
_RELEASED_S = 300.0
"""After a host was left to other gateways, its running work may go on for this time."""
_INTRODUCTION = -1
"""A number that no process has. It marks a state that only brings an introduction."""

_log = structlog.get_logger()


class _WatchTask(NamedTuple):
    watch: HostWatch
    task: asyncio.Task[None]


class ClusterHosts:
    """The hosts of all clusters. `tell` gets each state and the jobs of each process, for the workers.

    `machine` is the id of this start of the gateway, and `links` has the hosts that have joined.
    """

    def __init__(
        self,
        config: Config,
        tell: Callable[[HostState | ProcessJobs], None],
        machine: str,
        links: LinksChild,
    ) -> None:
        self._tell = tell
        self._links = links
        links.on_change = self._look_at_links
        self._data = Path(config.data)
        self._workers = config.server.workers
        self._introductions: dict[str, StoredIntroduction] = {}
        self._states: dict[tuple[str, int], HostState] = {}
        self._read_at: dict[int, float] = {}  # by the number of the worker
        numbers = itertools.count()
        self._clusters = [
            _Cluster(config, name, machine, numbers, links, self._note, self._note_jobs)
            for name in config.used_clusters
        ]
        for name, section in config.engines.items():
            key = f"cluster {section.cluster}: {section.plugin}"
            stored = introductions.recall_from(self._data, name, key) if section.cluster else None
            self._introductions[name] = stored or StoredIntroduction(key, b"", 0.0, "")

    def states(self) -> list[HostState]:
        """Return the states of all processes, and of those that were lost a moment ago.

        The first ones bring the models of each engine from its last host.
        """
        self._forget_gone()
        known = [
            HostState(name, _INTRODUCTION, 0, "gone", hello=stored.hello, licence=stored.licence)
            for name, stored in self._introductions.items()
            if stored.hello
        ]
        return [*known, *self._states.values()]

    async def run(self) -> None:
        """Find and watch hosts until cancelled."""
        async with asyncio.TaskGroup() as running:
            for cluster in self._clusters:
                running.create_task(cluster.run())
            running.create_task(self._look_at_readers())

    def take_news(self, news: ClusterNews) -> None:
        self._links.set_gateways(max(1, len(news.gateways)))
        for cluster in self._clusters:
            cluster.take_news(news)

    def _look_at_links(self) -> None:
        for cluster in self._clusters:
            cluster.look_for_hosts()

    def note_read(self, worker: int) -> None:
        """Note that a worker has read the tombstones. After the first time it must go on reading them."""
        self._read_at[worker] = time.monotonic()

    def forget_worker(self, worker: int) -> None:
        self._read_at.pop(worker, None)

    async def _look_at_readers(self) -> None:
        while True:
            now = time.monotonic()
            may_watch = all(now - read_at < UNREAD_S for read_at in self._read_at.values())
            for cluster in self._clusters:
                cluster.allow(may_watch)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def switch(self, engine_question: EngineQuestion) -> str | None:
        """Load, unload or restart an engine on all its hosts. Return why it is refused, "", or None if no
        cluster has the engine."""
        question = SwitchQuestion(engine_question.engine, engine_question.action, engine_question.breaks_off)
        cluster = next((each for each in self._clusters if engine_question.engine in each.engines), None)
        if cluster is None:
            return None
        watches = [each for each in cluster.watches() if each.is_alive]
        if not watches:
            return f"no host of the cluster {cluster.name} is there"
        refusals = await asyncio.gather(*(watch.switch(question) for watch in watches))
        return "; ".join(filter(None, refusals))

    def metrics(self) -> Iterable[Metric]:
        hosts = GaugeMetricFamily(
            "voxgate_cluster_hosts", "Hosts of a cluster, watched or away.", labels=["cluster", "state"]
        )
        lost = CounterMetricFamily(
            "voxgate_cluster_lost", "Hosts that died, froze or were cut off.", labels=["cluster"]
        )
        for cluster in self._clusters:
            watches = cluster.watches()
            alive = sum(watch.is_alive for watch in watches)
            hosts.add_metric([cluster.name, "watched"], alive)
            hosts.add_metric([cluster.name, "away"], len(watches) - alive)
            lost.add_metric([cluster.name], cluster.lost)
        return (hosts, lost)

    def _note(self, state: HostState) -> None:
        self._states[state.engine, state.process] = msgspec.structs.replace(state, hello=b"", begun=())
        self._forget_gone()
        stored = self._introductions[state.engine]
        if state.hello and (state.hello, state.licence) != (stored.hello, stored.licence):
            stored = StoredIntroduction(stored.key, state.hello, state.loads_s, state.licence)
            self._introductions[state.engine] = stored
            introductions.keep_in(self._data, state.engine, stored)
        else:
            state = msgspec.structs.replace(state, hello=b"")  # all workers have it
        self._tell(state)

    def _note_jobs(self, jobs: ProcessJobs) -> None:
        # The other gateways have as many workers as we, as far as we know.
        self._tell(msgspec.structs.replace(jobs, sharers=jobs.sharers * self._workers))

    def _forget_gone(self) -> None:
        """Forget the processes that have nothing in memory any more."""
        now = time.monotonic()
        for key, state in list(self._states.items()):
            if state.state == "gone" and (state.lost_at is None or now - state.lost_at > FORGOTTEN_S):
                del self._states[key]


class _Cluster:
    """The hosts of one cluster: those that have joined, and those still watched."""

    def __init__(
        self,
        config: Config,
        name: str,
        machine: str,
        numbers: Iterator[int],
        links: LinksChild,
        on_state: Callable[[HostState], None],
        on_jobs: Callable[[ProcessJobs], None],
    ) -> None:
        self.name = name
        self.engines = frozenset(each for each, found in config.engines.items() if found.cluster == name)
        # On SQLite there are no other gateways, so there is no wait for news of them.
        self._gateways: tuple[str, ...] = () if is_postgres(config.storage.url) else (machine,)
        self._may_watch = True
        self._look_now = asyncio.Event()
        self._most_hosts = config.used_clusters[name].most_hosts
        self._machine = machine
        self._links = links
        self._watch_of = partial(
            HostWatch,
            channels=LinkChannels(links),
            machine=machine,
            engines=self.engines,
            numbers=numbers,
            on_state=on_state,
            on_jobs=on_jobs,
        )
        self._watch_tasks: dict[str, _WatchTask] = {}
        self._known_hosts: list[str] = []
        self._lost_of_ended = 0

    @property
    def lost(self) -> int:
        """The hosts that were lost so far."""
        return self._lost_of_ended + sum(each.watch.lost for each in self._watch_tasks.values())

    def watches(self) -> list[HostWatch]:
        return [each.watch for each in self._watch_tasks.values()]

    def take_news(self, news: ClusterNews) -> None:
        if news.gateways != self._gateways:
            self._gateways = news.gateways
            self._look_now.set()

    def look_for_hosts(self) -> None:
        self._look_now.set()

    def allow(self, may_watch: bool) -> None:
        """End all Watches, or begin them again."""
        if may_watch == self._may_watch:
            return
        self._may_watch = may_watch
        _log.warning("cluster.watches.allowed" if may_watch else "cluster.watches.ended", cluster=self.name)
        if may_watch:
            self._look_now.set()
            return
        for watch, task in self._watch_tasks.values():
            self._lost_of_ended += watch.lost
            task.cancel()
        self._watch_tasks.clear()

    async def run(self) -> None:
        try:
            while True:
                self._look_now.clear()
                found = self._find_hosts()
                if self._may_watch:
                    self._watch_these(found)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_FIND_EVERY_S):
                        await self._look_now.wait()
        finally:
            tasks = [each.task for each in self._watch_tasks.values()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def _find_hosts(self) -> list[str]:
        """Return the hosts of this cluster that this gateway is to watch, of those that have joined."""
        self._known_hosts = sorted(machines_of(self._links.hosts.values(), self.name, self.engines))
        if not self._gateways and len(self._known_hosts) > self._most_hosts:
            return []  # until it is known which other gateways there are
        return host_subset(self._gateways, self._machine, self._known_hosts, self._most_hosts)

    def _watch_these(self, hosts: list[str]) -> None:
        for address, (watch, task) in list(self._watch_tasks.items()):
            watch.is_wanted = address in hosts
            # A leaving host has closed its links that wait, but still works.
            if not watch.is_wanted and address in self._known_hosts:
                watch.release()
            if (not watch.is_wanted and not watch.is_alive) or (
                watch.released_at is not None and time.monotonic() - watch.released_at > _RELEASED_S
            ):
                task.cancel()
            if task.done():
                self._lost_of_ended += watch.lost
                del self._watch_tasks[address]
        for address in hosts:
            if address not in self._watch_tasks:
                watch = self._watch_of(address)
                self._watch_tasks[address] = _WatchTask(watch, asyncio.create_task(watch.run()))
