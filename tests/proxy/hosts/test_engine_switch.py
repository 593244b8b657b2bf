"""What workers learn of the processes of an engine that an operator switches. Each takes requests by it."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from proxy.config.sections import Config, EngineSection, Server
from proxy.engines import registry
from proxy.engines.plugin_instances import names_of_engines
from proxy.hosts import host_list
from proxy.hosts.environments import environments
from proxy.hosts.host import sockets_in
from proxy.hosts.host_list import EngineSwitch, Hosts
from proxy.hosts.supervisor import hosted_specs
from proxy.processes import runtime
from proxy.processes.supervisor import Supervisor
from speech_engine.host.pipe_messages import HostState
from tests.waiting import soon


@asynccontextmanager
async def ready_hosts(folder: Path) -> AsyncIterator[tuple[EngineSwitch, list[str]]]:
    """The switch of an engine that is ready, and the states that are told from now on."""
    states: list[str] = []

    def note(state: HostState) -> None:
        states.append(state.state)

    specs = hosted_specs(Config(data=str(folder), engines={"tone": EngineSection("tone")}), registry.load())
    # A process that ends removes the folder if nobody's socket is left in it.
    with runtime.runtime_folder(folder) as short, runtime.control_socket(short):
        hosts = Hosts(specs, sockets_in(short), note)
        async with asyncio.timeout(60.0), asyncio.TaskGroup() as running:
            running.create_task(hosts.run())
            await soon(lambda: states[-1:] == ["ready"])
            states.clear()
            yield EngineSwitch(hosts), states
            await hosts.stop(10.0)


async def test_requests_wait_for_the_next_process_of_an_engine_that_restarts(tmp_path: Path) -> None:
    async with ready_hosts(tmp_path) as (switch, states):
        assert await switch.switch("tone", "restart", breaks_off=False) == ""
        await soon(lambda: states[-1:] == ["ready"])
        assert list(dict.fromkeys(states)) == ["restarting", "starting", "ready"]


async def test_an_unloaded_engine_refuses_until_it_is_loaded(tmp_path: Path) -> None:
    async with ready_hosts(tmp_path) as (switch, states):
        # What is so already is no refusal: of several machines, only some may have the engine loaded.
        assert await switch.switch("tone", "load", breaks_off=False) == ""
        assert states == []
        for _ in range(2):
            assert await switch.switch("tone", "unload", breaks_off=False) == ""
            assert states == ["unloaded"]
        assert await switch.switch("tone", "load", breaks_off=False) == ""
        await soon(lambda: states[-1:] == ["ready"])


async def test_an_idle_engine_is_unloaded_whatever_has_become_of_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = hosted_specs(Config(data=str(tmp_path), engines={"tone": EngineSection("tone")}), registry.load())
    hosts = Hosts(specs, sockets_in(tmp_path), lambda _state: None)
    (host,) = hosts.hosts_of("tone")
    host.loads_on_demand = True
    monkeypatch.setattr(hosts, "use_current_model", lambda _engine: "its model is damaged")
    switch = EngineSwitch(hosts)
    assert await switch.switch("tone", "load", breaks_off=False) == "its model is damaged"
    assert await switch.switch("tone", "unload", breaks_off=False) == ""
    assert not host.loads_on_demand


async def test_an_engine_with_one_busy_process_is_not_idle(tmp_path: Path) -> None:
    section = EngineSection("tone", processes=2, idle_unload_s=60.0)
    specs = hosted_specs(Config(data=str(tmp_path), engines={"tone": section}), registry.load())
    hosts = Hosts(specs, sockets_in(tmp_path), lambda _state: None)
    one, other = hosts.hosts_of("tone")
    for each in (one, other):
        each.supervisor.state = "ready"
    one._last_job_at, other._last_job_at = time.monotonic() - 90.0, time.monotonic()
    assert hosts.list_idle() == []
    other._last_job_at -= 90.0
    assert hosts.list_idle() == ["tone"]


async def test_an_engine_starts_once_what_was_missing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object) -> str:
        raise environments.EnvironmentRefused("run: voxgate env build tone")

    states: list[str] = []
    specs = hosted_specs(Config(data=str(tmp_path), engines={"tone": EngineSection("tone")}), registry.load())
    monkeypatch.setattr(host_list, "_LOOKS_PER_TRY", 1)
    with runtime.runtime_folder(tmp_path) as short, runtime.control_socket(short):
        with monkeypatch.context() as patch:
            patch.setattr(environments, "interpreter", refuse)
            hosts = Hosts(specs, sockets_in(short), lambda state: states.append(state.state))
            assert [(each.state, each.reason) for each in hosts.states.values()] == [
                ("failed", "run: voxgate env build tone")
            ]
            assert hosts.hosts_of("tone") == []
        async with asyncio.timeout(60.0), asyncio.TaskGroup() as running:
            running.create_task(hosts.run())
            await soon(lambda: states[-1:] == ["ready"])
            assert len(hosts.hosts_of("tone")) == 1
            await hosts.stop(10.0)


def test_a_model_may_come_later_only_for_a_host(tmp_path: Path) -> None:
    section = EngineSection("kokoro", model="none")
    spec = registry.load().engine("kokoro", section, str(tmp_path), may_wait=True)
    assert isinstance(spec, registry.HostedEngineSpec)
    assert spec.models == ()
    names = names_of_engines(registry.load(), Config(data=str(tmp_path), engines={"kokoro": section}))
    assert names == {"kokoro": "shared"}
    with pytest.raises(registry.EngineConfigError, match="no model called none"):
        registry.load().engine("kokoro", section, str(tmp_path))


async def test_a_switch_that_has_failed_is_told_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else idle engines would never be unloaded, and nobody would know why."""

    async def fail(_switch: EngineSwitch) -> None:
        raise OverflowError("no such engine")

    async def wait(_hosts: Hosts) -> None:
        return

    monkeypatch.setattr(EngineSwitch, "run", fail)
    monkeypatch.setattr(Hosts, "run", wait)
    server = Server(metrics="")
    config = Config(data=str(tmp_path), server=server, engines={"tone": EngineSection("tone")})
    with socket.socket(socket.AF_UNIX) as control, structlog.testing.capture_logs() as logs:
        supervisor = Supervisor(config, lambda: config, registry.load(), None, control, tmp_path, print)
        (hosts,) = supervisor._parts
        hosts.start_tasks()
        await soon(lambda: [each["event"] for each in logs] == ["server.task.failed"])
    assert str(logs[0]["exc_info"]) == "no such engine"
