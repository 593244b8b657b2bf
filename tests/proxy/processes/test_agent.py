"""A `voxgate host` whose hosts cannot go on."""

from __future__ import annotations

import asyncio

import pytest

from proxy.config.clusters import HostSection
from proxy.config.config_toml import Config
from proxy.config.sections import Server
from proxy.engines.hosts import Hosts
from proxy.processes.agent import Agent
from tests.server import free_port


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
