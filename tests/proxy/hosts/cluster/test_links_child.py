"""The links process under its supervisor, and a watch that goes through its links."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import msgspec
import pytest

from proxy.hosts.cluster import links_child
from proxy.hosts.cluster import watch as watch_module
from proxy.hosts.cluster.links_child import LinkChannels, LinksChild, machines_of
from proxy.hosts.cluster.messages import HostHello, HostTick
from proxy.hosts.cluster.watch import HostWatch
from proxy.hosts.links.handshake import send_joining
from proxy.hosts.links.link_messages import INBOX
from speech_engine.host.pipe_messages import DeadKeys, HostState
from tests.proxy.hosts.cluster.test_watch import SayingAgent, encoded_hello
from tests.proxy.hosts.links.link_rig import GATEWAY, JOINING, MACHINE, HostEnd
from tests.waiting import soon

_MOST_S = 20.0


class _Supervised:
    """The links process of a gateway, and hosts that join it. `dead` are the keys that workers call dead."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dead: tuple[str, ...] = ()
        self.running = set[asyncio.Task[None]]()
        config = SimpleNamespace(server=SimpleNamespace(drain_s=0.0))
        tools: Any = SimpleNamespace(folder=folder, machine=GATEWAY, config=config, ask_workers=self._ask)
        self.links = LinksChild(tools)

    async def _ask(self, question: Callable[[int], Any], _within_s: float) -> list[tuple[int, int, DeadKeys]]:
        keys = question(1).keys
        return [(0, 0, DeadKeys(1, tuple(key for key in keys if key in self.dead)))]

    async def join(self, **changes: object) -> HostEnd:
        """Open a link as a worker does."""
        inbox = str(self.folder / INBOX)
        while True:
            ours, theirs = socket.socketpair()
            is_sent = send_joining(inbox, msgspec.structs.replace(JOINING, **changes), theirs.fileno())
            theirs.close()
            end, is_greeted = HostEnd(ours), False
            try:
                with suppress(ConnectionError):
                    await end.read_head()
                    is_greeted = is_sent and await end.next_frame() is not None
            finally:
                if not is_greeted:
                    ours.close()
            if is_greeted:
                return end
            await asyncio.sleep(0.01)  # no links process took it, or one that was killed

    async def serve_as_host(self, agent: str) -> None:
        """Join each link that is used to the agent's socket, and keep two waiting."""
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(self._serve_links(agent))

    async def _serve_links(self, agent: str) -> None:
        while True:
            end = await self.join()
            try:
                with suppress(AssertionError):
                    if (await end.next_text())["connect"] == "agent":
                        await _carry(end, agent)
            finally:
                end.socket.close()


async def _carry(end: HostEnd, agent: str) -> None:
    reader, writer = await asyncio.open_unix_connection(agent)

    async def carry_out() -> None:
        while data := await reader.read(65536):
            await end.send(data)

    carrying = asyncio.create_task(carry_out())
    try:
        while (frame := await end.next_frame()) is not None:
            writer.write(bytes(frame.data))
    finally:
        carrying.cancel()
        writer.close()


@asynccontextmanager
async def _supervised(folder: Path) -> AsyncIterator[_Supervised]:
    supervised = _Supervised(folder)
    running = asyncio.create_task(supervised.links.run_links())
    try:
        yield supervised
    finally:
        await supervised.links.stop_links()
        running.cancel()
        await asyncio.wait([running])


