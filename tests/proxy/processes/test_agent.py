"""A `voxgate host` whose hosts cannot go on."""

from __future__ import annotations

import asyncio

import pytest

from proxy.config.clusters import HostSection
from proxy.config.config_toml import Config
from proxy.config.sections import Server
from proxy.engines.cluster.messages import HostMessage, HostTick
from proxy.engines.host import HostPlace
from proxy.engines.hosts import EngineSwitch, Hosts
from proxy.processes.agent import Agent, AgentService
from speech_engine.host.pipe_messages import HostState
from tests.server import free_port
from tests.waiting import soon


async def test_gateways_hear_of_the_progress_of_ten_processes_a_second_and_of_the_rest_at_once() -> None:
    told: list[HostMessage] = []
    hosts = Hosts((), lambda _name: HostPlace("", ""), lambda state: service.tell_state(state), {})

    class Service(AgentService):
        def tell(self, message: HostMessage) -> None:
            told.append(message)

    service = Service(hosts, EngineSwitch(hosts))
    for percent in range(1, 100):
        for process in range(12):
            hosts._changed(HostState("xtts", process, 1, "starting", loaded=percent / 100))
    assert not told
    hosts._changed(HostState("xtts", 0, 1, "ready"))
    running = asyncio.create_task(service.run())
    await soon(lambda: len(told) == 12)
    running.cancel()
    loading = [each for each in told if isinstance(each, HostState) and each.loaded]
    assert [(each.process, each.loaded) for each in loading] == [(number, 0.99) for number in range(1, 11)]
    assert [type(each) for each in told[:2]] == [HostState, HostTick]


async def test_an_agent_ends_with_the_error_of_its_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_hosts: Hosts) -> None:
        raise OverflowError("no such port")

    monkeypatch.setattr(Hosts, "run", fail)
    section = HostSection(listen=f"127.0.0.1:{free_port()}")
    agent = Agent(Config(server=Server(metrics=""), host=section), ())
    announced: list[str] = []
    async with asyncio.timeout(10.0):
        with pytest.raises(OverflowError, match="no such port"):
            await agent.run(announced.append, ends_with_stdin=False)
    assert announced == [section.listen]
