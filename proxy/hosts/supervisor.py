"""The supervisor's hosts: those of this machine, and those of the clusters that it watches."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.core import Metric

from proxy.config.config_toml import Config
from proxy.config.secret import environ_for_hosts
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, Registry
from proxy.hosts.figures import host_metrics
from proxy.hosts.host import sockets_in
from proxy.hosts.host_list import EngineSwitch, Hosts
from proxy.supervisor_part import SupervisorPart, SupervisorTools
from speech_engine.host.booking_messages import Booked, BookedPeak, BookingOver, BookingQuestion
from speech_engine.host.cluster_messages import ClusterNews, TombstonesRead
from speech_engine.host.pipe_messages import (
    EngineQuestion,
    EngineSwitched,
    EngineWanted,
    Message,
    WorkerQuestion,
)

if TYPE_CHECKING:
    from proxy.hosts.cluster.cluster_hosts import ClusterHosts
    from proxy.hosts.cluster.links_child import LinksChild


def hosted_specs(config: Config, registry: Registry) -> tuple[HostedEngineSpec, ...]:
    """Return the engines that get hosts. An engine with wrong settings gets none; the worker lists why."""
    specs = []
    for name, section in config.engines.items():
        try:
            spec = registry.engine(name, section, config.data, may_wait=True)
        except EngineConfigError:
            continue
        if isinstance(spec, HostedEngineSpec):
            specs.append(spec)
    return tuple(specs)


class HostsPart:
    def __init__(self, tools: SupervisorTools) -> None:
        config = tools.config
        self._send_to, self._run_soon = tools.send_to, tools.run_soon
        environ = environ_for_hosts(os.environ, config.secrets)
        specs = hosted_specs(config, tools.registry)
        self._hosts = Hosts(specs, sockets_in(tools.folder), tools.send_to_all, environ)
        self._switch = EngineSwitch(self._hosts)
        self._clusters: ClusterHosts | None = None
        self._links: LinksChild | None = None
        if config.used_clusters:
            # Imported here: without a cluster, a supervisor needs no gRPC.
            from proxy.hosts.cluster.cluster_hosts import ClusterHosts
            from proxy.hosts.cluster.links_child import LinksChild

            self._links = LinksChild(tools)
            self._clusters = ClusterHosts(config, tools.send_to_all, tools.machine, self._links)

    def start_tasks(self) -> asyncio.Task[None]:
        """The hosts run until `stop_part` ends them. If they are done before, they have failed."""
        self._run_soon(self._switch.run())
        if self._clusters is not None:
            self._run_soon(self._clusters.run())
        if self._links is not None:
            self._run_soon(self._links.run_links())
        return asyncio.create_task(self._hosts.run())

    def worker_messages(self) -> Iterable[Message]:
        clusters = [] if self._clusters is None else self._clusters.states()
        return (*self._hosts.states.values(), *clusters)

    def answer_worker(self, worker: int, question: WorkerQuestion) -> bool:
        match question:
            case EngineQuestion():
                self._run_soon(self._switch_engine(worker, question))
            case EngineWanted(engine):
                self._run_soon(self._switch.load_on_demand(engine))
            case BookingQuestion():
                refusal = self._hosts.book(worker, question)
                reason, is_lasting = ("", False) if refusal is None else refusal[:2]
                self._send_to(worker, Booked(question.question, reason, is_lasting))
            case BookedPeak(holder, gb):
                self._hosts.note_peak(worker, holder, gb)
            case BookingOver(holder):
                self._hosts.release(worker, holder)
            case ClusterNews() if self._clusters is not None:
                self._clusters.take_news(question)
            case TombstonesRead() if self._clusters is not None:
                self._clusters.note_read(worker)
            case _:
                return False
        return True

    def note_worker_end(self, worker: int) -> None:
        self._hosts.release_worker(worker)
        if self._clusters is not None:
            self._clusters.forget_worker(worker)

    def part_metrics(self) -> Iterable[Metric]:
        yield from host_metrics(self._hosts)
        if self._clusters is not None:
            yield from self._clusters.metrics()
        if self._links is not None:
            yield from self._links.metrics()

    async def stop_part(self) -> None:
        await self._hosts.stop(0.0)
        if self._links is not None:
            await self._links.stop_links()

    async def _switch_engine(self, worker: int, message: EngineQuestion) -> None:
        refusal = None if self._clusters is None else await self._clusters.switch(message)
        if refusal is None:
            refusal = await self._switch.switch(message.engine, message.action, breaks_off=message.breaks_off)
        self._send_to(worker, EngineSwitched(message.question, refusal))


def open_part(tools: SupervisorTools) -> SupervisorPart:
    hosts = HostsPart(tools)
    return SupervisorPart(
        *(hosts.start_tasks, hosts.stop_part, hosts.worker_messages),
        *(hosts.answer_worker, hosts.note_worker_end, hosts.part_metrics),
    )