async def test_hosts_that_join_are_known_and_their_processes_have_sockets(tmp_path: Path) -> None:
    async with asyncio.timeout(_MOST_S), _supervised(tmp_path) as supervised:
        links = supervised.links
        end = await supervised.join()
        await soon(lambda: links.hosts)
        assert machines_of(links.hosts.values(), "gpu", ()) == [MACHINE]
        assert machines_of(links.hosts.values(), "cpu", ("tone",)) == []
        first = links.open_target(MACHINE, "tone.0.1")
        await soon(Path(first).exists)
        # A process that starts again has another socket, and the one of its earlier life is closed.
        second = links.open_target(MACHINE, "tone.0.2")
        await soon(lambda: Path(second).exists() and not Path(first).exists())
        with pytest.raises(ValueError, match="is no name of a process"):
            links.open_target(MACHINE, "../tone.0.1")
        for number in range(1, links_child.MOST_PROCESSES):
            links.open_target(MACHINE, f"tone.{number}.1")
        with pytest.raises(ValueError, match="at most 64 processes"):
            links.open_target(MACHINE, "xtts.0.1")
        links.set_gateways(2)
        assert (await end.next_text())["of"] == 2
        end.socket.close()


async def test_the_links_of_a_revoked_key_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_child, "_READ_KEYS_S", 0.0)
    async with asyncio.timeout(_MOST_S), _supervised(tmp_path) as supervised:
        end, other = await supervised.join(), await supervised.join(key="key_2", machine="mch_" + "2" * 24)
        await soon(lambda: len(supervised.links.hosts) == 2)
        supervised.dead = ("key_1",)
        assert await end.close_code() == 1000
        supervised.links.set_gateways(2)
        assert (await other.next_text())["of"] == 2
        end.socket.close()
        other.socket.close()


async def test_a_watch_goes_on_over_another_link_and_over_a_new_links_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "SILENT_S", 60.0)  # a busy machine starts a process late
    agent = str(tmp_path / "agent.sock")
    ready = HostState("tone", 0, 1, "ready", address="tone.0.1", hello=encoded_hello())
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((SayingAgent([HostHello(MACHINE), ready, HostTick()]),))
    server.add_insecure_port(f"unix:{agent}")
    await server.start()
    states = list[HostState]()
    async with asyncio.timeout(_MOST_S), _supervised(tmp_path) as supervised:
        links = supervised.links
        host = asyncio.create_task(supervised.serve_as_host(agent))
        await soon(lambda: links.hosts)
        watch = HostWatch(
            *(MACHINE, LinkChannels(links), GATEWAY, frozenset({"tone"}), itertools.count()),
            *(states.append, lambda _jobs: None),
        )
        watching = asyncio.create_task(watch.run())
        await soon(lambda: states)
        address = states[0].address
        assert (states[0].state, Path(address).parent) == ("ready", tmp_path)
        process: Any = links._process.child
        process.kill()
        # The same host comes back: its process is told again, and was never lost.
        await soon(lambda: len(states) > 1)
        assert [(each.state, each.address) for each in states] == [("ready", address)] * 2
        assert (watch.lost, watch.is_alive) == (0, True)
        watch._rejoins_until = 0.0
        host.cancel()
        await asyncio.wait([host])
        await soon(lambda: states[-1].state == "gone")
        assert watch.lost == 1
        watching.cancel()
        await asyncio.wait([watching])
    await server.stop(None)


async def test_a_host_that_greets_as_another_one_is_refused(tmp_path: Path) -> None:
    agent = str(tmp_path / "agent.sock")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((SayingAgent([HostHello("mch_" + "3" * 24)]),))
    server.add_insecure_port(f"unix:{agent}")
    await server.start()
    states = list[HostState]()
    async with asyncio.timeout(_MOST_S), _supervised(tmp_path) as supervised:
        host = asyncio.create_task(supervised.serve_as_host(agent))
        await soon(lambda: supervised.links.hosts)
        watch = HostWatch(
            *(MACHINE, LinkChannels(supervised.links), GATEWAY, frozenset({"tone"}), itertools.count()),
            *(states.append, lambda _jobs: None),
        )
        watching = asyncio.create_task(watch.run())
        await soon(lambda: states)
        assert states[0].state == "failed"
        assert "greets as another host" in states[0].reason
        for task in (watching, host):
            task.cancel()
            await asyncio.wait([task])
    await server.stop(None)
