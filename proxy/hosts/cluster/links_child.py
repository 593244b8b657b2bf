"""The links process, as the supervisor has it: the hosts that joined, and the sockets of their processes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.helpers.child import Child
from proxy.helpers.child_supervisor import ChildSupervisor
from proxy.hosts.links.gateway_links import FORGOTTEN_S
from proxy.hosts.links.link_messages import (
    AGENT,
    TARGET,
    BeginLinks,
    Gateways,
    HostGone,
    HostJoined,
    HostTargets,
    KeysRead,
    LinkFigures,
    OfLinks,
    unpack_of_links,
)
from proxy.supervisor_part import SupervisorTools
from speech_engine.host import messages
from speech_engine.host.cluster_messages import JoinedHost
from speech_engine.host.pipe_messages import DeadKeys, KeysQuestion

_log = structlog.get_logger()

MOST_PROCESSES = 64
_READ_KEYS_S = 2.0
_ANSWER_S = 5.0


class _LinksProcess(Child):
    # Its messages are of links, and no host's or worker's.
    def messages(self) -> AsyncGenerator[OfLinks, None]:  # type: ignore[override]
        return self.messages_of(unpack_of_links)


class LinksChild:
    """Runs the links process. `hosts` have joined, by machine. Each change calls `on_change`."""

    def __init__(self, tools: SupervisorTools) -> None:
        self.hosts: dict[str, HostJoined] = {}
        self.on_change: Callable[[], None] = lambda: None
        self._joined_at: dict[str, int] = {}
        self._tools = tools
        self._gateways = 1
        self._targets: dict[str, dict[str, str]] = {}  # paths, by machine and target
        self._numbers = itertools.count(1)
        self._figures = LinkFigures({}, {}, {})
        take: Any = self._take_news
        self._process = ChildSupervisor("links", self._begin, self._note_state, take)

    async def run_links(self) -> None:
        """Keep the process alive, and tell it which keys are dead."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._process.run())
            group.create_task(self._read_keys())

    async def stop_links(self) -> None:
        await self._process.stop(0.0)

    def set_gateways(self, of: int) -> None:
        self._gateways = of
        self._send(Gateways(of))

    def open_target(self, machine: str, target: str) -> str:
        """Return the path of the local socket of a host's process. Raises ValueError for what is none."""
        if not TARGET.fullmatch(target):
            raise ValueError(f"{target[:64]!r} is no name of a process")
        paths = self._targets.setdefault(machine, {})
        if target not in paths:
            process, _, _ = target.rpartition(".")
            for earlier in [each for each in paths if process and each.rpartition(".")[0] == process]:
                del paths[earlier]
            if len(paths) > MOST_PROCESSES:
                raise ValueError(f"a host has at most {MOST_PROCESSES} processes")
            paths[target] = str(self._tools.folder / f"l{next(self._numbers)}.sock")
            self._send_targets(machine)
        return paths[target]

    def list_joined(self, watched: Mapping[str, tuple[bool, str]]) -> Iterator[JoinedHost]:
        """Return the hosts. `watched` tells by machine whether it is watched, and what troubles the watch."""
        for machine, host in sorted(self.hosts.items(), key=lambda each: (each[1].cluster, each[0])):
            is_watched, trouble = watched.get(machine, (False, ""))
            yield JoinedHost(
                machine=machine,
                cluster=host.cluster,
                address=host.address,
                key=host.key,
                version=host.version,
                engines=host.engines,
                joined=self._joined_at[machine],
                is_watched=is_watched,
                trouble=trouble,
            )

    def metrics(self) -> Iterable[Metric]:
        links = GaugeMetricFamily("voxgate_links", "Links of hosts.", labels=["state"])
        for state, count in self._figures.links.items():
            links.add_metric([state], count)
        refused = CounterMetricFamily("voxgate_links_refused", "Refused links.", labels=["why"])
        for code, count in self._figures.refused.items():
            refused.add_metric([code], count)
        carried = CounterMetricFamily("voxgate_link_bytes", "Bytes of links.", labels=["direction"])
        for direction, count in self._figures.carried.items():
            carried.add_metric([direction], count)
        return (links, refused, carried)

    async def _begin(self) -> Child:
        child = await _LinksProcess.start("proxy.hosts.links")
        config = self._tools.config
        child.send(BeginLinks(str(self._tools.folder), self._tools.machine, config.server.drain_s))
        child.send(Gateways(self._gateways))
        return child

    def _send(self, message: Gateways | HostTargets | KeysRead) -> None:
        if self._process.child is not None:
            self._process.child.send(message)

    def _send_targets(self, machine: str) -> None:
        paths = {path: target for target, path in self._targets[machine].items()}
        self._send(HostTargets(machine, paths))

    def _note_state(self, state: str, _generation: int, _reason: str) -> None:
        if state == "restarting":
            # Hosts dial anew. Those that do not come are forgotten.
            left, self.hosts = self.hosts, dict(self.hosts)
            asyncio.get_running_loop().call_later(FORGOTTEN_S, self._forget_unchanged, left)

    def _forget_unchanged(self, left: dict[str, HostJoined]) -> None:
        for machine, joined in left.items():
            if self.hosts.get(machine) is joined:
                self._forget(machine)

    def _take_news(self, news: OfLinks) -> None:
        match news:
            case HostJoined(machine):
                self.hosts[machine] = news
                self._joined_at.setdefault(machine, time.time_ns() // 1000)
                named = {"machine": machine, "address": news.address, "key": news.key}
                _log.info("link.host.joined", **named, cluster=news.cluster, version=news.version)
                self.open_target(machine, AGENT)
                self._send_targets(machine)
                self.on_change()
            case HostGone(machine):
                _log.info("link.host.gone", machine=machine)
                self._forget(machine)
            case LinkFigures():
                self._figures = news

    def _forget(self, machine: str) -> None:
        self.hosts.pop(machine, None)
        self._joined_at.pop(machine, None)
        for path in self._targets.pop(machine, {}).values():
            Path(path).unlink(missing_ok=True)
        self.on_change()

    async def _read_keys(self) -> None:
        """Tell the process which keys are dead, if the database can be read."""
        while True:
            await asyncio.sleep(_READ_KEYS_S)
            keys = tuple({joined.key for joined in self.hosts.values()})
            dead = frozenset[str]()
            if keys:
                asked = partial(KeysQuestion, keys=keys)
                replies = [reply for *_, reply in await self._tools.ask_workers(asked, _ANSWER_S)]
                answers = [reply.keys for reply in replies if isinstance(reply, DeadKeys)]
                if not answers:
                    continue
                dead = frozenset(itertools.chain(*answers))
            self._send(KeysRead(dead))


class LinkChannels:
    """Opens channels to hosts that have joined: the address of a host is the id of its start."""

    def __init__(self, links: LinksChild) -> None:
        self._links = links

    def open(self, address: str, options: Sequence[tuple[str, int]]) -> Any:
        path = self._links.open_target(address, AGENT)
        return grpc.aio.insecure_channel(messages.target(path), options=list(options))

    def address_of(self, address: str, process_address: str) -> str:
        """Return the address of a process for workers. Raises ValueError for a name that is none."""
        return self._links.open_target(address, process_address)


def machines_of(hosts: Collection[HostJoined], cluster: str, engines: Collection[str]) -> list[str]:
    """Return the hosts of a cluster. If the key is for all clusters, the engines of the host decide."""
    return [
        host.machine
        for host in hosts
        if host.cluster == cluster or (not host.cluster and set(host.engines) & set(engines))
    ]
