"""All hosts of a gateway's clusters, in its supervisor: it finds, watches and loses them.

Workers get the states of their processes, as they get those of hosts on this machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from policies.host_subset import host_subset
from proxy.config.clusters import ClusterSection, HostAddress, address_of
from proxy.config.sections import Config
from proxy.engines import introductions
from proxy.engines.cluster.channels import Channels
from proxy.engines.cluster.messages import SwitchQuestion
from proxy.engines.cluster.watch import HostWatch
from proxy.engines.introductions import StoredIntroduction
from speech_engine.host.pipe_messages import EngineQuestion, HostState
from speech_engine.host.watching import FORGOTTEN_S

_RESOLVE_EVERY_S = 5.0
_INTRODUCTION = -1
"""The number of no process."""

_log = structlog.get_logger()


class _Watched(NamedTuple):
    watch: HostWatch
    task: asyncio.Task[None]


class ClusterHosts:
    """The hosts of all clusters. `tell` gets each state, for the workers.

    `machine` is the id of this start of the gateway.
    """

    def __init__(self, config: Config, tell: Callable[[HostState], None], machine: str) -> None:
        self._tell = tell
        self._data = Path(config.data)
        self._introduced: dict[str, StoredIntroduction] = {}
        self._states: dict[tuple[str, int], HostState] = {}
        numbers = itertools.count()
        self._clusters = [
            _Cluster(name, section, engines, machine, numbers, self._note)
            for name, section in config.clusters.items()
            if (engines := _engines_of(config, name))
        ]

        for name, section in config.engines.items():
            key = f"cluster {section.cluster}: {section.plugin}"
            stored = introductions.recall_from(self._data, name, key) if section.cluster else None
            self._introduced[name] = stored or StoredIntroduction(key, b"", 0.0, "")

    def states(self) -> list[HostState]:
        """Return the states of all processes, and of those that were lost a moment ago.

        The first ones bring the models of each engine from its last host.
        """
        now = time.monotonic()
        for key, state in list(self._states.items()):
            if state.state == "gone" and (state.lost_at is None or now - state.lost_at > FORGOTTEN_S):
                del self._states[key]
        known = [
            HostState(name, _INTRODUCTION, 0, "gone", hello=stored.hello, licence=stored.licence)
            for name, stored in self._introduced.items()
            if stored.hello
        ]
        return [*known, *self._states.values()]

    async def run(self) -> None:
        """Find and watch hosts until cancelled."""
        async with asyncio.TaskGroup() as running:
            for cluster in self._clusters:
                running.create_task(cluster.run())

    async def switch(self, asked: EngineQuestion) -> str | None:
        """Load, unload or restart an engine on all its hosts. Return why it is refused, "", or None if no
        cluster has the engine."""
        question = SwitchQuestion(asked.engine, asked.action, asked.breaks_off)
        cluster = next((each for each in self._clusters if asked.engine in each.engines), None)
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
        self._states[state.engine, state.process] = state
        self.states()
        stored = self._introduced[state.engine]
        if state.hello and (state.hello, state.licence) != (stored.hello, stored.licence):
            stored = StoredIntroduction(stored.key, state.hello, state.loads_s, state.licence)
            self._introduced[state.engine] = stored
            introductions.keep_in(self._data, state.engine, stored)
        self._tell(state)


def _engines_of(config: Config, cluster: str) -> frozenset[str]:
    return frozenset(name for name, section in config.engines.items() if section.cluster == cluster)


class _Cluster:
    """The hosts of one cluster: each address that its names have now, and each that is still watched."""

    def __init__(
        self,
        name: str,
        section: ClusterSection,
        engines: frozenset[str],
        machine: str,
        numbers: Iterator[int],
        on_state: Callable[[HostState], None],
    ) -> None:
        self.name = name
        self.engines = engines
        self.gateways: tuple[str, ...] = (machine,)
        self._section = section
        self._machine = machine
        self._numbers = numbers
        self._on_state = on_state
        self._channels = Channels(section)
        self._watched: dict[str, _Watched] = {}
        self._found: dict[str, frozenset[str]] = {}
        self._lost_before = 0

    @property
    def lost(self) -> int:
        """The hosts that were lost so far."""
        return self._lost_before + sum(each.watch.lost for each in self._watched.values())

    def watches(self) -> list[HostWatch]:
        return [each.watch for each in self._watched.values()]

    async def run(self) -> None:
        try:
            while True:
                self._watch_these(await self._find())
                await asyncio.sleep(_RESOLVE_EVERY_S)
        finally:
            tasks = [each.task for each in self._watched.values()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def _find(self) -> list[str]:
        """Return the addresses of all names. A name that cannot be resolved now keeps its last ones."""
        answers = await asyncio.gather(*(_addresses(each) for each in self._section.hosts))
        for name, found in zip(self._section.hosts, answers, strict=True):
            if found is not None:
                self._found[name] = found
            elif name not in self._found:
                _log.warning("cluster.name.unknown", cluster=self.name, host=name)
        every = sorted(frozenset[str]().union(*self._found.values()))
        return host_subset(self.gateways, self._machine, every, self._section.most_hosts)

    def _watch_these(self, addresses: list[str]) -> None:
        for address, (watch, task) in list(self._watched.items()):
            watch.is_wanted = address in addresses
            # A host that leaves is named no more, and still works.
            if not watch.is_wanted and not watch.is_alive:
                task.cancel()
            if task.done():
                self._lost_before += watch.lost
                del self._watched[address]
        for address in addresses:
            if address not in self._watched:
                watch = HostWatch(
                    address, self._channels, self._machine, self.engines, self._numbers, self._on_state
                )
                self._watched[address] = _Watched(watch, asyncio.create_task(watch.run()))


async def _addresses(written: str) -> frozenset[str] | None:
    """Return the addresses of a NAME:PORT, or None if they are not known just now."""
    name, port = address_of(written)
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return frozenset({str(HostAddress(name, port))})
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return frozenset(str(HostAddress(str(where[0]), port)) for *_, where in found)
