"""A `voxgate host` whose hosts cannot go on."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from proxy.config.clusters import HostSection
from proxy.config.config_toml import Config
from proxy.config.sections import Server
from proxy.errors import CannotServe
from proxy.hosts.cluster.messages import (
    GatewayHello,
    HostHello,
    HostLeaves,
    HostMessage,
    HostTick,
    method,
)
from proxy.hosts.host import HostPlace
from proxy.hosts.host_list import EngineSwitch, Hosts
from proxy.processes.agent import Agent, AgentService, host_that_joins
from speech_engine.host.pipe_messages import HostState
from tests.speech_engine.host.fakes import short_folder
from tests.speech_engine.host.simulated_time import simulated
from tests.waiting import soon


async def test_gateways_hear_of_the_progress_of_ten_processes_a_second_and_of_the_rest_at_once() -> None:
    told: list[HostMessage] = []
    hosts = Hosts((), lambda _name: HostPlace("", ""), lambda state: service.tell_state(state), {})

    class Service(AgentService):
        def send_to_watchers(self, message: HostMessage) -> None:
            told.append(message)

    service = Service(hosts, EngineSwitch(hosts))
    for percent in range(1, 100):
        for process in range(12):
            hosts._note_state(HostState("xtts", process, 1, "starting", loaded=percent / 100))
    assert not told
    hosts._note_state(HostState("xtts", 0, 1, "ready"))
    running = asyncio.create_task(service.run())
    await soon(lambda: len(told) == 12)
    running.cancel()
    loading = [each for each in told if isinstance(each, HostState) and each.loaded]
    assert [(each.process, each.loaded) for each in loading] == [(number, 0.99) for number in range(1, 11)]
    assert [type(each) for each in told[:2]] == [HostState, HostTick]


class _Gateway:
    """A gateway's call, which is silent after its first message."""

    def __init__(self) -> None:
        self.heard: list[HostMessage] = []
        self._says = [GatewayHello("mch_gateway")]

    async def read(self) -> GatewayHello:
        if not self._says:
            await asyncio.Event().wait()
        return self._says.pop()

    async def write(self, message: HostMessage) -> None:
        self.heard.append(message)


@simulated
async def test_a_host_that_leaves_says_so_to_each_new_gateway_until_this_is_silent() -> None:
    hosts = Hosts((), lambda _name: HostPlace("", ""), lambda state: service.tell_state(state), {})
    service, call, began = AgentService(hosts, EngineSwitch(hosts)), _Gateway(), time.monotonic()
    watch = service.service(SimpleNamespace(method=method("Watch"))).stream_stream
    service.announce_leaving()
    await watch(None, call)
    assert [type(each) for each in call.heard] == [HostHello, HostLeaves]
    assert 3.0 < time.monotonic() - began < 4.0


async def test_an_agent_ends_with_the_error_of_its_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_hosts: Hosts) -> None:
        raise OverflowError("no such port")

    monkeypatch.setattr(Hosts, "run", fail)
    section = HostSection(("http://127.0.0.1:1",), "vg-1")
    announced: list[str] = []
    with short_folder() as folder:
        serving = Agent(Config(server=Server(metrics=""), host=section), (), folder)
        async with asyncio.timeout(10.0):
            with pytest.raises(OverflowError, match="no such port"):
                await serving.run(announced.append, ends_with_stdin=False)
    assert announced == ["http://127.0.0.1:1"]


def test_a_host_that_joins_dials_one_gateway_with_the_key_of_its_environment() -> None:
    section, environ = HostSection(authority="ca.pem"), {"VOXGATE_HOST_KEY": "vg-1"}
    joining = host_that_joins(section, "https://tts.example.org", environ)
    assert joining.gateways == ("https://tts.example.org",)
    assert (joining.api_key, joining.authority) == ("vg-1", "ca.pem")
    assert host_that_joins(HostSection(api_key="vg-2"), "http://127.0.0.1:8000", {}).api_key == "vg-2"
    for url in ("http://tts.example.org", "tts.example.org", "https://me:secret@tts.example.org"):
        with pytest.raises(CannotServe, match="only loopback does without TLS"):
            host_that_joins(section, url, environ)
    with pytest.raises(CannotServe, match="VOXGATE_HOST_KEY is missing"):
        host_that_joins(section, "https://tts.example.org", {})
